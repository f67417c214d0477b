"""Answers that say no, as the project's own errors: what to wait out, what never to try again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from lipsync_core.errors import LipsyncError, RemoteRefused, RemoteUnavailable, TooFast
from lipsync_core.services.runpod.answers import said

LONGEST_WAIT_S = 300.0
TOO_LARGE = "too_large"
SMALLER = "hand the files over with --upload s3://bucket/folder, or plan shorter segments"
_TOO_LARGE_WORDS = "exceeded max body size"


def error_of(answer: httpx.Response, doing: str) -> LipsyncError:
    """The error an unsuccessful answer stands for. ``doing`` completes "RunPod, …: ".

    Nothing of the request, which holds the key, gets into the text, and nothing of a page of
    HTML, which the network before the service may send.
    """
    status = answer.status_code
    told = _told(answer)
    words = said(told.get("detail") or told.get("error") or told.get("message"))
    if status == 413 or _TOO_LARGE_WORDS in words:  # also seen under the status 502
        return RemoteRefused(f"RunPod, {doing}: the request is too large; {SMALLER}", TOO_LARGE)
    if status in (401, 403):
        return RemoteRefused(
            f"RunPod does not let this key in ({status}): check RUNPOD_API_KEY, and that it may "
            "use the endpoint RUNPOD_ENDPOINT_ID",
            str(status),
        )
    text = f"RunPod, {doing}: {words or answer.reason_phrase or 'no reason given'} ({status})"
    if status == 429:
        return TooFast(text, retry_after_s(answer))
    if status in (408, 425) or status >= 500:
        return RemoteUnavailable(text, retry_after_s(answer))
    if status == 404:
        text += "; check RUNPOD_ENDPOINT_ID and RUNPOD_BASE_URL"
    elif status < 400:
        text += "; check RUNPOD_BASE_URL, the service leads elsewhere"
    return RemoteRefused(text, str(status))


def retry_after_s(answer: httpx.Response) -> float | None:
    """How long the service asks to wait; bounded, since it may be wrong."""
    told = answer.headers.get("Retry-After", "")
    try:
        return min(LONGEST_WAIT_S, max(0.0, float(told)))
    except ValueError:
        return None  # a date, or nothing


def _told(answer: httpx.Response) -> Mapping[str, Any]:
    try:
        told = answer.json()
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}
