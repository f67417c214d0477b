"""What RunPod answers, in every shape that was seen of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lipsync_core.services.runpod.answers import RunPodJob, input_of, requests_in, said


@pytest.mark.parametrize(
    ("status", "has_ended"),
    [("IN_QUEUE", False), ("IN_PROGRESS", False), ("RUNNING", False), ("DREAMING", False),
     ("COMPLETED", True), ("FAILED", True), ("CANCELLED", True), ("TIMED_OUT", True)],
)  # fmt: skip
def test_only_a_known_end_is_an_end(status: str, has_ended: bool) -> None:
    assert RunPodJob.of({"id": "j", "status": status}).has_ended is has_ended


@pytest.mark.parametrize(
    "body",
    [{"status": 404, "title": "Not Found", "detail": "job not found"}, {}, {"id": "j"},
     {"status": "IN_QUEUE"}, {"id": 7, "status": "IN_QUEUE"}],
)  # fmt: skip
def test_what_speaks_of_no_job_is_none(body: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no job"):
        RunPodJob.of(body)


def test_a_job_that_was_asked_for_need_not_be_named() -> None:
    assert RunPodJob.of({"status": "COMPLETED", "executionTime": 1500}, "j").execution_ms == 1500


def test_a_worker_that_broke_down_is_told_without_its_traceback() -> None:
    error = json.dumps({
        "error_type": "<class 'ValueError'>", "error_message": "no film at https://a/b?sign=ed",
        "error_traceback": "Traceback …", "hostname": "h", "worker_id": "w",
    })  # fmt: skip
    assert said(error) == "ValueError: no film at https://a/b"
    assert said("비디오를 찾을 수 없습니다.") == "비디오를 찾을 수 없습니다."
    assert said("{ not JSON") == "{ not JSON"
    assert said(None) == ""


def test_an_output_is_shown_to_nobody() -> None:
    assert "secret" not in repr(RunPodJob.of({"id": "j", "status": "X", "output": "secret"}))


REQUEST = {"id": "j", "input": {"lipsync_key": "k"}}


@pytest.mark.parametrize(
    "answer",
    [[REQUEST], {"requests": [REQUEST]}, {"total": 1, "data": {"items": [REQUEST]}}],
)
def test_a_list_of_requests_is_found_in_any_wrapping(answer: Any) -> None:
    assert requests_in(answer) == [REQUEST]


@pytest.mark.parametrize(
    ("answer", "found"),
    [({"requests": []}, []), ({"total": 0}, None), ("nothing", None), ([1], None)],
)
def test_where_there_is_no_list_none_is_told(answer: Any, found: Any) -> None:
    assert requests_in(answer) == found


@pytest.mark.parametrize(
    "request_",
    [REQUEST, {"id": "j", "input": '{"lipsync_key": "k"}'},
     {"id": "j", "request": {"input": {"lipsync_key": "k"}}},
     {"id": "j", "body": '{"input": {"lipsync_key": "k"}}'}],
)  # fmt: skip
def test_an_input_is_found_in_any_wrapping(request_: dict[str, Any]) -> None:
    assert input_of(request_) == {"lipsync_key": "k"}


@pytest.mark.parametrize("request_", [{"id": "j"}, {"id": "j", "input": None}, {"input": "words"}])
def test_an_input_that_is_not_told_is_none(request_: dict[str, Any]) -> None:
    assert input_of(request_) is None


DEEP = "[" * 100_000


def test_what_is_nested_without_end_is_no_error_and_no_input() -> None:
    assert said("{" + '"a":{' * 100_000).startswith("{")
    assert said([[["deep"]]]) == ""
    assert input_of({"id": "j", "input": DEEP}) is None
