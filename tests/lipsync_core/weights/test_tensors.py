"""Checkpoints in every form they come in, and files that are something else."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from lipsync_core.errors import InputError
from lipsync_core.weights.tensors import read_tensors


class Small(nn.Module):
    """A network of two layers."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.first = nn.Linear(4, width)
        self.norm = nn.BatchNorm1d(width)

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self.norm(self.first(given))
        return made


TENSORS = Small().state_dict()
WANTED = {name: tensor.shape for name, tensor in TENSORS.items()}


def saved(stored: Any, **more: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(stored, buffer, **more)
    return buffer.getvalue()


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as refused:
        read_tensors(path, WANTED, "Small")
    [line] = str(refused.value).splitlines()
    assert line.startswith(f"{path} is no checkpoint of Small but ")
    return line


@pytest.mark.parametrize(
    "stored",
    [TENSORS, {"state_dict": TENSORS, "epoch": 3},
     {f"module.{name}": tensor for name, tensor in TENSORS.items()},
     {name: tensor for name, tensor in TENSORS.items() if not name.endswith("batches_tracked")}],
    ids=["bare", "with other things", "from several cards", "from before counters"],
)  # fmt: skip
@pytest.mark.parametrize("today", [True, False])
def test_tensors_are_read_in_every_form(stored: Any, today: bool, tmp_path: Path) -> None:
    path = tmp_path / "small.pth"
    path.write_bytes(saved(stored, _use_new_zipfile_serialization=today))
    found = read_tensors(path, WANTED, "Small")
    assert torch.equal(found["first.weight"], TENSORS["first.weight"])
    assert found.keys() <= WANTED.keys()


def scripted() -> bytes:
    buffer = io.BytesIO()
    with pytest.deprecated_call():
        torch.jit.save(torch.jit.trace(Small().eval(), torch.zeros(1, 4)), buffer)
    return buffer.getvalue()


class Harmful:
    """What runs a program when it is read."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("touch harm-was-done",)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (lambda: b"", "an empty file"),
        (lambda: b"\n<!DOCTYPE html><html>404</html>", "a web page, as a server sends"),
        (lambda: b"version https://git-lfs.github.com/spec/v1\noid", "a pointer of Git LFS"),
        (lambda: b"RIFF1234", "no file of PyTorch"),
        (lambda: saved(TENSORS)[:-200], "cut short"),
        (lambda: saved(TENSORS, _use_new_zipfile_serialization=False)[:300], "cut short"),
        (scripted, "a TorchScript program"),
        (lambda: saved([1, 2]), "no table of named tensors"),
        (lambda: saved({"state_dict": {"a": 1}}), "no table of named tensors"),
        (lambda: saved({"other.weight": torch.zeros(1)}), "of another network: 6 tensors are miss"),
        (lambda: saved({"face_encoder_blocks.0.0.conv_block.0.weight": torch.zeros(1)}),
         "a checkpoint of Wav2Lip"),
        (lambda: saved({"face_encoder.0.conv_block.0.weight": torch.zeros(1)}),
         "a checkpoint of the expert discriminator of Wav2Lip"),
        (lambda: saved(Small(9).state_dict()),
         "of a network of another size: first.weight is 9×4 and not 8×4"),
    ],
)  # fmt: skip
def test_a_file_of_another_kind_is_told_by_its_kind(
    content: Callable[[], bytes], told: str, tmp_path: Path
) -> None:
    path = tmp_path / "small.pth"
    path.write_bytes(content())
    assert told in refusal(path)


@pytest.mark.parametrize("today", [True, False])
def test_program_code_in_a_checkpoint_is_not_run(
    today: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "small.pth"
    path.write_bytes(saved({"a": Harmful()}, _use_new_zipfile_serialization=today))
    assert "more than tensors (program code, which is not run)" in refusal(path)
    assert not (tmp_path / "harm-was-done").exists()


def test_a_bare_pickle_is_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "small.pth"
    path.write_bytes(pickle.dumps({"a": Harmful()}))
    assert "no file of PyTorch" in refusal(path)


def test_of_a_torchscript_program_only_the_tensors_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it is allowed at all: none of its program is loaded, let alone run."""
    path = tmp_path / "small.pt"
    path.write_bytes(scripted())
    monkeypatch.setattr(torch.jit, "load", lambda *_, **__: pytest.fail("the program was loaded"))
    found = read_tensors(path, WANTED, "Small", scripted=True)
    assert found.keys() == WANTED.keys()
    for name, tensor in found.items():
        assert (tensor.shape, tensor.dtype) == (TENSORS[name].shape, TENSORS[name].dtype)
    assert torch.equal(found["norm.running_var"], torch.ones(8))


@pytest.mark.parametrize(
    ("damage", "told"),
    [(lambda table: pickle.dumps({"a": Harmful()}), "more than tensors (program code, which is no"),
     (lambda table: table[: len(table) // 2], "damaged or cut short"),
     (lambda table: b"\x80\x02K\x07)R.", "damaged or cut short"),  # calls the number 7
     (lambda table: pickle.dumps([1, 2]), "of another network: 6 tensors are missing")],
)  # fmt: skip
def test_a_torchscript_program_that_is_no_network_is_refused(
    damage: Callable[[bytes], bytes], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "small.pt"
    with (
        zipfile.ZipFile(io.BytesIO(scripted())) as whole,
        zipfile.ZipFile(path, "w") as damaged,
    ):
        for name in whole.namelist():
            content = whole.read(name)
            damaged.writestr(name, damage(content) if name.endswith("/data.pkl") else content)
    with pytest.raises(InputError) as refused:
        read_tensors(path, WANTED, "Small", scripted=True)
    assert told in str(refused.value)
    assert not (tmp_path / "harm-was-done").exists()


def archived(path: Path, table: bytes, more: bytes = b"") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("small/data.pkl", table)
        archive.writestr("small/code/__torch__.py", "")
        archive.writestr("small/data/0", more)
    return path


def test_a_small_archive_that_would_unpack_to_gigabytes_is_not_unpacked(tmp_path: Path) -> None:
    path = archived(tmp_path / "bomb.pt", pickle.dumps([]), bytes(1 << 26))
    assert path.stat().st_size < 1 << 20
    with pytest.raises(InputError, match="damaged or cut short"):
        read_tensors(path, WANTED, "Small", scripted=True)


def test_parts_within_parts_without_end_are_not_followed(tmp_path: Path) -> None:
    """Forty parts, each of which holds the next one twice: a thousand thousand million names."""
    empty = b"c__torch__\nPart\n)\x81"  # a part, as the pickle of an archive makes it
    table = empty
    for number in range(40):
        place = b"q" + bytes([number])  # remembered, so that it can be named twice
        table += place + b"0" + empty + b"}(X\x01\x00\x00\x00ah" + bytes([number])
        table += b"X\x01\x00\x00\x00bh" + bytes([number]) + b"ub"
    path = archived(tmp_path / "parts.pt", b"\x80\x02" + table + b".")
    with pytest.raises(InputError, match="damaged or cut short"):
        read_tensors(path, WANTED, "Small", scripted=True)
