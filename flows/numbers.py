"""Numbers as people list them: ``3,5-8``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from lipsync_core.errors import InputError
from lipsync_core.jobs.manifest import Pair

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


def chosen(only: str | None, pairs: Sequence[Pair], manifest: Path) -> list[Pair]:
    """Those pairs of a manifest that a list of numbers names, counted from 1; without it all.

    Raises:
        InputError: it names none, or one that is not there.
    """
    wanted = numbers_in(only or f"1-{len(pairs)}")
    if not wanted:
        raise InputError(f"--only {only} names no pair: write 3,5-8")
    for number in wanted:
        if not 1 <= number <= len(pairs):
            raise InputError(f"there is no pair {number} in {manifest}: {len(pairs)} are")
    return [pairs[number - 1] for number in wanted]
