"""A face that blinks and a head that is never quite still, at any time of a film."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lipsync_core.generators.idle_motion import IdleMotion

TIMES = np.arange(60 * 25) / 25


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), first=st.integers(0, 1400), length=st.integers(1, 99))
def test_any_part_of_a_minute_is_as_in_the_whole(seed: int, first: int, length: int) -> None:
    part = slice(first, first + length)
    stress = np.linspace(0, 0.1, len(TIMES))
    whole, other = IdleMotion(seed), IdleMotion(seed)
    assert (other.lids(TIMES[part]) == whole.lids(TIMES)[part]).all()
    assert other.head(TIMES[part], stress[part]) == whole.head(TIMES, stress)[part]


def test_people_blink_ten_to_twenty_five_times_a_minute_and_fully() -> None:
    for seed in range(20):
        lids = IdleMotion(seed).lids(TIMES)
        assert lids.min() == 0
        assert 0.95 < lids.max() <= 1
        assert 10 <= ((lids[1:] > 0.5) & (lids[:-1] <= 0.5)).sum() <= 25


def test_neither_blinks_nor_sway_where_none_are_wanted() -> None:
    still = IdleMotion(1, sway=0, blinks=0)
    assert (still.lids(TIMES) == 0).all()
    moves = still.head(TIMES, np.full(len(TIMES), 0.1))
    assert {(move.right, move.down, move.tilt) for move in moves} <= {(0, 0, 0)}


def test_more_blinks_and_a_wider_sway_can_be_asked_for() -> None:
    usual, lively = IdleMotion(1), IdleMotion(1, sway=2, blinks=2)
    assert lively.lids(TIMES).sum() > 1.5 * usual.lids(TIMES).sum()
    silent = np.zeros(len(TIMES))
    for a, b in zip(usual.head(TIMES, silent), lively.head(TIMES, silent), strict=True):
        assert np.isclose(b.right, 2 * a.right)


def test_the_head_never_jumps_and_goes_down_with_what_is_stressed() -> None:
    moves = IdleMotion(5).head(TIMES, np.zeros(len(TIMES)))
    steps = np.diff([(move.right, move.down, move.tilt) for move in moves], axis=0)
    assert np.abs(steps).max() < 0.003
    stressed = IdleMotion(5).head(TIMES, np.full(len(TIMES), 0.1))
    assert all(b.down > a.down for a, b in zip(moves, stressed, strict=True))
