"""Asking an engine what became of jobs that nobody watches any more. Nothing is placed."""

from __future__ import annotations

from lipsync_core.jobs.dispatch import found, recorded
from lipsync_core.jobs.ledger import OPEN, Entry, JobStatus, Ledger, owner_of_this_run
from lipsync_core.jobs.remote import RemoteGenerator


async def reconcile(engine: RemoteGenerator, ledger: Ledger) -> list[Entry]:
    """Bring the open entries of an engine up to date, but for those another run works on.

    An intent whose job the engine does not have stays an intent: the run it belongs to, started
    again, will place it.

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
            if entry.job_id:
                continue
            job_id = await found(engine, ledger, entry)
            if job_id is not None:
                ledger.record(entry.key, JobStatus.SUBMITTED, job_id=job_id, error="")
                keys[job_id] = entry.key
        for job_id, report in (await engine.look(list(keys))).items():
            recorded(ledger, keys[job_id], report)
    finally:
        ledger.release(owner)
    return [now for entry in mine if (now := ledger.get(entry.key)) is not None]
