"""Which path leads where, who may go there, and the four paths that only an emulator has."""

from __future__ import annotations

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

from tests.emulators.sync_so import assets, batches, bucket, costing, creation, generations
from tests.emulators.sync_so.emulator import Emulator
from tests.emulators.sync_so.faults import Fault
from tests.emulators.sync_so.ids import new_id, owner_of
from tests.emulators.sync_so.queries import parsed
from tests.emulators.sync_so.refusals import CATALOGUE, INVALID, Refused, unauthorized
from tests.emulators.sync_so.settings import Settings
from tests.emulators.sync_so.state import counted

Handler = Callable[[Emulator, Request], Awaitable[Response]]

_ALWAYS: tuple[tuple[str, str, Handler], ...] = (
    ("POST", "/v2/generate", creation.create),
    ("GET", "/v2/generate/{id}", generations.read),
    ("GET", "/v2/generations", generations.listed),
    ("POST", "/v2/analyze/cost", costing.cost),
    ("GET", "/v2/models", costing.models),
    ("POST", "/v2/assets/upload", assets.presign),
    ("POST", "/v2/assets", assets.register),
    ("GET", "/v2/assets", assets.listed),
    ("GET", "/v2/assets/{id}", assets.read),
    ("POST", "/v2/batch", batches.create),
    ("GET", "/v2/batch", batches.listed),
    ("GET", "/v2/batch/{id}", batches.read),
    ("GET", "/v2/batch/{id}/output", batches.result),
)
_NEWER: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/v2/generations/count", generations.count),
    ("GET", "/v2/generations/{id}", generations.read),
    ("DELETE", "/v2/generations/{id}", generations.delete),
    ("GET", "/v2/generations/{id}/download", generations.download),
    ("GET", "/v2/generate/{id}/costs", costing.costs),
    ("POST", "/v2/generations/estimate", costing.estimate),
    ("POST", "/v2/generate/estimate-cost", costing.estimate),
    ("POST", "/v2/assets/batch", assets.read_several),
    ("PATCH", "/v2/assets/{id}", assets.change),
    ("PUT", "/v2/assets/{id}", assets.change),
    ("DELETE", "/v2/assets/{id}", assets.delete),
    ("GET", "/v2/assets/{id}/download", assets.download),
)


def made_app(settings: Settings, address: str) -> Starlette:
    """The application that listens at ``address``."""
    emulator = Emulator(settings, address)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        emulator.resume()
        batches.resume(emulator)
        yield
        await emulator.close()

    def route(method: str, path: str, handler: Handler, *, is_open: bool = False) -> Route:
        async def answered(request: Request) -> Response:
            if is_open:
                return await handler(emulator, request)
            api_key = request.headers.get("x-api-key", "")
            if not api_key or api_key.startswith("bad"):
                return JSONResponse(unauthorized(has_key=bool(api_key)), 401)
            request.state.owner = owner_of(api_key)
            return await handler(emulator, request)

        return Route(path, answered, methods=[method])

    async def refused(_request: Request, refusal: Exception) -> Response:
        assert isinstance(refusal, Refused)
        return JSONResponse(refusal.envelope(is_old=settings.is_old), refusal.status)

    async def unknown(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        message = f"Cannot {request.method} {request.url.path}"
        phrase = HTTPStatus(error.status_code).phrase
        body = {"message": message, "error": phrase, "statusCode": error.status_code}
        return JSONResponse(body, error.status_code)

    async def broken(_request: Request, error: Exception) -> Response:
        traceback.print_exception(error)
        refusal = Refused(500, "internal_error", requestId=new_id())
        return JSONResponse(refusal.envelope(is_old=settings.is_old), 500)

    guarded = _ALWAYS if settings.is_old else _NEWER + _ALWAYS
    return Starlette(
        routes=[
            *(route(*each) for each in guarded),
            route("GET", "/v2/organizations/webhook/secret", _webhook_secret),
            route("GET", "/v2/errors", _errors, is_open=True),
            route("GET", "/_output/{id}.jsonl", bucket.batch_output, is_open=True),
            route("GET", "/_output/{id}/{name}", bucket.output, is_open=True),
            route("GET", "/_storage/{id}/{name}", bucket.stored, is_open=True),
            route("PUT", "/_storage/{id}/{name}", bucket.store, is_open=True),
            route("GET", "/_bill", _bill, is_open=True),
            route("GET", "/_faults", _faults, is_open=True),
            route("POST", "/_next", _next, is_open=True),
        ],
        exception_handlers={Refused: refused, HTTPException: unknown, Exception: broken},
        lifespan=lifespan,
    )


async def _webhook_secret(emulator: Emulator, _request: Request) -> Response:
    return JSONResponse({"secret": emulator.webhook_secret})


async def _errors(_emulator: Emulator, _request: Request) -> Response:
    return JSONResponse(
        [
            {"code": code, "message": message, "suggestion": suggestion}
            for code, (message, suggestion) in CATALOGUE.items()
            if code.islower()
        ]
    )


async def _bill(emulator: Emulator, _request: Request) -> Response:
    """What was paid; ``leaked_keys`` counts API keys that were sent to the bucket."""
    leaked = counted(emulator.database, "leaked_keys", by=0)
    return JSONResponse(emulator.jobs.bill(time.time()) | {"leaked_keys": leaked})


async def _faults(emulator: Emulator, _request: Request) -> Response:
    return JSONResponse(emulator.faults.struck())


async def _next(emulator: Emulator, request: Request) -> Response:
    given = parsed(await request.body())
    name, times = given.get("fault"), given.get("count", 1)
    if name not in set(Fault) or not isinstance(times, int) or times < 1:
        message = f"fault must be one of {', '.join(Fault)} and count a positive number"
        raise Refused(400, INVALID, message)
    emulator.faults.ask(Fault(name), times)
    return JSONResponse({"fault": name, "count": times})
