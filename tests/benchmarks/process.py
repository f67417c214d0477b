"""Run a command and say what it took, by the operating system's own accounting."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Taken:
    """Wall and processor seconds, the peak memory of its largest process, what it printed."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    output: str


def run(*command: str, log: Path, environment: Mapping[str, str] | None = None) -> Taken:
    """Run to the end.

    Raises:
        RuntimeError: the command failed; the text holds the end of its error output.
    """
    started = time.monotonic()
    with log.open("w+") as out, log.with_suffix(".err").open("w+") as err:
        child = subprocess.Popen(
            command, stdout=out, stderr=err, env={**os.environ, **(environment or {})}
        )
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - started
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if child.returncode not in (0, 1):
            raise RuntimeError(f"{' '.join(command)}: {err.read()[-500:]}")
        return Taken(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, out.read())


@contextmanager
def emulator(*options: str) -> Iterator[str]:
    """The address of a running Sync.so emulator."""
    command = [sys.executable, "-m", "tests.emulators.sync_so", "--port", "0", *options]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        yield child.stdout.readline().split()[-1]
    finally:
        child.terminate()
        child.communicate()


def bulk(
    video: Path,
    audio: Path,
    out: Path,
    *more: str,
    environment: Mapping[str, str] | None = None,
) -> Taken:
    """The main job as a person runs it."""
    return run(
        sys.executable, "-m", "flows.bulk", "--video", str(video), "--audio", str(audio),
        "--out", str(out), "--json", *more, log=out.with_suffix(".log"), environment=environment,
    )  # fmt: skip
