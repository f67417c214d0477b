"""Every order is paid once: whatever the service does, whenever the run dies, however many run.

The service is the emulator, over real HTTP, and its own bill is the judge.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orders
import pytest
from media_factory import bursts, make_film, write_sound
from sync_service import ROOT, SyncService

from lipsync_core.errors import RemoteRefused, RenderFailed
from lipsync_core.generators.sync_so import SyncJobs
from lipsync_core.jobs.ledger import Entry, JobStatus, Ledger
from lipsync_core.jobs.reconcile import reconcile
from lipsync_core.media.probe import probe
from lipsync_core.services.sync_so.client import SyncClient

FRAMES = 25


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("service")


@pytest.fixture
def service(data: Path, tmp_path: Path) -> Iterator[SyncService]:
    service = SyncService(
        tmp_path / "service", "--job-seconds", "0.5", "--concurrency", "3", "--render", "copy"
    )  # fmt: skip
    yield service
    service.stop()


@pytest.fixture(scope="module")
def film(data: Path) -> tuple[Path, Path]:
    video = make_film(data / "film.mp4", frames=FRAMES)
    return video, write_sound(data / "speech.wav", bursts(1, 16_000), 16_000)


@pytest.fixture
def folder(film: tuple[Path, Path], tmp_path: Path) -> Path:
    """A run's folder, with the film in it."""
    folder = tmp_path / "run"
    folder.mkdir()
    for path in film:
        (folder / path.name).hardlink_to(path)
    return folder


def run(service: SyncService, folder: Path, count: int, lanes: int = 5) -> list[Any]:
    return asyncio.run(orders.run(service.address, folder, count, lanes))


def statuses(found: list[Any]) -> list[JobStatus]:
    return [entry.status for entry in found if isinstance(entry, Entry)]


def all_whole(folder: Path, count: int) -> bool:
    return all(probe(folder / f"{n}.mp4").frames == FRAMES for n in range(count))


def test_orders_are_placed_watched_and_brought_home(service: SyncService, folder: Path) -> None:
    found = run(service, folder, 8)
    assert statuses(found) == [JobStatus.FETCHED] * 8
    assert all_whole(folder, 8)
    assert not list(folder.glob("*.part"))
    assert {job["key"] for job in service.bill} == {entry.key for entry in found}
    assert sum(entry.cost_usd for entry in found) == pytest.approx(
        sum(job["billed_usd"] for job in service.bill)
    )


def test_the_same_run_again_pays_nothing(service: SyncService, folder: Path) -> None:
    run(service, folder, 3)
    (folder / "1.mp4").unlink()
    assert statuses(run(service, folder, 3)) == [JobStatus.FETCHED] * 3
    assert all_whole(folder, 3)
    assert len(service.bill) == 3


@pytest.mark.parametrize(
    "fault",
    ["lost_response", "outcome_unknown", "outcome_unknown_with_id", "server_error", "slow_accept",
     "failed_empty", "failed_transient", "failed_opaque", "truncated_download", "expired_url"],
)  # fmt: skip
def test_what_goes_wrong_in_passing_is_paid_once(
    fault: str, service: SyncService, folder: Path
) -> None:
    service.next(fault)
    assert statuses(run(service, folder, 2)) == [JobStatus.FETCHED] * 2
    assert all_whole(folder, 2)
    assert len(service.bill) == 2


def test_what_is_refused_is_told_and_never_asked_again(service: SyncService, folder: Path) -> None:
    service.next("rejected")
    for _ in range(2):
        [error] = run(service, folder, 1)
        assert isinstance(error, RemoteRefused)
        assert str(error).startswith("sync refused: ")
    assert len(service.every_job) == 1
    assert service.bill == []


def test_an_account_that_takes_no_orders_now_is_no_refusal_for_ever(
    service: SyncService, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unpaid(*_: Any) -> Any:
        raise RemoteRefused("an invoice is unpaid", "account_payment_required")

    with monkeypatch.context() as poor:
        poor.setattr(SyncClient, "create", unpaid)
        [error] = run(service, folder, 1)
    assert "an invoice is unpaid; it was not ordered" in str(error)
    assert statuses(run(service, folder, 1)) == [JobStatus.FETCHED]
    assert len(service.every_job) == 1


def test_what_fails_again_and_again_is_given_up(service: SyncService, folder: Path) -> None:
    service.next("failed_opaque", 3)
    for _ in range(2):
        [error] = run(service, folder, 1)
        assert isinstance(error, RenderFailed)
        assert str(error).startswith("sync failed 3 times: ")
    assert len(service.every_job) == 3
    assert service.bill == []


def test_a_stuck_job_is_watched_again_by_the_next_run(
    service: SyncService, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SyncJobs, "deadline_s", lambda *_: 1.5)
    service.next("stuck")
    for _ in range(2):
        [error] = run(service, folder, 1)
        assert "looked at and not paid again" in str(error)
    assert len(service.bill) == 1
    [entry] = Ledger.in_folder(folder).entries()
    assert entry.status is JobStatus.SUBMITTED


def test_the_account_s_own_limit_is_learned(service: SyncService, folder: Path) -> None:
    async def work() -> tuple[list[Any], int]:
        async with orders.account(service.address, folder, lanes=9) as dispatcher:
            return await orders.placed(dispatcher, folder, 12), dispatcher.lanes.limit

    found, limit = asyncio.run(work())
    assert statuses(found) == [JobStatus.FETCHED] * 12
    assert limit < 9
    assert len(service.bill) == 12


def test_two_runs_at_once_share_their_jobs(service: SyncService, folder: Path) -> None:
    command = [sys.executable, orders.__file__, service.address, str(folder), "6"]
    both = [subprocess.Popen(command, env=environment()) for _ in range(2)]
    assert [one.wait(120) for one in both] == [0, 0]
    assert all_whole(folder, 6)
    assert len(service.every_job) == 6


@pytest.mark.parametrize("point", list(orders.POINTS))
def test_a_run_killed_anywhere_pays_each_order_once(
    point: str, service: SyncService, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SyncJobs, "search_s", 1)  # an account without jobs shows no era
    command = [sys.executable, orders.__file__, service.address, str(folder), "3", point]
    killed = subprocess.run(command, env=environment(), timeout=120, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert statuses(run(service, folder, 3)) == [JobStatus.FETCHED] * 3
    assert all_whole(folder, 3)
    assert len(service.bill) == len(service.every_job) == 3


def test_a_service_of_the_earlier_era_is_paid_once_too(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It keeps no keys, and may list a job some time after it lost the answer."""
    search, lost = SyncJobs.find, time.time()

    async def find_late(*given: Any) -> str | None:
        return await search(*given) if time.time() > lost + 4 else None

    monkeypatch.setattr(SyncJobs, "find", find_late)
    service = SyncService(
        tmp_path / "old", "--job-seconds", "0.5", "--concurrency", "3", "--era", "B"
    )  # fmt: skip
    service.next("lost_response")
    lost = time.time()
    assert statuses(run(service, folder, 3)) == [JobStatus.FETCHED] * 3
    assert len(service.bill) == 3
    service.stop()


def test_what_nobody_watches_any_more_can_be_asked_for(service: SyncService, folder: Path) -> None:
    command = [sys.executable, orders.__file__, service.address, str(folder), "3"]
    point = "after it was accepted"
    subprocess.run([*command, point], env=environment(), timeout=120, check=False)

    async def work() -> list[Entry]:
        async with orders.account(service.address, folder) as dispatcher:
            await asyncio.sleep(1)
            return await reconcile(dispatcher.engine, dispatcher.ledger)

    found = asyncio.run(work())
    assert JobStatus.COMPLETED in statuses(found)
    assert len(service.every_job) == sum(bool(entry.job_id) for entry in found)


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)}
