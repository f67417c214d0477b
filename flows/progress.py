"""What a person sees while a run goes on: a live view on a terminal, plain lines elsewhere.

There is one view a process, since there is one terminal. Everything goes to stderr.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


class RunProgress:
    """The stages of the film in work and how far each is."""

    def __init__(self) -> None:
        self._console = Console(file=sys.stderr)
        self._bars: Progress | None = None
        self._bar = None
        self._film = ""
        self._started: dict[str, float] = {}
        self._stage = ""

    @contextmanager
    def film(self, name: str) -> Iterator[None]:
        """Everything inside belongs to one film."""
        self._film, self._started, self._stage = name, {}, ""
        live = self._console.is_terminal
        self._bars = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TimeElapsedColumn(), console=self._console, transient=True, disable=not live,
        )  # fmt: skip
        with self._bars:
            yield
        self._bars = None

    def stage(self, key: str, text: str, of: int = 1) -> None:
        """A stage of the film begins; ``of`` is how many steps it has."""
        now = time.monotonic()
        self._started[key] = now
        self._stage = key
        line = f"{self._film}: {text}" + (f" ({of} segments)" if of > 1 else "")
        if self._bars is None:
            return
        if not self._console.is_terminal:
            print(line, file=sys.stderr, flush=True)
            return
        if self._bar is not None:
            self._bars.update(self._bar, completed=self._bars.tasks[self._bar].total)
        self._bar = self._bars.add_task(line, total=of)

    def advance(self) -> None:
        """One step of the stage is done."""
        if self._bars is not None and self._bar is not None:
            self._bars.advance(self._bar)

    def seconds(self) -> dict[str, float]:
        """How long each stage of the film took so far."""
        marks = [*self._started.items(), ("", time.monotonic())]
        return {
            key: round(after - start, 2)
            for (key, start), (_, after) in zip(marks, marks[1:], strict=False)
        }


progress = RunProgress()
