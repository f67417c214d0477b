"""Which path leads where, who may go there, and the three paths that only an emulator has."""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.emulators.runpod import attachment, operations, submission
from tests.emulators.runpod.emulator import Emulator
from tests.emulators.runpod.faults import Fault
from tests.emulators.runpod.refusals import Refused
from tests.emulators.runpod.settings import Settings

Handler = Callable[[Emulator, Request], Awaitable[Response]]

_PATHS: tuple[tuple[str, str, Handler], ...] = (
    ("POST", "run", submission.run),
    ("POST", "runsync", submission.runsync),
    ("GET", "status/{id}", operations.status),
    ("GET", "status-sync/{id}", operations.status_sync),
    ("GET", "stream/{id}", operations.stream),
    ("POST", "cancel/{id}", operations.cancel),
    ("POST", "retry/{id}", operations.retry),
    ("GET", "health", operations.health),
    ("POST", "purge-queue", operations.purge),
    ("GET", "requests", operations.requests),
    ("GET", "job-take/{worker}", attachment.take),
    ("GET", "job-take-batch/{worker}", attachment.take_batch),
    ("POST", "job-done/{worker}/{id}", attachment.done),
    ("POST", "job-stream/{worker}/{id}", attachment.streamed),
    ("GET", "ping/{worker}", attachment.ping),
    ("GET", "job-stop/{worker}", attachment.stop),
)


def made_app(settings: Settings) -> Starlette:
    """The application."""
    emulator = Emulator(settings)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        emulator.resume()
        yield
        await emulator.close()

    def guarded(method: str, path: str, handler: Handler) -> Route:
        async def answered(request: Request) -> Response:
            key = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
            if not key or key.startswith("bad"):
                raise Refused(401, "unauthorized")
            endpoint = request.path_params["endpoint"]
            if endpoint.startswith("no-"):
                raise Refused(404, "endpoint not found")
            emulator.limits.admit(key, endpoint, path.split("/")[0])
            return await handler(emulator, request)

        return Route(f"/v2/{{endpoint}}/{path}", answered, methods=[method])

    def open_to_all(method: str, path: str, handler: Handler) -> Route:
        async def answered(request: Request) -> Response:
            return await handler(emulator, request)

        return Route(path, answered, methods=[method])

    return Starlette(
        routes=[
            *(guarded(*each) for each in _PATHS),
            open_to_all("GET", "/_bill", _bill),
            open_to_all("GET", "/_faults", _faults),
            open_to_all("POST", "/_next", _next),
        ],
        exception_handlers={Refused: _refused, HTTPException: _unknown, Exception: _broken},
        lifespan=lifespan,
    )


async def _refused(_request: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, Refused)
    return refusal.answer()


async def _unknown(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return Refused(error.status_code, HTTPStatus(error.status_code).phrase.lower()).answer()


async def _broken(_request: Request, error: Exception) -> Response:
    traceback.print_exception(error)
    return Refused(500, "internal server error").answer()


async def _bill(emulator: Emulator, _request: Request) -> Response:
    now = time.time()
    jobs = [job.bill_line(now) for job in emulator.jobs.where("1 ORDER BY number")]
    return JSONResponse({"jobs": jobs, "samples": sum(job["samples"] for job in jobs)})


async def _faults(emulator: Emulator, _request: Request) -> Response:
    return JSONResponse(emulator.faults.struck())


async def _next(emulator: Emulator, request: Request) -> Response:
    try:
        given = json.loads(await request.body())
        fault, count = Fault(given["fault"]), int(given.get("count", 1))
        if count < 1:
            raise ValueError(count)
    except (ValueError, TypeError, KeyError) as error:
        names = ", ".join(fault.value for fault in Fault)
        raise Refused(400, f"fault must be one of {names}; count a positive number") from error
    emulator.faults.ask(fault, count)
    return JSONResponse({"fault": fault.value, "count": count})
