"""Asking an engine what became of jobs that nobody watches any more, and calling one off. Nothing
is placed."""

from __future__ import annotations

from lipsync_core.errors import InputError, OutcomeUnknown
from lipsync_core.jobs.dispatch import found, may_be_placed, recorded
from lipsync_core.jobs.ledger import OPEN, Entry, JobStatus, Ledger, owner_of_this_run
from lipsync_core.jobs.remote import JobReport, Progress, RemoteGenerator


async def reconcile(engine: RemoteGenerator, ledger: Ledger) -> list[Entry]:
    """Bring the open entries of an engine up to date, but for those another run works on.

    An intent whose job the engine does not have stays an intent: the run it belongs to, started
    again, will place it. One of which the engine does not tell stays unknown.

    Raises:
        RemoteRefused: the account is not to be spoken to.
        RemoteUnavailable: the engine does not answer.
    """
    owner = owner_of_this_run()
    mine = [
        claimed
        for entry in ledger.entries(OPEN)
        if entry.engine == engine.name and (claimed := ledger.claim(entry.key, owner))
    ]
    keys = {entry.job_id: entry.key for entry in mine if entry.job_id}
    try:
        for entry in mine:
            if entry.job_id or not may_be_placed(engine, entry):
                continue
            try:
                job_id = await found(engine, ledger, entry)
            except OutcomeUnknown as error:
                ledger.record(entry.key, JobStatus.UNKNOWN, code="", error=str(error))
                continue
            if job_id is not None:
                ledger.record(entry.key, JobStatus.SUBMITTED, job_id=job_id, error="")
                keys[job_id] = entry.key
        for job_id, report in (await engine.look(list(keys))).items():
            recorded(ledger, keys[job_id], report)
    finally:
        ledger.release(owner)
    return [now for entry in mine if (now := ledger.get(entry.key)) is not None]


async def called_off(engine: RemoteGenerator, ledger: Ledger, entry: Entry) -> Entry:
    """Call the job of an entry off; the entry as it then stands.

    A run that watches the job hears of its end by itself, and writes it down.

    Raises:
        InputError: there is no job that could be called off.
        RemoteRefused: the account is not to be spoken to.
        RemoteUnavailable: the engine does not answer.
    """
    if not engine.can_cancel:
        raise InputError(f"{engine.name} cannot call a job off: it goes on to its end")
    if entry.status not in OPEN or not entry.job_id:
        what = "its id is not known, reconcile first" if entry.status in OPEN else entry.status
        raise InputError(f"job {entry.key[:12]} cannot be called off: {what}")
    if await engine.cancel(entry.job_id):
        report = JobReport(
            entry.job_id, Progress.FAILED, code="cancelled", error="it was called off by hand"
        )  # fmt: skip
    else:
        looked = await engine.look([entry.job_id])
        report = looked.get(entry.job_id, JobReport(entry.job_id, Progress.WAITING))
    owner = owner_of_this_run()
    if ledger.claim(entry.key, owner) is not None:
        recorded(ledger, entry.key, report)
        ledger.release(owner)
    return ledger.get(entry.key) or entry
