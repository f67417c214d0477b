"""Objects in one piece: put, looked at, opened by address, removed."""

from __future__ import annotations

import base64
import uuid
from dataclasses import dataclass
from sqlite3 import Row
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from tests.emulators.supabase_storage import refusals, tokens
from tests.emulators.supabase_storage.emulator import Emulator
from tests.emulators.supabase_storage.state import metadata_of
from tests.emulators.sync_so.forms import read_form


@dataclass(frozen=True)
class _Given:
    """An object on its way in."""

    content: bytes
    kind: str
    cache_control: str
    metadata: str | None


async def put(emulator: Emulator, request: Request) -> Response:
    """POST /object/{bucket}/{key}; PUT replaces."""
    bucket, key = _place(request)
    role = emulator.role(request)
    given = await _given(request)
    row = emulator.bucket(bucket)
    if role != "service_role":
        raise refusals.not_allowed()
    upsert = request.method == "PUT" or request.headers.get("x-upsert") == "true"
    emulator.check(row, key, len(given.content), given.kind, upsert=upsert)
    version = str(uuid.uuid4())
    emulator.file(version).write_bytes(given.content)
    own = emulator.keep(
        bucket, key, version, kind=given.kind, cache_control=given.cache_control,
        metadata=given.metadata,
    )  # fmt: skip
    return JSONResponse({"Key": f"{bucket}/{key}", "Id": own})


async def info(emulator: Emulator, request: Request) -> Response:
    """GET /object/info/{bucket}/{key}."""
    row = _seen(emulator, request)
    told = {
        "id": row["id"], "name": row["key"], "version": row["version"], "bucket_id": row["bucket"],
        "size": row["size"], "content_type": row["kind"], "cache_control": row["cache_control"],
        "etag": f'"{row["md5"]}"', "metadata": metadata_of(row["metadata"]),
        "last_modified": row["created_at"], "created_at": row["created_at"],
    }  # fmt: skip
    return JSONResponse(told)


async def read(emulator: Emulator, request: Request) -> Response:
    """GET and HEAD /object/{bucket}/{key}."""
    return _opened(emulator, _seen(emulator, request))


async def public(emulator: Emulator, request: Request) -> Response:
    """GET /object/public/{bucket}/{key}."""
    bucket, key = _place(request)
    row = emulator.state.row("buckets", id=bucket)
    if row is None or not row["public"]:
        raise refusals.no_object()
    return _opened(emulator, emulator.found(bucket, key))


async def sign(emulator: Emulator, request: Request) -> Response:
    """POST /object/sign/{bucket}/{key}."""
    row = _seen(emulator, request)
    place = f"{row['bucket']}/{row['key']}"
    token = tokens.made({"url": place}, float((await request.json())["expiresIn"]))
    return JSONResponse({"signedURL": f"/object/sign/{quote(place)}?token={token}"})


async def signed(emulator: Emulator, request: Request) -> Response:
    """GET /object/sign/{bucket}/{key}?token=…"""
    bucket, key = _place(request)
    claims = tokens.read(request.query_params.get("token", ""))
    if claims is None or claims.get("url") != f"{bucket}/{key}":
        raise refusals.bad_token()
    return _opened(emulator, emulator.found(bucket, key))


async def remove(emulator: Emulator, request: Request) -> Response:
    """DELETE /object/{bucket} with a list of names; missing ones are ignored."""
    bucket = request.path_params["bucket"]
    may = emulator.role(request) == "service_role"
    rows = [
        row
        for key in (await request.json())["prefixes"]
        if may and (row := emulator.state.row("objects", bucket=bucket, key=key)) is not None
    ]
    for row in rows:
        emulator.state.remove("objects", bucket=bucket, key=row["key"])
    return JSONResponse([{"bucket_id": bucket, "name": row["key"]} for row in rows])


def _place(request: Request) -> tuple[str, str]:
    return request.path_params["bucket"], refusals.checked_key(request.path_params["key"])


def _seen(emulator: Emulator, request: Request) -> Row:
    """The object, for who may see it: without a policy nobody but the service role."""
    bucket, key = _place(request)
    if emulator.role(request) != "service_role":
        raise refusals.no_object()
    return emulator.found(bucket, key)


def _opened(emulator: Emulator, row: Row) -> Response:
    headers = {"etag": f'"{row["md5"]}"', "cache-control": row["cache_control"]}
    return FileResponse(emulator.file(row["version"]), headers=headers, media_type=row["kind"])


async def _given(request: Request) -> _Given:
    """The object of a bare body, or of a form as the vendor's own packages send it."""
    body, kind = await request.body(), request.headers.get("content-type", "")
    told = request.headers.get("x-metadata")
    metadata = base64.b64decode(told).decode() if told else None
    cache = request.headers.get("cache-control", "no-cache")
    if not kind.startswith("multipart/form-data"):
        return _Given(body, kind or "application/octet-stream", cache, metadata)
    parts = read_form(kind, body)
    fields = {part.name: part.text for part in parts if part.file_name is None}
    file = next(part for part in parts if part.file_name is not None)
    cache = f"max-age={fields['cacheControl']}" if "cacheControl" in fields else cache
    return _Given(file.body, file.content_type, cache, fields.get("metadata", metadata))
