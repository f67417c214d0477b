"""Answers that say no, as the project's own errors: what to wait out, what never to try again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import httpx

from lipsync_core.errors import (
    KeyTaken,
    LanesFull,
    LipsyncError,
    OutcomeUnknown,
    RemoteRefused,
    TooFast,
)
from lipsync_core.errors import RemoteUnavailable as Unavailable
from lipsync_core.services.sync_so.answers import said_in, text_of

LONGEST_WAIT_S = 300.0
_KEY = "IDEMPOTENCY_"


def error_of(answer: httpx.Response, doing: str) -> LipsyncError:
    """The error an unsuccessful answer stands for. ``doing`` completes "Sync.so: … ".

    Nothing of the request, which holds the key, gets into the text.
    """
    told = _told(answer)
    code, status = text_of(told, "errorCode", "error_code", "code"), answer.status_code
    said = said_in(told, "message", "error") or answer.reason_phrase or "no reason given"
    advice = said_in(told, "suggestion")
    text = f"Sync.so, {doing}: {said}"
    text += f" ({code or status})" + (f"; {advice}" if advice else "")
    if status == 401:
        return RemoteRefused("Sync.so does not know this key: check SYNC_API_KEY", code or "401")
    if code.startswith(_KEY):
        return _about_the_key(status, code, told, text)
    if status == 429:
        wait = retry_after_s(answer, told)
        if code == "concurrency_limit_reached":
            return LanesFull(text, wait, _number(told, "concurrencyLimit"))
        return TooFast(text, wait)
    if status in (408, 425) or status >= 500:
        return Unavailable(text, retry_after_s(answer, told))
    return RemoteRefused(text, code or str(status))


def _about_the_key(status: int, code: str, told: Mapping[str, Any], text: str) -> LipsyncError:
    if status in (409, 422):
        return KeyTaken(text, code)
    if status >= 500 or status == 425:
        job = told.get("generationId")
        return OutcomeUnknown(text, job if isinstance(job, str) and job else None)
    return RemoteRefused(text, code)


def retry_after_s(answer: httpx.Response, told: Mapping[str, Any]) -> float | None:
    """How long the service asks to wait, by header or body; bounded, since it may be wrong."""
    for given in (answer.headers.get("Retry-After"), told.get("retryAfterSeconds")):
        try:
            return min(LONGEST_WAIT_S, max(0.0, float(given)))  # type: ignore[arg-type]
        except (TypeError, ValueError):
            continue  # a date, or nothing
    return None


def _told(answer: httpx.Response) -> Mapping[str, Any]:
    try:
        told = answer.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        return {}
    return told if isinstance(told, dict) else {}


def _number(told: Mapping[str, Any], name: str) -> int | None:
    value = told.get(name)
    return value if isinstance(value, int) and value > 0 else None
