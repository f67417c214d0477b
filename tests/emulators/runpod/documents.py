"""The status document of a job."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import Response

from tests.emulators.runpod.jobs import IN_PROGRESS, TERMINAL, Job, Jobs, compact


def facts(job: Job, now: float) -> dict[str, Any]:
    """The document without its output."""
    told: dict[str, Any] = {"id": job.id, "status": job.status}
    if job.started_at is not None:
        told["delayTime"] = max(0, round((job.started_at - job.queued_at) * 1000))
        if job.status in TERMINAL:
            told["executionTime"] = job.execution_ms(now)
        told["workerId"] = job.worker
    if job.retries:
        told["retries"] = job.retries
    if job.error is not None:
        told["error"] = job.error
    if job.status == IN_PROGRESS and job.progress is not None:
        told["output"] = json.loads(job.progress)
    return told


def document(jobs: Jobs, job: Job, now: float) -> bytes:
    """The whole document as JSON."""
    told = compact(facts(job, now))
    if not job.has_output:
        return told
    # an output is large, and lies there as JSON already
    return told[:-1] + b',"output":' + jobs.output_file(job.id).read_bytes() + b"}"


def answered(jobs: Jobs, job: Job, now: float) -> Response:
    """The document as an answer."""
    return Response(document(jobs, job, now), media_type="application/json")
