"""The ledger of paid jobs: what was ordered, what it cost, what is not yet known.

    python -m flows.jobs list [--status unknown] --store OUT/.lipsync
    python -m flows.jobs show KEY                 the beginning of a key is enough
    python -m flows.jobs reconcile                ask the engine about jobs nobody watches
    python -m flows.jobs cancel KEY               call a job off, where its engine can

Nothing is ever ordered from here.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field

from blocks.credentials import secrets_for
from flows.command import run_command
from flows.engine import Engine
from lipsync_core.errors import InputError
from lipsync_core.jobs.ledger import OPEN, Entry, JobStatus, Ledger
from lipsync_core.jobs.reconcile import called_off, reconcile
from lipsync_core.jobs.remote import RemoteGenerator
from tasks.values import ledger_of

_TO_LOOK_AT = frozenset({JobStatus.UNKNOWN, JobStatus.FAILED, JobStatus.REFUSED})


class JobsRequest(BaseModel):
    """What to do with the ledger of a run."""

    action: Literal["list", "show", "reconcile", "cancel"] = Field(description="what to do")
    key: str | None = Field(None, description="the beginning of a job's key, for show and cancel")
    store: Path = Field(
        Path("out/.lipsync"), description="the store folder of the run, which holds its ledger"
    )
    status: JobStatus | None = Field(None, description="list only jobs that stand so")
    generator: str = Field("sync", description="engine to ask, for reconcile")


class Job(BaseModel):
    """An entry of the ledger for people; moments are UTC."""

    key: str
    label: str
    engine: str
    status: JobStatus
    attempt: int
    job_id: str
    usd: float
    intended: str
    code: str = ""
    error: str = ""
    body: dict[str, object] | None = None

    @classmethod
    def of(cls, entry: Entry, whole: bool = False) -> Job:
        """The job of an entry; ``whole`` with the request as it was sent."""
        return cls(
            key=entry.key, label=entry.label, engine=entry.engine, status=entry.status,
            attempt=entry.attempt, job_id=entry.job_id,
            usd=entry.quoted_usd if entry.cost_usd is None else entry.cost_usd,
            intended=f"{datetime.fromtimestamp(entry.intended_s, UTC):%Y-%m-%d %H:%M:%S}",
            code=entry.code, error=entry.error, body=dict(entry.body) if whole else None,
        )  # fmt: skip


class JobsResult(BaseModel):
    """The jobs that were asked for; ``spent_usd`` is what all jobs of the ledger may have cost.

    Where one was to be called off, ``called_off`` tells whether it was, and ``note`` why not.
    """

    jobs: list[Job]
    spent_usd: float
    called_off: bool | None = None
    note: str = ""

    @property
    def exit_code(self) -> int:
        """1 where a person should look at one of them, or nothing was called off that should be,
        else 0."""
        if self.called_off is not None:
            return int(not self.called_off)
        return int(any(job.status in _TO_LOOK_AT for job in self.jobs))

    def as_text(self) -> str:
        """A line for every job, and the sum."""
        lines = [self.note] if self.note else []
        for job in self.jobs:
            lines.append(
                f"{job.key[:12]}  {job.status:<9}  ${job.usd:.3f}  {job.intended}  {job.label}"
                + (f"  (attempt {job.attempt})" if job.attempt > 1 else "")
            )
            if job.error:
                lines.append(f"{'':14}{job.error}")
            if job.body is not None:
                lines.append(json.dumps(job.body, indent=2))
        lines.append(f"{len(self.jobs)} jobs; the whole ledger: ${self.spent_usd:.2f}")
        return "\n".join(lines)


def jobs(request: JobsRequest) -> JobsResult:
    """List, show or reconcile the jobs of a ledger, or call one of them off."""
    _check(request)
    with ledger_of(str(request.store)) as ledger:
        if request.action == "reconcile":
            found = asyncio.run(_reconciled(ledger, request.generator))
        elif request.action == "cancel":
            return _cancelled(ledger, request.key or "")
        elif request.action == "show":
            found = _the_one(ledger, request.key or "")
        else:
            found = ledger.entries([request.status] if request.status else ())
        whole = request.action == "show"
        return JobsResult(
            jobs=[Job.of(entry, whole) for entry in found], spent_usd=ledger.spent_usd()
        )


def _cancelled(ledger: Ledger, beginning: str) -> JobsResult:
    found, why = _with_key(ledger, beginning), f"no job has a key that begins with {beginning}"
    if len(found) > 1:
        raise InputError(f"{len(found)} jobs have a key that begins with {beginning}")
    if found:
        entry, why = asyncio.run(_called_off(ledger, found[0]))
        found = [entry]
    return JobsResult(
        jobs=[Job.of(entry) for entry in found], spent_usd=ledger.spent_usd(),
        called_off=not why, note=f"nothing was called off: {why}" if why else "",
    )  # fmt: skip


def _check(request: JobsRequest) -> None:
    if request.action in ("show", "cancel") and not request.key:
        raise InputError("which job? name the beginning of its key")
    if not os.environ.get("LIPSYNC_LEDGER_URL") and not request.store.is_dir():
        raise InputError(f"no store folder {request.store}: name the one of the run with --store")


def _with_key(ledger: Ledger, beginning: str) -> list[Entry]:
    return [entry for entry in ledger.entries() if entry.key.startswith(beginning)]


def _the_one(ledger: Ledger, beginning: str) -> list[Entry]:
    found = _with_key(ledger, beginning)
    if len(found) != 1:
        raise InputError(f"{len(found)} jobs have a key that begins with {beginning}")
    return found


async def _reconciled(ledger: Ledger, generator: str) -> list[Entry]:
    """Jobs that were ordered with other options may have another price, so each kind is asked for
    in its own way."""
    entries = [entry for entry in ledger.entries(OPEN) if entry.engine == generator]
    kinds: dict[str, Mapping[str, Any]] = {_kind(entry): entry.options for entry in entries}
    found: list[Entry] = []
    for kind, options in (kinds or {"{}": {}}).items():
        async with _account(generator, options) as remote:
            found += await reconcile(remote, ledger, lambda one, kind=kind: _kind(one) == kind)  # type: ignore[misc]
    return found


def _kind(entry: Entry) -> str:
    return json.dumps(entry.options, sort_keys=True)


async def _called_off(ledger: Ledger, entry: Entry) -> tuple[Entry, str]:
    async with _account(entry.engine, entry.options) as remote:
        return await called_off(remote, ledger, entry)


@asynccontextmanager
async def _account(generator: str, options: Mapping[str, Any]) -> AsyncIterator[RemoteGenerator]:
    engine = Engine.chosen(generator, options)
    if engine.remote is None:
        raise InputError(f"{generator} works on this machine and has no jobs elsewhere")
    async with engine.remote.opened(engine.options, secrets_for(engine.remote)) as remote:
        yield remote


if __name__ == "__main__":
    run_command(jobs, JobsRequest, positional=["action", "key"])
