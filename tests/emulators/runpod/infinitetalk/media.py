"""The media of a job as files in its folder, and the samples for those that are missing."""

from __future__ import annotations

import base64
import shutil
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

import cv2
import numpy as np
from numpy.typing import NDArray

from lipsync_core.media.audio import wav_file
from tests.emulators.runpod.infinitetalk.keys import Given, medium

MOUNT = "/runpod-volume"
"""Where a worker sees the network volume."""

_FETCH_S = 30.0
_TONE_S, _TONE_RATE, _TONE_HZ = 2.0, 44_100, 220.0
# the environment's proxies are not asked: an emulator phones nowhere
_OPENER = build_opener(ProxyHandler({}))


class NotThere(Exception):
    """A path of the input leads to no file; the text is the worker's own."""


def fetched(given: Given, out: Path, volume: Path, *, is_voice: bool) -> Path:
    """Bring one medium to a file: ``out``, or where it already lies on the volume.

    Raises:
        NotThere: a path leads to nothing.
        Exception: what the worker raises for bad base64 or an address that gives nothing.
    """
    if given.way == "path":
        return _on_volume(given.value, volume, is_voice=is_voice)
    if given.way == "url":
        with _OPENER.open(given.value, timeout=_FETCH_S) as answer, out.open("wb") as file:
            shutil.copyfileobj(answer, file)
    else:
        # as lenient as the worker: a data: prefix raises, or spoils the bytes
        out.write_bytes(base64.b64decode(given.value))
    return out


def picture_file(job_input: dict[str, Any], name: str, folder: Path, volume: Path) -> Path | None:
    """The picture or film of a job; ``None`` stands for the sample.

    Raises:
        NotThere: its path leads to nothing.
    """
    given = medium(job_input, name)
    out = folder / f"input_{name}.{'jpg' if name == 'image' else 'mp4'}"
    return None if given is None else fetched(given, out, volume, is_voice=False)


def voice_file(
    job_input: dict[str, Any], folder: Path, volume: Path, number: str = ""
) -> Path | None:
    """The first voice of a job, or its second, for which ``None`` means the first one again.

    Raises:
        NotThere: its path leads to nothing.
    """
    given = medium(job_input, "wav", number)
    if given is not None:
        return fetched(given, folder / f"input_audio{number}.wav", volume, is_voice=True)
    return None if number else _sample_voice(folder / "sample.wav")


def sample_picture() -> NDArray[np.uint8]:
    """A drawn stand-in for the picture that the worker brings along, RGB: nobody's face."""
    picture = np.full((768, 768, 3), (58, 96, 148), np.uint8)
    cv2.rectangle(picture, (0, 600), (768, 768), (36, 60, 92), -1)
    cv2.putText(picture, "SAMPLE", (120, 420), cv2.FONT_HERSHEY_SIMPLEX, 4.4, (250,) * 3, 14)
    return picture


def _sample_voice(out: Path) -> Path:
    time = np.arange(round(_TONE_S * _TONE_RATE)) / _TONE_RATE
    with wav_file(out, _TONE_RATE, 1) as wav:
        wav.write((0.3 * np.sin(2 * np.pi * _TONE_HZ * time)).astype(np.float32))
    return out


def _on_volume(path: str, volume: Path, *, is_voice: bool) -> Path:
    root = volume.resolve()
    found = (root / str(path).removeprefix(MOUNT).lstrip("/")).resolve()
    # only the volume is emulated; the rest of the worker's disk is empty
    is_inside = str(path).startswith(f"{MOUNT}/") and found.is_relative_to(root)
    if not is_inside or not found.is_file():
        what = "오디오" if is_voice else "미디어"
        raise NotThere(f"{what} 파일을 찾을 수 없습니다: {path}")
    return found
