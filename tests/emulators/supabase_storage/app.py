"""Which path leads where, what goes wrong on the way, and the two paths only an emulator has."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from tests.emulators.supabase_storage import buckets, objects, resumable
from tests.emulators.supabase_storage.emulator import Emulator
from tests.emulators.supabase_storage.faults import Fault
from tests.emulators.supabase_storage.refusals import Refused
from tests.emulators.supabase_storage.settings import Settings

Handler = Callable[[Emulator, Request], Awaitable[Response]]

_SILENCE_S = 60.0
_PATHS: tuple[tuple[str, str, Handler], ...] = (
    ("POST", "/bucket", buckets.create),
    ("GET", "/bucket", buckets.listed),
    ("GET", "/bucket/{bucket}", buckets.read),
    ("DELETE", "/bucket/{bucket}", buckets.delete),
    ("GET", "/object/info/{bucket}/{key:path}", objects.info),
    ("GET", "/object/public/{bucket}/{key:path}", objects.public),
    ("POST", "/object/sign/{bucket}/{key:path}", objects.sign),
    ("GET", "/object/sign/{bucket}/{key:path}", objects.signed),
    ("POST", "/object/{bucket}/{key:path}", objects.put),
    ("PUT", "/object/{bucket}/{key:path}", objects.put),
    ("GET", "/object/{bucket}/{key:path}", objects.read),
    ("DELETE", "/object/{bucket}", objects.remove),
    ("POST", "/upload/resumable", resumable.create),
    ("HEAD", "/upload/resumable/{id}", resumable.look),
    ("PATCH", "/upload/resumable/{id}", resumable.append),
    ("DELETE", "/upload/resumable/{id}", resumable.end),
)


class _Lost(Response):
    """An answer that never comes: the head promises a body, and the connection ends."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        head = {"type": "http.response.start", "status": 200}
        await send({**head, "headers": [(b"content-length", b"512")]})


def made_app(settings: Settings, address: str) -> Starlette:
    """The application that listens at ``address``."""
    emulator = Emulator(settings, address)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        emulator.state.close()

    def route(method: str, path: str, handler: Handler) -> Route:
        async def answered(request: Request) -> Response:
            _note(emulator, request)
            return await _suffered(emulator, request, handler)

        return Route(settings.prefix + path, answered, methods=[method])

    async def next_fault(request: Request) -> Response:
        if request.method == "DELETE":
            emulator.state.database.execute("DELETE FROM next_faults")
            return JSONResponse({})
        given = await request.json()
        for _ in range(given.get("count", 1)):
            emulator.state.put(
                "next_faults", method=given["method"], fault=Fault(given["fault"]).value
            )
        return JSONResponse(given)

    async def calls(_request: Request) -> Response:
        return JSONResponse([dict(row) for row in emulator.state.rows("calls", "place")])

    async def unknown(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        text = f"Route {request.method}:{request.url.path} not found"
        return JSONResponse({"message": text, "error": "Not Found", "statusCode": 404}, 404)

    return Starlette(
        routes=[
            *(route(*each) for each in _PATHS),
            Route("/_next", next_fault, methods=["POST", "DELETE"]),
            Route("/_calls", calls, methods=["GET"]),
        ],
        exception_handlers={HTTPException: unknown},
        lifespan=lifespan,
    )


async def _suffered(emulator: Emulator, request: Request, handler: Handler) -> Response:
    """The answer of a call, or what the next fault makes of it."""
    fault = emulator.state.fault(request.method)
    if fault == Fault.SILENT:
        await asyncio.sleep(_SILENCE_S)
        return _Lost()
    if fault == Fault.FORGOTTEN:
        await request.body()
        return JSONResponse({"Key": "", "Id": ""})
    if fault == Fault.DROPPED:
        _halve(request)
    try:
        _raise(fault)
        if fault == Fault.OVERTAKEN:
            await handler(emulator, request)
        answer = await handler(emulator, request)
    except Refused as refusal:
        is_upload = handler.__module__ == resumable.__name__
        answer = refusal.text() if is_upload else refusal.answer()
        if refusal.status == 429:
            answer.status_code = 429
            answer.headers["Retry-After"] = "7"
    except Exception as error:
        if fault != Fault.DROPPED:
            traceback.print_exception(error)
            raise
    return _Lost() if fault in (Fault.LOST_ANSWER, Fault.DROPPED) else answer


def _raise(fault: str | None) -> None:
    if fault == Fault.SERVER_ERROR:
        raise Refused(500, "internal", "InternalError", "Internal Server Error")
    if fault == Fault.BUSY:
        text = "Too many connections issued to the database"
        raise Refused(429, "too_many_connections", "DatabaseTimeout", text)
    if fault == Fault.LOCKED:
        raise Refused(423, "ResourceLocked", "ResourceLocked", "The resource is locked")


def _halve(request: Request) -> None:
    """Let the body end, broken, once half of it has come."""
    left, receive = int(request.headers.get("content-length", 0)) // 2, request._receive

    async def broken() -> dict[str, object]:
        nonlocal left
        if left <= 0:
            return {"type": "http.disconnect"}
        message = dict(await receive())
        body = bytes(message.get("body", b""))[:left]
        left -= len(body)
        return {**message, "body": body, "more_body": True}

    request._receive = broken  # type: ignore[assignment]


def _note(emulator: Emulator, request: Request) -> None:
    held = [name for name in ("apikey", "authorization") if name in request.headers]
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    size = int(request.headers.get("content-length", 0))
    emulator.state.put("calls", method=request.method, path=path, size=size, keys=" ".join(held))
