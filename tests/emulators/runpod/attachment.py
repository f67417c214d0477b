"""The other side of an endpoint: what a worker of the vendor's SDK calls."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.emulators.runpod.emulator import TICK_S, Emulator
from tests.emulators.runpod.jobs import IN_PROGRESS, Job
from tests.emulators.runpod.refusals import Refused

_POLL_S = 20.0


async def take(emulator: Emulator, request: Request) -> Response:
    """GET /job-take/{worker}: the next job, or 204 after a while without one."""
    taken = await _taken(emulator, request, 1)
    return JSONResponse(taken[0]) if taken else Response(status_code=204)


async def take_batch(emulator: Emulator, request: Request) -> Response:
    """GET /job-take-batch/{worker}: the same for several jobs at once."""
    given = request.query_params.get("batch_size", "")
    taken = await _taken(emulator, request, int(given) if given.isdecimal() else 1)
    return JSONResponse(taken) if taken else Response(status_code=204)


async def done(emulator: Emulator, request: Request) -> Response:
    """POST /job-done/{worker}/{id}: a result, or how far the job is."""
    run, told = _held(emulator, request), await _told(request)
    if run is None:  # it was given up meanwhile; the worker need not know
        return JSONResponse({})
    if told.get("status") == IN_PROGRESS:
        emulator.jobs.change(run.id, progress=json.dumps(told.get("output")))
        return JSONResponse({})
    emulator.attached.held[run.endpoint, run.worker or ""].discard(run.id)
    if not emulator.lifecycle.finish(run, told):
        raise Refused(400, "bad request: body: exceeded max body size")
    return JSONResponse({})


async def streamed(emulator: Emulator, request: Request) -> Response:
    """POST /job-stream/{worker}/{id}: a part of a result."""
    run, told = _held(emulator, request), await _told(request)
    if run is not None:
        emulator.database.execute(
            "INSERT INTO chunks (job, chunk, taken) VALUES (?, ?, 0)", (run.id, json.dumps(told))
        )
    return JSONResponse({})


async def ping(emulator: Emulator, request: Request) -> Response:
    """GET /ping/{worker}: it lives, and says what it works on."""
    emulator.attached.calls(request.path_params["endpoint"], request.path_params["worker"])
    ids = request.query_params.get("job_id", "").split(",")
    emulator.attached.works_on([job_id for job_id in ids if job_id])
    return JSONResponse({})


async def stop(emulator: Emulator, request: Request) -> Response:
    """GET /job-stop/{worker}: which of its jobs a worker should stop, or 204 after a while."""
    held = emulator.attached.held[request.path_params["endpoint"], request.path_params["worker"]]
    until = time.monotonic() + _POLL_S
    while time.monotonic() < until and not await request.is_disconnected():
        jobs = [emulator.jobs.get(job_id) for job_id in held]
        given_up = [job.id for job in jobs if job and (job.gone or job.status != IN_PROGRESS)]
        if given_up:
            held.difference_update(given_up)
            return JSONResponse({"jobsToStop": given_up})
        await asyncio.sleep(TICK_S)
    return Response(status_code=204)


async def _taken(emulator: Emulator, request: Request, most: int) -> list[dict[str, Any]]:
    endpoint, worker = request.path_params["endpoint"], request.path_params["worker"]
    until = time.monotonic() + _POLL_S
    taken: list[dict[str, Any]] = []
    # a worker that has hung up must not be given a job
    while time.monotonic() < until and not await request.is_disconnected():
        emulator.attached.calls(endpoint, worker)
        while emulator.settings.are_workers_external and len(taken) < most:
            run = emulator.taken(endpoint, worker)
            if run is None:
                break
            taken.append(_order(emulator, run))
        if taken:
            break
        await asyncio.sleep(TICK_S)
    return taken


def _order(emulator: Emulator, run: Job) -> dict[str, Any]:
    job_input = json.loads(emulator.jobs.input_file(run.id).read_bytes())
    # an empty input gets lost on the way to the worker
    return {"id": run.id} | ({"input": job_input} if job_input else {})


def _held(emulator: Emulator, request: Request) -> Job | None:
    """The job of a call, where that worker still runs it."""
    job = emulator.jobs.get(request.path_params["id"])
    if job is None or job.gone or job.status != IN_PROGRESS:
        return None
    place = (request.path_params["endpoint"], request.path_params["worker"])
    return job if (job.endpoint, job.worker) == place else None


async def _told(request: Request) -> dict[str, Any]:
    try:
        told = json.loads(await request.body())
    except ValueError as error:
        raise Refused(400, "bad request: body: invalid JSON") from error
    if not isinstance(told, dict):
        raise Refused(400, "bad request: body: no object")
    return told
