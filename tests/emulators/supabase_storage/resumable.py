"""Resumable uploads, TUS 1.0.0: creation, chunks, how far it is, termination."""

from __future__ import annotations

import base64
import time
import uuid
from sqlite3 import Row

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from tests.emulators.supabase_storage import refusals
from tests.emulators.supabase_storage.emulator import Emulator
from tests.emulators.supabase_storage.refusals import Refused
from tests.emulators.supabase_storage.settings import MIB

CHUNK_BYTES = 6 * MIB
_HEADERS = {"Tus-Resumable": "1.0.0"}


async def create(emulator: Emulator, request: Request) -> Response:
    """POST /upload/resumable."""
    role = _greeted(emulator, request)
    told = request.headers.get("upload-metadata")
    if not told:
        raise Refused(400, "Error", "TusError", "Metadata header is required")
    facts = dict(_pair(pair) for pair in told.split(","))
    bucket = emulator.bucket(facts["bucketName"])
    key, size = refusals.checked_key(facts["objectName"]), int(request.headers["upload-length"])
    kind = facts.get("contentType", "application/octet-stream")
    if role != "service_role":
        raise refusals.not_allowed()
    emulator.check(bucket, key, size, kind, upsert=_upserts(request))
    version = str(uuid.uuid4())
    own = base64.urlsafe_b64encode(f"{bucket['id']}/{key}/{version}".encode()).decode().rstrip("=")
    emulator.file(version).touch()
    emulator.state.put(
        "uploads", id=own, bucket=bucket["id"], key=key, version=version, size=size, kind=kind,
        cache_control=f"max-age={facts.get('cacheControl', '3600')}",
        metadata=facts.get("metadata"), is_done=False,
        expires_at=time.time() + emulator.settings.upload_seconds,
    )  # fmt: skip
    host = emulator.address.partition("://")[2]
    place = f"{emulator.settings.location}://{host}{emulator.settings.prefix}/upload/resumable"
    return Response(status_code=201, headers={**_HEADERS, "Location": f"{place}/{own}"})


async def look(emulator: Emulator, request: Request) -> Response:
    """HEAD /upload/resumable/{id}."""
    _greeted(emulator, request)
    row = _found(emulator, request)
    offset, size = str(_offset(emulator, row)), str(row["size"])
    return Response(headers={**_HEADERS, "Upload-Offset": offset, "Upload-Length": size})


async def append(emulator: Emulator, request: Request) -> Response:
    """PATCH /upload/resumable/{id}."""
    role = _greeted(emulator, request)
    row = _found(emulator, request)
    if role != "service_role":
        raise refusals.not_allowed()
    bucket, offset = emulator.bucket(row["bucket"]), _offset(emulator, row)
    emulator.check(bucket, row["key"], row["size"], row["kind"], upsert=_upserts(request))
    if row["id"] in emulator.busy:
        raise Refused(423, "ResourceLocked", "ResourceLocked", "The resource is locked")
    if request.headers.get("content-type") != "application/offset+octet-stream":
        raise Refused(415, "Error", "TusError", "Content-Type must be offset+octet-stream")
    if int(request.headers["upload-offset"]) != offset:
        raise Refused(409, "Error", "TusError", "Upload-Offset conflict")
    size = int(request.headers["content-length"])
    if size not in (CHUNK_BYTES, row["size"] - offset) or offset + size > row["size"]:
        raise Refused(400, "Error", "TusError", "Chunks must be of 6 MiB, but for the last")
    emulator.busy.add(row["id"])
    try:
        with emulator.file(row["version"]).open("ab") as file:
            async for block in request.stream():
                file.write(block)
    except ClientDisconnect:
        return Response(status_code=499)  # nobody is there to read it
    finally:
        emulator.busy.discard(row["id"])
    offset = _offset(emulator, row)
    headers = {**_HEADERS, "Upload-Offset": str(offset)}
    if offset == row["size"]:
        # somebody else may have been faster meanwhile
        emulator.check(bucket, row["key"], row["size"], row["kind"], upsert=_upserts(request))
        facts = {name: row[name] for name in ("kind", "cache_control", "metadata")}
        emulator.keep(row["bucket"], row["key"], row["version"], **facts)
        emulator.state.put("uploads", **{**dict(row), "is_done": True})
        headers["tus-complete"] = "1"
    return Response(status_code=204, headers=headers)


async def end(emulator: Emulator, request: Request) -> Response:
    """DELETE /upload/resumable/{id}."""
    _greeted(emulator, request)
    row = _found(emulator, request)
    emulator.state.remove("uploads", id=row["id"])
    emulator.file(row["version"]).unlink(missing_ok=True)
    return Response(status_code=204, headers=_HEADERS)


def _greeted(emulator: Emulator, request: Request) -> str:
    role = emulator.role(request)
    if request.headers.get("tus-resumable") != "1.0.0":
        raise Refused(412, "Error", "TusError", "Tus-Resumable Required")
    return role


def _found(emulator: Emulator, request: Request) -> Row:
    row = emulator.state.row("uploads", id=request.path_params["id"])
    if row is None or (not row["is_done"] and row["expires_at"] < time.time()):
        raise Refused(404, "Error", "TusError", "No such upload")
    return row


def _offset(emulator: Emulator, row: Row) -> int:
    return emulator.file(row["version"]).stat().st_size


def _upserts(request: Request) -> bool:
    return request.headers.get("x-upsert") == "true"


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.strip().partition(" ")
    return name, base64.b64decode(value).decode()
