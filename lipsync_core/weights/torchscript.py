"""The tensors of a TorchScript archive, read without its program.

Such an archive is a program with its numbers beside it, and loading it the usual way runs parts of
that program. Here only its table of parts is read: a pickle in which nothing but parts, lists and
tensors is allowed, and the plain bytes of every tensor.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

_MOST_PARTS = 20_000
_KINDS = {
    "FloatStorage": torch.float32, "DoubleStorage": torch.float64, "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16, "LongStorage": torch.int64, "IntStorage": torch.int32,
    "ByteStorage": torch.uint8, "BoolStorage": torch.bool,
}  # fmt: skip


def scripted_tensors(path: Path, most_bytes: int) -> dict[str, Tensor]:
    """The tensors of the archive by their full names.

    Raises:
        pickle.UnpicklingError: it holds something else than parts and tensors.
        ValueError: unpacked it is larger than ``most_bytes``, or has parts without end.
        Exception: it is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > most_bytes:
            raise ValueError("larger than any such network")
        root = archive.namelist()[0].partition("/")[0]
        with archive.open(f"{root}/data.pkl") as table:
            whole = _Table(table, archive, root).load()
    return dict(_named(whole, "", count()))


class _Part:
    """A part of a network: whatever its program says it is, here it only holds its values."""

    def __init__(self, *_: Any) -> None:
        self.values: dict[str, Any] = {}

    def __setstate__(self, values: Any) -> None:
        self.values = values if isinstance(values, dict) else {}


class _Table(pickle.Unpickler):
    def __init__(self, table: Any, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(table)
        self._archive, self._root = archive, root
        self._storages: dict[str, Tensor] = {}

    def find_class(self, module: str, name: str) -> Any:
        """What a name in the table stands for."""
        if module.startswith("__torch__"):
            return _Part
        if module == "torch" and name in _KINDS:
            return _KINDS[name]
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch.jit._pickle":  # build_intlist, build_tensorlist, restore_type_tag, …
            return lambda value, *_: value
        if (module, name) == ("collections", "OrderedDict"):
            return dict
        raise pickle.UnpicklingError(f"{module}.{name} is no tensor")

    def persistent_load(self, name: Any) -> Tensor:
        """The numbers of a storage."""
        _, kind, key, *_ = name
        if key not in self._storages:
            stored = self._archive.read(f"{self._root}/data/{key}")
            self._storages[key] = (
                torch.frombuffer(bytearray(stored), dtype=kind) if stored else torch.empty(0)
            )
        return self._storages[key]


def _tensor(
    storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any
) -> Tensor:
    return storage.as_strided(size, stride, offset)


def _named(part: Any, name: str, seen: Iterator[int]) -> Iterator[tuple[str, Tensor]]:
    if next(seen) > _MOST_PARTS:  # parts may stand in each other, even in themselves
        raise ValueError("more parts than any such network has")
    if isinstance(part, Tensor):
        yield name, part
    elif isinstance(part, _Part):
        for inner, value in part.values.items():
            yield from _named(value, f"{name}.{inner}" if name else inner, seen)
