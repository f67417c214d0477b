"""Run a command and say what it took, by the operating system's own accounting."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Taken:
    """Wall and processor seconds, the peak memory of its largest process, what it printed."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    output: str


def run(*command: str, log: Path) -> Taken:
    """Run to the end.

    Raises:
        RuntimeError: the command failed; the text holds the end of its error output.
    """
    started = time.monotonic()
    with log.open("w+") as out, log.with_suffix(".err").open("w+") as err:
        child = subprocess.Popen(command, stdout=out, stderr=err)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - started
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if child.returncode not in (0, 1):
            raise RuntimeError(f"{' '.join(command)}: {err.read()[-500:]}")
        return Taken(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, out.read())


def bulk(video: Path, audio: Path, out: Path) -> Taken:
    """The main job as a person runs it."""
    return run(
        sys.executable, "-m", "flows.bulk", "--video", str(video), "--audio", str(audio),
        "--out", str(out), "--json", log=out.with_suffix(".log"),
    )  # fmt: skip
