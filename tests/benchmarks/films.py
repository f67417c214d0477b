"""Films to measure on: a talking portrait on canvases of several sizes, as long as one likes."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import cycle, islice
from pathlib import Path

import av
import cv2
import numpy as np
import skimage.data
import soundfile

from lipsync_core.demo import film as demo
from lipsync_core.generators.puppet import PIXEL_FORMAT, render_portrait
from lipsync_core.media.audio import ANALYSIS_RATE
from lipsync_core.media.frames import FrameWriter, frame_of, planes_of
from tests.media_factory import ffmpeg

RATE = Fraction(25)
LOOP_S = 9


def speech() -> Path:
    """The new speech of every measured film."""
    return Path(demo.__file__).with_name("speech_b.wav")


def loop(path: Path, side: int) -> Path:
    """Nine seconds of a talking portrait, ``side`` pixels square, losslessly stored."""
    sound, rate = soundfile.read(Path(demo.__file__).with_name("speech_a.wav"), dtype="float32")
    assert rate == ANALYSIS_RATE
    portrait = cv2.resize(skimage.data.astronaut()[:400, 30:430], (side, side))
    frames = render_portrait(portrait, sound, frames=LOOP_S * 25, frame_rate=RATE)
    return _write(path, frames, side, side, codec="ffv1")


def talking_film(path: Path, source: Path, width: int, height: int, seconds: float) -> Path:
    """The loop again and again in the middle of a grey, slightly grainy canvas, as H.264."""
    with av.open(str(source)) as container:
        faces = [planes_of(frame) for frame in container.decode(video=0)]
        faces = [[plane.copy() for plane in planes] for planes in faces]
    grain = np.random.default_rng(1).integers(96, 104, (height, width), dtype=np.uint8)

    def frames() -> Iterator[av.VideoFrame]:
        top = (height - faces[0][0].shape[0]) // 4 * 2
        left = (width - faces[0][0].shape[1]) // 4 * 2
        for planes in islice(cycle(faces), round(seconds * 25)):
            luma = grain.copy()
            chroma = [np.full((height // 2, width // 2), 128, np.uint8) for _ in range(2)]
            for target, part, step in zip([luma, *chroma], planes, (1, 2, 2), strict=True):
                y, x = top // step, left // step
                target[y : y + part.shape[0], x : x + part.shape[1]] = part
            yield frame_of([luma, *chroma], PIXEL_FORMAT)

    return _write(path, frames(), width, height, codec="libx264")


def spoken_film(path: Path, source: Path, seconds: float, width: int = 0, height: int = 0) -> Path:
    """The loop with the words it says, on a canvas or as it is."""
    with av.open(str(source)) as container:
        side = container.streams.video[0].width
    silent = talking_film(
        path.with_suffix(".silent.mp4"), source, width or side, height or side, seconds
    )
    words, _ = soundfile.read(Path(demo.__file__).with_name("speech_a.wav"), dtype="float32")
    once = np.resize(words[: LOOP_S * ANALYSIS_RATE], LOOP_S * ANALYSIS_RATE)
    sound = path.with_suffix(".wav")
    soundfile.write(sound, np.resize(once, round(seconds * ANALYSIS_RATE)), ANALYSIS_RATE)
    ffmpeg("-i", silent, "-i", sound, "-c:v", "copy", "-c:a", "aac", path)
    return path


def numbered(path: Path) -> Path:
    """A second of small grey frames: something to send."""
    frames = (
        frame_of([np.full((108, 192), 60 + n, np.uint8)] + 2 * [np.full((54, 96), 128, np.uint8)],
                 PIXEL_FORMAT)
        for n in range(25)
    )  # fmt: skip
    return _write(path, frames, 192, 108, codec="libx264")


def long_speech(path: Path, seconds: float) -> Path:
    """The speech again and again."""
    sound, rate = soundfile.read(speech(), dtype="float32")
    times = int(seconds * rate) // len(sound) + 1
    soundfile.write(path, np.tile(sound, times)[: int(seconds * rate)], rate)
    return path


def _write(
    path: Path, frames: Iterator[av.VideoFrame], width: int, height: int, codec: str
) -> Path:
    options = {"crf": "18", "preset": "veryfast"} if codec == "libx264" else {}
    with FrameWriter(
        path, width=width, height=height, frame_rate=RATE, pixel_format=PIXEL_FORMAT,
        codec=codec, options=options,
    ) as writer:  # fmt: skip
        for frame in frames:
            writer.write(frame)
    return path
