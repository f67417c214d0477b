"""What goes wrong at the emulator on request, and what goes wrong by chance."""

from __future__ import annotations

import base64
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from runpod_service import Endpoint, RunPodService

from lipsync_core.media.probe import FilmInfo, probe
from tests.emulators.runpod.faults import Fault, FaultPlan
from tests.emulators.runpod.state import opened

SMALL = {"width": 64, "height": 48, "max_frame": 10}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunPodService]:
    options = ("--fast", "--queue-s", "0.05", "--render-s", "0.1", "--unseen-s", "0.4")
    service = RunPodService(tmp_path_factory.mktemp("runpod"), *options)
    yield service
    service.stop()


@pytest.fixture
def desk(service: RunPodService) -> Iterator[Endpoint]:
    with service.desk() as desk:
        yield desk


def accepted(service: RunPodService, desk: Endpoint) -> list[str]:
    """The jobs that an endpoint accepted."""
    return [job["id"] for job in service.every_job if job["endpoint"] == desk.name]


def film(told: dict[str, dict[str, str]], folder: Path) -> FilmInfo:
    """The film of a completed job."""
    out = folder / "film.mp4"
    out.write_bytes(base64.b64decode(told["output"]["video"]))
    return probe(out)


def test_a_lost_answer_leaves_a_job_that_costs_and_is_found_in_the_list(
    service: RunPodService, desk: Endpoint
) -> None:
    service.next("lost_response")
    with pytest.raises(httpx.RemoteProtocolError):
        desk.post("/run", json={"input": SMALL | {"own_id": "lost"}})
    (listed,) = desk.get("/requests").json()["requests"]
    assert listed["input"]["own_id"] == "lost"
    assert desk.ended(listed["id"])["status"] == "COMPLETED"
    assert accepted(service, desk) == [listed["id"]]


@pytest.mark.parametrize(
    ("fault", "status"), [("server_error", 500), ("bad_gateway", 502), ("too_many", 429)]
)
def test_a_refused_call_accepts_nothing(
    service: RunPodService, desk: Endpoint, fault: str, status: int
) -> None:
    service.next(fault)
    answer = desk.post("/run", json={"input": SMALL})
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html") == (fault == "bad_gateway")
    assert not accepted(service, desk)


def test_a_slow_answer_is_given_up_by_an_impatient_client(
    service: RunPodService, desk: Endpoint
) -> None:
    service.next("slow_accept")
    with pytest.raises(httpx.ReadTimeout):
        desk.post("/run", json={"input": SMALL}, timeout=0.3)
    assert len(accepted(service, desk)) == 1


def test_a_job_may_be_unseen_at_first(service: RunPodService, desk: Endpoint) -> None:
    service.next("unseen_at_first")
    job = desk.submitted(SMALL)
    assert desk.get(f"/status/{job}").status_code == 404
    assert desk.post(f"/cancel/{job}").status_code == 404
    time.sleep(0.5)
    assert desk.ended(job)["status"] == "COMPLETED"


def test_the_first_looks_may_fail(service: RunPodService, desk: Endpoint) -> None:
    service.next("flaky_status")
    job = desk.submitted(SMALL)
    assert [desk.get(f"/status/{job}").status_code for _ in range(3)] == [502, 429, 200]


def test_a_render_that_comes_to_nothing_is_told_in_korean(
    service: RunPodService, desk: Endpoint
) -> None:
    service.next("failed_empty_output")
    ended = desk.ended(desk.submitted(SMALL))
    assert (ended["status"], ended["error"]) == ("FAILED", "비디오를 찾을 수 없습니다.")
    assert "output" not in ended


def test_what_a_worker_raises_is_told_as_json_text(service: RunPodService, desk: Endpoint) -> None:
    service.next("failed_exception")
    ended = desk.ended(desk.submitted(SMALL))
    assert ended["status"] == "FAILED"
    assert set(json.loads(ended["error"])) == {
        "error_type", "error_message", "error_traceback", "hostname", "worker_id", "runpod_version",
    }  # fmt: skip


def test_a_worker_that_dies_twice_fails_the_job(service: RunPodService, desk: Endpoint) -> None:
    service.next("crash")
    job = desk.submitted(SMALL)
    ended = desk.ended(job)
    assert (ended["status"], ended["retries"]) == ("FAILED", 1)
    assert ended["error"] == "job timed out after 1 retries"
    (billed,) = (each for each in service.bill if each["id"] == job)
    assert billed["runs"] == 2
    assert billed["execution_ms"] >= 200


def test_a_worker_that_dies_once_is_replaced(service: RunPodService, desk: Endpoint) -> None:
    service.next("crash_once")
    ended = desk.ended(desk.submitted(SMALL))
    assert (ended["status"], ended["retries"]) == ("COMPLETED", 1)
    assert ended["output"]["video"]


def test_a_completed_job_may_have_no_output(service: RunPodService, desk: Endpoint) -> None:
    service.next("oversize")
    ended = desk.ended(desk.submitted(SMALL))
    assert ended["status"] == "COMPLETED"
    assert not {"output", "error"} & set(ended)


@pytest.mark.parametrize(
    ("fault", "size", "frames"), [("wrong_size", (80, 48), 10), ("short_video", (64, 48), 8)]
)
def test_a_film_may_be_of_another_form(
    service: RunPodService, desk: Endpoint, tmp_path: Path, fault: str, size: tuple[int, int],
    frames: int,
) -> None:  # fmt: skip
    service.next(fault)
    made = film(desk.ended(desk.submitted(SMALL)), tmp_path)
    assert ((made.width, made.height), made.frames) == (size, frames)


def test_a_result_may_get_lost(service: RunPodService, desk: Endpoint) -> None:
    service.next("lost_result")
    job = desk.submitted(SMALL)
    deadline = time.monotonic() + 20
    while {each["id"]: each["status"] for each in service.bill}[job] != "COMPLETED":
        assert time.monotonic() < deadline
    assert desk.get(f"/status/{job}").status_code == 404


def test_a_stuck_job_costs_nothing_once_it_is_cancelled(
    service: RunPodService, desk: Endpoint
) -> None:
    service.next("stuck_in_queue")
    job = desk.submitted(SMALL)
    time.sleep(0.3)
    assert desk.status(job)["status"] == "IN_QUEUE"
    assert job in {each["id"] for each in service.bill}
    desk.post(f"/cancel/{job}")
    assert job not in {each["id"] for each in service.bill}


def test_faults_are_counted_and_unknown_ones_refused(
    service: RunPodService, desk: Endpoint
) -> None:
    def struck() -> dict[str, int]:
        return dict(httpx.get(f"{service.address}/_faults", trust_env=False).json())

    before = struck()
    assert set(before) == {fault.value for fault in Fault}
    service.next("oversize", 2)
    for _ in range(3):
        desk.submitted(SMALL)
    assert struck() == before | {"oversize": before["oversize"] + 2}
    for asked in ({"fault": "earthquake"}, {"fault": "crash", "count": 0}, 3):
        answer = httpx.post(f"{service.address}/_next", json=asked, trust_env=False)
        assert answer.status_code == 400


def drawn(folder: Path, number: int, *, seed: int) -> list[Fault | None]:
    database = opened(folder)
    plan = FaultPlan(database, rate=0.25, seed=seed)
    found = [plan.strike()[1] for _ in range(number)]
    database.close()
    return found


def test_drawn_faults_are_of_every_kind_and_come_again_with_their_seed(tmp_path: Path) -> None:
    one = drawn(tmp_path / "one", 1200, seed=5)
    assert one == drawn(tmp_path / "two", 600, seed=5) + drawn(tmp_path / "two", 600, seed=5)
    assert one != drawn(tmp_path / "three", 1200, seed=6)
    kinds = Counter(one)
    assert set(kinds) == {None, *Fault}
    assert kinds[None] == pytest.approx(900, rel=0.06)
