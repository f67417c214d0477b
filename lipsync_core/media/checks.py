"""The timeline promise, measured on the finished file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import log10
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from lipsync_core.errors import TimelineBroken
from lipsync_core.media.audio import ANALYSIS_RATE, Track, lay_track
from lipsync_core.media.clip import Box, Clip, cropped
from lipsync_core.media.frames import planes_of, read_frames
from lipsync_core.media.probe import ColourTags, FilmInfo, opened, probe
from lipsync_core.timeline import sample_of_frame

LIMIT_LAG_MS = 1.0
REVIEW_PSNR_DB = 40.0

_IDENTICAL_DB = 99.0
_HALF_WINDOW_S = 0.8
# Windows this much quieter than the loudest one hold room noise, which no codec keeps in place.
_SILENT_BELOW = 0.01
_ALIKE = 0.5


@dataclass(frozen=True)
class Checks:
    """What was measured on a finished film.

    ``max_boundary_lag_ms`` is the largest shift of the sound against the speech it was made from,
    0 where there is no sound at all. ``psnr_outside_db`` compares the picture with the source's
    outside the rendered boxes: second by second, luma and chroma apart, and the worst counts (99
    where nothing differs).
    """

    frames_equal: bool
    max_boundary_lag_ms: float
    colour_tags_equal: bool
    psnr_outside_db: float
    timestamps_monotonic: bool

    def failures(self) -> list[str]:
        """What is broken, a sentence each; empty for a film that keeps the promise."""
        sentences = []
        if not self.frames_equal:
            sentences.append("the film and its source differ in frame count or frame rate")
        if self.max_boundary_lag_ms >= LIMIT_LAG_MS:
            sentences.append(
                f"the sound is {self.max_boundary_lag_ms:.1f} ms off at a boundary, "
                f"the limit is {LIMIT_LAG_MS:g} ms"
            )
        if not self.colour_tags_equal:
            sentences.append("the colour tags differ from the source's")
        if not self.timestamps_monotonic:
            sentences.append("the time stamps do not rise evenly")
        return sentences

    @property
    def wants_review(self) -> bool:
        """Whether the untouched part of the picture lost so much that a person should look."""
        return self.psnr_outside_db < REVIEW_PSNR_DB


def check_film(
    info: FilmInfo,
    final: Path,
    speech: Track,
    clips: Sequence[Clip],
    boundaries: Sequence[int],
    *,
    folder: Path | None = None,
) -> Checks:
    """Measure a finished film against its source, its speech and the clips laid into it.

    ``boundaries`` are frames at which segments meet; the film's two ends are always looked at.
    What is decoded on the way goes to ``folder``, by default the one of the speech.

    Raises:
        TimelineBroken: the finished film has another size or pixel format, or lost its sound.
        InputError: the finished film cannot be read.
    """
    finished = probe(final)
    form = (finished.width, finished.height, finished.pixel_format)
    if form != (info.width, info.height, info.pixel_format):
        raise TimelineBroken(
            f"{final} is {form[0]}x{form[1]} {form[2]}, its source {info.width}x{info.height} "
            f"{info.pixel_format}"
        )
    if finished.sound is None:
        raise TimelineBroken(f"{final} has no sound")
    places = sorted({0, *boundaries, info.frames})
    lags = boundary_lags_ms(info, finished, speech, places, folder=folder)
    return Checks(
        frames_equal=(finished.frames, finished.frame_rate) == (info.frames, info.frame_rate),
        max_boundary_lag_ms=max(map(abs, lags)),
        colour_tags_equal=_meaning(finished.colour) == _meaning(info.colour),
        psnr_outside_db=psnr_outside_db(info, finished, clips),
        timestamps_monotonic=_rise_evenly(finished),
    )


def _meaning(tags: ColourTags) -> ColourTags:
    # H.264 has no way to say "limited" apart from saying nothing (H.273, VideoFullRangeFlag)
    return replace(tags, range=tags.range or 1)


def _rise_evenly(finished: FilmInfo) -> bool:
    """Whether every stream is stored in order and every picture has its own place on the grid."""
    last: dict[int, int] = {}
    with opened(finished.path) as container:
        for packet in container.demux():
            if packet.dts is None:
                continue
            if packet.dts <= last.get(packet.stream_index, packet.dts - 1):
                return False
            last[packet.stream_index] = packet.dts
    return finished.shown is None and all(a < b for a, b in pairwise(finished.stored_pts))


def boundary_lags_ms(
    info: FilmInfo,
    finished: FilmInfo,
    speech: Track,
    frames: Sequence[int],
    *,
    folder: Path | None = None,
) -> list[float]:
    """How much later than ``speech`` the finished sound is at each frame, in milliseconds.

    Cross-correlation over 1.6 s around the frame, to a fraction of a sample. Where those are
    silent, the nearest window with sound is taken; where nothing in the film sounds, the lag is 0.
    Windows that do not resemble each other count as 800 ms off.
    """
    assert finished.sound is not None
    parent = folder or speech.path.parent
    with tempfile.TemporaryDirectory(dir=parent, prefix="check-") as scratch:
        heard, master = (
            lay_track(
                source,
                Path(scratch) / name,
                frames=info.frames,
                frame_rate=info.frame_rate,
                sample_rate=ANALYSIS_RATE,
                mono=True,
                start_s=start_s,
            )
            for source, name, start_s in (
                (finished.path, "heard.wav", finished.sound.start_s),
                (speech.path, "master.wav", 0.0),
            )
        )
        places = _audible_places(master)
        if not len(places):
            return [0.0] * len(frames)
        half = round(_HALF_WINDOW_S * ANALYSIS_RATE)
        lags = []
        for frame in frames:
            wanted = sample_of_frame(frame, info.frame_rate, ANALYSIS_RATE)
            middle = int(places[np.argmin(abs(places - wanted))])
            windows = (track.read(middle - half, middle + half)[:, 0] for track in (heard, master))
            lags.append(_lag_samples(*windows) / ANALYSIS_RATE * 1000)
        return lags


def _audible_places(track: Track) -> NDArray[np.int64]:
    """The samples around which a window of 1.6 s holds sound, a tenth of a second apart."""
    hop = ANALYSIS_RATE // 10
    energy = np.array(
        [
            float(np.sum(np.square(track.read(first, first + hop), dtype=np.float64)))
            for first in range(0, track.samples, hop)
        ]
    )
    summed = np.concatenate([[0.0], np.cumsum(energy)])
    places, around = np.arange(len(energy)), round(_HALF_WINDOW_S * 10)
    window = (
        summed[np.minimum(places + around, len(energy))] - summed[np.maximum(0, places - around)]
    )
    loud = (window > window.max(initial=0) * _SILENT_BELOW**2) & (window > 0)
    return np.flatnonzero(loud) * hop


def _lag_samples(heard: NDArray[np.float32], master: NDArray[np.float32]) -> float:
    """By how many samples ``heard`` is later, from the top of a parabola through the best three."""
    size = 2 * len(master)
    spectrum = np.fft.rfft(heard, size) * np.fft.rfft(master, size).conj()
    likeness = np.fft.irfft(spectrum, size)
    best = int(np.argmax(likeness))
    before, top, after = (float(likeness[(best + step) % size]) for step in (-1, 0, 1))
    if top < _ALIKE * float(np.linalg.norm(heard)) * float(np.linalg.norm(master)):
        return _HALF_WINDOW_S * ANALYSIS_RATE
    bend = before - 2 * top + after
    within = 0.5 * (before - after) / bend if bend else 0.0
    return (best if best < size // 2 else best - size) + within


def psnr_outside_db(info: FilmInfo, finished: FilmInfo, clips: Sequence[Clip]) -> float:
    """Peak signal-to-noise ratio outside the clips' boxes, in dB: the worst second's.

    PSNR = 10 log10(peak² / mean squared difference), for luma and for both chroma planes
    together; the lower of the two counts.
    """
    peak = 1023.0 if "10le" in info.pixel_format else 255.0
    second = max(1, round(info.frame_rate))
    worst = _IDENTICAL_DB
    sums = np.zeros((2, 2))  # (luma, chroma) x (squared differences, samples)
    for number, difference in enumerate(_differences(info, finished, clips), 1):
        sums += difference
        if number % second == 0 or number == info.frames:
            for squares, samples in sums:
                if squares:
                    worst = min(worst, 10 * log10(peak**2 * samples / squares))
            sums[:] = 0
    return worst


def _differences(
    info: FilmInfo, finished: FilmInfo, clips: Sequence[Clip]
) -> Iterator[NDArray[np.float64]]:
    """For every frame, the squared differences and samples outside the box, luma and chroma."""
    boxes = _boxes(clips)
    pairs = zip(read_frames(info), read_frames(finished), strict=False)
    for (source, result), box in zip(pairs, boxes, strict=False):
        whole = _squares(source, result)
        yield whole if box is None else whole - _squares(cropped(source, box), cropped(result, box))


def _boxes(clips: Sequence[Clip]) -> Iterator[Box | None]:
    """The box of every frame, from the first on, without end."""
    frame = 0
    for clip in sorted(clips, key=lambda clip: clip.first_frame):
        while frame < clip.last_frame:
            yield clip.box if frame >= clip.first_frame else None
            frame += 1
    while True:
        yield None


def _squares(one: av.VideoFrame, other: av.VideoFrame) -> NDArray[np.float64]:
    luma, *chroma = (
        (cv2.norm(a, b, cv2.NORM_L2SQR), float(a.size))
        for a, b in zip(planes_of(one), planes_of(other), strict=True)
    )
    return np.array([luma, np.sum(chroma, axis=0)])
