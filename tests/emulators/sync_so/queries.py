"""What requests say: query parameters and JSON bodies, read strictly."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.datastructures import QueryParams

from tests.emulators.sync_so.refusals import INVALID, Refused


def parsed(raw: bytes) -> Any:
    """A JSON body.

    Raises:
        Refused: 400, it is none.
    """
    try:
        return json.loads(raw)
    except ValueError as error:
        raise Refused(400, INVALID, "The body is not valid JSON") from error


def several(query: QueryParams, name: str) -> list[str]:
    """A parameter that may be repeated, hold commas, or both."""
    return [value for given in query.getlist(name) for value in given.split(",") if value]


def whole(query: Mapping[str, str], name: str, least: int, most: int) -> int | None:
    """A parameter that is a whole number; ``None`` where it is not given.

    Raises:
        Refused: 400, it is none, or out of range.
    """
    given = query.get(name)
    if given is None:
        return None
    if not given.isdecimal() or not least <= int(given) <= most:
        message = f"{name} must be an integer from {least} to {most}"
        raise Refused(400, INVALID, message, field=name)
    return int(given)
