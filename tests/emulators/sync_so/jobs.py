"""Jobs: their rows on disk, and the clock by which they go from PENDING to their end."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import astuple, dataclass, fields
from functools import cached_property
from typing import Any

from tests.emulators.sync_so.faults import ENDINGS, Ending, Fault
from tests.emulators.sync_so.prices import price_usd

PENDING, PROCESSING = "PENDING", "PROCESSING"
COMPLETED, FAILED, REJECTED = "COMPLETED", "FAILED", "REJECTED"
STATUSES = (PENDING, PROCESSING, COMPLETED, FAILED, REJECTED)
ACTIVE = frozenset({PENDING, PROCESSING})

PENDING_SHARE = 0.2
"""The part of a job's time in which it only waits."""


@dataclass(frozen=True)
class Job:
    """One accepted generation; every field is a column. Moments are Unix times in seconds.

    ``render`` is ``waiting``, ``done``, ``failed``, or ``none`` for a job that comes to no output;
    ``ends_at`` is ``None`` for one that never ends. ``body`` (what is echoed) and ``inputs``
    (where the files lie) are JSON.
    """

    id: str
    owner: str
    number: int
    key: str | None
    fingerprint: str
    model: str
    body: str
    inputs: str
    output_name: str
    project_id: str | None
    webhook_url: str | None
    batch_id: str | None
    request_id: str | None
    fault: str | None
    accepted_at: float
    pending_until: float
    ends_at: float | None
    render: str = "waiting"
    rendered_at: float | None = None
    frames: int = 0
    seconds: float = 0.0
    error: str | None = None
    error_code: str | None = None
    was_truncated: int = 0
    webhook_sent: int = 0
    deleted: int = 0

    @cached_property
    def ending(self) -> Ending | None:
        """How the job is bound to end, where that is not COMPLETED."""
        if self.fault is not None and Fault(self.fault) in ENDINGS:
            return ENDINGS[Fault(self.fault)]
        if self.render == "failed":
            return Ending(FAILED, self.error or "", self.error_code)
        return None

    def status(self, now: float) -> str:
        """Where the job stands."""
        if now < self.pending_until:
            return PENDING
        if self.ending is not None and self.ending.status == REJECTED:
            return REJECTED
        if self.ends_at is None or now < self.ends_at or self.render == "waiting":
            return PROCESSING
        return self.ending.status if self.ending else COMPLETED

    def next_change(self, now: float) -> float | None:
        """When the clock changes the status next; ``None`` where only a render can."""
        moments = (self.pending_until, self.ends_at)
        return min((moment for moment in moments if moment and moment > now), default=None)

    @property
    def completed_at(self) -> float:
        """When a completed job completed."""
        return max(self.ends_at or 0.0, self.rendered_at or 0.0)

    def progress(self, now: float) -> int:
        """How much of it is done, in per cent, by the clock."""
        if self.status(now) not in ACTIVE:
            return 100
        if self.ends_at is None:
            return 50
        share = (now - self.accepted_at) / max(self.ends_at - self.accepted_at, 1e-9)
        return min(99, int(100 * share))

    def billed_usd(self, now: float) -> float:
        """What the job costs: the frames of its output, once it is complete."""
        return price_usd(self.model, self.frames) if self.status(now) == COMPLETED else 0.0

    def is_paid(self, now: float) -> bool:
        """Whether it counts as paid: accepted, and not known to have failed."""
        return self.status(now) not in (FAILED, REJECTED)


_COLUMNS = ", ".join(field.name for field in fields(Job))
_MARKS = ", ".join("?" for _ in fields(Job))


@dataclass(frozen=True)
class Jobs:
    """The rows of all jobs."""

    database: sqlite3.Connection

    def add(self, job: Job) -> None:
        """Accept a job; it is on disk when this returns."""
        self.database.execute(f"INSERT INTO jobs ({_COLUMNS}) VALUES ({_MARKS})", astuple(job))

    def change(self, job_id: str, **columns: Any) -> None:
        """Set columns of one job."""
        names = ", ".join(f"{name} = ?" for name in columns)
        self.database.execute(f"UPDATE jobs SET {names} WHERE id = ?", (*columns.values(), job_id))

    def get(self, job_id: str, owner: str | None = None) -> Job | None:
        """One job that was not deleted, and belongs to ``owner`` where that is given."""
        found = self.where("id = ? AND deleted = 0", job_id)
        return found[0] if found and owner in (None, found[0].owner) else None

    def under_key(self, owner: str, key: str) -> Job | None:
        """The job that was made with an Idempotency-Key; deleted ones count."""
        found = self.where("owner = ? AND key = ?", owner, key)
        return found[0] if found else None

    def active(self, owner: str, now: float) -> list[Job]:
        """What is under way for an API key; a batch's jobs do not count."""
        perhaps = self.where(
            "owner = ? AND batch_id IS NULL AND deleted = 0"
            " AND (ends_at IS NULL OR ends_at > ? OR render = 'waiting')",
            owner, now,
        )  # fmt: skip
        return [job for job in perhaps if job.status(now) in ACTIVE]

    def where(self, condition: str, *values: Any) -> list[Job]:
        """The jobs that a condition of SQL holds for."""
        rows = self.database.execute(f"SELECT {_COLUMNS} FROM jobs WHERE {condition}", values)
        return [Job(*row) for row in rows]

    def bill(self, now: float) -> dict[str, Any]:
        """All jobs ever accepted, and what is paid."""
        jobs = self.where("1 ORDER BY number, accepted_at")
        return {
            "paid": sum(job.is_paid(now) for job in jobs),
            "usd": round(sum(job.billed_usd(now) for job in jobs), 6),
            "jobs": [
                {
                    "id": job.id,
                    "key": job.key,
                    "status": job.status(now),
                    "billed_usd": job.billed_usd(now),
                    "output_file_name": job.output_name or None,
                    "fault": job.fault,
                    "accepted_at": job.accepted_at,
                    "ends_at": job.ends_at,
                }
                for job in jobs
            ],
        }


def compact(value: Any) -> str:
    """JSON without spaces, as the service writes it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
