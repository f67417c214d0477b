"""Over the budget, a run of a deployment pauses and asks; nothing is paid before the answer."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from in_process import Here
from prefect_server import PrefectServer, deployed_bulk
from sync_service import SyncService

from lipsync_core.demo.film import DemoFilm

LIMIT_S = 240.0
ANSWERS = {"refused": False, "approved": True}
OPTIONS = {"refused": "temperature=0.4", "approved": "temperature=0.6"}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[SyncService]:
    service = SyncService(tmp_path / "service", "--job-seconds", "0.3", "--render", "copy")
    yield service
    service.stop()


@pytest.fixture
def runs(server: PrefectServer, short_film: DemoFilm) -> dict[str, str]:
    """Two runs that would cost 30 cents each and may cost 10, by what is answered.

    One order is not the other, so that two would be paid twice.
    """
    deployment = deployed_bulk()

    def created(out: str) -> str:
        given = {
            "video": str(short_film.video), "audio": str(short_film.speech), "generator": "sync",
            "budget": 0.1, "out": out, "options": OPTIONS[out],
        }  # fmt: skip
        answer = server.post(
            f"deployments/{deployment['id']}/create_flow_run", parameters={"request": given}
        )
        return str(answer.json()["id"])

    return {name: created(name) for name in ANSWERS}


@pytest.fixture
def worker(
    server: PrefectServer,
    service: SyncService,
    here: Here,
    runs: dict[str, str],
    short_film: DemoFilm,
    tmp_path: Path,
) -> Iterator[None]:
    """A worker that takes the runs."""
    for name in runs:
        here.know(short_film, tmp_path / name)
    command = [
        sys.executable,
        "-m",
        "prefect",
        "worker",
        "start",
        "--pool",
        "lipsync",
        "--run-once",
    ]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=server.environment | service.environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    yield
    process.wait(LIMIT_S)


def until(server: PrefectServer, what: dict[str, Any], states: set[str]) -> dict[str, Any]:
    """The first flow run that answers the description, as soon as it stands so."""
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        for run in server.post("flow_runs/filter", flow_runs=what).json():
            if run["state"]["type"] in states:
                found: dict[str, Any] = run
                return found
        time.sleep(0.5)
    raise TimeoutError(f"no run became {states}")


def answer(server: PrefectServer, run_id: str, approve: bool) -> None:
    """Fill in the form of a paused run, which is there a moment after the pause."""
    deadline = time.monotonic() + LIMIT_S
    while True:
        told = server.post(f"flow_runs/{run_id}/resume", run_input={"approve": approve})
        if told.is_success and told.json()["status"] == "ACCEPT":
            return
        assert time.monotonic() < deadline, told.text
        time.sleep(0.2)


def test_a_person_decides(
    server: PrefectServer,
    service: SyncService,
    runs: dict[str, str],
    worker: None,
    tmp_path: Path,
) -> None:
    paused = {
        name: until(server, {"parent_flow_run_id": {"any_": [run_id]}}, {"PAUSED"})
        for name, run_id in runs.items()
    }
    assert service.every_job == []
    for name, run in paused.items():
        answer(server, run["id"], ANSWERS[name])
    for name, end in (("refused", "FAILED"), ("approved", "COMPLETED")):
        ended = until(server, {"id": {"any_": [runs[name]]}}, {"COMPLETED", "FAILED", "CRASHED"})
        assert ended["state"]["type"] == end
        assert (tmp_path / name / "short" / "final.mp4").is_file() == ANSWERS[name]
    [paid] = service.every_job
    assert paid["status"] == "COMPLETED"
