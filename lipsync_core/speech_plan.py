"""Where a long speech is divided into segments that an engine renders one by one. Pure, no I/O.

An engine takes a minute of speech at most, and does badly on a few seconds. So every segment's
length lies within bounds, whatever the speech is like; within them no word is cut that need not be.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray

from lipsync_core.errors import InputError
from lipsync_core.media.pauses import Pause, PauseKind
from lipsync_core.timeline import Cut, Timeline

# What two plans are compared by, the first difference deciding: how many cuts lie outside pauses,
# how many of those at no place at all, how loud the others are, how many cuts lie in short pauses,
# and the squares of how many frames each segment is off the target.
_LEVELS = 5
_HEARD_DB = 3.0  # what is closer in loudness counts as equally loud
_QUIETEST_DB = -100.0


@dataclass(frozen=True)
class SpeechRules:
    """How long a segment should be, and must be at least and at most, in seconds.

    Raises:
        InputError: the bounds contradict each other, or are so close that some lengths of speech
            could not be divided within them.
    """

    target_s: float = 45.0
    minimum_s: float = 15.0
    maximum_s: float = 60.0

    def __post_init__(self) -> None:
        if not 0 < self.minimum_s <= self.target_s <= self.maximum_s < float("inf"):
            raise InputError(
                f"segments of {self.minimum_s:g} to {self.maximum_s:g} s, at best {self.target_s:g}"
                " s: the shortest must be over 0 s and the best must lie between the others"
            )
        if self.maximum_s < 2 * self.minimum_s:
            raise InputError(
                f"segments of {self.minimum_s:g} to {self.maximum_s:g} s: the longest must be "
                "twice the shortest or more, or some speech could not be divided so"
            )

    def frames(self, frame_rate: Fraction) -> tuple[int, int, int]:
        """The least, best and greatest length in whole frames; any length of at least the least
        divides within them."""
        # 3.8 s are 95 frames of 1/25 s, although the float is a little less than that
        shortest, best, longest = (
            Fraction(seconds).limit_denominator(1_000_000) * frame_rate
            for seconds in (self.minimum_s, self.target_s, self.maximum_s)
        )
        most = max(1, floor(longest))
        # half a frame less where both bounds fall between frames and one is just twice the other
        least = max(1, min(ceil(shortest), (most + 1) // 2))
        return least, min(most, max(least, round(best))), most


def plan_speech(
    frames: int, frame_rate: Fraction, places: Iterable[Pause], rules: SpeechRules | None = None
) -> Timeline:
    """A speech of ``frames`` frames as segments within the bounds, cut at the best of ``places``.

    Only a speech shorter than the minimum is shorter than that. Of all plans within the bounds it
    is the one with the fewest cuts outside pauses; of these with the fewest at no place at all,
    then with the quietest ones, then with the fewest in short pauses, and of these the one whose
    segments are nearest to the target. Places at the ends of the speech or beyond do no harm.

    Raises:
        InputError: there are no frames.
    """
    if frames < 1:
        raise InputError("the speech has no frames: give a file with speech")
    least, target, most = (rules or SpeechRules()).frames(frame_rate)
    known: dict[int, tuple[PauseKind, int]] = {}
    for place in places:
        if least <= place.frame <= frames - least:
            grade = (place.kind, _loudness(place))
            known[place.frame] = min(grade, known.get(place.frame, grade))
    at = [0, *sorted(known), frames]
    grades = np.zeros((len(at), _LEVELS), np.int64)
    for index, frame in enumerate(at[1:-1], 1):
        kind, loudness = known[frame]
        if kind == PauseKind.MOMENT:
            grades[index] = (1, 0, loudness, 0, 0)
        elif kind == PauseKind.SHORT:
            grades[index] = (0, 0, 0, 1, 0)
    cuts = _cheapest(np.array(at, np.int64), grades, least, target, most)
    return Timeline.from_cuts((Cut(frame) for frame in cuts), frames, frame_rate)


def rough_cuts(timeline: Timeline, places: Iterable[Pause]) -> tuple[str, ...]:
    """In words, for the report: the cuts of a plan that lie in no pause."""
    kinds: dict[int, PauseKind] = {}
    for place in places:
        kinds[place.frame] = min(place.kind, kinds.get(place.frame, place.kind))
    told: list[str] = []
    for segment in timeline.segments[1:]:
        kind = kinds.get(segment.first_frame)
        if kind in (None, PauseKind.MOMENT):
            where = "at the quietest moment" if kind is not None else "to keep the lengths"
            told.append(
                f"cut at {timeline.seconds(segment.first_frame):.2f} s inside the speech, "
                f"{where}: no pause within reach"
            )
    return tuple(told)


def _loudness(place: Pause) -> int:
    """In steps that are heard; what is no number counts as loud."""
    level = place.level_db if place.level_db == place.level_db else 0.0
    return round(min(max(level, _QUIETEST_DB), -_QUIETEST_DB) / _HEARD_DB)


def _cheapest(
    at: NDArray[np.int64], grades: NDArray[np.int64], least: int, target: int, most: int
) -> list[int]:
    """The cuts of the cheapest way from the first of the frames ``at`` to the last.

    From a place one goes to any later one: directly where that is near enough, else by as few cuts
    between them as do, spread evenly, which is also the cheapest way to do so. So no other frame
    needs to be looked at. ``grades``, (places, levels), is what a cut at each costs.
    """
    ends = len(at)
    cost = np.zeros((ends, _LEVELS), np.int64)
    came_from = np.zeros(ends, np.int64)
    # From a place on, at least (distance / most) - 1 cuts lie outside pauses. How far that lets
    # any way come never falls from place to place, so those too far back are found by bisection.
    reach = np.zeros(ends, np.int64)
    for here in range(1, ends):
        nearest = int(np.searchsorted(at[:here], at[here] - least, side="right"))
        if nearest == 0:  # only the end of a speech shorter than the minimum, or none
            nearest = 1
        direct = int(np.searchsorted(at[:nearest], at[here] - most, side="left"))
        farthest = 0
        if direct < nearest:
            needed = at[here] - (cost[direct:nearest, 0].min() + 1) * most
            farthest = min(direct, int(np.searchsorted(reach[:nearest], needed, side="left")))
        distance = at[here] - at[farthest:nearest]
        between = (distance + most - 1) // most - 1
        left = np.arange(nearest - farthest)
        for level in range(_LEVELS):
            column = cost[farthest + left, level]
            if level < 2:
                column = column + between[left]
            elif level == _LEVELS - 1:
                column = column + _unevenness(distance[left], between[left] + 1, target)
            smallest = column.min()
            cost[here, level] = smallest + grades[here, level]
            left = left[column == smallest]
        came_from[here] = farthest + left[0]
        reach[here] = max(reach[here - 1], at[here] - cost[here, 0] * most)
    ways = [ends - 1]
    while ways[-1] > 0:
        ways.append(int(came_from[ways[-1]]))
    cuts: list[int] = []
    for first, last in pairwise(int(at[place]) for place in reversed(ways)):
        parts = -(-(last - first) // most)
        cuts += [first + (last - first) * part // parts for part in range(1, parts + 1)]
    return cuts[:-1]


def _unevenness(
    distance: NDArray[np.int64], parts: NDArray[np.int64], target: int
) -> NDArray[np.int64]:
    """The squares of how far off the target the parts are, as even as whole frames allow."""
    shorter = distance // parts
    longer = distance % parts
    result: NDArray[np.int64] = (parts - longer) * (shorter - target) ** 2 + longer * (
        shorter + 1 - target
    ) ** 2
    return result
