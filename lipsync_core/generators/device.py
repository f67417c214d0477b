"""Where a network works: the processors or a CUDA card, and whose turn it is on that card."""

from __future__ import annotations

import fcntl
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import StringConstraints

from lipsync_core.errors import InputError

DeviceName = Annotated[str, StringConstraints(pattern=r"^(auto|cpu|cuda|cuda:\d+)$")]
"""``auto`` (a CUDA card where there is one), ``cpu``, ``cuda`` or ``cuda:N``."""

# As the allocator of the processors, CUDA and cuDNN say it.
_NO_MEMORY = ("can't allocate memory", "CUDA error: out of memory", "STATUS_ALLOC_FAILED")
_LOOKS_S = 0.5
_SAMPLED_S = 0.2


def device_called(name: str) -> torch.device:
    """The device of that name.

    Raises:
        InputError: a CUDA card was asked for and is not there.
    """
    cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return torch.device("cuda:0" if cards else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= cards:
        built = "" if torch.version.cuda else ", which was built without CUDA"
        raise InputError(
            f"device {name} was asked for, but PyTorch{built} sees {cards or 'no'} CUDA cards "
            "here: give device=cpu or device=auto"
        )
    return torch.device("cuda", device.index or 0) if device.type == "cuda" else device


@contextmanager
def turn_on(device: torch.device, still_waiting: Callable[[], None]) -> Iterator[None]:
    """Have a card to oneself, whatever other runs this machine sees; the processors are shared.

    ``still_waiting`` is called now and then until it is our turn.
    """
    if device.type != "cuda":
        yield
        return
    name = torch.cuda.get_device_properties(device).uuid  # an index may mean another card elsewhere
    with _lock_file(Path(tempfile.gettempdir()) / f"lipsync-card-{name}.lock") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                still_waiting()
                time.sleep(_LOOKS_S)
        try:
            yield
        finally:
            torch.cuda.empty_cache()  # for whoever comes next; the lock goes with the file


@contextmanager
def _lock_file(place: Path) -> Iterator[int]:
    """A file that everybody on this machine may lock, whoever made it."""
    try:
        lock = os.open(place, os.O_RDONLY)
    except FileNotFoundError:
        lock = os.open(place, os.O_RDONLY | os.O_CREAT, 0o644)
    try:
        yield lock
    finally:
        os.close(lock)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether PyTorch says that a device has no memory left."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(said in str(error) for said in _NO_MEMORY)


@dataclass
class CardMemory:
    """How much memory of a card this process holds, looked at five times a second through NVML;
    where NVML cannot tell processes apart, as in a container, how much of it is in use at all.

    ``told`` is the finding in words, also where nothing could be measured.
    """

    device: torch.device
    samples: list[int] = field(default_factory=list)
    of_all: bool = False
    _trouble: str = ""

    @property
    def told(self) -> str:
        """Peak and mean, or why there are none; nothing for the processors."""
        if self.device.type != "cuda":
            return ""
        if not self.samples:
            return f"memory of the card not measured: {self._trouble or 'too short'}"
        peak, mean = max(self.samples) / 2**20, sum(self.samples) / len(self.samples) / 2**20
        whose = "memory of the card in use by all" if self.of_all else "memory of the card"
        return f"{whose}: {peak:.0f} MB at most, {mean:.0f} MB on average"

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look on while the block runs."""
        if self.device.type != "cuda":
            yield
            return
        ended = threading.Event()
        thread = threading.Thread(target=self._look_on, args=(ended,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _look_on(self, ended: threading.Event) -> None:
        try:
            import pynvml

            pynvml.nvmlInit()
            name = f"GPU-{torch.cuda.get_device_properties(self.device).uuid}"
            card = pynvml.nvmlDeviceGetHandleByUUID(name)
            while not ended.wait(_SAMPLED_S):
                self.samples.append(self._held(pynvml, card))
            pynvml.nvmlShutdown()
        except ImportError:
            self._trouble = "pip install 'lipsync-flows[gpu]'"
        except Exception as error:  # NVML's errors have no common base that can be named here
            self._trouble = str(error)

    def _held(self, pynvml: Any, card: Any) -> int:
        processes = pynvml.nvmlDeviceGetComputeRunningProcesses(card)
        own = [process.usedGpuMemory for process in processes if process.pid == os.getpid()]
        if own and own[0] is not None:
            return int(own[0])
        self.of_all = True
        return int(pynvml.nvmlDeviceGetMemoryInfo(card).used)
