"""The bucket: where signed addresses lead, with the manners and the XML of S3."""

from __future__ import annotations

import time
from pathlib import Path
from xml.sax.saxutils import escape

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

from tests.emulators.sync_so.batches import result_lines
from tests.emulators.sync_so.emulator import Emulator
from tests.emulators.sync_so.faults import Fault
from tests.emulators.sync_so.ids import new_id
from tests.emulators.sync_so.shapes import moment
from tests.emulators.sync_so.signatures import Verdict
from tests.emulators.sync_so.state import counted


class _Truncated(Response):
    """Half of a file, after a head that promised the whole."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        size = self._path.stat().st_size
        headers = [(b"content-type", b"video/mp4"), (b"content-length", str(size).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        with self._path.open("rb") as file:
            half = file.read(size // 2)
        await send({"type": "http.response.body", "body": half, "more_body": True})


async def output(emulator: Emulator, request: Request) -> Response:
    """GET /_output/{id}/{name}: a finished film."""
    _note_key(emulator, request)
    if refusal := _refusal(emulator, request):
        return refusal
    job = emulator.jobs.get(request.path_params["id"])
    path = emulator.output(request.path_params["id"])
    if job is None or not path.exists():
        return _error(404, "NoSuchKey", "The specified key does not exist.")
    if job.fault == Fault.TRUNCATED_DOWNLOAD and not job.was_truncated:
        emulator.jobs.change(job.id, was_truncated=1)
        return _Truncated(path)
    return FileResponse(path, media_type="video/mp4")


async def batch_output(emulator: Emulator, request: Request) -> Response:
    """GET /_output/{id}.jsonl: what came of a batch."""
    if refusal := _refusal(emulator, request):
        return refusal
    return Response(
        result_lines(emulator, request.path_params["id"]), media_type="application/jsonl"
    )


async def stored(emulator: Emulator, request: Request) -> Response:
    """GET /_storage/{id}/{name}: the bytes of an asset."""
    _note_key(emulator, request)
    if refusal := _refusal(emulator, request):
        return refusal
    asset = emulator.library.get(request.path_params["id"])
    if asset is None or not emulator.library.file(asset).exists():
        return _error(404, "NoSuchKey", "The specified key does not exist.")
    return FileResponse(emulator.library.file(asset), media_type=asset.content_type)


async def store(emulator: Emulator, request: Request) -> Response:
    """PUT /_storage/{id}/{name}: the bytes of an asset that was presigned."""
    _note_key(emulator, request)
    content_type = request.headers.get("content-type", "")
    if refusal := _refusal(emulator, request, content_type):
        return refusal
    asset = emulator.library.get(request.path_params["id"])
    if asset is None:
        return _error(404, "NoSuchKey", "The specified key does not exist.")
    emulator.library.folder.mkdir(parents=True, exist_ok=True)
    whole = emulator.library.file(asset)
    part = whole.with_name(f"{whole.name}.{new_id()}.part")
    with part.open("wb") as file:
        async for block in request.stream():
            file.write(block)
    part.replace(whole)
    return Response(status_code=200)


def _note_key(emulator: Emulator, request: Request) -> None:
    """An API key has no business here; the bill tells how often one came."""
    if "x-api-key" in request.headers:
        counted(emulator.database, "leaked_keys")


def _refusal(emulator: Emulator, request: Request, extra: str = "") -> Response | None:
    """Why a request may not do what it asks; an address is good for its one method only."""
    now, path = time.time(), request.scope["raw_path"].decode()
    verdict = emulator.signer.verdict(request.method, path, request.query_params, now, extra)
    if verdict is Verdict.FORGED:
        return _error(
            403, "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided.",
        )  # fmt: skip
    if verdict is Verdict.EXPIRED:
        expires = moment(float(request.query_params["Expires"]))
        times = f"<Expires>{expires}</Expires><ServerTime>{moment(now)}</ServerTime>"
        return _error(403, "AccessDenied", "Request has expired", times)
    return None


def _error(status: int, code: str, message: str, more: str = "") -> Response:
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{code}</Code><Message>{escape(message)}</Message>{more}"
        f"<RequestId>{new_id()}</RequestId></Error>"
    )
    return Response(body, status, media_type="application/xml")
