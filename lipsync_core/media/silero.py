"""Silero's voice-activity network, run in numpy on the weights its package carries.

The package's own runtime is torch, which costs two seconds to import, is set to a single thread
for the whole process by that import, and without it spends most of its time waiting for threads.
The network is small: a short-time spectrum, four convolutions, one LSTM cell. Its answers are the
same to the fifth decimal, many times sooner.
"""

from __future__ import annotations

import pickle
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast
from zipfile import ZipFile

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

CHUNK = 512
"""Samples of 16 kHz sound that are judged at a time: 32 ms."""

_CONTEXT, _REFLECTED = 64, 64
_WINDOW, _HOP = 256, 128
_STRIDES = (1, 2, 2, 1)

Floats = NDArray[np.float32]
Tree = dict[str, Any]


class Silero:
    """The network with its memory of one track; a new track needs a new one.

    Raises:
        ImportError: the package ``silero-vad`` is not installed.
    """

    def __init__(self) -> None:
        network = _read_weights(_archive())["_model"]
        self._spectrum = network["stft"]["forward_basis_buffer"][:, 0]
        self._layers = [network["encoder"][str(k)]["reparam_conv"] for k in range(len(_STRIDES))]
        self._cell = network["decoder"]["rnn"]
        self._last = network["decoder"]["decoder"]["2"]
        self._context = np.zeros(_CONTEXT, np.float32)
        self._shown = np.zeros(128, np.float32)
        self._kept = np.zeros(128, np.float32)

    def probabilities(self, chunks: Floats) -> Floats:
        """How likely each of consecutive chunks, (n, 512) in -1..1, is speech: (n,) in 0..1."""
        tails = np.vstack([self._context, chunks[:, -_CONTEXT:]])
        self._context = tails[-1]
        sound = np.hstack([tails[:-1], chunks])
        sound = np.pad(sound, ((0, 0), (0, _REFLECTED)), mode="reflect")
        heard = np.maximum(0, self._remembered(self._features(sound)))
        return _sigmoid(heard @ self._last["weight"][0, :, 0] + self._last["bias"])

    def _features(self, sound: Floats) -> Floats:
        """(n, 640) samples to (n, 128): a magnitude spectrum and four convolutions over time."""
        windows = sliding_window_view(sound, _WINDOW, axis=1)[:, ::_HOP]
        waves = np.tensordot(windows, self._spectrum, axes=([2], [1]))
        real, imaginary = np.split(waves, 2, axis=-1)
        values: Floats = np.hypot(real, imaginary)
        for layer, stride in zip(self._layers, _STRIDES, strict=True):
            padded = np.pad(values, ((0, 0), (1, 1), (0, 0)))
            taps = sliding_window_view(padded, 3, axis=1)[:, ::stride]
            values = np.tensordot(taps, layer["weight"], axes=([2, 3], [1, 2]))
            values = np.maximum(0, values + layer["bias"])
        return values[:, 0]

    def _remembered(self, features: Floats) -> Floats:
        """The LSTM cell over (n, 128) features: what it shows after each, (n, 128)."""
        cell = self._cell
        driven = features @ cell["weight_ih"].T + cell["bias_ih"] + cell["bias_hh"]
        recurrent = np.ascontiguousarray(cell["weight_hh"].T)
        shown = np.empty_like(features)
        for index, drive in enumerate(driven):
            take, keep, new, show = np.split(drive + self._shown @ recurrent, 4)
            self._kept = _sigmoid(keep) * self._kept + _sigmoid(take) * np.tanh(new)
            self._shown = shown[index] = _sigmoid(show) * np.tanh(self._kept)
        return shown


def _sigmoid(values: Floats) -> Floats:
    return 0.5 + 0.5 * np.tanh(0.5 * values)  # the form that cannot overflow


def _archive() -> Path:
    package = find_spec("silero_vad")  # found, not imported: that would import torch
    folders = [] if package is None else package.submodule_search_locations or []
    for folder in folders:
        if (path := Path(folder) / "data" / "silero_vad.jit").is_file():
            return path
    raise ImportError("silero-vad is not installed (pip install silero-vad)")


def _read_weights(path: Path) -> Tree:
    """The tensors of a TorchScript archive, by the names of the modules they belong to.

    Such an archive is a zip of raw tensors and a pickle that says where each belongs. Nothing the
    pickle names is imported: every object it describes becomes a plain dictionary.
    """
    with ZipFile(path) as archive:
        index = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
        tensors = index.removesuffix(".pkl")

        class Reader(pickle.Unpickler):
            def persistent_load(self, identity: tuple[str, object, str, str, int]) -> bytes:
                return archive.read(f"{tensors}/{identity[2]}")

            def find_class(self, module: str, name: str) -> Any:
                return _array if name == "_rebuild_tensor_v2" else _Module

        with archive.open(index) as file:
            return cast(Tree, Reader(file).load())


class _Module(dict[str, Any]):
    def __init__(self, *_: object) -> None:
        super().__init__()

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.update(state)


def _array(raw: bytes, offset: int, shape: tuple[int, ...], *_: object) -> Floats:
    return np.frombuffer(raw, "<f4", int(np.prod(shape)), 4 * offset).reshape(shape)
