"""Answers of Supabase Storage that say no, as the project's own errors."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from lipsync_core.errors import InputError, LipsyncError, RemoteRefused, RemoteUnavailable

LONGEST_WAIT_S = 300.0

_TOO_EARLY = frozenset({408, 423, 425, 429})
_NAME = re.compile(r"[A-Za-z]{1,40}")  # of an error; anything else is not repeated


def error_of(where: str, http_status: int, body: bytes, retry_after: str = "") -> LipsyncError:
    """The error an unsuccessful answer stands for; ``where`` is what was spoken to.

    Most answers are HTTP 400 with the real status inside, those of resumable uploads plain text
    with the real status outside. Nothing of the server's own words gets into the text, so nothing
    that was sent can come back in it.
    """
    told = _told(body)
    status = inner_status(http_status, body)
    code = str(told.get("code", ""))
    if not _NAME.fullmatch(code):
        code = str(status)
    if status in _TOO_EARLY or status >= 500:
        return RemoteUnavailable(f"{where} cannot do it now ({code})", _wait_s(retry_after))
    if is_no_storage(http_status, body):
        return InputError(f"no Supabase Storage answers for {where}: check SUPABASE_URL")
    if status == 404:
        return InputError(
            f"this key sees not {where}: create it, correct its name, or give a service key"
        )
    if status in (401, 403):
        return RemoteRefused(
            f"{where} refuses this key ({code}): give a service key of the same project", code
        )
    if status == 413:
        return RemoteRefused(
            f"{where} takes no file so large ({code}): raise its limit and the project's", code
        )
    if status == 415:
        return RemoteRefused(
            f"{where} takes no file of this kind ({code}): allow it in its settings", code
        )
    return RemoteRefused(
        f"{where} refuses for good ({code}): check its settings and that the key is whole", code
    )


def is_no_storage(http_status: int, body: bytes) -> bool:
    """Whether a 404 is of somebody who knows no such path, rather than of the storage."""
    is_told = isinstance(_told(body).get("statusCode"), str) or body.startswith(b"Bucket")
    return http_status == 404 and not is_told


def inner_status(http_status: int, body: bytes) -> int:
    """The real status of an answer."""
    told = str(_told(body).get("statusCode", ""))
    return int(told) if re.fullmatch(r"[1-5]\d\d", told) else http_status


def _told(body: bytes) -> Mapping[str, Any]:
    try:
        told = json.loads(body)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _wait_s(told: str) -> float | None:
    return min(LONGEST_WAIT_S, float(told)) if told.isdecimal() else None
