"""How well every face of a film agrees with its sound, and whether the two drift apart.

A face track is a run of frames with one face inside one shot. Every track is measured as a whole,
all tracks together give the film's score, and short windows along the tracks show a drift: their
offsets then lie on a slope instead of a level.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel
from scipy.stats import theilslopes

from lipsync_core.material import Material
from lipsync_core.media.audio import Track
from lipsync_core.sync.score import IN_SYNC_FRAMES, MS_PER_OFFSET_FRAME, Scorer, Span, SyncScore

MISSED_S = Fraction(1, 5)
"""A face that is not found for up to this long is still the same track."""

PIECE_S = 30
"""About the longest stretch measured at once; measurements add up, so this only bounds memory."""

WINDOW_S = 4
"""Length of the windows that show a drift. On real clips their offsets scatter by 0.2 frames."""

LEAST_WINDOWS = 3

_EYES = [33, 263]  # outer corners


class TrackScore(BaseModel, frozen=True):
    """The score of frames [first_frame, last_frame) in the fields of :class:`SyncScore`.

    ``drift_ms_per_s`` is how much the offset grows in a second (positive = the sound runs ahead
    more and more); ``None`` with fewer than three windows of evidence. ``in_sync`` also asks that
    no drift leads out of sync.
    """

    first_frame: int
    last_frame: int
    offset_frames: float | None
    offset_ms: float | None
    confidence: float
    distance: float
    in_sync: bool
    evidence: str
    drift_ms_per_s: float | None


class FilmScore(TrackScore, frozen=True):
    """The score of a whole film, of every face track in it, and the same in a sentence.

    ``drifts`` is whether the drift leads out of sync beyond all doubt; ``windows`` how many windows
    of four seconds have an answer of their own, ``agreeing_windows`` how many of those say the
    same as the film.
    """

    frame_rate: str
    drifts: bool
    windows: int
    agreeing_windows: int
    verdict: str
    tracks: tuple[TrackScore, ...]


def score_tracks(material: Material, sound: Track, scorer: Scorer) -> FilmScore:
    """Score a scanned film against a sound that is laid under it (mono, 16 kHz)."""
    info = material.info
    cuts = [0, *(cut.frame for cut in material.scan.cuts), info.frames]
    stored = np.load(material.scan.faces, mmap_mode="r")
    found = [
        _measured(first, last, material, sound, scorer)
        for first, last in face_tracks(stored, list(pairwise(cuts)), info.frame_rate)
    ]
    tracks = tuple(
        TrackScore.model_validate(_fields(one.span, scorer.score(one.pieces), _drift(one.windows)))
        for one in found
    )
    score = scorer.score([piece for one in found for piece in one.pieces])
    if not found:
        score = SyncScore(None, score.confidence, score.distance, False, "no face in the film")
    windows = list(chain.from_iterable(one.windows for one in found))
    drift = _drift(windows)
    return FilmScore.model_validate(
        {
            **_fields((0, info.frames), score, drift),
            "frame_rate": str(info.frame_rate),
            "drifts": drift is not None and drift.leads_out,
            "windows": len(windows),
            "agreeing_windows": sum(
                abs(offset - score.offset_frames) <= IN_SYNC_FRAMES for _, offset in windows
            )
            if score.offset_frames is not None
            else 0,
            "verdict": "; ".join(
                filter(None, (_said(score, drift), _said_of_others(score, tracks), scorer.remark))
            ),
            "tracks": tracks,
        }
    )


def face_tracks(
    faces: NDArray[np.float32], shots: Sequence[tuple[int, int]], frame_rate: Fraction
) -> list[tuple[int, int]]:
    """Where one face is seen: frames [first, last), each run inside one of the shots.

    ``faces`` is (frames, 468, 2) pixels, all NaN without a face. A face that is missed for
    ``MISSED_S`` at most and comes back less than an eye distance away is the same one; in one
    shot the mesh may lose one person and find another.
    """
    eyes = np.array(faces[:, _EYES])  # all else of a long film stays on the disk
    centre, size = eyes.mean(1), np.linalg.norm(eyes[:, 0] - eyes[:, 1], axis=-1)
    longest_step = 1 + int(MISSED_S * frame_rate)
    tracks = []
    for first, last in shots:
        seen = first + np.flatnonzero(np.isfinite(size[first:last]))
        moved = np.linalg.norm(np.diff(centre[seen], axis=0), axis=-1)
        breaks = (np.diff(seen) > longest_step) | (moved > size[seen[1:]])
        runs = np.split(seen, np.flatnonzero(breaks) + 1)
        tracks += [(int(run[0]), int(run[-1]) + 1) for run in runs if len(run)]
    return tracks


@dataclass(frozen=True)
class _Measured:
    """One track: measurements of the whole of it, and (middle in seconds, offset in frames) of
    every window with evidence."""

    span: tuple[int, int]
    pieces: list[dict[str, Any]]
    windows: list[tuple[float, float]]


def _measured(first: int, last: int, material: Material, sound: Track, scorer: Scorer) -> _Measured:
    rate = material.info.frame_rate
    span = Span(material.info, first, last, material.faces, lambda a, b: sound.read(a, b)[:, 0])
    edges = np.linspace(first, last, 1 + max(1, int((last - first) / rate / PIECE_S))).astype(int)
    pieces = list(pairwise(edges.tolist()))
    length = round(WINDOW_S * rate)
    starts = range(first, last - length + 1, length // 2)
    measured = scorer.measure(span, pieces + [(start, start + length) for start in starts])
    windows = []
    for start, measurement in zip(starts, measured[len(pieces) :], strict=True):
        offset = scorer.score([measurement]).offset_frames
        if offset is not None:
            windows.append((float((start + length / 2) / rate), offset))
    return _Measured((first, last), measured[: len(pieces)], windows)


@dataclass(frozen=True)
class _Drift:
    """A line through the windows' offsets: its value at the first and the last window and the
    spread of the offsets about it, in frames of 1/25 s."""

    ms_per_s: float
    first: float
    last: float
    spread: float

    @property
    def leads_out(self) -> bool:
        """Whether the sound is out of sync somewhere because of the drift, beyond all doubt."""
        change = abs(self.last - self.first)
        worst = max(abs(self.first), abs(self.last))
        return change > max(IN_SYNC_FRAMES, 2 * self.spread) and worst > IN_SYNC_FRAMES


def _drift(windows: Iterable[tuple[float, float]]) -> _Drift | None:
    """The drift that the offsets show, ``None`` where they are too few.

    The slope is the median of the slopes of all pairs (Theil 1950, Sen 1968), which one window
    with a wrong answer cannot turn. The spread is a standard deviation, estimated as 1.4826 times
    the median distance.
    """
    points = np.array(sorted(windows))
    if len(points) < LEAST_WINDOWS:
        return None
    times, offsets = points.T
    slope, level, _, _ = theilslopes(offsets, times)
    line = level + slope * times
    spread = 1.4826 * np.median(np.abs(offsets - line))
    return _Drift(
        float(slope) * MS_PER_OFFSET_FRAME, float(line[0]), float(line[-1]), float(spread)
    )


def _fields(span: tuple[int, int], score: SyncScore, drift: _Drift | None) -> dict[str, object]:
    return {
        "first_frame": span[0],
        "last_frame": span[1],
        **score.as_dict(),
        "in_sync": score.in_sync and not (drift and drift.leads_out),
        "drift_ms_per_s": None if drift is None else round(drift.ms_per_s, 2),
    }


def _said(score: SyncScore, drift: _Drift | None) -> str:
    """The finding in a sentence, and what to do about it."""
    if drift is not None and drift.leads_out:
        first, last = (_early(end * MS_PER_OFFSET_FRAME) for end in (drift.first, drift.last))
        cure = "slow it down" if drift.ms_per_s > 0 else "speed it up"
        return (
            f"the sound drifts from {first} to {last}, {abs(drift.ms_per_s):.1f} ms a second: "
            f"{cure} by {abs(drift.ms_per_s) / 10:.2f} %"
        )
    if score.offset_ms is None:
        return f"no evidence: {score.evidence}"
    if score.in_sync:
        return f"in sync ({score.offset_ms:+.0f} ms)"
    cure = "delay" if score.offset_ms > 0 else "advance"
    return f"the sound is {_early(score.offset_ms)}: {cure} it by {abs(score.offset_ms):.0f} ms"


def _early(offset_ms: float) -> str:
    return f"{abs(offset_ms):.0f} ms {'early' if offset_ms > 0 else 'late'}"


def _said_of_others(score: SyncScore, tracks: Sequence[TrackScore]) -> str:
    """How many faces say something else than the whole film."""
    offsets = [track.offset_frames for track in tracks if track.offset_frames is not None]
    if score.offset_frames is None or not offsets:
        return ""
    apart = sum(abs(offset - score.offset_frames) > IN_SYNC_FRAMES for offset in offsets)
    return f"{apart} of {len(offsets)} face tracks differ by more than 40 ms" if apart else ""
