"""Warps take each knot where they were told to, and leave the edges alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lipsync_core.faces.warp import StillKnots

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
