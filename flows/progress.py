"""What a person sees while a run goes on: a live view on a terminal, plain lines elsewhere.

There is one view a process, since there is one terminal. Everything goes to stderr.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from flows.progress_artifact import ProgressArtifact
from tasks.steps import frames_done

PLAIN_EVERY_S = 20.0


class RunProgress:
    """The stages of the film in work and how far each is."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._bars: Progress | None = None
        self._bar: TaskID | None = None
        self._film, self._stage = "", ""
        self._artifact: ProgressArtifact | None = None
        self._started: dict[str, float] = {}
        self._text, self._done, self._of, self._unit = "", 0, 1, ""
        self._told_at = 0.0

    @contextmanager
    def film(self, name: str) -> Iterator[None]:
        """Everything inside belongs to one film."""
        self._film, self._started, self._bar = name, {}, None
        self._artifact = ProgressArtifact(name)
        if self._console.is_terminal:
            self._bars = Progress(
                TextColumn("{task.description:<36}", markup=False), BarColumn(bar_width=32),
                TextColumn("{task.fields[count]}"), TimeElapsedColumn(),
                console=self._console, transient=True,
            )  # fmt: skip
            self._bars.start()
        try:
            yield
            self._artifact.finish("finished")
        finally:
            self._artifact = None
            frames_done.listener = None
            if self._bars is not None:
                self._bars.stop()
            self._bars = None

    def stage(self, key: str, text: str, of: int = 1, unit: str = "") -> None:
        """A stage of the film begins; ``of`` is how many steps it has, ``unit`` what they are."""
        self._finish_bar()
        self._started[key] = self._told_at = time.monotonic()
        self._text, self._done, self._of, self._unit = f"{self._film}: {text}", 0, of, unit
        self._stage = key
        frames_done.listener = self._set if unit == "frames" else None
        if self._artifact is not None:
            self._artifact.stage(key, text)
        if self._bars is not None:
            self._bar = self._bars.add_task(self._text, total=of, count=self._count())
        else:
            self.say(self._text)

    def advance(self) -> None:
        """One step of the stage is done."""
        self._set(self._done + 1)

    def say(self, line: str) -> None:
        """A line that stays."""
        self._console.print(line, markup=False, soft_wrap=True)

    def seconds(self) -> dict[str, float]:
        """How long each stage of the film took so far."""
        marks = [*self._started.items(), ("", time.monotonic())]
        return {key: round(after - start, 2) for (key, start), (_, after) in pairwise(marks)}

    def _set(self, done: int) -> None:
        self._done = min(done, self._of)
        if self._artifact is not None:
            self._artifact.advance(self._stage, self._done / self._of)
        if self._bars is not None and self._bar is not None:
            self._bars.update(self._bar, completed=self._done, count=self._count())
        elif done < self._of and time.monotonic() - self._told_at > PLAIN_EVERY_S:
            self._told_at = time.monotonic()
            self.say(f"{self._text}: {self._count()}")

    def _count(self) -> str:
        return f"{self._done}/{self._of} {self._unit}" if self._unit else ""

    def _finish_bar(self) -> None:
        if self._bars is not None and self._bar is not None:
            self._set(self._of)


progress = RunProgress()
