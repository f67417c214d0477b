"""What goes wrong at the emulator on request, and what goes wrong by chance."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from lipsync_core.media.probe import probe
from tests.emulators.sync_so.faults import Fault, FaultPlan
from tests.emulators.sync_so.state import opened

if TYPE_CHECKING:
    from tests.emulators.conftest import Client, Emulator, Fetched, Numbers, Place


def test_a_lost_answer_leaves_a_paid_job_that_its_key_finds_again(
    client: Client, place: Place
) -> None:
    client.next_has(Fault.LOST_RESPONSE)
    with pytest.raises(httpx.RemoteProtocolError):
        client.create(place.body(), "lost")
    assert client.get("/v2/generations/count").json() == {"count": 1}
    assert client.billed(client.created(place.body(), "lost"))["fault"] == "lost_response"
    assert client.get("/v2/generations/count").json() == {"count": 1}


@pytest.mark.parametrize("fault", [Fault.OUTCOME_UNKNOWN, Fault.OUTCOME_UNKNOWN_WITH_ID])
def test_an_unknown_outcome_is_a_job_that_its_key_finds_again(
    client: Client, place: Place, fault: Fault
) -> None:
    client.next_has(fault)
    answer = client.create(place.body(), "unknown")
    told = answer.json()
    assert (answer.status_code, told["errorCode"]) == (503, "IDEMPOTENCY_OUTCOME_UNKNOWN")
    job = client.created(place.body(), "unknown")
    assert told.get("generationId") == (job if fault is Fault.OUTCOME_UNKNOWN_WITH_ID else None)
    assert client.get("/v2/generations/count").json() == {"count": 1}


def test_a_server_error_accepts_nothing(client: Client, place: Place) -> None:
    client.next_has(Fault.SERVER_ERROR)
    answer = client.create(place.body(), "k")
    assert (answer.status_code, answer.json()["errorCode"]) == (500, "internal_error")
    assert answer.json()["requestId"]
    assert client.get("/v2/generations").json() == []
    assert client.create(place.body(), "k").status_code == 201


def test_a_slow_answer_is_given_up_by_an_impatient_client(client: Client, place: Place) -> None:
    client.next_has(Fault.SLOW_ACCEPT)
    with pytest.raises(httpx.ReadTimeout):
        client.post("/v2/generate", json=place.body(), timeout=1)
    assert client.get("/v2/generations/count").json() == {"count": 1}


@pytest.mark.parametrize(
    ("fault", "status", "error", "code"),
    [
        (Fault.FAILED_EMPTY, "FAILED", "", None),
        (Fault.FAILED_OPAQUE, "FAILED", "An unknown error occurred.", None),
        (
            Fault.FAILED_TRANSIENT, "FAILED", "No capacity was left for this job.",
            "generation_infra_resource_exhausted",
        ),
        (
            Fault.REJECTED, "REJECTED", "The input was refused by the content policy.",
            "generation_input_validation_failed",
        ),
    ],
)  # fmt: skip
def test_a_job_that_comes_to_nothing_is_not_paid(
    client: Client, place: Place, fault: Fault, status: str, error: str, code: str | None
) -> None:
    paid = client.get("/_bill").json()["paid"]
    client.next_has(fault)
    job = client.created(place.body())
    ended = client.ended(job)
    assert (ended["status"], ended["error"], ended.get("errorCode")) == (status, error, code)
    assert ended["outputUrl"] is None
    assert client.billed(job)["billed_usd"] == 0
    assert client.get("/_bill").json()["paid"] == paid


def test_a_stuck_job_holds_its_lane_and_counts_as_paid(
    client: Client, place: Place, emulator: Emulator
) -> None:
    paid = client.get("/_bill").json()["paid"]
    client.next_has(Fault.STUCK)
    job = client.created(place.body())
    time.sleep(2 * emulator.job_s)
    assert client.generation(job)["status"] == "PROCESSING"
    assert client.get("/_bill").json()["paid"] == paid + 1


def test_an_output_may_lack_its_last_fifth(
    client: Client, place: Place, fetched: Fetched, numbers: Numbers
) -> None:
    client.next_has(Fault.WRONG_LENGTH)
    ended = client.ended(client.created(place.body()))
    assert numbers(fetched(ended["outputUrl"])) == list(range(20))


def test_the_first_download_may_break_off_in_the_middle(
    client: Client, place: Place, fetched: Fetched, anyone: httpx.Client
) -> None:
    client.next_has(Fault.TRUNCATED_DOWNLOAD)
    url = client.ended(client.created(place.body()))["outputUrl"]
    with pytest.raises(httpx.RemoteProtocolError):
        anyone.get(url)
    assert probe(fetched(url)).frames == place.frames


def test_the_first_address_may_be_dead_already(
    client: Client, place: Place, fetched: Fetched, anyone: httpx.Client
) -> None:
    client.next_has(Fault.EXPIRED_URL)
    job = client.created(place.body())
    assert anyone.get(client.ended(job)["outputUrl"]).status_code == 403
    fresh = client.get(f"/v2/generations/{job}/download").text
    assert probe(fetched(fresh)).frames == place.frames


def test_a_no_op_is_the_source_s_picture(
    client: Client, place: Place, fetched: Fetched, numbers: Numbers
) -> None:
    client.next_has(Fault.NO_OP)
    job = client.created(place.body())
    output = fetched(client.ended(job)["outputUrl"])
    assert numbers(output) == list(range(place.frames))
    assert client.billed(job)["fault"] == "no_op"


def test_faults_are_counted_and_unknown_ones_refused(client: Client, place: Place) -> None:
    before = client.get("/_faults").json()
    assert set(before) == {fault.value for fault in Fault}
    client.next_has(Fault.REJECTED, times=2)
    for _ in range(3):
        client.created(place.body())
    assert client.get("/_faults").json() == before | {"rejected": before["rejected"] + 2}
    assert client.post("/_next", json={"fault": "earthquake"}).status_code == 400


def drawn(folder: Path, number: int, *, seed: int, is_old: bool = False) -> list[Fault | None]:
    database = opened(folder)
    plan = FaultPlan(database, rate=0.25, seed=seed, is_old=is_old)
    found = [plan.strike()[1] for _ in range(number)]
    database.close()
    return found


def test_drawn_faults_are_of_every_kind_and_come_again_with_their_seed(tmp_path: Path) -> None:
    one = drawn(tmp_path / "one", 1200, seed=5)
    parts = drawn(tmp_path / "two", 600, seed=5) + drawn(tmp_path / "two", 600, seed=5)
    assert one == parts
    assert one != drawn(tmp_path / "three", 1200, seed=6)
    kinds = Counter(one)
    assert set(kinds) == {None, *Fault}
    assert kinds[None] == pytest.approx(900, rel=0.06)


def test_the_older_api_has_no_faults_of_what_it_does_not_know(tmp_path: Path) -> None:
    kinds = set(drawn(tmp_path, 1200, seed=5, is_old=True))
    assert set(Fault) - kinds == {
        Fault.OUTCOME_UNKNOWN,
        Fault.OUTCOME_UNKNOWN_WITH_ID,
        Fault.EXPIRED_URL,
    }
