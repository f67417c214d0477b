"""The emulator's queue: how jobs wait, run, end and are forgotten."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from runpod_service import Endpoint, RunPodService

SMALL = {"width": 32, "height": 32, "max_frame": 3}
QUICK = ("--fast", "--queue-s", "0.2", "--render-s", "0.3", "--policy-scale", "0.05")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunPodService]:
    service = RunPodService(tmp_path_factory.mktemp("runpod"), *QUICK)
    yield service
    service.stop()


@pytest.fixture(scope="module")
def brief(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunPodService]:
    """One that keeps results for a moment only, and small ones only."""
    options = (
        "--retention-s",
        "0.5",
        "--result-limit",
        "500",
        "--no-requests",
        "--rate-share",
        "0",
    )
    service = RunPodService(tmp_path_factory.mktemp("brief"), *QUICK, *options)
    yield service
    service.stop()


@pytest.fixture
def desk(service: RunPodService) -> Iterator[Endpoint]:
    with service.desk() as desk:
        yield desk


def gone(answer: httpx.Response) -> bool:
    """Whether an answer says that there is no such job."""
    told = {"status": 404, "title": "Not Found", "detail": "job not found"}
    return answer.status_code == 404 and answer.json() == told


def test_a_job_waits_runs_and_completes(desk: Endpoint) -> None:
    job = desk.submitted(SMALL)
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}-e1", job)
    assert desk.status(job) == {"id": job, "status": "IN_QUEUE"}
    running = desk.running(job)
    assert set(running) == {"id", "status", "delayTime", "workerId"}
    ended = desk.ended(job)
    assert ended["status"] == "COMPLETED"
    assert set(ended) == {*running, "executionTime", "output"}
    assert 200 <= ended["delayTime"] == running["delayTime"] < 2000
    assert ended["executionTime"] >= 300
    assert set(ended["output"]) == {"video"}


def test_jobs_wait_while_all_workers_are_busy(service: RunPodService, desk: Endpoint) -> None:
    service.next("hang", 2)
    jobs = [desk.submitted(SMALL) for _ in range(3)]
    desk.running(jobs[1])
    told = desk.get("/health").json()
    assert told["jobs"] == {
        "completed": 0, "failed": 0, "inProgress": 2, "inQueue": 1, "retried": 0,
    }  # fmt: skip
    assert told["workers"] == {
        "idle": 0, "initializing": 0, "ready": 0, "running": 2, "throttled": 0, "unhealthy": 0,
    }  # fmt: skip
    time.sleep(0.2)
    assert desk.status(jobs[2])["status"] == "IN_QUEUE"
    desk.post(f"/cancel/{jobs[0]}")
    assert desk.ended(jobs[2])["delayTime"] >= desk.status(jobs[1])["delayTime"] + 200
    assert desk.get("/health").json()["jobs"]["completed"] == 1


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer bad-key"}])
def test_a_call_without_a_good_key_is_refused(service: RunPodService, header: Any) -> None:
    url = f"{service.address}/v2/any/health"
    assert httpx.get(url, headers=header, trust_env=False).status_code == 401


def test_a_bare_key_is_as_good(service: RunPodService) -> None:
    header = {"Authorization": "a-key-for-tests"}
    url = f"{service.address}/v2/any/health"
    assert httpx.get(url, headers=header, trust_env=False).status_code == 200


def test_an_unknown_endpoint_and_the_job_of_another_one_are_not_found(
    service: RunPodService, desk: Endpoint
) -> None:
    with service.desk("no-such") as nowhere, service.desk() as other:
        assert nowhere.post("/run", json={"input": SMALL}).status_code == 404
        assert gone(other.get(f"/status/{desk.submitted(SMALL)}"))
    assert gone(desk.get("/status/never-was"))


def test_a_body_above_ten_mebibytes_is_refused(desk: Endpoint) -> None:
    answer = desk.post("/run", json={"input": SMALL | {"note": "x" * (10 << 20)}})
    detail = "bad request: body: exceeded max body size of 10MiB"
    assert answer.status_code == 400
    assert answer.json() == {"status": 400, "title": "Bad Request", "detail": detail}
    desk.submitted(SMALL | {"note": "x" * ((10 << 20) - 200)})


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"{}", b'{"input": 3}', b'{"input": {}, "policy": {"ttl": 3}}',
     b'{"input": {}, "policy": {"executionTimeout": "5 s"}}', b'{"input": {}, "webhook": 3}'],
)  # fmt: skip
def test_a_malformed_envelope_is_refused(desk: Endpoint, body: bytes) -> None:
    answer = desk.post("/run", content=body)
    assert (answer.status_code, answer.json()["status"]) == (400, 400)


def test_an_empty_input_never_reaches_a_worker(desk: Endpoint) -> None:
    ended = desk.ended(desk.submitted({}))
    assert (ended["status"], ended["error"]) == ("FAILED", "job timed out after 1 retries")


def test_a_waiting_job_is_cancelled_for_nothing(service: RunPodService, desk: Endpoint) -> None:
    service.next("stuck_in_queue")
    job = desk.submitted(SMALL)
    assert desk.post(f"/cancel/{job}").json() == {"id": job, "status": "CANCELLED"}
    assert desk.status(job) == {"id": job, "status": "CANCELLED"}
    assert job not in {each["id"] for each in service.bill}


def test_a_running_job_is_cancelled_and_frees_its_worker(
    service: RunPodService, desk: Endpoint
) -> None:
    service.next("hang")
    job = desk.submitted(SMALL)
    desk.running(job)
    told = desk.post(f"/cancel/{job}", json={}).json()
    assert told["status"] == "CANCELLED"
    assert {"delayTime", "executionTime"} <= set(told)
    assert desk.get("/health").json()["workers"]["idle"] == 2
    (billed,) = (each for each in service.bill if each["id"] == job)
    assert billed["execution_ms"] == told["executionTime"]


def test_a_job_that_is_over_stays_as_it_is_when_cancelled(desk: Endpoint) -> None:
    job = desk.submitted(SMALL)
    ended = desk.ended(job)
    assert desk.post(f"/cancel/{job}").json()["status"] == "COMPLETED"
    assert desk.status(job) == ended


def test_a_run_that_takes_too_long_fails(service: RunPodService, desk: Endpoint) -> None:
    service.next("hang")
    ended = desk.ended(desk.submitted(SMALL, policy={"executionTimeout": 10_000}))
    assert (ended["status"], ended["error"]) == ("FAILED", "executionTimeout exceeded")
    assert 500 <= ended["executionTime"] < 1500


@pytest.mark.parametrize("fault", ["stuck_in_queue", "hang"])
def test_a_job_is_deleted_when_its_life_is_over(
    service: RunPodService, desk: Endpoint, fault: str
) -> None:
    service.next(fault)
    job = desk.submitted(SMALL, policy={"ttl": 10_000})
    assert desk.status(job)["status"] == "IN_QUEUE"
    time.sleep(0.8)
    assert gone(desk.get(f"/status/{job}"))
    assert desk.get("/health").json()["workers"]["idle"] == 2
    assert (job in {each["id"] for each in service.bill}) == (fault == "hang")


def test_a_failed_job_may_be_tried_again(service: RunPodService, desk: Endpoint) -> None:
    service.next("failed_empty_output")
    job = desk.submitted(SMALL)
    assert desk.ended(job)["status"] == "FAILED"
    assert desk.post(f"/retry/{job}").json() == {"id": job, "status": "IN_QUEUE"}
    ended = desk.ended(job)
    assert ended["status"] == "COMPLETED"
    assert "error" not in ended
    assert desk.post(f"/retry/{job}").status_code == 400
    assert desk.get("/health").json()["jobs"]["retried"] == 1
    (billed,) = (each for each in service.bill if each["id"] == job)
    assert billed["execution_ms"] >= 600


def test_a_purge_deletes_what_waits_and_leaves_what_runs(
    service: RunPodService, desk: Endpoint
) -> None:
    service.next("hang", 2)
    jobs = [desk.submitted(SMALL) for _ in range(4)]
    desk.running(jobs[1])
    assert desk.post("/purge-queue").json() == {"removed": 2, "status": "completed"}
    assert [desk.status(job)["status"] for job in jobs[:2]] == ["IN_PROGRESS"] * 2
    assert all(gone(desk.get(f"/status/{job}")) for job in jobs[2:])


def test_a_purge_is_not_allowed_a_third_time_in_ten_seconds(desk: Endpoint) -> None:
    assert [desk.post("/purge-queue").status_code for _ in range(3)] == [200, 200, 429]


def test_the_requests_of_an_endpoint_come_newest_first(
    service: RunPodService, desk: Endpoint
) -> None:
    service.next("stuck_in_queue", 2)
    jobs = [desk.submitted(SMALL | {"own_id": n, "note": "x" * 5000}) for n in range(2)]
    listed = desk.get("/requests").json()["requests"]
    assert [each["id"] for each in listed] == jobs[::-1]
    assert [each["input"]["own_id"] for each in listed] == [1, 0]
    assert listed[0]["input"]["note"]["size"] == 5000
    assert listed[0]["status"] == "IN_QUEUE"


def test_a_call_may_wait_for_the_end(desk: Endpoint) -> None:
    told = desk.post("/runsync", json={"input": SMALL}, params={"wait": 5000}).json()
    assert told["status"] == "COMPLETED"
    assert told["id"].startswith("sync-")
    assert told["output"]["video"]
    job = desk.submitted(SMALL)
    told = desk.get(f"/status-sync/{job}", params={"wait": 5000}).json()
    assert told["status"] == "COMPLETED"
    assert desk.get(f"/status-sync/{job}", params={"wait": 5}).status_code == 400


def test_results_are_forgotten_after_a_while(brief: RunPodService) -> None:
    with brief.desk() as desk:
        # the result of a render would be too large
        brief.next("failed_empty_output")
        job = desk.submitted(SMALL)
        assert desk.ended(job)["status"] == "FAILED"
        time.sleep(0.9)
        assert gone(desk.get(f"/status/{job}"))
        assert gone(desk.post(f"/retry/{job}"))
        time.sleep(1.1)
        assert brief.bill[-1]["gone"] == "retention"


def test_too_large_a_result_leaves_a_completed_job_without_output(brief: RunPodService) -> None:
    with brief.desk() as desk:
        ended = desk.ended(desk.submitted(SMALL))
        assert ended["status"] == "COMPLETED"
        assert not {"output", "error"} & set(ended)


def test_the_list_of_requests_may_be_missing(brief: RunPodService) -> None:
    with brief.desk() as desk:
        assert desk.get("/requests").status_code == 404


def test_the_bill_names_every_job_without_its_bulk(service: RunPodService, desk: Endpoint) -> None:
    before = len(service.every_job)
    job = desk.submitted(SMALL | {"note": "y" * 2000}, policy={"lowPriority": True})
    desk.ended(job)
    (billed,) = service.every_job[before:]
    assert (billed["id"], billed["endpoint"], billed["samples"]) == (job, desk.name, 2)
    assert billed["input"]["note"]["size"] == 2000
    assert billed["policy"] == {
        "executionTimeout": 600_000, "ttl": 86_400_000, "lowPriority": True,
    }  # fmt: skip
    assert billed["accepted_at"] < billed["started_at"] < billed["ended_at"]
    assert Path(service.environment["RUNPOD_BASE_URL"]).name == "v2"
