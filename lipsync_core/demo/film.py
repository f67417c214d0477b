"""Make the demo film: a portrait that talks, a hard cut, a shot without a face; and new speech.

The pictures are scikit-image's own, both in the public domain: NASA's portrait of the astronaut
Eileen Collins and SpaceX's photograph of a rocket.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fractions import Fraction
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import cv2
import numpy as np
import soundfile
from numpy.typing import NDArray

from lipsync_core.errors import InputError
from lipsync_core.generators.puppet import COLOUR, PIXEL_FORMAT, render_portrait, still_frame
from lipsync_core.media.audio import lay_track, wav_file
from lipsync_core.media.encode import write_film
from lipsync_core.media.probe import FilmInfo, planned
from lipsync_core.timeline import sample_of_frame

SIDE = 512
FRAME_RATE = Fraction(25)
CUT_FRAME = 250  # the first frame of the second shot
FRAMES = 350

Picture = NDArray[np.uint8]

_HEAD = (85, 0, 280)  # left, top and side of what is shown of the portrait
# left, top and side at the first and the last frame of the second shot
_FLIGHT = np.array([(105.0, 0.0, 427.0), (170.0, 70.0, 300.0)])


@dataclass(frozen=True)
class DemoFilm:
    """The film, with its own speech, and the WAV file of the speech it is to be given."""

    video: Path
    speech: Path


def make_demo_film(out: Path) -> DemoFilm:
    """Write ``film.mp4`` (14 s, 512×512, 25 fps) and ``speech.wav`` to the folder ``out``.

    Raises:
        InputError: scikit-image is not installed.
        StorageError: the disk is full or the folder refuses writes.
    """
    portrait, rocket = _pictures()
    out.mkdir(parents=True, exist_ok=True)
    film = DemoFilm(out / "film.mp4", out / "speech.wav")
    with TemporaryDirectory(dir=out) as folder, _recording("speech_a.wav") as own_words:
        own = lay_track(own_words, Path(folder) / "own.wav", frames=FRAMES, frame_rate=FRAME_RATE)
        shots = _shots(portrait, rocket, own.read()[:, 0])
        write_film(shots, _form_of(film.video), own, film.video, crf=16, preset="veryfast")
    with _recording("speech_b.wav") as new_words:
        words, rate = soundfile.read(new_words, dtype="float32")
    silence = np.zeros(sample_of_frame(FRAMES, FRAME_RATE, rate) - len(words), np.float32)
    with wav_file(film.speech, rate, 1) as wav:
        wav.write(np.concatenate([words, silence]))
    return film


def _pictures() -> tuple[Picture, Picture]:
    try:
        from skimage.data import astronaut, rocket
    except ImportError as error:
        raise InputError(
            "the demo film needs scikit-image: pip install 'lipsync-flows[demo]'"
        ) from error
    return astronaut(), rocket()


def _recording(name: str) -> AbstractContextManager[Path]:
    return resources.as_file(resources.files("lipsync_core.demo").joinpath(name))


def _shots(
    portrait: Picture, rocket: Picture, words: NDArray[np.float32]
) -> Iterator[av.VideoFrame]:
    left, top, side = _HEAD
    head = cv2.resize(
        portrait[top : top + side, left : left + side],
        (SIDE, SIDE),
        interpolation=cv2.INTER_LANCZOS4,
    )
    yield from render_portrait(
        head.astype(np.uint8), words, frames=CUT_FRAME, frame_rate=FRAME_RATE, seed=1
    )
    for share in np.linspace(0, 1, FRAMES - CUT_FRAME):
        x, y, shown = _FLIGHT[0] + share * (_FLIGHT[1] - _FLIGHT[0])
        scale = shown / SIDE
        window = np.array([[scale, 0, x], [0, scale, y]])
        seen = cv2.warpAffine(
            rocket, window, (SIDE, SIDE), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        yield still_frame(seen.astype(np.uint8))


def _form_of(path: Path) -> FilmInfo:
    """What the finished film will be, which is what the encoder is to make."""
    return planned(
        path, width=SIDE, height=SIDE, frame_rate=FRAME_RATE, frames=FRAMES,
        pixel_format=PIXEL_FORMAT, colour=COLOUR,
    )  # fmt: skip
