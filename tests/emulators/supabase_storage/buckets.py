"""Buckets: made, looked at, removed."""

from __future__ import annotations

import re
from sqlite3 import Row
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.emulators.supabase_storage import refusals
from tests.emulators.supabase_storage.emulator import Emulator, now
from tests.emulators.supabase_storage.refusals import Refused

_NAME = re.compile(r"[A-Za-z0-9_!.*'()&$=@;:+,? -]{1,100}")
_UNITS = {"": 1, "B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}


async def create(emulator: Emulator, request: Request) -> Response:
    """POST /bucket."""
    _only_service(emulator, request)
    given = await request.json()
    name = str(given.get("id") or given.get("name", ""))
    if not _NAME.fullmatch(name):
        raise Refused(400, "Invalid Input", "InvalidBucketName", "Bucket name invalid")
    if emulator.state.row("buckets", id=name) is not None:
        raise Refused(409, "Duplicate", "BucketAlreadyExists", "The resource already exists")
    limit = re.fullmatch(r"(\d+)([KMG]?B?)", str(given.get("file_size_limit") or ""))
    emulator.state.put(
        "buckets", id=name, public=bool(given.get("public")), created_at=now(),
        file_size_limit=int(limit[1]) * _UNITS[limit[2]] if limit else None,
        allowed_mime_types=" ".join(given.get("allowed_mime_types") or ()) or None,
    )  # fmt: skip
    return JSONResponse({"name": name})


async def read(emulator: Emulator, request: Request) -> Response:
    """GET /bucket/{bucket}."""
    if emulator.role(request) != "service_role":
        raise refusals.no_bucket()
    return JSONResponse(_told(emulator.bucket(request.path_params["bucket"])))


async def listed(emulator: Emulator, request: Request) -> Response:
    """GET /bucket."""
    if emulator.role(request) != "service_role":
        return JSONResponse([])
    return JSONResponse([_told(row) for row in emulator.state.rows("buckets", "id")])


async def delete(emulator: Emulator, request: Request) -> Response:
    """DELETE /bucket/{bucket}."""
    _only_service(emulator, request)
    name = emulator.bucket(request.path_params["bucket"])["id"]
    if emulator.state.row("objects", bucket=name) is not None:
        text = "The bucket you tried to delete is not empty"
        raise Refused(409, "ResourceNotEmpty", "ResourceNotEmpty", text)
    emulator.state.remove("buckets", id=name)
    return JSONResponse({"message": "Successfully deleted"})


def _only_service(emulator: Emulator, request: Request) -> None:
    if emulator.role(request) != "service_role":
        raise refusals.not_allowed()


def _told(row: Row) -> dict[str, Any]:
    kinds = row["allowed_mime_types"]
    return {
        "id": row["id"], "name": row["id"], "owner": "", "public": bool(row["public"]),
        "type": "STANDARD", "file_size_limit": row["file_size_limit"],
        "allowed_mime_types": kinds.split() if kinds else None,
        "created_at": row["created_at"], "updated_at": row["created_at"],
    }  # fmt: skip
