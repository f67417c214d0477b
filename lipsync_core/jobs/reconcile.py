"""Asking an engine what became of jobs that nobody watches any more, and calling one off. Nothing
is placed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from lipsync_core.errors import InputError, OutcomeUnknown
from lipsync_core.jobs.dispatch import (
    CANCELLED,
    another_account,
    ended_by_force,
    found,
    is_anothers,
    may_be_placed,
    recorded,
)
from lipsync_core.jobs.ledger import OPEN, Entry, JobStatus, Ledger, owner_of_this_run
from lipsync_core.jobs.remote import JobReport, Progress, RemoteGenerator
from lipsync_core.jobs.watch import LOST


async def reconcile(
    engine: RemoteGenerator, ledger: Ledger, is_wanted: Callable[[Entry], bool] = lambda _: True
) -> list[Entry]:
    """Bring the open entries of an engine up to date, but for those another run works on.

    An intent whose job the engine does not have stays an intent: the run it belongs to, started
    again, will place it. One of which the engine does not tell stays unknown. A job that the engine
    does not know any more is lost. What went to another account is not touched, only told so.

    Raises:
        RemoteRefused: the account is not to be spoken to.
        RemoteUnavailable: the engine does not answer.
    """
    owner = owner_of_this_run()
    mine = [
        claimed
        for entry in ledger.entries(OPEN)
        if entry.engine == engine.name and is_wanted(entry)
        and (claimed := ledger.claim(entry.key, owner))
    ]  # fmt: skip
    anothers: set[str] = set()
    watched: dict[str, Entry] = {}
    try:
        for entry in mine:
            if await is_anothers(engine, entry):
                anothers.add(entry.key)
            elif entry.job_id:
                watched[entry.job_id] = entry
            elif may_be_placed(engine, entry):
                try:
                    job_id = await found(engine, ledger, entry)
                except OutcomeUnknown as error:
                    ledger.record(entry.key, JobStatus.UNKNOWN, code="", error=str(error))
                    continue
                if job_id is not None:
                    ledger.record(
                        entry.key, JobStatus.SUBMITTED, job_id=job_id, code="", error="",
                        placed_s=time.time(),
                    )  # fmt: skip
                    watched[job_id] = ledger.get(entry.key) or entry
        reports = await engine.look(list(watched))
        for job_id, entry in watched.items():
            report = reports.get(job_id) or await _lost(engine, job_id, entry)
            if report is not None:
                recorded(ledger, entry.key, _truly(report, entry))
    finally:
        ledger.release(owner)
    return [
        replace(now, error=another_account(engine, now)) if now.key in anothers else now
        for entry in mine
        if (now := ledger.get(entry.key)) is not None
    ]


async def _lost(engine: RemoteGenerator, job_id: str, entry: Entry) -> JobReport | None:
    """The end of a job that its engine does not know and will not know again, if that is so. It is
    called off first, since it may yet be billed."""
    age_s = time.time() - (entry.placed_s or entry.updated_s)
    if not engine.forgets or age_s < engine.grace_s:
        return None
    report = await ended_by_force(engine, job_id) if engine.can_cancel else None
    return report or JobReport(
        job_id, Progress.FAILED, code=LOST,
        error=f"{engine.name} does not know job {job_id} any more: {engine.forgets}",
    )  # fmt: skip


def _truly(report: JobReport, entry: Entry) -> JobReport:
    """A report without a cost where that would be told by the price of other options than those
    the job was ordered with."""
    return report if entry.options else replace(report, cost_usd=None)


async def called_off(engine: RemoteGenerator, ledger: Ledger, entry: Entry) -> tuple[Entry, str]:
    """Call the job of an entry off; the entry as it then stands, and why nothing was called off,
    or nothing.

    A run that watches the job hears of its end by itself, and writes it down.

    Raises:
        InputError: the engine cannot call jobs off.
        RemoteRefused: the account is not to be spoken to.
        RemoteUnavailable: the engine does not answer.
    """
    if not engine.can_cancel:
        raise InputError(f"{engine.name} cannot call a job off: it goes on to its end")
    if entry.status not in OPEN:
        return entry, f"it has ended already: {entry.status}"
    if not entry.job_id:
        return entry, "its id is not known: reconcile first"
    if await is_anothers(engine, entry):
        return entry, another_account(engine, entry)
    report = await ended_by_force(engine, entry.job_id)
    if report is None:
        return entry, f"{engine.name} does not know the job: reconcile tells whether it is lost"
    is_off = report.progress is Progress.FAILED and report.code == CANCELLED
    if is_off:
        report = replace(report, error="it was called off by hand")
    owner = owner_of_this_run()
    if ledger.claim(entry.key, owner) is not None:
        recorded(ledger, entry.key, _truly(report, entry))
        ledger.release(owner)
    now = ledger.get(entry.key) or entry
    if is_off:
        return now, ""
    if report.progress is Progress.WAITING:
        return now, f"{engine.name} did not confirm it, the job may go on: try again"
    return now, f"it has ended already: {now.status}"
