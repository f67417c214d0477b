"""The emulator as a running server, and what a test asks of it."""

from __future__ import annotations

import atexit
import itertools
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from tests.emulators.supabase_storage import tokens

ROOT = Path(__file__).parents[3]
SERVICE_KEY = tokens.key_of("service_role")

_numbers = itertools.count(1)


class StorageService:
    """A server of its own, in a process of its own; it ends with the tests at the latest."""

    def __init__(self, data: Path, *options: str) -> None:
        self._options = ("--data", str(data), *options)
        self._prefix = "/storage/v1" if "--gateway" in options else ""
        self._start("0")
        atexit.register(self.stop)

    def _start(self, port: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.emulators.supabase_storage", "--port", port,
             *self._options],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        address = next(word for word in line.split() if word.startswith("http://"))
        self.address = address.rstrip("/")
        self.base = self.address + self._prefix

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it."""
        if self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(20)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def start_again(self) -> None:
        """After its end, with all it knew, where it was."""
        self._start(self.address.rpartition(":")[2])

    def ask(self, method: str, path: str, **call: Any) -> httpx.Response:
        """An answer to the service key."""
        headers = {"authorization": f"Bearer {SERVICE_KEY}", **call.pop("headers", {})}
        return httpx.request(
            method, self.base + path, headers=headers, timeout=30, trust_env=False, **call
        )

    def new_bucket(self, **facts: Any) -> str:
        """A bucket of a test's own."""
        name = f"films-{next(_numbers)}"
        self.ask("POST", "/bucket", json={"id": name, "name": name, **facts}).raise_for_status()
        return name

    def next(self, fault: str, method: str, count: int = 1) -> None:
        """The next so many calls with this method have this fault."""
        told = {"fault": fault, "method": method, "count": count}
        httpx.post(f"{self.address}/_next", json=told, trust_env=False).raise_for_status()

    def forget_faults(self) -> None:
        """Nothing goes wrong from now on."""
        httpx.delete(f"{self.address}/_next", trust_env=False).raise_for_status()

    @property
    def calls(self) -> list[dict[str, Any]]:
        """Every call that came."""
        found: list[dict[str, Any]] = httpx.get(f"{self.address}/_calls", trust_env=False).json()
        return found
