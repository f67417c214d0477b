"""The Sync.so emulator as a running server, and what a test asks of it."""

from __future__ import annotations

import atexit
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[1]


class SyncService:
    """A server of its own, in a process of its own; it ends with the tests at the latest."""

    def __init__(self, data: Path, *options: str) -> None:
        self._options = ("--port", "0", "--data", str(data), *options)
        self.process, self.address = self._started()
        atexit.register(self.stop)

    def _started(self) -> tuple[subprocess.Popen[str], str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.emulators.sync_so", *self._options], cwd=ROOT,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        line = process.stdout.readline()
        address = next(word for word in line.split() if word.startswith("http://"))
        return process, address.rstrip("/")

    def stop(self) -> None:
        """End it."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)
        assert self.process.stdout is not None
        self.process.stdout.close()

    @property
    def environment(self) -> dict[str, str]:
        """What makes the product speak to it."""
        return {"SYNC_API_KEY": "a-key-for-tests", "SYNC_BASE_URL": self.address}

    @property
    def every_job(self) -> list[dict[str, Any]]:
        """All jobs that were ever accepted."""
        jobs: list[dict[str, Any]] = httpx.get(f"{self.address}/_bill").json()["jobs"]
        return jobs

    @property
    def bill(self) -> list[dict[str, Any]]:
        """The jobs that are paid, or still may become so."""
        return [job for job in self.every_job if job["status"] not in ("FAILED", "REJECTED")]

    def next(self, fault: str, count: int = 1) -> None:
        """The next so many orders have this fault."""
        answer = httpx.post(f"{self.address}/_next", json={"fault": fault, "count": count})
        answer.raise_for_status()
