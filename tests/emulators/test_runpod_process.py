"""The emulator as a process: what outlives it, what it leaves behind, how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from runpod_service import RunPodService

ROOT = Path(__file__).parents[2]
SMALL = {"width": 32, "height": 32, "max_frame": 3}
Started = Callable[..., RunPodService]


@pytest.fixture
def started() -> Iterator[Started]:
    """``started(folder, *options)``: a command of the test's own, ended with it at the latest."""
    services: list[RunPodService] = []

    def started(folder: Path, *options: str) -> RunPodService:
        services.append(RunPodService(folder, "--fast", *options))
        return services[-1]

    yield started
    for service in services:
        service.stop()


def test_a_killed_one_goes_on_where_it_stood(tmp_path: Path, started: Started) -> None:
    one = started(tmp_path, "--queue-s", "0", "--render-s", "0.6", "--workers", "1")
    with one.desk("the-same") as desk:
        done = desk.submitted(SMALL)
        before = desk.ended(done)
        running, waiting = desk.submitted(SMALL), desk.submitted(SMALL)
        desk.running(running)
        one.next("crash")
        one.process.send_signal(signal.SIGKILL)
        one.process.wait()
    other = started(tmp_path, "--queue-s", "0", "--render-s", "0.1", "--workers", "1")
    with other.desk("the-same") as desk:
        assert desk.status(done) == before
        assert [desk.ended(job)["status"] for job in (running, waiting)] == ["COMPLETED"] * 2
        assert [job["id"] for job in other.bill] == [done, running, waiting]
        assert [job["runs"] for job in other.bill] == [1, 1, 1]
        assert desk.ended(desk.submitted(SMALL))["status"] == "FAILED"


def test_it_ends_quickly_while_a_job_runs(tmp_path: Path, started: Started) -> None:
    service = started(tmp_path, "--queue-s", "0", "--render-s", "60")
    with service.desk() as desk:
        desk.running(desk.submitted(SMALL))
        before = time.monotonic()
        service.stop()
        assert time.monotonic() - before < 4
    assert service.process.returncode == 0


def test_without_a_folder_it_leaves_nothing_behind(tmp_path: Path) -> None:
    ran = subprocess.Popen(
        [sys.executable, "-m", "tests.emulators.runpod"],
        cwd=ROOT, stdout=subprocess.PIPE, env=os.environ | {"TMPDIR": str(tmp_path)},
    )  # fmt: skip
    with ran:
        assert ran.stdout is not None
        assert ran.stdout.readline().startswith(b"RunPod emulator listening on http://127.0.0.1:")
        assert list(tmp_path.iterdir())
        ran.terminate()
    assert ran.returncode == 0
    assert not list(tmp_path.iterdir())


def test_no_key_is_kept_and_its_environment_is_the_product_s(
    tmp_path: Path, started: Started
) -> None:
    service = started(tmp_path, "--queue-s", "0", "--render-s", "0")
    environment = service.environment
    with service.desk(environment["RUNPOD_ENDPOINT_ID"]) as desk:
        assert str(desk.base_url).startswith(environment["RUNPOD_BASE_URL"])
        desk.ended(desk.submitted(SMALL))
    service.stop()
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"an-endpoint" in kept
    assert environment["RUNPOD_API_KEY"].encode() not in kept
