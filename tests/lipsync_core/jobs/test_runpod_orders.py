"""Orders at RunPod, which knows no keys and keeps no files: paid once, or told to be unknown.

The service is the emulator, over real HTTP, and its own bill is the judge.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from media_factory import bursts, write_sound
from pydantic import SecretStr
from runpod_service import RunPodService

from flows.jobs import JobsRequest, jobs
from lipsync_core.errors import InputError, OutcomeUnknown, RemoteRefused, RenderFailed
from lipsync_core.generators import runpod
from lipsync_core.generators.infinitetalk import InfiniteTalk, InfiniteTalkJobs
from lipsync_core.generators.sync_so import SyncJobs
from lipsync_core.jobs import dispatch, watch
from lipsync_core.jobs.dispatch import Dispatcher, Quoted, dispatching
from lipsync_core.jobs.lanes import Lanes
from lipsync_core.jobs.ledger import Entry, JobStatus, Ledger
from lipsync_core.jobs.reconcile import called_off, reconcile
from lipsync_core.jobs.remote import Order
from lipsync_core.media.probe import probe
from lipsync_core.services.runpod.client import RunPodClient
from lipsync_core.services.sync_so.options import SyncOptions
from tasks.order import has_failed

SPEED = ("--fast", "--queue-s", "0.05", "--render-s", "0.2", "--rate-share", "0")


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(InfiniteTalkJobs, "look_s", 0.1)
    monkeypatch.setattr(runpod, "_LIST_PAUSE_S", 0.1)
    monkeypatch.setattr(InfiniteTalkJobs, "search_s", 0.5)
    monkeypatch.setattr(dispatch, "_OTHERS_S", 0.2)


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunPodService]:
    service = RunPodService(tmp_path_factory.mktemp("usual"), *SPEED, "--policy-scale", "0.001")
    yield service
    service.stop()


@pytest.fixture
def since(usual: RunPodService) -> int:
    """How many jobs there were before."""
    return len(usual.every_job)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run's folder, with a portrait and a speech in it."""
    folder = tmp_path / "run"
    folder.mkdir()
    assert cv2.imwrite(str(folder / "face.png"), np.full((128, 96, 3), 90, np.uint8))
    write_sound(folder / "speech.wav", bursts(1, 16_000), 16_000)
    return folder


@asynccontextmanager
async def account(
    service: RunPodService, folder: Path, **options: str
) -> AsyncIterator[Dispatcher]:
    engine, ledger = InfiniteTalk(), Ledger.in_folder(folder)
    secrets = {name: SecretStr(value) for name, value in service.environment.items()}
    try:
        async with (
            engine.opened(engine.checked(options), secrets) as opened,
            dispatching(opened, ledger, Lanes(5)) as dispatcher,
        ):
            yield dispatcher
    finally:
        ledger.close()


def run(
    service: RunPodService,
    folder: Path,
    count: int = 1,
    most_retry_usd: float | None = None,
    told: list[str] | None = None,
    **options: str,
) -> list[Any]:
    """What becomes of so many orders: entries, or errors. ``told`` gets what a person is told."""

    async def work() -> list[Any]:
        async with account(service, folder, **options) as dispatcher:
            dispatcher.most_retry_usd = most_retry_usd
            dispatcher.say = [].append if told is None else told.append
            face = await dispatcher.keep(folder / "face.png", "f" * 64)
            speech = await dispatcher.keep(folder / "speech.wav", "e" * 64)

            async def one(number: int) -> Entry:
                key = f"{folder.parent.name}{number}".encode().hex().zfill(64)[-64:]
                order = Order(key, face, speech, 1.0, 25.0, is_still=True, width=96, height=128)
                quoted = Quoted(order, f"film {number}", 0.01)
                return await dispatcher.rendered(quoted, folder / f"{number}.mp4")

            return await asyncio.gather(*map(one, range(count)), return_exceptions=True)

    return asyncio.run(work())


def entries(folder: Path) -> list[Entry]:
    ledger = Ledger.in_folder(folder)
    found = ledger.entries()
    ledger.close()
    return found


def test_orders_are_placed_brought_home_and_known_to_have_cost(
    usual: RunPodService, since: int, folder: Path
) -> None:
    found = run(usual, folder, 3)
    assert [entry.status for entry in found] == [JobStatus.FETCHED] * 3
    assert [probe(folder / f"{n}.mp4").frames for n in range(3)] == [25] * 3
    billed = usual.every_job[since:]
    assert {job["input"]["lipsync_key"] for job in billed} == {entry.key for entry in found}
    assert sum(entry.cost_usd for entry in found) == pytest.approx(
        sum(job["execution_ms"] for job in billed) / 1000 * 0.00053
    )
    assert sum(job["samples"] for job in billed) == 0
    written = json.dumps([dict(entry.body) for entry in found])
    assert len(written) < 5000
    assert str(folder) not in written


def test_the_same_run_again_pays_nothing(usual: RunPodService, since: int, folder: Path) -> None:
    run(usual, folder)
    (folder / "0.mp4").unlink()
    assert [entry.status for entry in run(usual, folder)] == [JobStatus.FETCHED]
    assert len(usual.every_job) == since + 1


@pytest.mark.parametrize(
    "fault",
    ["lost_response", "server_error", "bad_gateway", "too_many", "unseen_at_first",
     "flaky_status", "crash_once"],
)  # fmt: skip
def test_what_goes_wrong_in_passing_is_paid_once(
    fault: str, usual: RunPodService, since: int, folder: Path
) -> None:
    usual.next(fault)
    assert [entry.status for entry in run(usual, folder)] == [JobStatus.FETCHED]
    assert len(usual.every_job) == since + 1
    assert len(entries(folder)) == 1


@pytest.mark.parametrize(
    ("fault", "code"),
    [("failed_empty_output", "worker_failed"), ("failed_exception", "worker_failed"),
     ("crash", "worker_crashed")],
)  # fmt: skip
def test_a_job_that_failed_in_passing_is_tried_again_alone(
    fault: str, code: str, usual: RunPodService, since: int, folder: Path
) -> None:
    usual.next(fault)
    assert [entry.status for entry in run(usual, folder)] == [JobStatus.FETCHED]
    first, second = entries(folder)
    assert (first.status, first.code, first.again) == (JobStatus.FAILED, code, True)
    assert (second.status, second.attempt) == (JobStatus.FETCHED, 2)
    assert len(usual.every_job) == since + 2


def test_work_that_took_too_long_is_not_tried_again_by_itself(
    usual: RunPodService, since: int, folder: Path
) -> None:
    usual.next("hang")
    [error] = run(usual, folder)
    assert "execution_timeout_s" in str(error)
    [entry] = entries(folder)
    assert (entry.status, entry.code, entry.again) == (JobStatus.FAILED, "execution_timeout", False)
    assert len(usual.every_job) == since + 1


def test_a_job_is_tried_again_only_where_there_is_money_for_it(
    usual: RunPodService, since: int, folder: Path
) -> None:
    usual.next("failed_exception")
    [error] = run(usual, folder, most_retry_usd=0.0)
    assert isinstance(error, RenderFailed)
    assert "not tried again, since the run could then cost more than its budget" in str(error)
    assert len(usual.every_job) == since + 1
    assert [entry.status for entry in run(usual, folder, most_retry_usd=1.0)] == [JobStatus.FETCHED]
    assert len(usual.every_job) == since + 2


def test_a_result_too_large_for_the_service_is_not_tried_again(
    usual: RunPodService, since: int, folder: Path
) -> None:
    usual.next("oversize")
    for _ in range(2):
        [error] = run(usual, folder)
        assert isinstance(error, RenderFailed)
        assert "too large" in str(error)
        assert "(no_output)" in str(error)
    assert len(usual.every_job) == since + 1
    [entry] = entries(folder)
    assert entry.cost_usd


def test_a_result_that_the_service_has_lost_is_not_ordered_again_by_itself(
    usual: RunPodService, since: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(InfiniteTalkJobs, "grace_s", 0.5)
    monkeypatch.setattr(watch, "_LOST_AFTER_S", 0.3)
    usual.next("lost_result")
    for _ in range(2):
        [error] = run(usual, folder)
        assert "keeps results for 30 minutes only" in str(error)
    assert len(usual.every_job) == since + 1
    [entry] = entries(folder)
    assert (entry.status, entry.code, entry.again) == (JobStatus.FAILED, "lost", False)
    assert entry.cost_usd == entry.quoted_usd  # it may have been paid
    assert "flows.resubmit orders it anew" in entry.error


def test_a_result_that_is_damaged_is_a_failure_of_its_own_kind(
    usual: RunPodService, since: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def damaged(*_: Any) -> None:
        raise RemoteRefused("the result of the worker is damaged", "bad_output")

    monkeypatch.setattr(InfiniteTalkJobs, "bring", damaged)
    for _ in range(2):
        [error] = run(usual, folder)
        assert isinstance(error, RenderFailed)
        assert "damaged (bad_output)" in str(error)
    [entry] = entries(folder)
    assert (entry.status, entry.code, entry.again) == (JobStatus.FAILED, "bad_output", False)
    assert entry.cost_usd
    assert has_failed(entry)
    assert len(usual.every_job) == since + 1


@pytest.mark.parametrize("code", ["401", "402", "403", "404"])
def test_an_account_that_takes_no_orders_now_is_no_refusal_for_ever(
    code: str, usual: RunPodService, since: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    async def refused(*_: Any) -> Any:
        asked.append(code)
        raise RemoteRefused("RunPod, placing a job: insufficient balance", code)

    with monkeypatch.context() as poor:
        poor.setattr(RunPodClient, "run", refused)
        poor.setattr(Lanes, "lane", one_at_a_time())
        found = run(usual, folder, 3)
    assert len(asked) == 1  # the others were not even tried
    for error in found:
        assert "insufficient balance; it was not ordered" in str(error)
        assert "run the same command again" in str(error)
    assert [(entry.status, entry.code) for entry in entries(folder)] == [
        (JobStatus.UNKNOWN, "not_sent")
    ]
    assert [entry.status for entry in run(usual, folder, 3)] == [JobStatus.FETCHED] * 3
    assert len(usual.every_job) == since + 3


def one_at_a_time() -> Any:
    lock = asyncio.Lock()

    @asynccontextmanager
    async def lane(_: Lanes) -> AsyncIterator[None]:
        async with lock:
            yield

    return lane


def test_an_order_is_looked_for_as_long_as_a_new_job_may_be_hidden(
    usual: RunPodService, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usual, "endpoint", "with-a-job-of-somebody-else")
    with usual.desk(usual.endpoint) as desk:
        desk.submitted({"prompt": "a job of somebody else"})
    before = len(usual.every_job)
    place = RunPodClient.run

    async def dies(*given: Any) -> Any:
        await place(*given)
        raise RuntimeError("dead")

    usual.next("unseen_at_first")
    with monkeypatch.context() as dying:
        dying.setattr(RunPodClient, "run", dies)
        run(usual, folder)
    monkeypatch.setattr(InfiniteTalkJobs, "search_s", 4.0)  # it shows after two
    told: list[str] = []
    assert [entry.status for entry in run(usual, folder, told=told)] == [JobStatus.FETCHED]
    assert len(usual.every_job) == before + 1
    [line] = told
    assert "waiting up to" in line


def test_an_order_at_another_endpoint_is_neither_placed_nor_lost(
    usual: RunPodService, since: int, left_behind: Entry, folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(InfiniteTalkJobs, "grace_s", 0.0)
    monkeypatch.setattr(watch, "_LOST_AFTER_S", 0.1)
    [before], jobs_before = entries(folder), len(usual.every_job)
    with monkeypatch.context() as moved:
        moved.setattr(usual, "endpoint", "another-endpoint")
        [error] = run(usual, folder)
        assert "set RUNPOD_ENDPOINT_ID back" in str(error)
        moved.setenv("RUNPOD_ENDPOINT_ID", "another-endpoint")
        told = jobs(JobsRequest(action="reconcile", generator="infinitetalk", store=folder))
        assert "set RUNPOD_ENDPOINT_ID back" in told.as_text()
        asked = jobs(JobsRequest(action="cancel", key=before.key, store=folder))
        assert asked.exit_code == 1
        assert "set RUNPOD_ENDPOINT_ID back" in asked.as_text()
    [after] = entries(folder)
    assert (after.status, after.error, after.job_id) == (
        JobStatus.SUBMITTED, before.error, before.job_id
    )  # fmt: skip
    assert len(usual.every_job) == jobs_before
    jobs(JobsRequest(action="cancel", key=before.key, store=folder))
    assert entries(folder)[0].code == "cancelled"


def test_an_order_of_unknown_end_is_not_placed_at_another_endpoint(
    usual: RunPodService, since: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def die(*_: Any) -> Any:
        raise RuntimeError("dead")

    with monkeypatch.context() as dying:
        dying.setattr(InfiniteTalkJobs, "submit", die)
        run(usual, folder)
    monkeypatch.setattr(usual, "endpoint", "an-untouched-endpoint")
    [error] = run(usual, folder)
    assert "set RUNPOD_ENDPOINT_ID back" in str(error)
    assert len(usual.every_job) == since


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_job_that_is_gone_when_it_is_taken_up_after_its_time_is_lost_at_once(
    by_hand: bool, usual: RunPodService, left_behind: Entry, folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    with usual.desk(usual.endpoint) as desk:
        desk.post("/purge-queue").raise_for_status()
    monkeypatch.setattr(InfiniteTalkJobs, "grace_s", 0.0)
    monkeypatch.setattr(InfiniteTalkJobs, "deadline_s", lambda *_: 0.01)
    monkeypatch.setattr(runpod, "_TTL_SLACK_S", 1e5)
    if by_hand:
        jobs(JobsRequest(action="reconcile", generator="infinitetalk", store=folder))
    else:
        [error] = run(usual, folder)
        assert "(lost)" in str(error)
    [entry] = entries(folder)
    assert (entry.status, entry.code) == (JobStatus.FAILED, "lost")
    assert entry.cost_usd == entry.quoted_usd


def test_a_job_that_takes_too_long_is_called_off_and_tried_again(
    usual: RunPodService, since: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(InfiniteTalkJobs, "deadline_s", lambda *_: 1.0)
    monkeypatch.setattr(runpod, "_TTL_SLACK_S", 1e5)
    usual.next("stuck_in_queue")
    assert [entry.status for entry in run(usual, folder)] == [JobStatus.FETCHED]
    first, _ = entries(folder)
    assert (first.status, first.code, first.again) == (JobStatus.FAILED, "given_up", True)
    assert [job["status"] for job in usual.every_job[since:]] == ["CANCELLED", "COMPLETED"]


def test_a_job_nobody_confirmed_to_be_called_off_stays_what_it_is(
    usual: RunPodService, since: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unheard(*_: Any) -> bool:
        return False

    monkeypatch.setattr(InfiniteTalkJobs, "deadline_s", lambda *_: 0.5)
    monkeypatch.setattr(InfiniteTalkJobs, "cancel", unheard)
    monkeypatch.setattr(runpod, "_TTL_SLACK_S", 1e5)
    usual.next("stuck_in_queue")
    [error] = run(usual, folder)
    assert "looked at and not paid again" in str(error)
    [entry] = entries(folder)
    assert entry.status is JobStatus.SUBMITTED


def test_a_wrong_key_is_told_before_an_order_is_written_down(
    usual: RunPodService, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = usual.environment | {"RUNPOD_API_KEY": "bad-key"}
    monkeypatch.setattr(RunPodService, "environment", wrong)
    with pytest.raises(RemoteRefused, match="check RUNPOD_API_KEY"):
        run(usual, folder)
    assert entries(folder) == []


# An endpoint that lists no requests


@pytest.fixture(scope="module")
def silent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunPodService]:
    service = RunPodService(tmp_path_factory.mktemp("silent"), *SPEED, "--no-requests")
    yield service
    service.stop()


def test_an_order_nobody_can_find_stays_unknown_and_is_never_paid_twice(
    silent: RunPodService, folder: Path
) -> None:
    before = len(silent.every_job)
    silent.next("lost_response")
    for _ in range(3):
        [error] = run(silent, folder)
        assert isinstance(error, OutcomeUnknown)
        assert "counts as spent" in str(error)
    assert len(silent.every_job) == before + 1
    [entry] = entries(folder)
    assert entry.status is JobStatus.UNKNOWN
    ledger = Ledger.in_folder(folder)
    assert ledger.spent_usd() == entry.quoted_usd
    ledger.close()


def test_an_order_that_was_surely_not_accepted_is_placed_by_the_next_run(
    silent: RunPodService, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "PATIENCE", 0)
    before = len(silent.every_job)
    place = silent.environment | {"RUNPOD_BASE_URL": "http://127.0.0.1:1/v2"}
    with monkeypatch.context() as unplugged:
        unplugged.setattr(RunPodService, "environment", place)
        [error] = run(silent, folder)
    assert "cannot be reached" in str(error)
    assert "nothing was ordered" in str(error)
    [entry] = entries(folder)
    assert (entry.status, entry.code) == (JobStatus.UNKNOWN, "not_sent")
    assert [entry.status for entry in run(silent, folder)] == [JobStatus.FETCHED]
    assert len(silent.every_job) == before + 1


@pytest.mark.parametrize(
    ("dies", "is_placed_later"), [("before it is sent", True), ("while it is sent", False)]
)
def test_a_run_that_died_leaves_behind_whether_it_had_begun_to_send(
    dies: str, is_placed_later: bool, silent: RunPodService, folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    async def die(*_: Any) -> Any:
        raise RuntimeError("dead")

    before = len(silent.every_job)
    with monkeypatch.context() as dying:
        if dies == "before it is sent":
            dying.setattr(Lanes, "may_submit", die)
        else:
            dying.setattr(InfiniteTalkJobs, "submit", die)
        run(silent, folder)
    [found] = run(silent, folder)
    assert isinstance(found, Entry if is_placed_later else OutcomeUnknown)
    assert len(silent.every_job) == before + is_placed_later


# By hand


@pytest.fixture
def left_behind(usual: RunPodService, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Entry:
    """A job that waits in the queue, and nobody watches it."""
    for name, value in usual.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(folder)
    with monkeypatch.context() as hasty:

        async def unheard(*_: Any) -> bool:
            return False

        hasty.setattr(InfiniteTalkJobs, "deadline_s", lambda *_: 0.3)
        hasty.setattr(InfiniteTalkJobs, "cancel", unheard)
        hasty.setattr(runpod, "_TTL_SLACK_S", 1e5)
        usual.next("stuck_in_queue")
        run(usual, folder)
    [entry] = entries(folder)
    assert entry.status is JobStatus.SUBMITTED
    return entry


def test_a_job_is_called_off_by_hand(
    usual: RunPodService, folder: Path, left_behind: Entry
) -> None:
    request = JobsRequest(action="cancel", key=left_behind.key[:12], store=folder)
    result = jobs(request)
    [job] = result.jobs
    assert (job.status, job.code) == (JobStatus.FAILED, "cancelled")
    assert "by hand" in result.as_text()
    assert result.exit_code == 0
    assert usual.every_job[-1]["status"] == "CANCELLED"
    again = jobs(request)
    assert again.exit_code == 1
    assert "nothing was called off: it has ended already: failed" in again.as_text()
    nothing = jobs(JobsRequest(action="cancel", key="nobody", store=folder))
    assert nothing.exit_code == 1
    assert "nothing was called off: no job has a key" in nothing.as_text()


def test_what_a_job_cost_that_was_called_off_at_work_is_written_down_by_its_own_price(
    usual: RunPodService, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unheard(*_: Any) -> bool:
        return False

    for name, value in usual.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(folder)
    with monkeypatch.context() as hasty:
        hasty.setattr(InfiniteTalkJobs, "deadline_s", lambda *_: 0.5)
        hasty.setattr(InfiniteTalkJobs, "timeout_s", lambda *_: 6e5)
        hasty.setattr(InfiniteTalkJobs, "cancel", unheard)
        hasty.setattr(runpod, "_TTL_SLACK_S", 6e5)
        usual.next("hang")
        run(usual, folder, gpu="H100")
    [entry] = entries(folder)
    with usual.desk(usual.endpoint) as desk:
        desk.running(entry.job_id)
        assert jobs(JobsRequest(action="cancel", key=entry.key, store=folder)).exit_code == 0
        [entry] = entries(folder)
        worked_ms = desk.status(entry.job_id)["executionTime"]
    assert (entry.status, entry.code) == (JobStatus.FAILED, "cancelled")
    assert entry.cost_usd == pytest.approx(worked_ms / 1000 * 0.00116)


def test_a_job_the_service_does_not_know_is_not_called_off(
    usual: RunPodService, folder: Path, left_behind: Entry
) -> None:
    with usual.desk(usual.endpoint) as desk:
        desk.post("/purge-queue").raise_for_status()
    told = jobs(JobsRequest(action="cancel", key=left_behind.key, store=folder))
    assert told.exit_code == 1
    assert "infinitetalk does not know the job" in told.as_text()
    assert entries(folder)[0].status is JobStatus.SUBMITTED


def test_what_became_of_jobs_can_be_asked_for_where_some_stay_unknown(
    silent: RunPodService, folder: Path
) -> None:
    silent.next("lost_response")
    run(silent, folder)

    async def work() -> list[Entry]:
        async with account(silent, folder) as dispatcher:
            return await reconcile(dispatcher.engine, dispatcher.ledger)

    [entry] = asyncio.run(work())
    assert entry.status is JobStatus.UNKNOWN
    assert "counts as spent" in entry.error


def test_an_engine_that_cannot_call_jobs_off_says_so(left_behind: Entry, folder: Path) -> None:
    ledger = Ledger.in_folder(folder)
    account = SyncJobs(None, "", SyncOptions())  # type: ignore[arg-type]
    with pytest.raises(InputError, match="sync cannot call a job off"):
        asyncio.run(called_off(account, ledger, left_behind))
    ledger.close()
