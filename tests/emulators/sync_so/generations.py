"""The paths of single generations: read, list, count, download, delete."""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from tests.emulators.sync_so.emulator import Emulator
from tests.emulators.sync_so.jobs import ACTIVE, COMPLETED, STATUSES, Job
from tests.emulators.sync_so.queries import several, whole
from tests.emulators.sync_so.refusals import INVALID, Refused
from tests.emulators.sync_so.shapes import generation

_WAIT_S = (1, 5, 10)  # least, default and most
_MOST_LISTED = 100


async def read(emulator: Emulator, request: Request) -> Response:
    """GET /v2/generate/{id} and its alias, held open on request."""
    job = owned(emulator, request)
    query = {} if emulator.settings.is_old else request.query_params
    include = query.get("include")
    if include not in (None, "progress"):
        raise Refused(400, INVALID, "include must be progress", field="include")
    headers = {}
    if (wait := query.get("wait", "false")) not in ("true", "false"):
        raise Refused(400, INVALID, "wait must be true or false", field="wait")
    if wait == "true":
        if include:
            raise Refused(400, INVALID, "include and wait exclude each other", field="include")
        least, default, most = _WAIT_S
        patience = whole(query, "timeout", least, most) or default
        headers = {
            "Retry-After": "2",
            "X-Sync-Wait-Mode": "long_poll",
            "X-Sync-Wait-Timeout-Seconds": str(patience),
        }
        settled = await emulator.settled(job.id, until=time.time() + patience)
        if settled is None:
            raise Refused(404, "generation_not_found")
        job = settled
    now = time.time()
    body = generation(emulator, job, now)
    if include:
        body["progress_percent"] = job.progress(now)
    return JSONResponse(body, headers=headers)


async def listed(emulator: Emulator, request: Request) -> Response:
    """GET /v2/generations: a bare array, newest first with ``limit`` and unordered without."""
    query, now = request.query_params, time.time()
    limit = whole(query, "limit", 1, _MOST_LISTED)
    cursor = query.get("cursor")
    if cursor and not limit:
        raise Refused(400, INVALID, "cursor needs limit", field="cursor")
    jobs = _chosen(emulator, request, now)
    if limit:
        jobs.sort(key=lambda job: (job.accepted_at, job.id), reverse=True)
        if cursor:
            places = [place for place, job in enumerate(jobs) if job.id == cursor]
            jobs = jobs[places[0] + 1 :] if places else []
        jobs = jobs[:limit]
    return JSONResponse([generation(emulator, job, now) for job in jobs])


async def count(emulator: Emulator, request: Request) -> Response:
    """GET /v2/generations/count."""
    return JSONResponse({"count": len(_chosen(emulator, request, time.time()))})


def _chosen(emulator: Emulator, request: Request, now: float) -> list[Job]:
    """What the filters leave, in the order of the ids, which is none."""
    query = request.query_params
    statuses = several(query, "status")
    if unknown := set(statuses) - set(STATUSES):
        raise Refused(400, INVALID, f"unknown status {min(unknown)}", field="status")
    condition, values = "owner = ? AND deleted = 0", [request.state.owner]
    ids = [] if emulator.settings.is_old else several(query, "ids")
    if ids:
        condition += f" AND id IN ({', '.join('?' * len(ids))})"
        values += ids
    if project := query.get("projectId"):
        condition += " AND project_id = ?"
        values.append(project)
    jobs = emulator.jobs.where(f"{condition} ORDER BY id", *values)
    return [job for job in jobs if not statuses or job.status(now) in statuses]


async def download(emulator: Emulator, request: Request) -> Response:
    """GET /v2/generations/{id}/download: a fresh address, as plain text."""
    job, now = owned(emulator, request), time.time()
    if job.status(now) != COMPLETED:
        raise Refused(409, "generation_conflict", "The generation is not completed")
    return PlainTextResponse(emulator.output_url(job, now + emulator.settings.url_seconds))


async def delete(emulator: Emulator, request: Request) -> Response:
    """DELETE /v2/generations/{id}: only of what has ended; the bill remembers it."""
    job, now = owned(emulator, request), time.time()
    if job.status(now) in ACTIVE:
        raise Refused(409, "generation_not_deletable_while_processing")
    body = generation(emulator, job, now)
    emulator.jobs.change(job.id, deleted=1)
    emulator.output(job.id).unlink(missing_ok=True)
    return JSONResponse(body)


def owned(emulator: Emulator, request: Request) -> Job:
    """The generation a request names.

    Raises:
        Refused: 404, the API key has none of that id.
    """
    job = emulator.jobs.get(request.path_params["id"], request.state.owner)
    if job is None:
        raise Refused(404, "generation_not_found")
    return job
