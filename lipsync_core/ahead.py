"""Work done a little ahead by a thread of its own, so that two stages of a job overlap."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable
from contextlib import closing, nullcontext
from queue import Empty, Full, Queue
from typing import Any, TypeVar

T = TypeVar("T")
_END = object()
_LOOKS_S = 0.1  # how often a thread that waits looks whether anybody still wants its work


def ahead(items: Iterable[T], depth: int) -> Generator[T, None, None]:
    """The same items, made by a thread that is at most ``depth`` of them ahead.

    An error of theirs is raised where the item would have come. Whoever stops early ends the
    thread: it closes ``items`` and has ended when this iterator is closed.
    """
    made: Queue[object] = Queue(depth)
    unwanted = threading.Event()
    troubles: list[BaseException] = []

    def put(item: object) -> bool:
        while not unwanted.is_set():
            try:
                made.put(item, timeout=_LOOKS_S)
                return True
            except Full:
                continue
        return False

    def work() -> None:
        try:
            with _closing(items):
                for item in items:
                    if not put(item):
                        break
        except BaseException as error:
            troubles.append(error)
        finally:
            put(_END)

    thread = threading.Thread(target=work, name="ahead", daemon=True)
    thread.start()
    try:
        while (item := made.get()) is not _END:
            yield item  # type: ignore[misc]
        if troubles:
            raise troubles[0]
    finally:
        unwanted.set()
        while thread.is_alive():
            try:
                made.get(timeout=_LOOKS_S)
            except Empty:
                continue
        thread.join()


def _closing(items: Any) -> Any:
    return closing(items) if hasattr(items, "close") else nullcontext()
