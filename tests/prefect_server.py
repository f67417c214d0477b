"""A real Prefect server for tests: a process with a home, a database and a port of its own.

It is started by the first test that asks for it and stopped when Python ends.
"""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[1]
START_LIMIT_S, COMMAND_LIMIT_S = 180.0, 300.0


@dataclass(frozen=True)
class PrefectServer:
    """Where it listens, and the environment in which every command talks to it."""

    address: str
    environment: dict[str, str]

    @property
    def api(self) -> str:
        """The address of the API."""
        return f"{self.address}/api"

    def prefect(self, *arguments: str, cwd: Path = ROOT, **environment: str) -> str:
        """What ``prefect ARGUMENTS`` says; it must succeed."""
        ran = subprocess.run(
            [sys.executable, "-m", "prefect", *arguments],
            cwd=cwd, env=self.environment | environment, timeout=COMMAND_LIMIT_S,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stdout
        return ran.stdout

    def get(self, path: str) -> Any:
        """What the API answers."""
        return httpx.get(f"{self.api}/{path}").raise_for_status().json()

    def post(self, path: str, **body: Any) -> httpx.Response:
        """The API's response, whatever its status."""
        return httpx.post(f"{self.api}/{path}", json=body)


@cache
def running_server() -> PrefectServer:
    """The server, started once."""
    import flows  # noqa: F401  puts the project's settings of Prefect into the environment

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    home = tempfile.mkdtemp(prefix="prefect-server-")
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    address = f"http://127.0.0.1:{port}"
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("LIPSYNC_")}
    server = PrefectServer(
        address,
        inherited
        | {"PREFECT_HOME": home, "PREFECT_API_URL": f"{address}/api", "PYTHONPATH": str(ROOT)},
    )
    log = Path(home) / "server.log"
    place = ["--host", "127.0.0.1", "--port", str(port)]
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "prefect", "server", "start", *place],
            cwd=home, env=server.environment, stdout=file, stderr=file,
        )  # fmt: skip
    atexit.register(_stop, process)
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if server.get("health"):
                return server
        except httpx.HTTPError:
            time.sleep(0.2)
    raise RuntimeError(f"the Prefect server did not start:\n{log.read_text()[-2000:]}")


@cache
def deployed_bulk() -> dict[str, Any]:
    """The deployment ``bulk/bulk`` as the server knows it after ``prefect deploy --all``."""
    server = running_server()
    for pool in ("lipsync", "lipsync-gpu"):
        server.prefect("work-pool", "create", pool, "--type", "process")
    server.prefect("--no-prompt", "deploy", "--all")
    found: dict[str, Any] = server.get("deployments/name/bulk/bulk")
    return found


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
