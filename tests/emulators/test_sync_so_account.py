"""What an account of the emulator has: lanes, calls, signed addresses and a bill."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import httpx
import pytest

from lipsync_core.media.probe import probe
from tests.emulators.sync_so.faults import Fault

if TYPE_CHECKING:
    from tests.emulators.conftest import Client, Emulator, Fetched, Place, Until

# --- limits


def test_more_jobs_than_lanes_are_refused_with_the_account_s_numbers(
    client: Client, place: Place, emulator: Emulator
) -> None:
    client.next_has(Fault.STUCK, times=emulator.lanes - 1)
    jobs = [client.created(place.body()) for _ in range(emulator.lanes)]
    answer = client.create(place.body())
    refusal = answer.json()
    assert answer.status_code == 429
    assert refusal["errorCode"] == "concurrency_limit_reached"
    assert refusal["activeGenerations"] == refusal["concurrencyLimit"] == emulator.lanes
    assert refusal["retryAfterSeconds"] == 1
    assert refusal["upgradeUrl"].startswith("https://")
    client.ended(jobs[-1])
    assert client.create(place.body()).status_code == 201


def test_more_calls_than_the_minute_holds_are_refused(brief: Emulator) -> None:
    with brief.client() as client:
        answers = [client.create({}) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [400, 400, 400, 429]
    assert answers[-1].json() == {
        "statusCode": 429,
        "errorCode": "rate_limit_exceeded",
        "message": "Rate limit exceeded. Please try again later.",
        "error": "Too Many Requests",
    }


# --- outputs


def test_an_address_expires_and_download_signs_a_new_one(
    brief: Emulator, place: Place, fetched: Fetched, anyone: httpx.Client, until: Until
) -> None:
    with brief.client() as client:
        job = client.created(place.body())
        url = client.ended(job)["outputUrl"]
        before = time.monotonic()
        late = until(lambda: anyone.get(url), lambda answer: answer.status_code != 200)
        assert time.monotonic() - before < 3  # addresses live in whole seconds
        assert (late.status_code, late.headers["content-type"]) == (403, "application/xml")
        assert "<Message>Request has expired</Message>" in late.text
        fresh = client.get(f"/v2/generations/{job}/download")
    assert fresh.headers["content-type"].startswith("text/plain")
    assert probe(fetched(fresh.text)).frames == place.frames


@pytest.fixture(scope="module")
def output_url(emulator: Emulator, place: Place) -> Iterator[str]:
    """The address of a finished film, for tests that only look at it."""
    with emulator.client() as client:
        yield client.ended(client.created(place.body()))["outputUrl"]


def test_a_changed_address_is_refused(output_url: str, anyone: httpx.Client) -> None:
    assert anyone.get(output_url).status_code == 200
    wrong = anyone.get(output_url.replace("Expires=", "Expires=9"))
    assert (wrong.status_code, "SignatureDoesNotMatch" in wrong.text) == (403, True)
    assert anyone.head(output_url).status_code == 403


def test_a_download_can_be_continued(output_url: str, anyone: httpx.Client) -> None:
    whole = anyone.get(output_url).content
    rest = anyone.get(output_url, headers={"Range": "bytes=100-"})
    assert (rest.status_code, rest.content) == (206, whole[100:])


def test_an_output_that_is_not_there_yet_cannot_be_downloaded(client: Client, place: Place) -> None:
    job = client.created(place.body())
    assert client.get(f"/v2/generations/{job}/download").status_code == 409


def test_an_api_key_that_reaches_the_bucket_stands_on_the_bill(
    client: Client, output_url: str, anyone: httpx.Client
) -> None:
    before = client.get("/_bill").json()["leaked_keys"]
    anyone.get(output_url)
    assert client.get("/_bill").json()["leaked_keys"] == before
    client.get(output_url)
    assert client.get("/_bill").json()["leaked_keys"] == before + 1


# --- prices


def test_frames_are_billed_at_the_price_of_their_model(client: Client, place: Place) -> None:
    job = client.created(place.body(model="lipsync-2-pro", outputFileName="shot"), "k")
    assert client.billed(job)["billed_usd"] == 0
    pending = client.get(f"/v2/generate/{job}/costs").json()
    assert (pending["availability"], pending["totalCostUsd"]) == ("pending", None)
    client.ended(job)
    billed = client.billed(job)
    assert billed.pop("accepted_at") < billed.pop("ends_at")
    assert billed == {
        "id": job,
        "key": "k",
        "status": "COMPLETED",
        "billed_usd": 0.083,
        "output_file_name": "shot",
        "fault": None,
    }
    assert client.get(f"/v2/generate/{job}/costs").json()["totalCostUsd"] == "0.083000"


def test_a_cost_is_estimated_from_a_body_as_array_or_bare_object(
    client: Client, brief: Emulator, place: Place
) -> None:
    expected = {"estimatedFrameCount": 15, "estimatedGenerationCost": 0.03}
    body = place.body(audio="short.wav")
    assert client.post("/v2/analyze/cost", json=body).json() == [expected]
    with brief.client() as other:
        assert other.post("/v2/analyze/cost", json=body).json() == expected
    assert client.get("/v2/generations/count").json() == {"count": 0}


def test_a_cost_is_estimated_from_a_length(client: Client) -> None:
    given = {"model": "lipsync-2", "duration": 2, "fps": 25}
    told = client.post("/v2/generations/estimate", json=given).json()
    assert told == {
        "estimatedFrameCount": 50,
        "estimatedGenerationCost": 0.1,
        "estimatedCredits": None,
    }
    assert client.post("/v2/generations/estimate", json=given | {"fps": 0}).status_code == 400


def test_every_model_is_listed(client: Client) -> None:
    names = {model["name"]: model["type"] for model in client.get("/v2/models").json()}
    assert names == {
        "sync-3": "lipsync",
        "lipsync-2-pro": "lipsync",
        "lipsync-2": "lipsync",
        "lipsync-1.9.0-beta": "lipsync",
        "react-1": "react",
    }
