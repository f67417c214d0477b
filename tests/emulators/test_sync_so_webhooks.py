"""The calls by which the emulator tells that a job has ended."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from typing import TYPE_CHECKING

from tests.emulators.sync_so.faults import Fault

if TYPE_CHECKING:
    from tests.emulators.conftest import Client, Place


def test_a_webhook_is_signed_over_its_raw_body(client: Client, place: Place) -> None:
    job = client.created(place.body(webhookUrl=place.url("hook")))
    header, body = place.call()
    secret = client.get("/v2/organizations/webhook/secret").json()["secret"]
    assert secret.startswith("whsec_")
    moment, signature = (part.split("=", 1)[1] for part in header.split(","))
    expected = hmac.new(secret.encode(), moment.encode() + b"." + body, hashlib.sha256)
    assert hmac.compare_digest(signature, expected.hexdigest())
    assert abs(int(moment) - time.time()) < 30
    told = json.loads(body)
    assert (told["id"], told["status"], told["outputDuration"]) == (job, "COMPLETED", 1.0)
    assert json.dumps(told, separators=(",", ":")).encode() == body
    assert "outputFileName" not in told


def test_a_failure_is_told_with_the_older_spelling_of_its_code(
    client: Client, place: Place
) -> None:
    client.next_has(Fault.FAILED_TRANSIENT)
    client.created(place.body(webhookUrl=place.url("hook")))
    told = json.loads(place.call()[1])
    assert (told["status"], told["error_code"]) == (
        "FAILED",
        "generation_infra_resource_exhausted",
    )


def test_a_webhook_may_come_twice_late_or_never(client: Client, place: Place) -> None:
    jobs = []
    for fault in (Fault.WEBHOOK_DUPLICATE, Fault.WEBHOOK_LATE, Fault.WEBHOOK_MISSING):
        client.next_has(fault)
        jobs.append(client.created(place.body(webhookUrl=place.url("hook"))))
    first, second = place.call()[1], place.call()[1]
    assert first == second
    for job in jobs:
        client.ended(job)
    assert place.stays_silent(2)
    told = [json.loads(body)["id"] for body in (first, place.call()[1])]
    assert told == jobs[:2]
    assert place.stays_silent(0.5)
