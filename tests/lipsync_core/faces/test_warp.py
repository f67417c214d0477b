"""Warps take each knot where they were told to, and leave the edges alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lipsync_core.faces.warp import StillKnots, backward_field, smooth_step, warped_plane

WIDTH, HEIGHT = 200, 160
KNOTS = np.array([(100, 40), (60, 80), (140, 80), (80, 95), (100, 100), (120, 95)], float)


@pytest.fixture
def warp() -> StillKnots:
    return StillKnots(KNOTS, WIDTH, HEIGHT, step=4, rim=20)


def source_of(field: Any, place: Any) -> Any:
    return field[round(place[1]), round(place[0])]


def test_what_is_at_a_knot_appears_where_it_was_moved(warp: StillKnots) -> None:
    moves = np.array([(0, 0), (0, 0), (0, 0), (2, 12), (0, 16), (-2, 12)], float)
    field = warp.backward(moves)
    for knot, move in zip(KNOTS, moves, strict=True):
        assert source_of(field, knot + move) == pytest.approx(knot, abs=0.6)


def test_no_move_is_the_picture_itself(warp: StillKnots) -> None:
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    field = warp.backward(np.zeros_like(KNOTS))
    assert np.abs(field - np.stack([x, y], -1)).max() < 1e-4


def test_the_edges_stay_however_far_the_knots_go(warp: StillKnots) -> None:
    field = warp.backward(np.full_like(KNOTS, 15.0))
    assert field[0, :, 1] == pytest.approx(0, abs=1e-3)
    assert field[:, -1, 0] == pytest.approx(WIDTH - 1, abs=1e-3)


def test_a_picture_torn_to_almost_double_is_not_folded(warp: StillKnots) -> None:
    moves = np.array([(0, 0), (0, 0), (0, 0), (0, 30), (0, 40), (0, 30)], float)
    rows = warp.backward(moves)[45:138, 100, 1]
    assert (np.diff(rows) > 0).all()


FRAME = np.array([(x, y) for x in (10, 100, 190) for y in (10, 80, 150)], float)


def moved(shift: tuple[float, float]) -> Any:
    """The frame of knots with its middle one somewhere else."""
    target = FRAME.copy()
    target[4] += shift
    return target


def test_a_field_takes_what_is_at_each_source_to_its_target() -> None:
    target = moved((8, -5))
    field = backward_field(FRAME, target, WIDTH, HEIGHT)
    assert field.shape == (HEIGHT, WIDTH, 2)
    for source, place in zip(FRAME, target, strict=True):
        assert source_of(field, place) == pytest.approx(source, abs=0.5)


def test_a_field_without_moves_is_the_picture_itself() -> None:
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    field = backward_field(FRAME, FRAME, WIDTH, HEIGHT)
    assert np.abs(field - np.stack([x, y], -1)).max() < 1e-4


def test_a_field_carries_a_turn_and_a_size_exactly() -> None:
    turn = np.array([[0.9, -0.2], [0.2, 0.9]])
    field = backward_field(FRAME, FRAME @ turn.T + [4, 7], WIDTH, HEIGHT)
    place = np.array([60.0, 120.0])
    assert source_of(field, place) == pytest.approx(np.linalg.solve(turn, place - [4, 7]), abs=0.1)


def test_the_rim_of_a_field_does_not_move() -> None:
    field = backward_field(FRAME, FRAME + 12, WIDTH, HEIGHT, rim=16)
    assert field[0, :, 1] == pytest.approx(0, abs=1e-3)
    assert field[:, -1, 0] == pytest.approx(WIDTH - 1, abs=1e-3)
    assert source_of(field, (100, 80)) == pytest.approx([88, 68], abs=0.1)


def test_a_tiny_picture_has_a_field() -> None:
    assert backward_field(FRAME, FRAME, 2, 2).shape == (2, 2, 2)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize(("across", "down"), [(1, 1), (2, 1), (2, 2)])
def test_chroma_moves_with_the_luma_it_colours(across: int, down: int, kind: Any) -> None:
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    picture = 40 + 60 * np.exp(-((x - 100) ** 2 + (y - 80) ** 2) / 300)
    shrunk = picture.reshape(HEIGHT // down, down, WIDTH // across, across).mean((1, 3))
    field = backward_field(FRAME, FRAME + np.array([8, 4]), WIDTH, HEIGHT)
    there = warped_plane(shrunk.astype(kind), field, across, down)
    assert (there.shape, there.dtype) == (shrunk.shape, kind)
    expected = shrunk[: -4 // down or None, : -8 // across or None]
    found = there[4 // down :, 8 // across :].astype(float)
    assert found == pytest.approx(expected[: len(found), : found.shape[1]], abs=1.5)


def test_planes_of_one_size_may_be_warped_together() -> None:
    random = np.random.default_rng(1)
    pair = random.integers(0, 255, (HEIGHT // 2, WIDTH // 2, 2), np.uint8)
    field = backward_field(FRAME, moved((9, 3)), WIDTH, HEIGHT)
    together = warped_plane(pair, field, 2, 2)
    for plane in (0, 1):
        alone = warped_plane(np.ascontiguousarray(pair[..., plane]), field, 2, 2)
        assert (together[..., plane] == alone).all()


def test_a_smooth_step_begins_and_ends_level() -> None:
    ramp = smooth_step(np.array([-1, 0, 0.001, 0.5, 0.999, 1, 2]))
    assert ramp == pytest.approx([0, 0, 0, 0.5, 1, 1, 1], abs=1e-5)
