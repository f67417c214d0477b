"""A network for pictures in an ONNX file that a person names: what it takes, gives, and is.

Nothing is shipped or fetched. What the file says itself is read from it: the size of its picture,
and whether it counts in 32 or 16 bits. What it does not say stands behind its name::

    GFPGANv1.4.onnx                      values from -1 to 1, run by the processor
    RealESRGAN_x2.onnx?range=0..1        … from 0 to 1
    GFPGANv1.4.onnx?device=cuda          … run by an NVIDIA card, or not at all
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
from numpy.typing import NDArray

from lipsync_core.errors import InputError, MissingWeights
from lipsync_core.weights.kinds import other_kind

Picture = NDArray[np.float32]  # (3, height, width), 0…255
_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_FLOATS = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}
_PICTURES = ("tensor(float)", "tensor(float16)")
_STRENGTHS = ("w", "weight")
STRENGTH = 0.5
"""How faithful a network that can be told stays to the picture it is given: 0 the most beautiful,
1 the most like it; the middle is what CodeFormer's authors start from."""


@dataclass(frozen=True)
class GivenModel:
    """A file, and what it does not say itself: the values its numbers run from and to, and what
    runs it."""

    path: Path
    least: float
    most: float
    device: str


def given_model(words: str, usual: tuple[float, float] = (-1.0, 1.0)) -> GivenModel:
    """The file that is named, with what stands behind a question mark: ``range=A..B`` and
    ``device=cpu`` or ``cuda``. ``usual`` is the range where nothing is said.

    Raises:
        InputError: something else stands there.
    """
    name, _, said = words.rpartition("?")
    if "=" not in said or not name or Path(words).is_file():  # a name may hold a question mark
        return GivenModel(Path(words), *usual, "cpu")
    least, most, device = *usual, "cpu"
    for key, value in parse_qsl(said, keep_blank_values=True):
        if key == "device" and value in _PROVIDERS:
            device = value
        elif key == "range" and (limits := _limits(value)) is not None:
            least, most = limits
        else:
            raise InputError(
                f"{name}: {key}={value} is no option of a model: give range=-1..1 or range=0..1, "
                "device=cpu or device=cuda"
            )
    return GivenModel(Path(name), least, most, device)


def _limits(words: str) -> tuple[float, float] | None:
    try:
        least, most = map(float, words.split(".."))
    except ValueError:
        return None
    return (least, most) if np.isfinite([least, most]).all() and least < most else None


@dataclass(frozen=True)
class PictureModel:
    """A network of one picture in and one out. ``size``: (rows, columns) it insists on, or
    ``None`` for any."""

    given: GivenModel
    size: tuple[int, int] | None
    _run: Callable[[NDArray[Any]], Any]
    _kind: Any

    def __call__(self, picture: Picture) -> Picture:
        """What becomes of a picture (3, height, width) of red, green and blue in 0…255.

        Raises:
            InputError: the network fails at it, or gives back no such picture.
        """
        span = self.given.most - self.given.least
        values = (picture / 255 * span + self.given.least)[None]
        made = self._run(np.ascontiguousarray(values, self._kind))
        if made.ndim != 4 or made.shape[:2] != (1, 3):
            raise _refused(self.given.path, f"gives {_sizes(made.shape)} and no colour picture")
        back = (made[0].astype(np.float32) - self.given.least) / span * 255
        if not np.isfinite(back).all():
            raise _refused(self.given.path, "gives numbers that are none, such as NaN")
        whole: Picture = np.clip(back, 0, 255)
        return whole


def load_model(given: GivenModel, *, may_have_strength: bool = False) -> PictureModel:
    """The network of a file; one that is in use already is not loaded again.

    ``may_have_strength``: whether a second input called ``w`` or ``weight`` is allowed, which
    then gets ``STRENGTH``.

    Raises:
        InputError: the file is missing or no such network, ``device`` cannot be had.
        MissingWeights: the package that runs networks is not installed.
    """
    if not given.path.is_file():
        raise InputError(f"no such model: {given.path}; name the file of an ONNX model")
    status = given.path.stat()
    with _loading:  # segments ask for it at the same time
        return _loaded(given, may_have_strength, status.st_size, status.st_mtime_ns)


_loading = threading.Lock()


@lru_cache(maxsize=1)
def _loaded(given: GivenModel, may_have_strength: bool, _size: int, _time: int) -> PictureModel:
    session, errors = _session(given)
    inputs, outputs = session.get_inputs(), session.get_outputs()
    path = given.path
    if len(outputs) != 1:
        raise _refused(path, f"gives {len(outputs)} things and not one picture")
    strengths = [one for one in inputs if one.name in _STRENGTHS] if may_have_strength else []
    pictures = [one for one in inputs if one not in strengths]
    if len(pictures) != 1 or len(strengths) > 1:
        names = ", ".join(one.name for one in inputs)
        raise _refused(path, f"takes {len(inputs)} inputs ({names}) and not one picture")
    [picture] = pictures
    for one in (picture, *outputs):
        _expect_picture(path, one)
    rows, columns = picture.shape[2:]
    fixed = isinstance(rows, int) and isinstance(columns, int)
    if not fixed and (isinstance(rows, int) or isinstance(columns, int)):
        raise _refused(path, f"takes pictures of {_sizes(picture.shape)}: fix both sides or none")
    more = {one.name: _strength(path, one) for one in strengths}

    def run(values: NDArray[Any]) -> Any:
        try:
            return session.run(None, more | {picture.name: values})[0]
        except errors as error:
            raise _refused(path, f"fails at a picture ({_brief(error)})") from error

    size = (rows, columns) if fixed else None
    return PictureModel(given, size, run, _FLOATS[picture.type])


def _expect_picture(path: Path, one: Any) -> None:
    shape = one.shape or []
    if one.type not in _PICTURES:
        raise _refused(path, f"has {one.type} for {one.name} and not 32 or 16 bit floats")
    if len(shape) != 4:
        raise _refused(path, f"has {len(shape)} dimensions for {one.name} and not 4 (NCHW)")
    if shape[0] not in (1, None) and isinstance(shape[0], int):
        raise _refused(path, f"takes {shape[0]} pictures at a time and not one")
    if isinstance(shape[1], int) and shape[1] != 3:
        raise _refused(path, f"has {_sizes(shape)} for {one.name} and not colours first (1x3xHxW)")


def _strength(path: Path, one: Any) -> NDArray[Any]:
    shape = one.shape or []
    if one.type not in _FLOATS or len(shape) > 1 or shape[:1] not in ([], [1]):
        raise _refused(path, f"wants {one.type} of {_sizes(shape)} for {one.name}, not a number")
    return np.full(shape, STRENGTH, _FLOATS[one.type])


def _session(given: GivenModel) -> tuple[Any, tuple[type[Exception], ...]]:
    """The running network, and the errors that its package raises."""
    try:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as state
    except ImportError as error:
        raise MissingWeights(
            "ONNX models need the package onnxruntime: pip install 'lipsync-flows[enhance]'"
        ) from error
    onnxruntime.disable_telemetry_events()
    provider = _PROVIDERS[given.device]
    if provider not in onnxruntime.get_available_providers():
        raise _no_cuda(given.path)
    if wrong := _what_it_is(given.path):
        raise _refused(given.path, f"is no ONNX model but {wrong}")
    errors: tuple[type[Exception], ...] = (
        RuntimeError,
        *(kind for kind in vars(state).values() if _is_error(kind)),
    )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what goes wrong is raised; the rest would fill the terminal
    try:
        session = onnxruntime.InferenceSession(str(given.path), options, providers=[provider])
    except state.InvalidProtobuf as error:
        raise _refused(given.path, "is no ONNX model, or cut short") from error
    except errors as error:
        raise _refused(given.path, f"cannot be loaded ({_brief(error)})") from error
    session.disable_fallback()
    if session.get_providers()[0] != provider:  # its libraries are missing, and it says so nowhere
        raise _no_cuda(given.path)
    return session, errors


def _is_error(thing: Any) -> bool:
    return isinstance(thing, type) and issubclass(thing, Exception)


def _no_cuda(path: Path) -> InputError:
    return InputError(
        f"{path}: device=cuda cannot be had here: install onnxruntime-gpu and CUDA, or leave it out"
    )


def _what_it_is(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(512)
    if head.startswith(b"PK\x03\x04"):
        return "an archive or a file of PyTorch"
    return other_kind(head)


def _refused(path: Path, what: str) -> InputError:
    return InputError(f"{path} {what}: give another model")


def _sizes(shape: Any) -> str:
    return "x".join(str(side) if side is not None else "?" for side in shape) or "a single number"


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:120]
