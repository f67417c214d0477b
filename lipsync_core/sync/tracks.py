"""How well every face of a film agrees with its sound, and whether the two drift apart.

A face track is a run of frames with one face inside one shot; where several are in view, it ends
when somebody else begins to speak, and only who speaks counts for the film. Every track is
measured as a whole, all of them together give the film's score, and short windows along them show
a drift: their offsets then lie on a slope instead of a level.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, pairwise
from typing import Any

import numpy as np
from pydantic import BaseModel
from scipy.stats import theilslopes

from lipsync_core.faces.crowd import Crowd
from lipsync_core.material import Material
from lipsync_core.media.audio import Track
from lipsync_core.media.probe import FilmInfo
from lipsync_core.sync.score import IN_SYNC_FRAMES, MS_PER_OFFSET_FRAME, Scorer, Span, SyncScore
from lipsync_core.sync.speaker import Turn, turns

PIECE_S = 30
"""About the longest stretch measured at once; measurements add up, so this only bounds memory."""

WINDOW_S = 4
"""Length of the windows that show a drift. On real clips their offsets scatter by 0.2 frames."""

LEAST_WINDOWS = 3


class TrackScore(BaseModel, frozen=True):
    """The score of frames [first_frame, last_frame) in the fields of :class:`SyncScore`.

    ``drift_ms_per_s`` is how much the offset grows in a second (positive = the sound runs ahead
    more and more); ``None`` with fewer than three windows of evidence. ``in_sync`` also asks that
    no drift leads out of sync. ``speaks`` is whether it is this face that speaks, ``None`` where
    several are in view and that is open.
    """

    first_frame: int
    last_frame: int
    offset_frames: float | None
    offset_ms: float | None
    confidence: float
    distance: float
    in_sync: bool
    evidence: str
    measured: bool = True
    drift_ms_per_s: float | None
    speaks: bool | None = True


class FilmScore(TrackScore, frozen=True):
    """The score of a whole film, of every face track in it, and the same in a sentence.

    The film's score is that of those who speak, ``scorer`` who measured it. ``drifts`` is whether
    the drift leads out of sync beyond all doubt; ``windows`` how many windows of four seconds have
    an answer of their own, ``agreeing_windows`` how many of those say the same as the film.
    """

    frame_rate: str
    scorer: str
    drifts: bool
    windows: int
    agreeing_windows: int
    verdict: str
    tracks: tuple[TrackScore, ...]


def score_tracks(material: Material, sound: Track, scorer: Scorer) -> FilmScore:
    """Score a scanned film against a sound that is laid under it (mono, 16 kHz)."""
    info = material.info
    cuts = [0, *(cut.frame for cut in material.scan.cuts), info.frames]
    crowd = Crowd.load(material.scan.faces, material.scan.others)
    sightings = crowd.sightings(list(pairwise(cuts)), info.frame_rate)
    found = [
        _measured(turn, crowd, info, sound, scorer)
        for turn in turns(crowd, sightings, info, sound.mono, scorer)
    ]
    tracks = tuple(
        TrackScore.model_validate({
            **_fields(one.turn.first, one.turn.last, scorer.score(one.pieces), _drift(one.windows)),
            "speaks": one.turn.speaks,
        })
        for one in found
    )  # fmt: skip
    counted = [one for one in found if one.turn.speaks] or [
        one for one in found if one.turn.speaks is None
    ]
    score = scorer.score([piece for one in counted for piece in one.pieces])
    if not found:
        score = replace(score, evidence="no face in the film")
    windows = list(chain.from_iterable(one.windows for one in counted))
    drift = _drift(windows)
    said = (_said(score, drift), _said_of_others(score, tracks), scorer.remark)
    return FilmScore.model_validate(
        {
            **_fields(0, info.frames, score, drift),
            "speaks": True if counted and counted[0].turn.speaks else None,
            "frame_rate": str(info.frame_rate),
            "scorer": scorer.name,
            "drifts": drift is not None and drift.leads_out,
            "windows": len(windows),
            "agreeing_windows": sum(
                abs(offset - score.offset_frames) <= IN_SYNC_FRAMES for _, offset in windows
            )
            if score.offset_frames is not None
            else 0,
            "verdict": "; ".join(filter(None, said)),
            "tracks": tracks,
        }
    )


@dataclass(frozen=True)
class _Measured:
    """One turn: measurements of the whole of it, and (middle in seconds, offset in frames) of
    every window with evidence."""

    turn: Turn
    pieces: list[dict[str, Any]]
    windows: list[tuple[float, float]]


def _measured(turn: Turn, crowd: Crowd, info: FilmInfo, sound: Track, scorer: Scorer) -> _Measured:
    rate, first, last = info.frame_rate, turn.first, turn.last
    span = Span(info, first, last, partial(crowd.faces, turn.sighting), sound.mono)
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
    return _Measured(turn, measured[: len(pieces)], windows)


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


def _fields(first: int, last: int, score: SyncScore, drift: _Drift | None) -> dict[str, object]:
    return {
        "first_frame": first,
        "last_frame": last,
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
    """How many speaking faces say something else than the whole film, and whether that is open."""
    if tracks and all(track.speaks is not True for track in tracks):
        return "who of those in view speaks is open"
    speaking = [track for track in tracks if track.speaks]
    offsets = [track.offset_frames for track in speaking if track.offset_frames is not None]
    if score.offset_frames is None or not offsets:
        return ""
    apart = sum(abs(offset - score.offset_frames) > IN_SYNC_FRAMES for offset in offsets)
    return f"{apart} of {len(offsets)} face tracks differ by more than 40 ms" if apart else ""
