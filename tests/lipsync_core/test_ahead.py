"""Work done ahead: the same items, in time, and no thread left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from lipsync_core.ahead import ahead


def threads() -> int:
    return sum(thread.name == "ahead" for thread in threading.enumerate())


def test_the_items_come_in_order() -> None:
    assert list(ahead(range(100), 3)) == list(range(100))
    assert list(ahead([], 3)) == []
    assert threads() == 0


def test_it_is_only_so_far_ahead() -> None:
    made: list[int] = []

    def making() -> Iterator[int]:
        for number in range(50):
            made.append(number)
            yield number

    items = ahead(making(), 2)
    next(items)
    deadline = time.monotonic() + 5
    while len(made) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    assert made == [0, 1, 2, 3]  # one taken, two waiting, one in hand
    items.close()  # type: ignore[attr-defined]
    assert threads() == 0


def test_the_next_is_made_while_the_last_is_used() -> None:
    both = threading.Barrier(2, timeout=10)

    def making() -> Iterator[int]:
        yield 0
        both.wait()
        yield 1

    items = ahead(making(), 1)
    assert next(items) == 0
    both.wait()  # would never return if the second were made only when it is asked for
    assert next(items) == 1


def test_an_error_comes_where_the_item_would_have_come() -> None:
    def making() -> Iterator[int]:
        yield 1
        raise ValueError("no second one")

    items = ahead(making(), 4)
    assert next(items) == 1
    with pytest.raises(ValueError, match="no second one"):
        next(items)
    assert threads() == 0


def test_whoever_stops_early_closes_what_is_behind() -> None:
    closed = threading.Event()

    def making() -> Iterator[int]:
        try:
            yield from range(1000)
        finally:
            closed.set()

    outer = ahead(ahead(making(), 1), 1)
    next(outer)
    outer.close()  # type: ignore[attr-defined]
    assert closed.is_set()
    assert threads() == 0
