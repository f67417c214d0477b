"""The deployment of ``prefect.yaml`` on a real server, run by a real worker."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from media_factory import bursts, make_film, write_sound
from prefect_server import PrefectServer, deployed_bulk, running_server


@pytest.fixture(scope="module")
def server() -> PrefectServer:
    return running_server()


@pytest.fixture(scope="module")
def deployment(server: PrefectServer) -> dict[str, Any]:
    return deployed_bulk()


@pytest.fixture
def studio(tmp_path: Path) -> Path:
    """The folder a worker is started in, with a film in which nobody speaks and a sound."""
    make_film(tmp_path / "numbers.mp4", frames=50)
    write_sound(tmp_path / "noise.wav", bursts(2, 16_000), 16_000)
    return tmp_path


class TestTheDeployment:
    def test_names_no_folder_of_the_machine_that_deploys(self, deployment: dict[str, Any]) -> None:
        told = {k: v for k, v in deployment.items() if k != "description"}
        assert not re.search(r'"(/|[A-Z]:)', json.dumps(told))
        assert deployment["pull_steps"] == []

    def test_has_a_nightly_schedule_that_is_switched_off(self, deployment: dict[str, Any]) -> None:
        [schedule] = deployment["schedules"]
        assert schedule["slug"] == "nightly"
        assert not schedule["active"]

    def test_tells_a_producer_what_to_do(self, deployment: dict[str, Any]) -> None:
        for word in ("Video", "Audio", "Manifest", "Plan only", "Artifacts"):
            assert f"**{word}**" in deployment["description"]

    def test_is_there_once_more_for_machines_with_a_card(
        self, server: PrefectServer, deployment: dict[str, Any]
    ) -> None:
        other = server.get("deployments/name/bulk/bulk-gpu")
        assert (deployment["work_pool_name"], other["work_pool_name"]) == ("lipsync", "lipsync-gpu")
        assert other["schedules"] == []
        for same in ("entrypoint", "pull_steps", "parameter_openapi_schema", "job_variables"):
            assert other[same] == deployment[same]

    def test_portraits_have_a_form_of_their_own(
        self, server: PrefectServer, deployment: dict[str, Any]
    ) -> None:
        other = server.get("deployments/name/portrait/portrait")
        assert other["entrypoint"] == "flows.portrait.portrait"
        answer = server.post(
            f"deployments/{other['id']}/create_flow_run",
            parameters={"request": {"image": "a.png"}},
        )
        assert answer.status_code == 409
        assert "'audio' is a required property" in answer.json()["detail"]


class TestTheServerRefuses:
    @pytest.mark.parametrize(
        ("request_", "said"),
        [
            ({}, "'video' is a required property"),
            ({"video": "a.mp4"}, "'audio' is a required property"),
            ({"manifest": "a.csv", "budget": -1}, "-1 is less than the minimum of 0"),
            ({"manifest": "a.csv", "generator": "magic"}, "'magic' is not one of"),
        ],
    )
    def test_a_form_that_cannot_work_before_any_worker_starts(
        self,
        server: PrefectServer,
        deployment: dict[str, Any],
        request_: dict[str, Any],
        said: str,
    ) -> None:
        answer = server.post(
            f"deployments/{deployment['id']}/create_flow_run", parameters={"request": request_}
        )
        assert answer.status_code == 409
        assert said in answer.json()["detail"]


def test_a_worker_makes_the_film_in_the_folder_it_was_started_in(
    server: PrefectServer, deployment: dict[str, Any], studio: Path
) -> None:
    given = {"request": {"video": "numbers.mp4", "audio": "noise.wav"}}
    run = ["deployment", "run", "bulk/bulk", "--params", json.dumps(given)]
    said = server.prefect(*run, LIPSYNC_OUT="of-the-caller")
    [run_id] = re.findall(r"UUID: ([0-9a-f-]{36})", said)
    log = server.prefect(
        "worker", "start", "--pool", "lipsync", "--run-once", cwd=studio, LIPSYNC_OUT="done"
    )

    state = server.get(f"flow_runs/{run_id}")["state"]
    assert state["type"] == "COMPLETED", log
    assert (studio / "done" / "numbers" / "final.mp4").is_file()
    found = server.post("artifacts/filter", artifacts={"flow_run_id": {"any_": [run_id]}}).json()
    shown = {artifact["key"]: artifact for artifact in found if artifact["key"]}
    assert set(shown) == {
        "run", "report", "numbers-segments", "numbers-plot", "numbers-checks", "numbers-progress",
    }  # fmt: skip
    assert shown["numbers-progress"]["data"] == 100
    assert all(artifact["description"] for artifact in shown.values())
    rows = json.loads(shown["numbers-segments"]["data"])
    assert {row["verdict"] for row in rows} == {"kept"}
    assert (rows[0]["frames"].split("-")[0], rows[-1]["frames"].split("-")[1]) == ("0", "50")
    assert str(studio) in shown["run"]["data"]
    assert (studio / "done" / "report.html").as_uri() in shown["report"]["data"]
