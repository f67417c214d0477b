"""The shapes of the service's answers: a generation, and what a webhook is told of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tests.emulators.sync_so.faults import Fault
from tests.emulators.sync_so.jobs import COMPLETED, FAILED, REJECTED, Job

if TYPE_CHECKING:
    from tests.emulators.sync_so.emulator import Emulator


def moment(unix_s: float) -> str:
    """A Unix time as the service writes it: UTC with milliseconds."""
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def generation(emulator: Emulator, job: Job, now: float) -> dict[str, Any]:
    """A generation as GET tells it."""
    is_old = emulator.settings.is_old
    status = job.status(now)
    echo = json.loads(job.body)
    told: dict[str, Any] = {
        "id": job.id, "createdAt": moment(job.accepted_at), "status": status, **echo,
        "outputUrl": "" if is_old else None, "outputDuration": None, "error": None,
    }  # fmt: skip
    if status == COMPLETED:
        told["outputUrl"] = emulator.output_url(job, _expiry(emulator, job))
        told["outputDuration"] = round(job.seconds, 3)
        if "segments" in echo:
            told["segmentOutputUrl"] = told["outputUrl"]
    if status in (FAILED, REJECTED) and job.ending is not None:
        told["error"] = job.ending.error
        if job.ending.code:
            told["error_code" if is_old else "errorCode"] = job.ending.code
    if not is_old:
        told["outputFileName"] = job.output_name or None
        told["projectId"] = job.project_id
    return told


def notification(emulator: Emulator, job: Job, now: float) -> dict[str, Any]:
    """A generation as a webhook tells it: with ``error_code``, and nothing that is newer."""
    told = generation(emulator, job, now)
    for newer in ("outputFileName", "projectId", "segments"):
        told.pop(newer, None)
    if "errorCode" in told:
        told["error_code"] = told.pop("errorCode")
    return {name: value for name, value in told.items() if value is not None}


def _expiry(emulator: Emulator, job: Job) -> float:
    """Until when the address that comes with the generation is good: it is signed only once."""
    if job.fault == Fault.EXPIRED_URL:
        return job.completed_at - 1
    return job.completed_at + emulator.settings.url_seconds
