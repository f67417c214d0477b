"""The RunPod emulator as a running server, and what a test asks of it or of one endpoint."""

from __future__ import annotations

import atexit
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[1]
_LIMIT_S = 30.0
# on loopback, where no proxy is wanted and nobody asks for the certificates that take long to load
_PLAIN: dict[str, Any] = {"trust_env": False, "verify": False, "timeout": 20}
_endpoints = (f"endpoint-{number}" for number in count())


class RunPodService:
    """A server of its own, in a process of its own; it ends with the tests at the latest."""

    endpoint = "an-endpoint"

    def __init__(self, data: Path, *options: str) -> None:
        self._options = ("--port", "0", "--data", str(data), *options)
        self.process, self.address = self._started()
        atexit.register(self.stop)

    def _started(self) -> tuple[subprocess.Popen[str], str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.emulators.runpod", *self._options], cwd=ROOT,
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

    def desk(self, endpoint: str = "") -> Endpoint:
        """A client of an endpoint, by default of one that nobody else uses."""
        return Endpoint(self.address, endpoint or next(_endpoints))

    @property
    def environment(self) -> dict[str, str]:
        """What makes the product speak to it."""
        return {
            "RUNPOD_API_KEY": "a-key-for-tests",
            "RUNPOD_ENDPOINT_ID": self.endpoint,
            "RUNPOD_BASE_URL": f"{self.address}/v2",
        }

    @property
    def every_job(self) -> list[dict[str, Any]]:
        """All jobs that were ever accepted."""
        answer = httpx.get(f"{self.address}/_bill", **_PLAIN).raise_for_status()
        jobs: list[dict[str, Any]] = answer.json()["jobs"]
        return jobs

    @property
    def bill(self) -> list[dict[str, Any]]:
        """The jobs that cost money: those that ever ran, or may yet run."""
        return [
            job
            for job in self.every_job
            if job["runs"] or (job["status"] == "IN_QUEUE" and not job["gone"])
        ]

    def next(self, fault: str, count: int = 1) -> None:
        """The next so many run calls have this fault."""
        asked = {"fault": fault, "count": count}
        httpx.post(f"{self.address}/_next", json=asked, **_PLAIN).raise_for_status()


class Endpoint(httpx.Client):
    """What a test says to one endpoint."""

    def __init__(self, address: str, name: str) -> None:
        headers = {"Authorization": "Bearer a-key-for-tests"}
        super().__init__(base_url=f"{address}/v2/{name}", headers=headers, **_PLAIN)
        self.name = name

    def submitted(self, job_input: dict[str, Any], **envelope: Any) -> str:
        """The id of a job that was accepted."""
        answer = self.post("/run", json={"input": job_input} | envelope)
        assert answer.status_code == 200, answer.text
        told = answer.json()
        assert set(told) == {"id", "status"}
        assert told["status"] == "IN_QUEUE"
        return str(told["id"])

    def status(self, job_id: str) -> dict[str, Any]:
        """The status document of a job."""
        return dict(self.get(f"/status/{job_id}").raise_for_status().json())

    def once(self, job_id: str, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The status document once ``is_so`` of it."""
        deadline = time.monotonic() + _LIMIT_S
        while not is_so(told := self.status(job_id)):
            assert time.monotonic() < deadline, f"it never came to be: {told}"
            time.sleep(0.02)
        return told

    def running(self, job_id: str) -> dict[str, Any]:
        """The status document once a worker has the job."""
        return self.once(job_id, lambda told: told["status"] == "IN_PROGRESS")

    def ended(self, job_id: str) -> dict[str, Any]:
        """The status document once the job is over."""
        return self.once(job_id, lambda told: told["status"] not in ("IN_QUEUE", "IN_PROGRESS"))
