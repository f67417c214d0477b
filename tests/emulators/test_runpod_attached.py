"""Workers that attach themselves to the emulator, spoken by hand."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from runpod_service import Endpoint, RunPodService

INPUT = {"prompt": "anything"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunPodService]:
    options = ("--external-workers", "--dead-after-s", "1", "--queue-s", "0")
    more = ("--result-limit", "1000")
    service = RunPodService(tmp_path_factory.mktemp("runpod"), *options, *more)
    yield service
    service.stop()


@pytest.fixture
def desk(service: RunPodService) -> Iterator[Endpoint]:
    with service.desk() as desk:
        yield desk


def taken(desk: Endpoint, worker: str = "w1") -> dict[str, Any]:
    """The next job, as a worker is given it."""
    answer = desk.get(f"/job-take/{worker}", params={"gpu": "x", "job_in_progress": "0"})
    assert answer.status_code == 200
    return dict(answer.json())


def hand_in(desk: Endpoint, job: str, result: dict[str, Any], worker: str = "w1") -> int:
    return desk.post(
        f"/job-done/{worker}/{job}", json=result, params={"gpu": "x", "isStream": "false"}
    ).status_code


def test_a_worker_waits_for_a_job_and_hands_in_what_it_made(desk: Endpoint) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(taken, desk)
        time.sleep(0.2)
        assert not waiting.done()
        job = desk.submitted(INPUT)
        assert waiting.result() == {"id": job, "input": INPUT}
    assert desk.status(job)["workerId"] == "w1"
    assert desk.get("/health").json()["workers"]["running"] == 1
    assert hand_in(desk, job, {"status": "IN_PROGRESS", "output": "half"}) == 200
    assert desk.status(job)["output"] == "half"
    assert hand_in(desk, job, {"output": {"a": 1}}) == 200
    assert desk.status(job)["status"] == "COMPLETED"
    assert desk.status(job)["output"] == {"a": 1}
    assert desk.get("/health").json()["workers"]["idle"] == 1


def test_an_error_fails_the_job_and_may_leave_an_output(desk: Endpoint) -> None:
    job = desk.submitted(INPUT)
    taken(desk)
    hand_in(desk, job, {"error": "no", "output": {"part": 1}})
    told = desk.status(job)
    assert (told["status"], told["error"], told["output"]) == ("FAILED", "no", {"part": 1})


def test_nothing_handed_in_is_a_completed_job_without_output(desk: Endpoint) -> None:
    job = desk.submitted(INPUT)
    taken(desk)
    hand_in(desk, job, {})
    assert "output" not in desk.status(job)
    assert desk.status(job)["status"] == "COMPLETED"


def test_too_large_a_result_is_refused_and_lost(desk: Endpoint) -> None:
    job = desk.submitted(INPUT)
    taken(desk)
    assert hand_in(desk, job, {"output": "x" * 2000}) == 400
    told = desk.status(job)
    assert told["status"] == "COMPLETED"
    assert "output" not in told


def test_a_worker_that_falls_silent_is_replaced_once(desk: Endpoint) -> None:
    job = desk.submitted(INPUT)
    taken(desk, "w1")
    until = time.monotonic() + 1.3
    while time.monotonic() < until:
        desk.get("/ping/w1", params={"job_id": f"{job},another"})
        time.sleep(0.1)
    assert desk.status(job)["status"] == "IN_PROGRESS"
    assert taken(desk, "w2")["id"] == job  # waits until the first one counts as dead
    assert hand_in(desk, job, {"output": 1}, "w1") == 200  # too late
    assert desk.status(job)["status"] == "IN_PROGRESS"
    assert desk.status(job)["retries"] == 1
    ended = desk.ended(job)
    assert (ended["status"], ended["error"]) == ("FAILED", "job timed out after 1 retries")


def test_a_worker_is_told_to_stop_what_was_cancelled(desk: Endpoint) -> None:
    job = desk.submitted(INPUT)
    taken(desk)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(desk.get, "/job-stop/w1", params={"gpu": "x"})
        time.sleep(0.1)
        desk.post(f"/cancel/{job}")
        assert waiting.result().json() == {"jobsToStop": [job]}
    assert hand_in(desk, job, {"output": 1}) == 200
    assert desk.status(job)["status"] == "CANCELLED"


def test_what_is_streamed_is_read_once(desk: Endpoint) -> None:
    job = desk.submitted(INPUT)
    taken(desk)
    for number in range(2):
        desk.post(f"/job-stream/w1/{job}", json={"output": number}, params={"gpu": "x"})
    assert desk.get(f"/stream/{job}").json() == {
        "status": "IN_PROGRESS", "stream": [{"output": 0}, {"output": 1}],
    }  # fmt: skip
    hand_in(desk, job, {"output": []})
    assert desk.get(f"/stream/{job}").json() == {"status": "COMPLETED", "stream": []}


def test_several_jobs_are_taken_at_once(desk: Endpoint) -> None:
    jobs = [desk.submitted(INPUT) for _ in range(3)]
    answer = desk.get("/job-take-batch/w1", params={"gpu": "x", "batch_size": 2})
    assert [job["id"] for job in answer.json()] == jobs[:2]
