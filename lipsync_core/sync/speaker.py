"""Who speaks, where several faces are in view: the one whose lips go with the sound.

The agreement of every face with the sound is measured in windows of three seconds, a second apart.
On real clips a speaker's own window agrees better than somebody else's in 98 of 100 cases. The
course of turns that agrees best is looked for as a whole, so that a turn is not given away for a
moment of doubt (Viterbi's algorithm with a price on every change).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync_core.errors import writing
from lipsync_core.faces.crowd import Crowd, Sighting
from lipsync_core.material import Material
from lipsync_core.media.probe import FilmInfo
from lipsync_core.scan import Scan
from lipsync_core.sync.score import Scorer, Span
from lipsync_core.timeline import Cut

MEETING_S = 1.5
"""Faces that are in view together for less than this do not take turns."""

WINDOW_S, STEP_S = 3, 1
CHANGE = 1.0  # the price of a change, in agreements of a usual speaker for one step
LEAST_LEAD = 0.3  # by which the one who speaks agrees better than anybody else
OFFSETS = tuple(range(-12, 13, 2))  # frames of 1/25 s the sound may be off
REACH_S = 2  # how far from a step the very moment of a change is looked for
_ABSENT = -1e6
_BLOCK = 1000  # frames copied at once

Read = Callable[[int, int], NDArray[np.float32]]


@dataclass(frozen=True)
class Turn:
    """A face in frames [first, last). ``speaks`` is ``None`` where several are in view and none
    of them goes with the sound clearly better than the others; ``is_alone``: no other face is in
    view with it for long."""

    sighting: Sighting
    first: int
    last: int
    speaks: bool | None
    is_alone: bool = False


def turns(
    crowd: Crowd, sightings: Sequence[Sighting], info: FilmInfo, sound: Read, scorer: Scorer
) -> list[Turn]:
    """Who speaks when, for every face; one that is alone in view speaks.

    ``sound`` reads the samples [first, last) laid under the film (mono, 16 kHz).
    """
    found: list[Turn] = []
    for together in _meetings(sightings, round(MEETING_S * info.frame_rate)):
        if len(together) == 1:
            found.append(Turn(together[0], together[0].first, together[0].last, True, True))
        else:
            found += _taken_in_turns(together, crowd, info, sound, scorer)
    return sorted(found, key=lambda turn: (turn.first, turn.last))


def choose_speakers(material: Material, scorer: Scorer, folder: Path) -> tuple[Scan, str]:
    """The scan with nobody but who speaks left in it, and in words what was done.

    Where it is open who speaks, the face stays that is largest and longest in view. Where another
    face takes the word stands a cut, since from there on it is another mouth.
    """
    scan, info = material.scan, material.info
    if scan.others is None:
        return scan, ""
    crowd = Crowd.load(scan.faces, scan.others)
    cuts = [0, *(cut.frame for cut in scan.cuts), info.frames]
    sound = _silence if material.sound is None else material.sound.mono
    sightings = crowd.sightings(list(pairwise(cuts)), info.frame_rate)
    found = turns(crowd, sightings, info, sound, scorer)
    path = folder / "speakers.npy"
    with writing(path):
        shutil.copyfile(scan.faces, path)
        faces = np.lib.format.open_memmap(path, "r+")
        changes = _keep(found, crowd, faces)
        faces.flush()
    chosen = replace(
        scan, faces=path, others=None,
        cuts=tuple(Cut(frame) for frame in sorted(changes | {cut.frame for cut in scan.cuts})),
    )  # fmt: skip
    return chosen, _told(found, info)


def _silence(first: int, last: int) -> NDArray[np.float32]:
    return np.zeros(last - first, np.float32)


def _keep(turns: Sequence[Turn], crowd: Crowd, faces: NDArray[np.float32]) -> set[int]:
    """Leave only who speaks in ``faces``, (frames, 468, 2); where another one in the same shot
    takes the word."""
    for turn in turns:
        if turn.speaks is False:
            faces[turn.first : turn.last] = np.nan
    kept = np.full(len(faces), -1)
    # the better reason overwrites the weaker one
    order = sorted(range(len(turns)), key=lambda n: (bool(turns[n].speaks), _presence(turns[n])))
    for number in order:
        turn = turns[number]
        if turn.speaks is False:
            continue
        for first in range(turn.first, turn.last, _BLOCK):
            last = min(turn.last, first + _BLOCK)
            seen = crowd.faces(turn.sighting, first, last)
            faces[first:last][seen.present] = seen.points[seen.present]
            if not turn.is_alone:
                kept[first:last][seen.present] = number
    return {
        int(after)
        for before, after in pairwise(np.flatnonzero(kept >= 0))
        if _has_changed(turns[kept[before]].sighting, turns[kept[after]].sighting)
    }


def _has_changed(before: Sighting, after: Sighting) -> bool:
    is_same_shot = min(before.last, after.last) > max(before.first, after.first)
    return before is not after and is_same_shot


def _told(turns: Sequence[Turn], info: FilmInfo) -> str:
    shared = {
        frame for turn in turns if not turn.is_alone for frame in range(turn.first, turn.last)
    }
    if not shared:
        return ""
    unknown = {f for turn in turns if turn.speaks is None for f in range(turn.first, turn.last)}
    said = (
        f"several faces share the picture for {float(len(shared) / info.frame_rate):.0f} s: "
        "the one whose lips go with the sound is taken"
    )
    if not unknown:
        return said
    open_s = float(len(unknown) / info.frame_rate)
    return f"{said}; for {open_s:.0f} s that is open, and the largest is"


def _presence(turn: Turn) -> float:
    return turn.sighting.size * len(turn.sighting.frames)


def _meetings(sightings: Sequence[Sighting], least: int) -> list[list[Sighting]]:
    """The faces that are in view together, and those that meet them, …"""
    groups: list[list[Sighting]] = []
    for one in sightings:
        met = [
            group
            for group in groups
            if any(min(one.last, other.last) - max(one.first, other.first) >= least
                   for other in group)
        ]  # fmt: skip
        groups = [group for group in groups if group not in met]
        groups.append([*(other for group in met for other in group), one])
    return groups


def _taken_in_turns(
    together: Sequence[Sighting], crowd: Crowd, info: FilmInfo, sound: Read, scorer: Scorer
) -> list[Turn]:
    heard = [_Heard(one, crowd, info, sound, scorer) for one in together]
    step = round(STEP_S * info.frame_rate)
    start, end = min(one.first for one in together), max(one.last for one in together)
    edges = [*range(start, max(start + 1, end - step // 2), step), end]
    half = round(WINDOW_S * info.frame_rate / 2)
    middles = [(a + b) // 2 for a, b in pairwise(edges)]
    windows = [(middle - half, middle + half) for middle in middles]
    measured = [one.measured(windows, middles) for one in heard]
    offset = max(OFFSETS, key=lambda offset: _best_of_all(heard, measured, offset))
    agreement = _agreements(heard, measured, offset)
    course = _best_course(agreement)
    changes = [0, *(np.flatnonzero(np.diff(course)) + 1).tolist(), len(course)]
    for last, number, following in zip(changes, changes[1:], changes[2:], strict=False):
        before, after = heard[course[number - 1]], heard[course[number]]
        room = range(edges[last] + step, edges[following] - step + 1)
        edges[number] = _moment(before, after, edges[number], room, offset)
    found = []
    for number, one in enumerate(together):
        for first, last, speaks in _runs(agreement, course, number):
            a, b = max(one.first, edges[first]), min(one.last, edges[last])
            if a < b:
                found.append(Turn(one, a, b, speaks))
    return found


@dataclass(frozen=True)
class _Heard:
    """A face and the sound it is compared with."""

    sighting: Sighting
    crowd: Crowd
    info: FilmInfo
    sound: Read
    scorer: Scorer

    def measured(
        self, windows: Sequence[tuple[int, int]], middles: Sequence[int]
    ) -> list[dict[str, Any] | None]:
        """Every window as far as the face is in view, ``None`` where it is not at its middle."""
        one = self.sighting
        there = [n for n, middle in enumerate(middles) if one.first <= middle < one.last]
        seen = [(max(one.first, windows[n][0]), min(one.last, windows[n][1])) for n in there]
        found: list[dict[str, Any] | None] = [None] * len(windows)
        if seen:
            first, last = min(a for a, _ in seen), max(b for _, b in seen)
            faces = partial(self.crowd.faces, one)
            span = Span(self.info, first, last, faces, self.sound)
            for n, measurement in zip(there, self.scorer.measure(span, seen), strict=True):
                found[n] = measurement
        return found


def _agreements(
    heard: Sequence[_Heard], measured: Sequence[Sequence[dict[str, Any] | None]], offset: float
) -> NDArray[np.float64]:
    """How well every face goes with the sound in every window: (faces, windows)."""
    return np.array([
        [_ABSENT if found is None else one.scorer.agreement([found], offset) for found in of_one]
        for one, of_one in zip(heard, measured, strict=True)
    ])  # fmt: skip


def _best_of_all(
    heard: Sequence[_Heard], measured: Sequence[Sequence[dict[str, Any] | None]], offset: float
) -> float:
    """How well the best face of every window goes with the sound if it is off by so much."""
    return float(_agreements(heard, measured, offset).max(0).sum())


def _moment(before: _Heard, after: _Heard, about: int, room: range, offset: float) -> int:
    """The frame in the ``room`` at which one face hands over to another: up to it the one goes
    with the sound best, from it on the other."""
    rate = before.info.frame_rate
    length, reach, step = round(WINDOW_S * rate), round(REACH_S * rate), max(1, round(rate / 5))
    places = [about + n for n in range(-reach, reach + 1, step) if about + n in room] or [about]
    first = before.measured([(place - length, place) for place in places], places)
    last = after.measured([(place, place + length) for place in places], places)
    together = _agreements((before, after), (first, last), offset).sum(0)
    return places[int(together.argmax())]


def _best_course(agreement: NDArray[np.float64]) -> NDArray[np.int64]:
    """Of (faces, steps) agreements, who speaks in every step: (steps,)."""
    faces, steps = agreement.shape
    total, came_from = agreement[:, 0].copy(), np.zeros((faces, steps), int)
    for step in range(1, steps):
        arriving = total[:, None] - CHANGE * (1 - np.eye(faces))  # from row to column
        came_from[:, step] = arriving.argmax(0)
        total = arriving.max(0) + agreement[:, step]
    course = np.zeros(steps, int)
    course[-1] = total.argmax()
    for step in range(steps - 1, 0, -1):
        course[step - 1] = came_from[course[step], step]
    return course


def _runs(
    agreement: NDArray[np.float64], course: NDArray[np.int64], number: int
) -> list[tuple[int, int, bool | None]]:
    """The steps [first, last) in which a face speaks, is silent, or in which that is open."""
    edges = [0, *(np.flatnonzero(np.diff(course)) + 1).tolist(), len(course)]
    found: list[tuple[int, int, bool | None]] = []
    for first, last in pairwise(edges):
        there = agreement[:, first:last]
        others = np.delete(there, course[first], axis=0).max(0)
        lead = there[course[first]] - others
        is_open = bool((others > _ABSENT).any() and lead[others > _ABSENT].mean() < LEAST_LEAD)
        speaks = None if is_open else bool(course[first] == number)
        if found and found[-1][2] is speaks:
            first = found.pop()[0]
        found.append((first, last, speaks))
    return found
