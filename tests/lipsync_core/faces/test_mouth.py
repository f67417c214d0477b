"""A mouth is nine numbers that know nothing of the face's size or place."""

from __future__ import annotations

import numpy as np
import pytest
from face_factory import SHUT, face_track, still_faces, without_faces
from hypothesis import given
from hypothesis import strategies as st

from lipsync_core.faces.mouth import SHAPE_NAMES, eye_distance, mouth_shapes, yaw
from lipsync_core.material import Material


def shape(**changes: float) -> dict[str, float]:
    """The nine numbers of a schematic mouth, by name."""
    places = {"gap": 0, "jaw": 1, "width": 2, "lips": 3}
    mouth = SHUT.copy()
    for name, value in changes.items():
        mouth[places[name]] = value
    return dict(zip(SHAPE_NAMES, mouth_shapes(face_track([mouth]).points)[0], strict=True))


def test_shapes_are_distances_in_eye_distances() -> None:
    found = shape(gap=0.12, jaw=0.9, width=0.5, lips=0.3)
    assert found["gap"] == pytest.approx(0.12, abs=1e-4)
    assert found["jaw"] == pytest.approx(0.9, abs=1e-4)
    assert found["width"] == pytest.approx(0.5, abs=1e-4)
    assert found["lips"] == pytest.approx(0.3, abs=1e-4)
    assert found["upper lip"] == found["lower lip"] == pytest.approx(0.09, abs=1e-4)
    assert found["inner width"] == pytest.approx(0.45, abs=1e-4)
    assert found["left corner"] == found["right corner"] == pytest.approx(0.438, abs=1e-3)


def test_the_jaw_drops_without_the_lips() -> None:
    before, after = shape(), shape(jaw=0.95)
    changed = {name for name in SHAPE_NAMES if abs(after[name] - before[name]) > 1e-4}
    assert changed == {"jaw"}


@given(st.floats(0.3, 3), st.floats(-180, 180), st.integers(-500, 500), st.integers(-500, 500))
def test_size_tilt_and_place_of_the_head_do_not_matter(
    size: float, degrees: float, x: int, y: int
) -> None:
    face = face_track([SHUT + np.array([0.1, 0.1, -0.05, 0.1])]).points
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    elsewhere = (face @ turn * size + [x, y]).astype(np.float32)
    assert mouth_shapes(elsewhere) == pytest.approx(mouth_shapes(face), abs=2e-4)
    assert eye_distance(elsewhere) == pytest.approx(100 * size, rel=1e-4)


def test_a_real_mouth_on_a_real_face_has_real_proportions(demo_material: Material) -> None:
    found = mouth_shapes(demo_material.faces(0, 250).points)
    by_name = dict(zip(SHAPE_NAMES, found.T, strict=True))
    assert ((by_name["gap"] > -0.01) & (by_name["gap"] < 0.3)).all()
    assert ((by_name["width"] > 0.4) & (by_name["width"] < 0.9)).all()
    assert (by_name["inner width"] < by_name["width"]).all()
    assert (by_name["lips"] > by_name["gap"]).all()


@pytest.mark.parametrize("turn", [-0.9, -0.4, 0.0, 0.25, 0.8])
def test_yaw_tells_how_far_a_head_is_turned(turn: float) -> None:
    assert yaw(still_faces(3, turn=turn).points) == pytest.approx(turn, abs=1e-4)


def test_yaw_does_not_depend_on_the_size() -> None:
    assert yaw(still_faces(1, turn=0.4, eyes_px=20).points) == pytest.approx(0.4, abs=1e-3)


def test_yaw_never_leaves_minus_one_to_one() -> None:
    assert yaw(still_faces(1, turn=1.7).points) == pytest.approx(1)
    assert yaw(still_faces(1, turn=-1.7).points) == pytest.approx(-1)


def test_an_almost_frontal_portrait_is_almost_frontal(demo_material: Material) -> None:
    assert np.abs(yaw(demo_material.faces(0, 250).points)).max() < 0.3


def test_where_no_face_is_there_is_no_number() -> None:
    some = without_faces(still_faces(4), np.array([False, True, True, False]))
    for found in (mouth_shapes(some.points)[:, 0], yaw(some.points), eye_distance(some.points)):
        assert np.isnan(found).tolist() == [False, True, True, False]


def test_a_face_without_width_has_no_yaw() -> None:
    flat = still_faces(1).points
    flat[:, [234, 454]] = 300
    assert np.isnan(yaw(flat)).all()
