"""Everybody a film shows, and who is the same face from frame to frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync_core.faces.landmarks import POINTS, FaceTrack

MISSED_S = Fraction(1, 5)
"""A face that is not found for up to this long is still the same one."""

OTHER = np.dtype([("frame", "<i4"), ("points", "<f4", (POINTS, 2))])
"""A face beside the largest one of its frame."""

_EYES = [33, 263]  # outer corners


@dataclass(frozen=True)
class Sighting:
    """One face in one shot, seen in ``frames`` (rising; some may be missed between them).

    ``places`` says where its landmarks are kept: below the number of frames among the largest
    faces, from there on among the others. ``size`` is the median distance of its eyes in pixels.
    """

    frames: NDArray[np.int64]
    places: NDArray[np.int64]
    size: float

    @property
    def first(self) -> int:
        """The first frame it is seen in."""
        return int(self.frames[0])

    @property
    def last(self) -> int:
        """One past the last frame it is seen in."""
        return int(self.frames[-1]) + 1


@dataclass(frozen=True)
class Crowd:
    """All faces of a film. ``largest``: (frames, 468, 2) pixels, NaN where there is none;
    ``others``: the rest, an array of :data:`OTHER` in the order of frames."""

    largest: NDArray[np.float32]
    others: NDArray[Any]

    @classmethod
    def load(cls, faces: Path, others: Path | None) -> Crowd:
        """From the files of a scan, which stay on the disk."""
        rest = np.zeros(0, OTHER) if others is None else np.load(others, mmap_mode="r")
        return cls(np.load(faces, mmap_mode="r"), rest)

    def sightings(self, shots: Sequence[tuple[int, int]], frame_rate: Fraction) -> list[Sighting]:
        """Every face of every shot [first, last), in the order they come into view.

        From one frame to the next a face moves less than the distance of its eyes; of two that
        did, the nearer one is it.
        """
        eyes = np.concatenate([self.largest[:, _EYES], self.others["points"][:, _EYES]])
        frames = np.concatenate([np.arange(len(self.largest)), self.others["frame"]])
        centre, size = eyes.mean(1), np.linalg.norm(eyes[:, 0] - eyes[:, 1], axis=-1)
        seen = np.flatnonzero(np.isfinite(size))
        seen = seen[np.argsort(frames[seen], kind="stable")]
        longest_step = 1 + int(MISSED_S * frame_rate)
        found: list[Sighting] = []
        for first, last in shots:
            start, end = np.searchsorted(frames[seen], (first, last))
            followed: list[list[int]] = []
            for here in _by_frame(seen[start:end], frames):
                _follow(followed, here, frames, centre, size, longest_step)
            found += [
                Sighting(frames[one], np.array(one), float(np.median(size[one])))
                for one in followed
            ]
        return sorted(found, key=lambda one: one.first)

    def faces(self, sighting: Sighting, first: int, last: int) -> FaceTrack:
        """The landmarks of one face in frames [first, last)."""
        points = np.full((last - first, POINTS, 2), np.nan, np.float32)
        start, end = np.searchsorted(sighting.frames, (first, last))
        count = len(self.largest)
        for frame, place in zip(
            sighting.frames[start:end], sighting.places[start:end], strict=True
        ):
            points[frame - first] = (
                self.largest[place] if place < count else self.others["points"][place - count]
            )
        return FaceTrack(points, first)


def _by_frame(places: NDArray[np.int64], frames: NDArray[np.int64]) -> list[list[int]]:
    """The places of one frame after the other."""
    edges = np.flatnonzero(np.diff(frames[places])) + 1
    return [part.tolist() for part in np.split(places, edges) if len(part)]


def _follow(
    followed: list[list[int]], here: list[int], frames: NDArray[np.int64],
    centre: NDArray[np.float64], size: NDArray[np.float64], longest_step: int,
) -> None:  # fmt: skip
    """Add the faces of one frame to those that are followed, or begin to follow them."""
    near = [
        (distance, number, place)
        for number, one in enumerate(followed)
        if frames[here[0]] - frames[one[-1]] <= longest_step
        for place in here
        if (distance := float(np.linalg.norm(centre[one[-1]] - centre[place]))) <= size[place]
    ]
    known: set[int] = set()
    for _, number, place in sorted(near):
        if number not in known and place in here:
            followed[number].append(place)
            here.remove(place)
            known.add(number)
    followed += [[place] for place in here]
