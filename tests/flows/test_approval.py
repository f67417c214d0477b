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


@pytest.fixture
def service(tmp_path: Path) -> Iterator[SyncService]:
    service = SyncService(tmp_path / "service", "--job-seconds", "0.5", "--render", "copy")
    yield service
    service.stop()


@pytest.fixture
def run_id(server: PrefectServer, short_film: DemoFilm) -> str:
    """A run that would cost 30 cents and may cost 10."""
    deployment = deployed_bulk()
    given = {
        "video": str(short_film.video), "audio": str(short_film.speech), "generator": "sync",
        "budget": 0.1, "out": "out",
    }  # fmt: skip
    answer = server.post(
        f"deployments/{deployment['id']}/create_flow_run", parameters={"request": given}
    )
    created: str = answer.json()["id"]
    return created


@pytest.fixture
def worker(
    server: PrefectServer,
    service: SyncService,
    here: Here,
    run_id: str,
    short_film: DemoFilm,
    tmp_path: Path,
) -> Iterator[None]:
    """A worker that takes the run."""
    here.know(short_film, tmp_path / "out")
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
        time.sleep(1)
    raise TimeoutError(f"no run became {states}")


@pytest.mark.parametrize(("approve", "end", "paid"), [(True, "COMPLETED", 1), (False, "FAILED", 0)])
def test_a_person_decides(
    approve: bool,
    end: str,
    paid: int,
    server: PrefectServer,
    service: SyncService,
    run_id: str,
    worker: None,
    tmp_path: Path,
) -> None:
    of_the_film = {"parent_flow_run_id": {"any_": [run_id]}}
    paused = until(server, of_the_film, {"PAUSED"})
    assert service.every_job == []
    answer = server.post(f"flow_runs/{paused['id']}/resume", run_input={"approve": approve})
    assert answer.json()["status"] == "ACCEPT", answer.text
    ended = until(server, {"id": {"any_": [run_id]}}, {"COMPLETED", "FAILED", "CRASHED"})
    assert ended["state"]["type"] == end
    assert len(service.bill) == paid
    assert (tmp_path / "out" / "short" / "final.mp4").is_file() == approve
