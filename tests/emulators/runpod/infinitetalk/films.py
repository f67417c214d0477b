"""The film that a job's input becomes."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np

from lipsync_core.errors import InputError
from lipsync_core.media.audio import ANALYSIS_RATE, Track, lay_track, sound_seconds, wav_file
from lipsync_core.media.encode import write_film
from lipsync_core.media.probe import ColourTags, FilmInfo, probe
from tests.emulators.runpod.infinitetalk.keys import is_for_two, most_frames, shown, size_of
from tests.emulators.runpod.infinitetalk.media import picture_file, sample_picture, voice_file
from tests.emulators.runpod.infinitetalk.pictures import (
    cropped,
    of_film,
    read_picture,
    with_moving_bar,
)

IMAGE_RATE = Fraction(25)
_CRF, _PRESET = 19, "veryfast"
_BT709 = ColourTags(primaries=1, transfer=1, matrix=1, range=1)


class Stopped(Exception):
    """Nobody wants the film any more."""


@dataclass(frozen=True)
class Flaw:
    """What is wrong with a film: the share of its frames that is kept, pixels of extra width."""

    kept: Fraction = Fraction(1)
    wider: int = 0


@dataclass(frozen=True)
class Job:
    """One input to be rendered in ``folder``; ``volume`` is the network volume.

    ``seed`` makes the film differ a little from every other; ``is_fast`` leaves the person still
    with a bar moving over it; ``is_stopped`` is asked before every frame.
    """

    input: dict[str, Any]
    folder: Path
    volume: Path
    seed: int = 0
    is_fast: bool = False
    flaw: Flaw = Flaw()
    is_stopped: Callable[[], bool] = lambda: False


def seed_of(job_id: str) -> int:
    """The seed that goes with a job's id."""
    return zlib.crc32(job_id.encode())


def rendered(job: Job) -> Path:
    """The film of a job, an MP4 in its folder.

    Raises:
        NotThere: a path of the input leads to nothing.
        InputError: the input cannot be rendered, as when the picture shows no face.
        Stopped: nobody wants it any more.
        Exception: what the worker itself does not catch.
    """
    name = shown(job.input)
    source = picture_file(job.input, name, job.folder, job.volume)
    voice = _voice(job)
    width, height = size_of(job.input)
    voice_s = _seconds(voice)
    limit_s = min(voice_s, most_frames(job.input, voice_s) / IMAGE_RATE)
    if min(width, height, limit_s) <= 0:
        raise InputError(f"nothing to render: {width}x{height}, {float(limit_s)} s")
    film = _film(source) if name == "video" and source is not None else None
    rate = film.frame_rate if film else IMAGE_RATE
    frames = max(1, round(limit_s * rate * job.flaw.kept))
    width += job.flaw.wider
    sound = lay_track(voice, job.folder / "sound.wav", frames=frames, frame_rate=rate)
    pictures: Iterable[av.VideoFrame]
    if film is not None:
        pictures = of_film(film, width, height)
    elif source is None or job.is_fast:
        picture = sample_picture() if source is None else read_picture(source)
        pictures = with_moving_bar(cropped(picture, width, height), job.seed)
    else:
        pictures = _talking(job, cropped(read_picture(source), width, height), sound, frames)
    out = job.folder / "video.mp4"
    form = _form(out, width, height, rate, frames)
    write_film(_until_stopped(islice(pictures, frames), job), form, sound, out,
               crf=_CRF, preset=_PRESET)  # fmt: skip
    return out


def _talking(job: Job, picture: Any, sound: Track, frames: int) -> Iterator[av.VideoFrame]:
    heard = lay_track(
        sound.path, job.folder / "heard.wav", frames=frames, frame_rate=IMAGE_RATE,
        sample_rate=ANALYSIS_RATE, mono=True,
    )  # fmt: skip
    engine = import_module("tests.emulators.runpod.infinitetalk.talking")
    made: Iterator[av.VideoFrame] = engine.talking(
        picture, heard.read()[:, 0], frames=frames, frame_rate=IMAGE_RATE, seed=job.seed
    )
    return made


def _film(source: Path) -> FilmInfo:
    """What a film is; a picture, which the worker takes as well, is one of a single frame."""
    film = probe(source)
    return film if film.frames > 1 else replace(film, frame_rate=IMAGE_RATE)


def _voice(job: Job) -> Path:
    first = voice_file(job.input, job.folder, job.volume)
    assert first is not None
    second = None
    if is_for_two(job.input):
        second = voice_file(job.input, job.folder, job.volume, "_2")
    return first if second is None else _mixed(first, second, job.folder / "mixed.wav")


def _mixed(first: Path, second: Path, out: Path) -> Path:
    """Both voices at once, as long as the longer one."""
    frames = max(1, round(max(map(sound_seconds, (first, second))) * 1000))
    both = np.zeros(1)
    for source in (first, second):
        track = lay_track(
            source, out.with_suffix(".one.wav"), frames=frames, frame_rate=Fraction(1000),
            sample_rate=48_000, mono=True,
        )  # fmt: skip
        both = both + track.read()[:, 0]
    with wav_file(out, 48_000, 1) as wav:
        wav.write(np.clip(both, -1, 1).astype(np.float32))
    return out


def _seconds(voice: Path) -> Fraction:
    return Fraction(round(sound_seconds(voice) * 1_000_000), 1_000_000)


def _form(out: Path, width: int, height: int, rate: Fraction, frames: int) -> FilmInfo:
    return FilmInfo(
        path=out, codec="h264", width=width, height=height, frame_rate=rate, frames=frames,
        pixel_format="yuv420p", sample_aspect=Fraction(1), colour=_BT709, rotation=0,
        time_base=1 / rate, stored_pts=tuple(range(frames)), shown=None, seekable=True,
        sound=None, conformed=(),
    )  # fmt: skip


def _until_stopped(pictures: Iterable[av.VideoFrame], job: Job) -> Iterator[av.VideoFrame]:
    for picture in pictures:
        if job.is_stopped():
            raise Stopped
        yield picture
