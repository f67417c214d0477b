"""Lanes: how many jobs may be under way at once, learned from what the account says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from lipsync_core.jobs import lanes as module
from lipsync_core.jobs.lanes import RAISE_AFTER, Lanes


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Every wait that was asked for; time flies."""
    naps: list[float] = []
    now = [0.0]
    sleep = asyncio.sleep

    async def nap(seconds: float) -> None:
        naps.append(seconds)
        now[0] += seconds
        await sleep(0)

    monkeypatch.setattr(module.asyncio, "sleep", nap)
    monkeypatch.setattr(module, "_now", lambda: now[0])
    return naps


def run(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(work())  # type: ignore[arg-type]


def test_no_more_jobs_are_under_way_than_there_are_lanes() -> None:
    most = 0

    async def work() -> None:
        lanes = Lanes(3)

        async def job() -> None:
            nonlocal most
            async with lanes.lane():
                most = max(most, lanes.under_way)
                await asyncio.sleep(0.001)

        await asyncio.gather(*(job() for _ in range(20)))
        assert lanes.under_way == 0

    run(work)
    assert most == 3


@pytest.mark.parametrize(("told", "limit"), [(3, 3), (None, 4), (99, 4), (1, 1)])
def test_an_account_that_is_full_closes_lanes(
    told: int | None, limit: int, naps: list[float]
) -> None:
    async def work() -> None:
        lanes = Lanes(5)
        lanes.under_way = 5
        await lanes.full(told, 2.0)
        assert lanes.limit == limit

    run(work)
    assert 2.0 <= naps[0] <= 2.4


def test_the_last_lane_stays_open(naps: list[float]) -> None:
    async def work() -> None:
        lanes = Lanes(2)
        for _ in range(5):
            await lanes.full(None, None)
        assert lanes.limit == 1

    run(work)
    assert len(naps) == 5


def test_success_opens_them_again_slowly_up_to_what_was_allowed(naps: list[float]) -> None:
    async def work() -> None:
        lanes = Lanes(4)
        lanes.under_way = 4
        await lanes.full(2, 0)
        for _ in range(RAISE_AFTER * 2 - 1):
            await lanes.went_well()
        assert lanes.limit == 2
        await lanes.went_well()
        assert lanes.limit == 3
        for _ in range(100):
            await lanes.went_well()
        assert lanes.limit == 4

    run(work)


def test_too_fast_makes_everybody_wait_and_closes_nothing(naps: list[float]) -> None:
    async def work() -> None:
        lanes = Lanes(4)
        await lanes.too_fast(10.0)
        assert lanes.limit == 4
        await lanes.may_submit()

    run(work)
    assert 10 <= sum(naps) <= 12.1


def test_without_advice_each_wait_is_twice_as_long_until_it_goes_well(naps: list[float]) -> None:
    async def work() -> None:
        lanes = Lanes(4, seed=1)
        for _ in range(8):
            await lanes.full(None, None)
        await lanes.went_well()
        await lanes.full(None, None)

    run(work)
    for found, expected in zip(naps, [1, 2, 4, 8, 16, 32, 60, 60, 1], strict=True):
        assert expected <= found <= 1.2 * expected
