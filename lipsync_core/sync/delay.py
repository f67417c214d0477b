"""Where a film's sound belongs: measure, move, measure again, until lips and sound agree.

Nothing is written here. The faces are found once; what is moved between two measurements is only
where the sound is read. Every face track votes with its offset, weighted by its evidence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache

import numpy as np

from lipsync_core.media.audio import ANALYSIS_RATE, Track
from lipsync_core.sync.score import IN_SYNC_FRAMES, MS_PER_OFFSET_FRAME
from lipsync_core.sync.tracks import FilmScore

CLOSE_FRAMES = 0.5
"""An offset up to this is left as it is: measurements of real films scatter by 0.2."""

SEARCH_MS = tuple(sign * 800.0 * step for step in range(1, 7) for sign in (1, -1))
"""Where the sound is looked for that is not within reach of one measurement: up to five seconds
away, in steps of two thirds of that reach."""

_AGREED = 2 / 3  # of all votes, and of all windows, must lie within a frame of the answer


class Answer(StrEnum):
    """What can come of it."""

    CORRECTED = "corrected"
    ALREADY_IN_SYNC = "already_in_sync"
    NO_EVIDENCE = "no_evidence"
    DRIFT = "drift"


@dataclass(frozen=True)
class Found:
    """Where the sound belongs: ``delay_ms`` later than it is (negative: earlier).

    ``before`` and ``after`` are the scores of the film as it is and with its sound moved so;
    ``measurements`` how many it took; ``why`` says what stood in the way of an answer.
    """

    answer: Answer
    delay_ms: float
    before: FilmScore
    after: FilmScore
    measurements: int
    why: str = ""


def find_delay(measure: Callable[[float], FilmScore], most_measurements: int = 5) -> Found:
    """Search for the delay with which lips and sound agree.

    ``measure`` scores the film with its sound heard so many milliseconds later. After the first,
    at most ``most_measurements`` more are made to come closer. Sound out of reach of the first is
    looked for beforehand at all of ``SEARCH_MS``.
    """
    heard = cache(measure)
    before = heard(0.0)

    def found(answer: Answer, after: FilmScore, why: str = "", delay_ms: float = 0.0) -> Found:
        return Found(answer, delay_ms, before, after, heard.cache_info().misses, why)

    offset, why = vote(before)
    if before.drifts:
        return found(Answer.DRIFT, before, before.verdict)
    if offset is None:
        far = _far_away(heard, before)
        if far is None:
            return found(Answer.NO_EVIDENCE, before, why)
        first_ms = far
    elif abs(offset) <= CLOSE_FRAMES:
        return found(Answer.ALREADY_IN_SYNC, before)
    else:
        first_ms = offset * MS_PER_OFFSET_FRAME

    tried: dict[float, float] = {}
    delay_ms, last = first_ms, 0.0
    while len(tried) < most_measurements:
        left, why = vote(heard(delay_ms))
        if left is None:
            break
        tried[delay_ms] = abs(left)
        if abs(left) <= CLOSE_FRAMES:
            break
        if left * last < 0 and abs(left) > abs(last) / 2:  # to and fro
            break
        delay_ms, last = delay_ms + left * MS_PER_OFFSET_FRAME, left
    if not tried:
        return found(Answer.NO_EVIDENCE, before, why)
    best = min(tried, key=tried.__getitem__)
    after = heard(best)
    if after.drifts:
        return found(Answer.DRIFT, after, after.verdict)
    if tried[best] > IN_SYNC_FRAMES:
        why = f"{tried[best]:.1f} frames are left at best, so the sound does not stand still"
        return found(Answer.NO_EVIDENCE, after, why)
    return found(Answer.CORRECTED, after, delay_ms=best)


def vote(score: FilmScore) -> tuple[float | None, str]:
    """The offset that the speaking faces agree on, each weighing as much as its evidence
    (confidence times length): the weighted median. Without one, why there is none.

    Where no track can be judged alone, the film as a whole is.
    """
    voters = [
        (track.offset_frames, track.confidence * (track.last_frame - track.first_frame))
        for track in score.tracks
        if track.offset_frames is not None and track.speaks is not False
    ]
    if not voters:
        return score.offset_frames, score.evidence
    offsets, weights = np.array(sorted(voters)).T
    middle = offsets[np.searchsorted(np.cumsum(weights), weights.sum() / 2)]
    agreed = weights[np.abs(offsets - middle) <= IN_SYNC_FRAMES].sum() / weights.sum()
    if agreed < _AGREED:
        return None, (
            f"the faces disagree: {agreed:.0%} of the evidence lies within a frame of "
            f"{middle * MS_PER_OFFSET_FRAME:+.0f} ms"
        )
    return float(
        np.average(offsets, weights=weights * (abs(offsets - middle) <= IN_SYNC_FRAMES))
    ), ""


def delayed(sound: Track, delay_ms: float) -> Track:
    """The same sound, heard so much later."""
    assert sound.sample_rate == ANALYSIS_RATE
    return replace(sound, delay=sound.delay + round(delay_ms * ANALYSIS_RATE / 1000))


def _far_away(measure: Callable[[float], FilmScore], before: FilmScore) -> float | None:
    """A delay beyond the reach of one measurement with which lips and sound agree, if there is one.

    Among many places a chance agreement is likely. So the answer must be found twice: by the film,
    and there by its windows, each alone.
    """
    if not before.tracks:
        return None
    found: list[tuple[float, float]] = []
    for place in SEARCH_MS:
        score = measure(place)
        offset, _ = vote(score)
        if offset is None:
            continue
        there = place + offset * MS_PER_OFFSET_FRAME
        score = measure(there)
        if score.windows and score.agreeing_windows >= _AGREED * score.windows:
            found.append((score.confidence, there))
    return max(found)[1] if found else None
