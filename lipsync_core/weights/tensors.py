"""Reading the tensors of a checkpoint, and saying in plain words what a file is that holds others.

Files come as today's and as yesterday's ``torch.save`` writes them; only tensors and plain values
are read, never program code.
"""

from __future__ import annotations

import math
import pickle
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lipsync_core.errors import InputError
from lipsync_core.weights.kinds import other_kind
from lipsync_core.weights.torchscript import scripted_tensors

_LEGACY = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19"  # how torch.save began before version 1.6
_MOST_TIMES, _MORE = 4, 1 << 24  # what else such a file may hold: other numbers, its program
_COUNTERS = "num_batches_tracked"  # written by later versions only, and of no use in evaluation

# Networks people mix up, by the name of a tensor that only they have.
_KNOWN_BY = {
    "netcnnlip.0.weight": "SyncNet",
    "face_encoder_blocks.0.0.conv_block.0.weight": "Wav2Lip",
    "face_encoder.0.conv_block.0.weight": "the expert discriminator of Wav2Lip",
    "vgg.0.weight": "the face detector S3FD of SyncNet",
    "conv1_1.weight": "the face detector S3FD of Wav2Lip",
}


def what_it_is(path: Path, *, scripted: bool = False) -> str:
    """Why a file cannot be a checkpoint of tensors, or nothing if it may be one.

    ``scripted``: a TorchScript program may be one, too, for the tensors in it.
    """
    with path.open("rb") as file:
        head = file.read(512)
    if other := other_kind(head):
        return other
    if head.startswith(b"PK"):
        return _what_archive(path, scripted)
    if head.startswith(_LEGACY) or _LEGACY.startswith(head):
        return ""
    return "no file of PyTorch"


def _what_archive(path: Path, scripted: bool) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            inside = [name.partition("/")[2] for name in archive.namelist()]
    except zipfile.BadZipFile:
        return "cut short"
    if _is_program(inside) and not scripted:
        return "a TorchScript program"
    return "" if "data.pkl" in inside else "an archive of other things"


def _is_program(inside: Iterable[str]) -> bool:
    return any(name.startswith("code/") for name in inside)


def read_tensors(
    path: Path, wanted: Mapping[str, torch.Size], network: str, *, scripted: bool = False
) -> dict[str, Tensor]:
    """The tensors of a checkpoint, by the names and shapes that ``network`` has.

    They may stand in the file under ``state_dict`` and with ``module.`` before every name; where
    ``scripted`` is allowed, the file may be a TorchScript program, of which nothing is run.

    Raises:
        InputError: the file is something else, damaged, or of another network.
    """
    most = _MOST_TIMES * sum(4 * math.prod(shape) for shape in wanted.values()) + _MORE
    found = _unwrapped(_loaded(path, network, most if scripted else None), path, network)
    needed = {name: shape for name, shape in wanted.items() if not name.endswith(_COUNTERS)}
    missing = needed.keys() - found.keys()
    strange = found.keys() - wanted.keys()
    if missing or strange:
        other = next((net for name, net in _KNOWN_BY.items() if name in found), "")
        if other and other != network:
            raise _refused(path, f"a checkpoint of {other}", network)
        name = min(missing or strange)
        raise _refused(
            path,
            f"of another network: {len(missing)} tensors are missing and {len(strange)} are "
            f"strange, such as {name}",
            network,
        )
    for name, shape in needed.items():
        if found[name].shape != shape:
            has = f"{name} is {_sizes(found[name].shape)} and not {_sizes(shape)}"
            raise _refused(path, f"of a network of another size: {has}", network)
    return found


def _loaded(path: Path, network: str, most_scripted: int | None) -> Any:
    """What is stored in a file; in a TorchScript program, where one is allowed, at most so many
    bytes."""
    if wrong := what_it_is(path, scripted=most_scripted is not None):
        raise _refused(path, wrong, network)
    archived = zipfile.is_zipfile(path)
    try:
        if archived:
            with zipfile.ZipFile(path) as archive:
                program = _is_program(n.partition("/")[2] for n in archive.namelist())
            if program:
                return _of_a_program(path, network, most_scripted or 0)
        # mapped, since of a file with an optimiser's numbers two thirds are never looked at
        return torch.load(path, map_location="cpu", weights_only=True, mmap=archived)
    except pickle.UnpicklingError as error:
        raise _refused(path, "more than tensors (program code, which is not run)", network) from (
            error
        )
    except (RuntimeError, EOFError, ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise _refused(path, "damaged or cut short", network) from error


def _of_a_program(path: Path, network: str, most: int) -> dict[str, Tensor]:
    try:
        return scripted_tensors(path, most)
    except (pickle.UnpicklingError, OSError):
        raise
    except Exception as error:  # a damaged table may name anything, in any order
        raise _refused(path, "damaged or cut short", network) from error


def _unwrapped(stored: Any, path: Path, network: str) -> dict[str, Tensor]:
    if isinstance(stored, Mapping) and isinstance(stored.get("state_dict"), Mapping):
        stored = stored["state_dict"]
    if not isinstance(stored, Mapping) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in stored.items()
    ):
        raise _refused(path, "no table of named tensors", network)
    return {name.removeprefix("module."): tensor for name, tensor in stored.items()}


def _refused(path: Path, what: str, network: str) -> InputError:
    return InputError(f"{path} is no checkpoint of {network} but {what}: fetch it again")


def _sizes(shape: torch.Size) -> str:
    return "×".join(map(str, shape)) or "a single number"
