"""What Sync.so answers, in both eras of its contract: jobs, and reasons to say no."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from lipsync_core.errors import (
    KeyTaken,
    LanesFull,
    OutcomeUnknown,
    RemoteRefused,
    RemoteUnavailable,
    TooFast,
)
from lipsync_core.generators.sync_so import report_of
from lipsync_core.jobs.remote import Progress
from lipsync_core.services.sync_so.answers import Generation, may_go_better
from lipsync_core.services.sync_so.refusals import error_of


def job(**fields: Any) -> Generation:
    return Generation.of({"id": "j1", "status": "COMPLETED"} | fields)


def test_a_job_is_read_in_either_era() -> None:
    new = job(
        createdAt="2026-08-25T10:00:00Z", errorCode="a", outputFileName="k", outputUrl="https://x"
    )
    assert (new.error_code, new.output_file_name, new.output_url) == ("a", "k", "https://x")
    assert new.created_at == datetime(2026, 8, 25, 10, tzinfo=UTC)
    assert job(error_code="b", outputUrl="").error_code == "b"
    assert job(segmentOutputUrl="https://y").output_url == "https://y"
    assert job(createdAt="yesterday").created_at is None


@pytest.mark.parametrize("answer", [{}, {"id": 5}, {"id": ""}])
def test_an_answer_without_a_job_is_none(answer: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="without a job id"):
        Generation.of(answer)


@pytest.mark.parametrize(
    ("fields", "progress", "again"),
    [
        ({"status": "PENDING"}, Progress.WAITING, False),
        ({"status": "PROCESSING"}, Progress.WAITING, False),
        ({"status": "COMPLETED"}, Progress.COMPLETED, False),
        ({"status": "REJECTED"}, Progress.REFUSED, False),
        ({"status": "FAILED"}, Progress.FAILED, True),
        ({"status": "FAILED", "errorCode": "internal_error"}, Progress.FAILED, True),
        ({"status": "FAILED", "error_code": "never_seen_before"}, Progress.FAILED, True),
        ({"status": "FAILED", "errorCode": "generation_input_trim"}, Progress.FAILED, False),
        ({"status": "CANCELED"}, Progress.FAILED, False),
        ({"status": ""}, Progress.FAILED, False),
    ],
)
def test_a_state_says_whether_to_wait_and_whether_to_try_again(
    fields: dict[str, Any], progress: Progress, again: bool
) -> None:
    report = report_of(job(**fields))
    assert (report.progress, report.again) == (progress, again)


@pytest.mark.parametrize("code", ["account_payment_required", "asset_not_found", "plan_feature"])
def test_what_money_or_another_file_would_cure_is_not_tried_again(code: str) -> None:
    assert not may_go_better(code)


def refusal(status: int, body: Any = None, **headers: str) -> Exception:
    answer = httpx.Response(status, json=body, headers=headers)
    return error_of(answer, "placing a job")


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"errorCode": "generation_unsupported_model"}, RemoteRefused),
        (401, {"message": "Unauthorized", "statusCode": 401}, RemoteRefused),
        (402, {"errorCode": "free_tier_generations_exhausted"}, RemoteRefused),
        (409, {"errorCode": "IDEMPOTENCY_KEY_CONFLICT"}, KeyTaken),
        (400, {"errorCode": "INVALID_IDEMPOTENCY_KEY"}, RemoteRefused),
        (413, None, RemoteRefused),
        (422, {"errorCode": "generation_input_video_inaccessible"}, RemoteRefused),
        (429, {"errorCode": "concurrency_limit_reached", "concurrencyLimit": 3}, LanesFull),
        (429, {"errorCode": "rate_limit_exceeded"}, TooFast),
        (429, None, TooFast),
        (500, {"errorCode": "internal_error"}, RemoteUnavailable),
        (503, {"errorCode": "IDEMPOTENCY_OUTCOME_UNKNOWN", "generationId": "j9"}, OutcomeUnknown),
    ],
)
def test_every_no_is_its_own_kind_of_error(status: int, body: Any, kind: type[Exception]) -> None:
    assert type(refusal(status, body)) is kind


def test_a_full_account_tells_how_many_it_may_and_how_long_to_wait() -> None:
    error = refusal(
        429,
        {"errorCode": "concurrency_limit_reached", "concurrencyLimit": 3, "retryAfterSeconds": 7},
    )
    assert isinstance(error, LanesFull)
    assert (error.limit, error.retry_after_s) == (3, 7)


@pytest.mark.parametrize(
    ("header", "seconds"), [("2", 2), ("0.5", 0.5), ("-3", 0), ("9999", 300), ("Fri, 1 Jan", None)]
)
def test_a_wait_is_believed_within_reason(header: str, seconds: float | None) -> None:
    error = refusal(429, {"errorCode": "rate_limit_exceeded"}, **{"Retry-After": header})
    assert isinstance(error, TooFast)
    assert error.retry_after_s == seconds


def test_the_reason_is_one_line_with_the_advice_of_the_service() -> None:
    error = refusal(422, {
        "message": ["The provided\nvideo URL", "is inaccessible."], "suggestion": "Make it public.",
        "errorCode": "generation_input_video_inaccessible",
    })  # fmt: skip
    assert str(error) == (
        "Sync.so, placing a job: The provided video URL; is inaccessible. "
        "(generation_input_video_inaccessible); Make it public."
    )
    assert "\n" not in str(refusal(500, {"message": "a\nb" * 999}))
    assert str(refusal(502)) == "Sync.so, placing a job: Bad Gateway (502)"


def test_a_wrong_key_says_where_to_look() -> None:
    assert "check SYNC_API_KEY" in str(refusal(401, {"message": "Unauthorized"}))


def test_an_address_in_what_the_service_says_loses_its_signature() -> None:
    answer = {
        "id": "j",
        "status": "FAILED",
        "error": "no https://b.s3/x.mp4?X-Amz-Signature=abc (403)",
    }
    assert Generation.of(answer).error == "no https://b.s3/x.mp4 (403)"
    only = Generation.of({"id": "j", "status": "FAILED", "error": "https://b.s3/x.mp4?sig=abc"})
    assert only.error == "https://b.s3/x.mp4"
