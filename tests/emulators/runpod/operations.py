"""What can be asked of a job once it is accepted, and of the endpoint it went to."""

from __future__ import annotations

import json
import time
from collections import Counter

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.emulators.runpod.documents import answered, facts
from tests.emulators.runpod.emulator import Emulator
from tests.emulators.runpod.faults import Fault
from tests.emulators.runpod.jobs import COMPLETED, FAILED, IN_PROGRESS, IN_QUEUE, TIMED_OUT, Job
from tests.emulators.runpod.refusals import Refused, bad_gateway
from tests.emulators.runpod.submission import waited_s

_LISTED = 100


async def status(emulator: Emulator, request: Request) -> Response:
    """GET /status/{id}."""
    job = _asked_for(emulator, request)
    ttl = request.query_params.get("ttl", "")
    if ttl.isdecimal():
        lasting = int(ttl) / 1000 * emulator.settings.policy_scale
        emulator.jobs.change(job.id, expires_at=time.time() + lasting)
    emulator.jobs.change(job.id, looks=job.looks + 1)
    if job.active_fault is Fault.FLAKY_STATUS and job.looks < 2:
        if job.looks == 0:
            return bad_gateway()
        raise Refused(429, "too many requests")
    return answered(emulator.jobs, job, time.time())


async def status_sync(emulator: Emulator, request: Request) -> Response:
    """GET /status-sync/{id}: the same, once the job is over or the wait is."""
    job = _asked_for(emulator, request)
    await emulator.over(job.id, waited_s(request.query_params))
    return answered(emulator.jobs, _asked_for(emulator, request), time.time())


async def stream(emulator: Emulator, request: Request) -> Response:
    """GET /stream/{id}: what the worker streamed since the last look."""
    job = _asked_for(emulator, request)
    rows = emulator.database.execute(
        "UPDATE chunks SET taken = 1 WHERE job = ? AND taken = 0 RETURNING place, chunk", (job.id,)
    ).fetchall()
    chunks = [json.loads(row["chunk"]) for row in sorted(rows, key=lambda row: row["place"])]
    return JSONResponse({"status": job.status, "stream": chunks})


async def cancel(emulator: Emulator, request: Request) -> Response:
    """POST /cancel/{id}: give the job up, whether it waits or runs."""
    emulator.lifecycle.cancel(_asked_for(emulator, request))
    told = facts(_asked_for(emulator, request), time.time())
    wanted = ("id", "status", "delayTime", "executionTime")
    return JSONResponse({key: told[key] for key in wanted if key in told})


async def retry(emulator: Emulator, request: Request) -> Response:
    """POST /retry/{id}: queue a failed job once more."""
    job = _asked_for(emulator, request)
    if job.status not in (FAILED, TIMED_OUT):
        raise Refused(400, f"bad request: a job that is {job.status} cannot be retried")
    emulator.lifecycle.queue_again(job)
    return JSONResponse({"id": job.id, "status": IN_QUEUE})


async def purge(emulator: Emulator, request: Request) -> Response:
    """POST /purge-queue: delete what waits."""
    waiting = [
        job
        for job in emulator.jobs.under_way()
        if job.endpoint == request.path_params["endpoint"] and job.status == IN_QUEUE
    ]
    for job in waiting:
        emulator.lifecycle.drop(job, "purged")
    return JSONResponse({"removed": len(waiting), "status": "completed"})


async def health(emulator: Emulator, request: Request) -> Response:
    """GET /health: how many jobs and workers stand where."""
    endpoint = request.path_params["endpoint"]
    rows = emulator.database.execute(
        "SELECT status, retries + reruns AS again, worker FROM jobs"
        " WHERE endpoint = ? AND gone IS NULL",
        (endpoint,),
    ).fetchall()
    standing = Counter(row["status"] for row in rows)
    running = {row["worker"] for row in rows if row["status"] == IN_PROGRESS}
    total = emulator.settings.workers
    if emulator.settings.are_workers_external:
        total = len(emulator.attached.known(endpoint) | running)
    idle = max(0, total - len(running))
    return JSONResponse(
        {
            "jobs": {
                "completed": standing[COMPLETED],
                "failed": standing[FAILED] + standing[TIMED_OUT],
                "inProgress": standing[IN_PROGRESS],
                "inQueue": standing[IN_QUEUE],
                "retried": sum(row["again"] > 0 for row in rows),
            },
            "workers": {
                "idle": idle, "initializing": 0, "ready": idle, "running": len(running),
                "throttled": 0, "unhealthy": 0,
            },
        }
    )  # fmt: skip


async def requests(emulator: Emulator, request: Request) -> Response:
    """GET /requests: the jobs of an endpoint, newest first."""
    if not emulator.settings.has_requests:
        raise Refused(404, "not found")
    given = request.query_params.get("limit", "")
    listed = emulator.jobs.where(
        "endpoint = ? AND gone IS NULL ORDER BY number DESC LIMIT ?",
        request.path_params["endpoint"], int(given) if given.isdecimal() else _LISTED,
    )  # fmt: skip
    now = time.time()
    return JSONResponse(
        {
            "requests": [
                facts(job, now) | {"input": json.loads(job.input)}
                for job in listed
                if emulator.shows(job)
            ]
        }
    )


def _asked_for(emulator: Emulator, request: Request) -> Job:
    return emulator.found(request.path_params["endpoint"], request.path_params["id"])
