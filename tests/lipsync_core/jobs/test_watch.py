"""One watcher for all jobs: few calls, no job forgotten, no wait without an end."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine, Mapping
from contextlib import suppress
from typing import Any

import pytest

from lipsync_core.errors import RemoteRefused, RemoteUnavailable, RenderFailed
from lipsync_core.jobs import watch as module
from lipsync_core.jobs.remote import JobReport, Progress
from lipsync_core.jobs.watch import Watcher


class Engine:
    """Jobs that end at a known moment after they were first asked for."""

    name = "paper"
    look_s: float | None = None
    grace_s = 0.0
    forgets = ""
    can_cancel = False

    def __init__(self, ends_after_s: Mapping[str, float]) -> None:
        self.ends_after_s = ends_after_s
        self.calls: list[list[str]] = []
        self.trouble: list[Exception] = []
        self._since: float | None = None

    async def look(self, job_ids: Collection[str]) -> Mapping[str, JobReport]:
        now = asyncio.get_running_loop().time()
        self._since = now if self._since is None else self._since
        self.calls.append(sorted(job_ids))
        if self.trouble:
            raise self.trouble.pop(0)
        return {
            job_id: JobReport(
                job_id,
                Progress.COMPLETED if now - self._since >= self.ends_after_s[job_id]
                else Progress.WAITING,
            )
            for job_id in job_ids
            if job_id in self.ends_after_s
        }  # fmt: skip


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SOONEST_S", 0.02)


def run(engine: Engine, work: Any) -> Any:
    async def whole() -> Any:
        watcher = Watcher(engine)  # type: ignore[arg-type]
        watching = asyncio.create_task(watcher.watch())
        try:
            return await asyncio.wait_for(work(watcher), 20)
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching

    return asyncio.run(whole())


def test_many_jobs_are_asked_for_in_one_call() -> None:
    engine = Engine({f"j{n}": 0.1 for n in range(50)})

    async def work(watcher: Watcher) -> list[JobReport]:
        return await asyncio.gather(*(watcher.ended(f"j{n}", 1, 60) for n in range(50)))

    reports = run(engine, work)
    assert [report.job_id for report in reports] == [f"j{n}" for n in range(50)]
    assert len(engine.calls) < 12
    assert max(len(call) for call in engine.calls) == 50


def test_a_long_job_is_asked_for_ever_less_often() -> None:
    engine = Engine({"j": 1.0})
    run(engine, lambda watcher: watcher.ended("j", 1, 60))
    assert 6 <= len(engine.calls) <= 40  # every 0.02 s would be 50


def test_who_hears_that_a_job_has_ended_need_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SOONEST_S", 30.0)
    monkeypatch.setattr(module, "LATEST_S", 30.0)
    engine = Engine({"j": 0.1})

    async def work(watcher: Watcher) -> JobReport:
        ended = asyncio.create_task(watcher.ended("j", 1, 60))
        for _ in range(2):
            await asyncio.sleep(0.2)
            watcher.wake("somebody else's")
            watcher.wake("j")
        return await ended

    assert run(engine, work).progress is Progress.COMPLETED
    assert len(engine.calls) == 2


def test_an_engine_that_does_not_answer_is_asked_again() -> None:
    engine = Engine({"j": 0})
    engine.trouble = [RemoteUnavailable("down"), RemoteUnavailable("busy", retry_after_s=0.05)]
    assert run(engine, lambda watcher: watcher.ended("j", 1, 60)).progress is Progress.COMPLETED
    assert len(engine.calls) == 3


@pytest.mark.parametrize("error", [RemoteRefused("the key was withdrawn"), KeyError("a slip")])
def test_what_cannot_be_watched_any_more_is_told_to_all_who_wait(error: Exception) -> None:
    engine = Engine({"a": 60, "b": 60})
    engine.trouble = [error]

    async def work(watcher: Watcher) -> list[Any]:
        waits = (watcher.ended(job_id, 1, 60) for job_id in "ab")
        return await asyncio.gather(*waits, return_exceptions=True)

    assert run(engine, work) == [error, error]


def test_a_job_that_never_ends_is_given_up_and_nobody_says_that_it_failed() -> None:
    engine = Engine({"j": 1e9})
    with pytest.raises(RenderFailed, match="looked at and not paid again"):
        run(engine, lambda watcher: watcher.ended("j", 1, 0.1))


def test_where_jobs_end_within_moments_one_that_does_not_is_soon_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_LEAST_PATIENCE_S", 0.2)
    engine = Engine({"stuck": 1e9} | {f"j{n}": 0.1 for n in range(6)})

    async def work(watcher: Watcher) -> list[Any]:
        waits = [watcher.ended(job_id, 1, 1e6) for job_id in engine.ends_after_s]
        return await asyncio.gather(*waits, return_exceptions=True)

    stuck, *others = run(engine, work)
    assert isinstance(stuck, RenderFailed)
    assert all(isinstance(other, JobReport) for other in others)


def test_a_young_job_is_let_be_where_none_ended_so_soon() -> None:
    engine = Engine({f"j{n}": 0.5 for n in range(5)} | {"later": 1.6})

    async def work(watcher: Watcher) -> int:
        await asyncio.gather(*(watcher.ended(f"j{n}", 1, 60) for n in range(5)))
        before = len(engine.calls)
        waiting = asyncio.create_task(watcher.ended("later", 1, 60))
        await asyncio.sleep(0.3)
        young = len(engine.calls) - before
        await waiting
        return young

    assert run(engine, work) <= 1
    assert len(engine.calls) > 8


def test_a_longer_film_is_given_more_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LEAST_PATIENCE_S", 0.1)
    engine = Engine({"long": 1.5} | {f"j{n}": 0.1 for n in range(6)})

    async def work(watcher: Watcher) -> list[Any]:
        waits = [watcher.ended(f"j{n}", 1, 1e6) for n in range(6)]
        return await asyncio.gather(watcher.ended("long", 60, 1e6), *waits)

    assert all(report.progress is Progress.COMPLETED for report in run(engine, work))


def test_a_job_past_its_time_is_looked_at_once() -> None:
    found = run(Engine({"j": 0}), lambda watcher: watcher.ended("j", 1, 60, age_s=1e6))
    assert found.job_id == "j"


def test_a_job_the_engine_has_lost_is_told_but_one_may_be_listed_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_LOST_AFTER_S", 0.3)
    engine = Engine({"known": 0.5})

    async def work(watcher: Watcher) -> list[Any]:
        ended = (watcher.ended(job, 1, 60) for job in ("known", "late", "lost"))
        waiting = asyncio.gather(*ended, return_exceptions=True)
        await asyncio.sleep(0.15)
        engine.ends_after_s = {"known": 0.5, "late": 0.5}
        return await waiting

    known, late, lost = run(engine, work)
    assert (known.job_id, late.job_id) == ("known", "late")
    assert isinstance(lost, RenderFailed)
    assert "paper does not know job lost" in str(lost)


def test_a_new_job_may_be_unknown_for_as_long_as_the_engine_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_LOST_AFTER_S", 0.1)
    engine = Engine({})
    engine.grace_s = 0.5

    async def work(watcher: Watcher) -> list[Any]:
        ended = (watcher.ended(job, 1, 60, age_s) for job, age_s in (("new", 0), ("old", 60)))
        waiting = asyncio.gather(*ended, return_exceptions=True)
        await asyncio.sleep(0.3)
        engine.ends_after_s = {"new": 0.1, "old": 0.1}
        return await waiting

    new, old = run(engine, work)
    assert new.progress is Progress.COMPLETED
    assert isinstance(old, RenderFailed)


def test_a_job_that_an_engine_forgot_is_over_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOST_AFTER_S", 0.1)
    engine = Engine({})
    engine.forgets = "paper burns"
    report = run(engine, lambda watcher: watcher.ended("j", 1, 60))
    assert (report.progress, report.code, report.again) == (Progress.FAILED, "lost", False)
    assert report.error == "paper does not know job j any more: paper burns"


def test_a_job_unknown_when_it_is_taken_up_after_its_time_is_lost_at_once() -> None:
    engine = Engine({})
    engine.forgets, engine.grace_s = "paper burns", 150.0
    report = run(engine, lambda watcher: watcher.ended("j", 1, 60, age_s=1e5))
    assert report.code == "lost"
    assert len(engine.calls) == 1


def test_an_engine_called_for_every_job_is_asked_for_those_that_are_due_and_seldom() -> None:
    engine = Engine({"old": 1e9, "new": 0.3})
    engine.look_s = 0.1

    async def work(watcher: Watcher) -> None:
        old = asyncio.create_task(watcher.ended("old", 1, 1e9, age_s=600))
        await watcher.ended("new", 1, 60)
        old.cancel()

    run(engine, work)
    assert engine.calls[0] == ["old"]
    assert engine.calls[1:] == [["new"]] * len(engine.calls[1:])
    assert 2 <= len(engine.calls[1:]) <= 4


def test_an_engine_that_queues_jobs_is_given_all_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LEAST_PATIENCE_S", 0.1)
    engine = Engine({"queued": 1.5} | {f"j{n}": 0.1 for n in range(6)})
    engine.can_cancel = True

    async def work(watcher: Watcher) -> list[Any]:
        return await asyncio.gather(*(watcher.ended(j, 1, 1e6) for j in engine.ends_after_s))

    assert all(report.progress is Progress.COMPLETED for report in run(engine, work))


def test_who_no_longer_waits_is_forgotten() -> None:
    engine = Engine({"a": 1e9, "b": 0.2})

    async def work(watcher: Watcher) -> None:
        waiting: Coroutine[Any, Any, JobReport] = watcher.ended("a", 1, 60)
        with suppress(TimeoutError):
            await asyncio.wait_for(waiting, 0.1)
        await watcher.ended("b", 1, 60)

    run(engine, work)
    assert engine.calls[-1] == ["b"]
