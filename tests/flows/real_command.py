"""The command as a person types it: a process of its own, and what came of it."""

from __future__ import annotations

import os
import pty
import resource
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from lipsync_core.report.summary import FilmSummary, RunSummary

LIMIT_S = 600.0  # a run takes seconds; a machine that is busy with other things takes its time


@dataclass(frozen=True)
class Ran:
    """What came of a command."""

    code: int
    out: str
    err: str

    @property
    def summary(self) -> RunSummary:
        """What ``--json`` printed."""
        return RunSummary.model_validate_json(self.out)

    @property
    def film(self) -> FilmSummary:
        """The only film of the run."""
        [film] = self.summary.films
        return film


@dataclass(frozen=True)
class Command:
    """``python -m flows.bulk`` as a person types it, in a folder of its own."""

    folder: Path
    environment: dict[str, str]
    largest_file: int | None = None

    def __call__(self, *arguments: str | Path, module: str = "flows.bulk") -> Ran:
        """Run to the end."""
        process = self.start(*arguments, module=module)
        out, err = process.communicate(timeout=LIMIT_S)
        return Ran(process.returncode, out, err)

    def on_terminal(self, *arguments: str | Path, module: str = "flows.bulk") -> Ran:
        """Run to the end where stderr is a terminal; what is drawn there is ``err``."""
        ours, theirs = pty.openpty()
        process = self.given(TERM="xterm").start(*arguments, module=module, stderr=theirs)
        os.close(theirs)
        drawn = bytearray()
        with suppress(OSError):  # the way Linux says that the other end is closed
            while piece := os.read(ours, 65536):
                drawn += piece
        os.close(ours)
        out, _ = process.communicate(timeout=LIMIT_S)
        return Ran(process.returncode, out, drawn.decode())

    def start(
        self, *arguments: str | Path, module: str = "flows.bulk", stderr: int = subprocess.PIPE
    ) -> subprocess.Popen[str]:
        """Start it, as the leader of a process group of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", module, *map(str, arguments)],
            cwd=self.folder,
            env=self.environment | {"COLUMNS": "100"},
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,
            preexec_fn=self._as_in_a_terminal,
        )

    def given(self, **environment: str) -> Command:
        """The same command with more in its environment."""
        return replace(self, environment=self.environment | environment)

    def without(self, name: str) -> Command:
        """The same command with one thing less in its environment."""
        return replace(self, environment={k: v for k, v in self.environment.items() if k != name})

    def with_package(self, site: Path) -> Command:
        """The same command with one more package installed."""
        return self.given(PYTHONPATH=f"{site}{os.pathsep}{self.environment['PYTHONPATH']}")

    def within(self, largest_file: int) -> Command:
        """The same command where no file may become larger than so many bytes."""
        return replace(self, largest_file=largest_file)

    def _as_in_a_terminal(self) -> None:
        """Runs in the child. Who is started in the background of a script ignores Ctrl-C."""
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if self.largest_file is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.largest_file, self.largest_file))


def children(parent: int) -> set[int]:
    """The living processes that a process started, and those that they started."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, its_parent = entry.read_text().rpartition(")")[2].split()[:2]
        except OSError:  # it ended meanwhile
            continue
        if state != "Z":
            parents[int(entry.parent.name)] = int(its_parent)
    found, new = set[int](), {parent}
    while new := {child for child, its_parent in parents.items() if its_parent in new}:
        found |= new
    return found


def all_end(processes: set[int], within_s: float = 30) -> bool:
    """Whether every one of the processes ends in time."""
    deadline = time.monotonic() + within_s
    while living := {pid for pid in processes if _lives(pid)}:
        if time.monotonic() > deadline:
            for pid in living:
                os.kill(pid, signal.SIGKILL)
            return False
        time.sleep(0.1)
    return True


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def end(process: subprocess.Popen[str]) -> None:
    """Stop a process this test started, whatever state it is in, and close its pipes."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
