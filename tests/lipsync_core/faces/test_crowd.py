"""Who is the same face from frame to frame, where one, several or nobody is in view."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from lipsync_core.faces.crowd import OTHER, Crowd, Sighting

RATE = Fraction(25)
EYES = np.array([33, 263])


def crowd(largest: NDArray[np.float32], others: NDArray[np.float32] | None = None) -> Crowd:
    """Of the largest face of every frame and another one."""
    rest = [] if others is None else np.flatnonzero(np.isfinite(others[:, 0, 0]))
    rows = [] if others is None else [(frame, others[frame]) for frame in rest]
    return Crowd(largest, np.array(rows, OTHER))


def spans_of(crowd: Crowd, shots: list[tuple[int, int]]) -> list[tuple[int, int]]:
    return [(one.first, one.last) for one in crowd.sightings(shots, RATE)]


def seen(*spans: tuple[int, int], frames: int, x: float = 100.0) -> NDArray[np.float32]:
    """Landmarks of a face with eyes 60 px apart that is there in the given frames only."""
    points = np.full((frames, 468, 2), np.nan, np.float32)
    for first, last in spans:
        points[first:last] = x
        points[first:last, EYES[1], 0] += 60
    return points


@pytest.mark.parametrize(
    ("spans", "shots", "tracks"),
    [
        ([(0, 50)], [(0, 50)], [(0, 50)]),
        ([(0, 50)], [(0, 20), (20, 50)], [(0, 20), (20, 50)]),
        ([(3, 20), (25, 40)], [(0, 50)], [(3, 40)]),
        ([(3, 20), (26, 40)], [(0, 50)], [(3, 20), (26, 40)]),
        ([(10, 11)], [(0, 20), (20, 50)], [(10, 11)]),
        ([], [(0, 50)], []),
    ],
    ids=["one shot", "a cut", "missed for 0.2 s", "away for longer", "one frame", "nobody"],
)
def test_a_track_is_a_face_that_stays_in_its_shot(
    spans: list[tuple[int, int]], shots: list[tuple[int, int]], tracks: list[tuple[int, int]]
) -> None:
    assert spans_of(crowd(seen(*spans, frames=50)), shots) == tracks


def test_another_person_in_the_same_shot_is_another_track() -> None:
    both = seen((0, 20), frames=50)
    both[20:] = seen((20, 50), frames=50, x=300)[20:]
    assert spans_of(crowd(both), [(0, 50)]) == [(0, 20), (20, 50)]


def x_of(crowd: Crowd, one: Sighting) -> list[float]:
    points = crowd.faces(one, one.first, one.last).points
    return np.unique(points[np.isfinite(points[:, 0, 0]), 0, 0]).tolist()


def test_two_faces_are_followed_whichever_is_the_larger() -> None:
    left, right = seen((0, 50), frames=50), seen((0, 50), frames=50, x=300)
    largest, other = left.copy(), right.copy()
    largest[20:30], other[20:30] = right[20:30], left[20:30]
    both = crowd(largest, other)
    sightings = both.sightings([(0, 50)], RATE)
    assert [(one.first, one.last, one.size) for one in sightings] == [(0, 50, 60), (0, 50, 60)]
    assert [x_of(both, one) for one in sightings] == [[100], [300]]


def test_a_face_that_comes_later_begins_later() -> None:
    both = crowd(seen((0, 50), frames=50), seen((10, 12), (30, 50), frames=50, x=300))
    assert spans_of(both, [(0, 50)]) == [(0, 50), (10, 12), (30, 50)]


def test_of_two_that_come_close_each_is_followed_by_the_nearer() -> None:
    near, far = seen((0, 10), frames=10), seen((0, 10), frames=10, x=150)
    both = crowd(near, far)
    assert [x_of(both, one) for one in both.sightings([(0, 10)], RATE)] == [[100], [150]]


def test_faces_that_are_missed_are_nobody() -> None:
    alone = crowd(seen((0, 10), (13, 20), frames=30))
    [one] = alone.sightings([(0, 30)], RATE)
    track = alone.faces(one, 5, 25)
    assert track.first_frame == 5
    assert np.flatnonzero(track.present).tolist() == [*range(5), *range(8, 15)]
