"""Numbers as people list them: ``3,5-8``."""

from __future__ import annotations

import re

from lipsync_core.errors import InputError

_SPAN = re.compile(r"([0-9]{1,6})(?:\s*-\s*([0-9]{1,6}))?")


def numbers_in(text: str) -> list[int]:
    """The numbers of a list, in its order, each once.

    Raises:
        InputError: something in it is neither a number nor a span of them.
    """
    found: dict[int, None] = {}
    for word in filter(None, map(str.strip, text.split(","))):
        span = _SPAN.fullmatch(word)
        first, last = (int(span[1]), int(span[2] or span[1])) if span else (1, 0)
        if first > last:
            raise InputError(f"{word} is no number and no span of them: write 7,12 or 3,5-8")
        found |= dict.fromkeys(range(first, last + 1))
    return list(found)
