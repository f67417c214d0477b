"""Batches of the emulator: many jobs in one file of lines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx
import pytest

from lipsync_core.media.probe import probe

if TYPE_CHECKING:
    from tests.emulators.conftest import Batch, Client, Fetched, Place, Until


def test_a_batch_runs_beside_the_lanes_and_tells_what_came_of_each_line(
    client: Client, place: Place, fetched: Fetched, anyone: httpx.Client, batch: Batch,
    until: Until,
) -> None:  # fmt: skip
    asked = place.lines()
    asked[7]["payload"] = place.body(video="gone.mp4")
    hook = {"webhook_url": place.url("hook")}
    answer = client.post("/v2/batch", files=batch(asked), data=hook)
    made = answer.json()
    assert (answer.status_code, made["status"], made["outputUrl"]) == (201, "PENDING", "")
    again = client.post("/v2/batch", files=batch(asked))
    assert (again.status_code, "Batch concurrency limit" in again.json()["message"]) == (429, True)
    assert client.create(place.body()).status_code == 201

    found = until(
        lambda: client.get(f"/v2/batch/{made['id']}").json(),
        lambda batch: batch["status"] == "COMPLETED",
    )
    assert found["metrics"] == {
        "total_generations": 20,
        "success_count": 19,
        "failed_count": 1,
        "pending_count": 0,
    }
    told = client.get(found["outputUrl"])
    assert told.status_code == 302
    results = anyone.get(told.headers["location"]).text.splitlines()
    by_name = {line["requestId"]: line for line in map(json.loads, results)}
    assert by_name["r7"]["errorCode"] == "generation_input_video_inaccessible"
    assert probe(fetched(by_name["r3"]["outputUrl"])).frames == place.frames
    assert [each["id"] for each in client.get("/v2/batch").json()] == [made["id"]]
    assert client.get("/v2/batch", params={"status": "FAILED"}).json() == []
    _, called = place.call()
    assert json.loads(called)["id"] == made["id"]


def test_a_batch_can_be_tried_without_running_it(
    client: Client, place: Place, batch: Batch
) -> None:
    answer = client.post("/v2/batch", files=batch(place.lines()), data={"dry_run": "true"})
    assert answer.json() == {"status": "VALIDATED"}
    assert client.get("/v2/generations").json() == []


@pytest.mark.parametrize("number", [19, 501])
def test_a_batch_of_too_few_or_too_many_lines_is_refused(
    client: Client, place: Place, batch: Batch, number: int
) -> None:
    answer = client.post("/v2/batch", files=batch(place.lines(number)))
    assert (answer.status_code, str(number) in answer.json()["message"]) == (400, True)


def test_a_batch_that_is_too_large_is_refused(client: Client, place: Place, batch: Batch) -> None:
    padded = [{**line, "note": "x" * 260_000} for line in place.lines()]
    assert client.post("/v2/batch", files=batch(padded)).status_code == 413


def test_every_wrong_line_of_a_batch_is_named(client: Client, place: Place, batch: Batch) -> None:
    asked = place.lines()
    asked[1] = asked[1] | {"request_id": "r0"}
    asked[2] = asked[2] | {"endpoint": "/v2/tts"}
    asked[3] = asked[3] | {"payload": {}}
    asked[4] = "no object"
    told = client.post("/v2/batch", files=batch(asked)).json()["message"]
    assert [line.split(":")[0] for line in told] == ["line 2", "line 3", "line 4", "line 5"]
