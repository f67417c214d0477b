"""Jobs: their rows in the database, and their inputs and outputs as files."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

from tests.emulators.runpod.faults import Fault

IN_QUEUE, IN_PROGRESS = "IN_QUEUE", "IN_PROGRESS"
COMPLETED, FAILED, CANCELLED, TIMED_OUT = "COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT"
TERMINAL = frozenset({COMPLETED, FAILED, CANCELLED, TIMED_OUT})

_BULKY = 1024  # characters of a string that is shortened in lists


@dataclass(frozen=True)
class Job:
    """One accepted job; every field is a column. Moments are Unix times in seconds.

    ``input`` is what was given, its bulky strings shortened; ``input`` and ``policy`` are JSON.
    ``queued_at`` and ``started_at`` are those of the latest run, ``runs`` counts them all and
    ``billed_ms`` adds up how long they took; ``retries`` are the service's own, ``reruns`` those
    that were asked for. ``gone`` says why the job is deleted, ``None`` while it is not.
    """

    id: str
    endpoint: str
    number: int
    is_sync: int
    input: str
    policy: str
    webhook: str | None
    fault: str | None
    samples: int
    accepted_at: float
    queued_at: float
    expires_at: float
    status: str = IN_QUEUE
    worker: str | None = None
    started_at: float | None = None
    ended_at: float | None = None
    runs: int = 0
    billed_ms: int = 0
    retries: int = 0
    reruns: int = 0
    error: str | None = None
    has_output: int = 0
    progress: str | None = None
    looks: int = 0
    gone: str | None = None
    webhook_tries: int = 0
    webhook_done: int = 0

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in TERMINAL or self.gone is not None

    @property
    def active_fault(self) -> Fault | None:
        """What goes wrong with it; a retry that was asked for goes well."""
        return Fault(self.fault) if self.fault and not self.reruns else None

    def execution_ms(self, now: float) -> int:
        """How long its latest run took, or has taken so far."""
        if self.started_at is None:
            return 0
        return max(0, round(((self.ended_at or now) - self.started_at) * 1000))

    def times_out_at(self, scale: float) -> float:
        """When its run, if there is one, has taken too long."""
        limit_ms = json.loads(self.policy)["executionTimeout"]
        return (self.started_at or float("inf")) + limit_ms / 1000 * scale

    def is_visible(self, now: float, *, retention_s: float, unseen_s: float) -> bool:
        """Whether the service finds it under its id."""
        fault = self.active_fault
        if self.gone or (fault is Fault.UNSEEN_AT_FIRST and now < self.accepted_at + unseen_s):
            return False
        if fault is Fault.LOST_RESULT and self.status == COMPLETED:
            return False
        # results of /runsync are kept a minute where those of /run are kept thirty
        kept_s = retention_s / 30 if self.is_sync else retention_s
        return self.ended_at is None or now < self.ended_at + kept_s

    def bill_line(self, now: float) -> dict[str, Any]:
        """The job as the bill lists it."""
        shown = ("id", "endpoint", "number", "status", "gone", "fault", "accepted_at", "queued_at",
                 "started_at", "ended_at", "worker", "runs", "retries", "reruns", "error",
                 "webhook_tries")  # fmt: skip
        line = {name: getattr(self, name) for name in shown}
        running = self.execution_ms(now) if self.status == IN_PROGRESS and not self.gone else 0
        return line | {
            "input": json.loads(self.input),
            "policy": json.loads(self.policy),
            "execution_ms": self.billed_ms + running,
            "samples": self.samples if self.runs else 0,
        }


_COLUMNS = ", ".join(field.name for field in fields(Job))
_MARKS = ", ".join("?" for _ in fields(Job))


@dataclass(frozen=True)
class Jobs:
    """The rows of all jobs, and the folders where their inputs and outputs lie."""

    database: sqlite3.Connection
    folder: Path

    def add(self, job: Job, job_input: dict[str, Any]) -> None:
        """Accept a job; it is on disk when this returns."""
        self.input_file(job.id).parent.mkdir(parents=True, exist_ok=True)
        self.input_file(job.id).write_bytes(compact(job_input))
        self.database.execute(f"INSERT INTO jobs ({_COLUMNS}) VALUES ({_MARKS})", astuple(job))

    def change(self, job_id: str, **columns: Any) -> None:
        """Set columns of one job."""
        names = ", ".join(f"{name} = ?" for name in columns)
        self.database.execute(f"UPDATE jobs SET {names} WHERE id = ?", (*columns.values(), job_id))

    def get(self, job_id: str) -> Job | None:
        """One job, whatever became of it."""
        found = self.where("id = ?", job_id)
        return found[0] if found else None

    def under_way(self) -> list[Job]:
        """All jobs that wait or run, in the order in which they came."""
        return self.where(
            f"status IN ('{IN_QUEUE}', '{IN_PROGRESS}') AND gone IS NULL ORDER BY number"
        )

    def where(self, condition: str, *values: Any) -> list[Job]:
        """The jobs that a condition of SQL holds for."""
        rows = self.database.execute(f"SELECT {_COLUMNS} FROM jobs WHERE {condition}", values)
        return [Job(*row) for row in rows]

    def input_file(self, job_id: str) -> Path:
        """Where the whole input lies, as JSON."""
        return self.folder / "inputs" / f"{job_id}.json"

    def output_file(self, job_id: str) -> Path:
        """Where the output lies, as JSON, if there is one."""
        return self.folder / "outputs" / f"{job_id}.json"

    def keep_output(self, job_id: str, output: bytes) -> None:
        """Put an output where it belongs; it appears there only when whole."""
        out = self.output_file(job_id)
        out.parent.mkdir(parents=True, exist_ok=True)
        part = out.with_name(f"{out.name}.part")
        part.write_bytes(output)
        part.replace(out)

    def forget_files(self, job_id: str) -> None:
        """Delete what lies beside the row."""
        self.input_file(job_id).unlink(missing_ok=True)
        self.output_file(job_id).unlink(missing_ok=True)


def compact(value: Any) -> bytes:
    """JSON without spaces."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def shortened(value: Any) -> Any:
    """The same JSON value; bulky strings are replaced by ``{"sha256", "size"}``."""
    if isinstance(value, dict):
        return {key: shortened(each) for key, each in value.items()}
    if isinstance(value, list):
        return [shortened(each) for each in value]
    if isinstance(value, str) and len(value) > _BULKY:
        return {"sha256": hashlib.sha256(value.encode()).hexdigest(), "size": len(value)}
    return value
