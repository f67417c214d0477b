"""What RunPod answers, read with patience: fields come and go, and states may be added."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

ENDED = frozenset({"COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT"})
_WAITING = frozenset({"IN_QUEUE", "IN_PROGRESS"})
_ALSO_CALLED = {"RUNNING": "IN_PROGRESS", "CANCELED": "CANCELLED"}
_MOST_LETTERS = 300
_QUERY = re.compile(r"(https?://[^\s?#]+)[?#]\S*", re.IGNORECASE)
_LISTS_WITHIN = 3  # how deep a list of requests is looked for


@dataclass(frozen=True)
class RunPodJob:
    """One job as the service tells it. ``output`` is whatever its worker gave back, ``None`` where
    nothing came; ``execution_ms`` is how long a worker was at it, once that is known."""

    id: str
    status: str
    output: Any = field(repr=False)
    error: str
    execution_ms: float | None

    @classmethod
    def of(cls, answer: Mapping[str, Any], asked: str = "") -> RunPodJob:
        """Read the answer to a call about a job; ``asked`` is its id where that is known.

        Raises:
            ValueError: it speaks of no job, as the body of an error does, whose ``status`` is a
                number.
        """
        job_id, status = answer.get("id") or asked, answer.get("status")
        if not (isinstance(job_id, str) and job_id and isinstance(status, str) and status):
            raise ValueError("an answer that speaks of no job")
        status = _ALSO_CALLED.get(status.upper(), status.upper())
        if status not in ENDED | _WAITING:
            _wonder_at(status)
        return cls(
            id=job_id,
            status=status,
            output=answer.get("output"),
            error=said(answer.get("error")),
            execution_ms=_number(answer.get("executionTime")),
        )

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come of it. A state nobody knows is no end."""
        return self.status in ENDED


def said(error: Any) -> str:
    """What an error says, in one line of bounded length; addresses lose their queries, which may
    sign. A worker that broke down leaves a JSON text, of which kind and message count."""
    if isinstance(error, str) and error.lstrip().startswith("{"):
        with suppress(ValueError, RecursionError):
            error = json.loads(error)
    if isinstance(error, dict):
        parts = [_text(error.get(name)) for name in ("error_type", "error_message")]
        kind = re.sub(r"<class '(.*)'>", r"\1", parts[0])
        error = ": ".join(part for part in (kind, parts[1]) if part)
    return _QUERY.sub(r"\1", " ".join(_text(error).split()))[:_MOST_LETTERS]


def requests_in(answer: Any) -> list[Mapping[str, Any]] | None:
    """The requests of a list of them, in whatever wrapping: the first list of objects with an
    ``id``, or an empty one; ``None`` where there is no list."""
    empty: list[Mapping[str, Any]] | None = None
    for found in _lists(answer, _LISTS_WITHIN):
        if not found:
            empty = []
        elif all(isinstance(one, dict) and one.get("id") for one in found):
            return found
    return empty


def input_of(request: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What was handed to the worker, if the list tells it: under ``input``, which may stand in the
    request as it was sent, and may be a JSON text."""
    for place in (request, request.get("request"), request.get("body"), request.get("payload")):
        found = _read(place)
        given = _read(found.get("input")) if isinstance(found, dict) else None
        if isinstance(given, dict):
            return given
    return None


def _read(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value


def _lists(value: Any, depth: int) -> Iterator[list[Any]]:
    if isinstance(value, list):
        yield value
    elif isinstance(value, dict) and depth:
        for within in value.values():
            yield from _lists(within, depth - 1)


def _text(value: Any) -> str:
    """A text or a number as a text; what is nested, as deep as it may be, says nothing."""
    return str(value) if value and isinstance(value, str | int | float) else ""


def _number(value: Any) -> float | None:
    is_one = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
    return float(value) if is_one else None


@lru_cache(maxsize=64)
def _wonder_at(status: str) -> None:
    logging.getLogger(__name__).warning("RunPod tells of a state %s, taken as not ended", status)
