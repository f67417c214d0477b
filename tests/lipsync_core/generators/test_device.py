"""Where a network works, and what is told where that cannot be had."""

from __future__ import annotations

import pytest
import torch

from lipsync_core.errors import InputError
from lipsync_core.generators.device import CardMemory, device_called, is_out_of_memory, turn_on

NO_CARD = not torch.cuda.is_available()


def test_the_processors_are_always_there() -> None:
    assert device_called("cpu") == torch.device("cpu")


@pytest.mark.skipif(not NO_CARD, reason="this machine has a CUDA card")
def test_a_card_that_is_not_there_is_never_replaced_in_silence() -> None:
    assert device_called("auto") == torch.device("cpu")
    for name in ("cuda", "cuda:0", "cuda:3"):
        with pytest.raises(InputError, match=f"device {name} was asked for, but PyTorch.* no CUDA"):
            device_called(name)


@pytest.mark.skipif(NO_CARD, reason="this machine has no CUDA card")
def test_a_card_is_taken_where_there_is_one() -> None:
    assert device_called("auto") == torch.device("cuda:0")
    with pytest.raises(InputError, match="device cuda:99 was asked for"):
        device_called("cuda:99")


@pytest.mark.skipif(NO_CARD, reason="this machine has no CUDA card")
def test_memory_of_a_card_is_measured() -> None:
    memory = CardMemory(torch.device("cuda:0"))
    with memory.watched(), turn_on(torch.device("cuda:0"), lambda: None):
        held = torch.zeros(64 << 20, device="cuda:0")
        torch.cuda.synchronize()
        import time

        time.sleep(1)
        assert held.numel()
    assert max(memory.samples) > 256 << 20
    assert "MB at most" in memory.told


def test_of_the_processors_no_card_s_memory_is_told() -> None:
    memory = CardMemory(torch.device("cpu"))
    with memory.watched(), turn_on(torch.device("cpu"), pytest.fail):
        pass
    assert memory.told == ""


def test_want_of_memory_is_told_from_other_troubles() -> None:
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("cuDNN error"))
    with pytest.raises(RuntimeError) as asked:
        torch.empty(1 << 60, dtype=torch.uint8)  # the real words of the processors' allocator
    assert is_out_of_memory(asked.value)
