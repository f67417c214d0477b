"""Another mouth on a head: the head keeps its place, the lips take the shape that is wanted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lipsync_core.faces.mouth import SHAPE_NAMES, mouth_shapes
from lipsync_core.generators.rewrite.articulate import (
    JAW,
    JAW_SHARE,
    MOUTH,
    alignment,
    articulated,
    moved,
)
from lipsync_core.material import Material

GAP, JAW_DROP, WIDTH, LIPS = (SHAPE_NAMES.index(n) for n in ("gap", "jaw", "width", "lips"))


@pytest.fixture(scope="module")
def track(demo_material: Material) -> Any:
    """Landmarks of ten seconds of talk, (250, 468, 2)."""
    return demo_material.faces(0, 250).points.astype(np.float64)


@pytest.fixture(scope="module")
def shut(track: Any) -> Any:
    return track[shapes(track)[:, GAP].argmin()]


@pytest.fixture(scope="module")
def wide(track: Any) -> Any:
    return track[shapes(track)[:, GAP].argmax()]


def shapes(points: Any) -> Any:
    return mouth_shapes(points.astype(np.float32)).astype(np.float64)


def shape(points: Any) -> Any:
    return shapes(points[None])[0]


def posed(points: Any, degrees: float, size: float, shift: tuple[float, float]) -> Any:
    angle = np.radians(degrees)
    turn = size * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return points @ turn.T + np.array(shift)


def test_a_frame_that_shows_its_own_mouth_stays_as_it_is(wide: Any) -> None:
    assert articulated(wide, wide, shape(wide)) == pytest.approx(wide, abs=0.01)


def test_only_mouth_and_jaw_move(shut: Any, wide: Any) -> None:
    wanted = articulated(shut, wide, shape(wide))
    others = np.setdiff1d(np.arange(468), np.union1d(MOUTH, JAW))
    assert (wanted[others] == shut[others]).all()
    assert np.abs(wanted[MOUTH] - shut[MOUTH]).max() > 3


def test_the_lips_take_the_shape_of_the_unit(shut: Any, wide: Any) -> None:
    found = shape(articulated(shut, wide, shape(wide)))
    for column in (GAP, JAW_DROP, WIDTH, LIPS):
        assert found[column] == pytest.approx(shape(wide)[column], abs=0.01)


def test_where_the_head_was_filmed_does_not_matter(shut: Any, wide: Any) -> None:
    elsewhere = posed(wide, degrees=12, size=0.6, shift=(80, -40))
    assert articulated(shut, elsewhere, shape(wide)) == pytest.approx(
        articulated(shut, wide, shape(wide)), abs=0.05
    )


def test_a_tilted_head_opens_its_mouth_along_its_own_face(shut: Any, wide: Any) -> None:
    upright = articulated(shut, wide, shape(wide))
    tilted = articulated(posed(shut, 30, 1, (9, 5)), posed(wide, 30, 1, (9, 5)), shape(wide))
    assert tilted == pytest.approx(posed(upright, 30, 1, (9, 5)), abs=0.05)


def test_a_mouth_is_nudged_towards_the_wanted_shape(shut: Any, wide: Any) -> None:
    between = (shape(shut) + shape(wide)) / 2
    found = shape(articulated(shut, shut, between))
    for column in (GAP, WIDTH, LIPS):
        missing = abs(found[column] - between[column])
        assert missing < 0.35 * abs(shape(shut)[column] - between[column]) + 0.003


def test_no_wish_tears_a_mouth_apart(shut: Any) -> None:
    eye = np.linalg.norm(shut[263] - shut[33])
    wanted = articulated(shut, shut, shape(shut) + 5)
    assert np.abs(wanted[MOUTH] - shut[MOUTH]).max() < 0.12 * eye
    assert wanted[152, 1] - shut[152, 1] == pytest.approx(0.2 * eye, rel=0.02)


def test_the_chin_drops_as_far_as_is_wanted_and_the_jaw_s_corners_stay(shut: Any) -> None:
    eye = np.linalg.norm(shut[263] - shut[33])
    wish = shape(shut)
    wish[JAW_DROP] += 0.1
    move = (articulated(shut, shut, wish) - shut)[:, 1] / eye
    assert move[152] == pytest.approx(0.1, abs=0.01)
    assert move[[172, 397]] == pytest.approx(0.012, abs=0.002)
    assert move[JAW].tolist() == pytest.approx(
        [0.1 * share for share in JAW_SHARE.values()], abs=0.01
    )
    assert shape(articulated(shut, shut, wish))[JAW_DROP] == pytest.approx(wish[JAW_DROP], abs=0.01)


def test_the_mouth_stays_on_the_middle_of_the_face(shut: Any, wide: Any) -> None:
    aside = wide.copy()
    aside[MOUTH] += [6, 0]  # as the mesh has it when a head turns
    corners = articulated(shut, aside, shape(wide))[[61, 291]].mean(0)
    assert corners[0] == pytest.approx(shut[[61, 291]].mean(0)[0], abs=0.2)


def test_an_alignment_finds_a_turn_a_size_and_a_shift(shut: Any) -> None:
    elsewhere = posed(shut, degrees=-17, size=1.4, shift=(-30, 60))
    assert moved(shut, alignment(shut, elsewhere)) == pytest.approx(elsewhere, abs=0.01)


def test_an_alignment_follows_a_nodding_head_part_of_the_way(shut: Any) -> None:
    nodded = shut * [1.0, 0.93]
    found = moved(shut, alignment(shut, nodded))
    left, before = np.abs(found - nodded).mean(), np.abs(similar(shut, nodded) - nodded).mean()
    assert left < 0.6 * before


def similar(source: Any, target: Any) -> Any:
    """The best similarity alone, over all points."""
    a, b = source - source.mean(0), target - target.mean(0)
    left, sizes, right = np.linalg.svd(b.T @ a)
    return a @ (left @ right).T * (sizes.sum() / (a**2).sum()) + target.mean(0)
