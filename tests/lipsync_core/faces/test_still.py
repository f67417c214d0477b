"""The faces of one picture."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from skimage.data import astronaut, coffee

from lipsync_core.errors import InputError
from lipsync_core.faces.mouth import eye_distance
from lipsync_core.faces.still import check_face, settled_landmarks


@pytest.fixture(scope="module")
def face() -> Any:
    return astronaut()[0:300, 70:370]


def test_the_same_picture_gives_the_same_landmarks(face: Any) -> None:
    first, again = settled_landmarks(face), settled_landmarks(face)
    assert first.shape == (1, 468, 2)
    assert (first == again).all()


def test_two_people_are_found_the_larger_one_first(face: Any) -> None:
    small = cv2.resize(face, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    both = np.full((320, 520, 3), 190, np.uint8)
    both[20 : 20 + len(small), 10 : 10 + len(small)] = small
    both[10:310, 210:510] = face
    found = settled_landmarks(both)
    assert len(found) == 2
    large, little = eye_distance(found)
    assert large > 1.4 * little
    assert found[0, :, 0].mean() > found[1, :, 0].mean()


def test_a_small_face_in_a_tall_picture_is_seen_where_it_is(face: Any) -> None:
    tall = np.full((1600, 900, 3), 120, np.uint8)
    tall[250:550, 300:600] = face
    [found] = settled_landmarks(tall)
    [alone] = settled_landmarks(face)
    apart = np.linalg.norm(found - alone - [300, 250], axis=1)
    assert apart.max() < 0.05 * eye_distance(alone[None])[0]


def test_a_picture_without_a_face_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"no face found in cup\.png: give"):
        settled_landmarks(coffee(), "cup.png")


def test_a_face_too_small_or_turned_too_far_is_refused_and_told_why(face: Any) -> None:
    [points] = settled_landmarks(face)
    check_face(points)
    with pytest.raises(InputError, match=r"a\.png is too small, 1. px from eye to eye"):
        check_face(points / 4, "a.png")
    turned = points.copy()
    turned[1, 0] = turned[454, 0]
    with pytest.raises(InputError, match=r"b\.png is turned too far"):
        check_face(turned, "b.png")
