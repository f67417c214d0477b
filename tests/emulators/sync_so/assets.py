"""The paths of assets: presign, register, list, read, change, delete."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from mimetypes import guess_type
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from tests.emulators.sync_so.emulator import Emulator
from tests.emulators.sync_so.forms import Part
from tests.emulators.sync_so.ids import new_id
from tests.emulators.sync_so.inputs import looked_at
from tests.emulators.sync_so.library import TYPES, VISIBILITIES, Asset
from tests.emulators.sync_so.queries import parsed, several, whole
from tests.emulators.sync_so.refusals import INVALID, Refused
from tests.emulators.sync_so.shapes import moment

_LARGEST = 5 << 30
_UPLOAD_S = 3600
_ORDERS = {
    "createdAt": lambda asset: -asset.created_at,
    "name": lambda asset: asset.name,
    "size": lambda asset: -asset.declared_size,
}


async def presign(emulator: Emulator, request: Request) -> Response:
    """POST /v2/assets/upload: where and how to put the bytes."""
    given = parsed(await request.body())
    wanted = {"fileName": str, "contentType": str, "size": int}
    problems = [
        f"{name} must be a{'n integer' if kind is int else ' string'}"
        for name, kind in wanted.items()
        if not (isinstance(given, dict) and isinstance(given.get(name), kind) and given[name])
    ]
    if problems:
        raise Refused(400, INVALID, problems)
    if given["contentType"].split("/")[0].upper() not in TYPES:
        raise Refused(400, INVALID, ["contentType must be video/*, audio/* or image/*"])
    if not 0 < given["size"] <= _LARGEST:
        raise Refused(422, "file_size_exceeds_plan_limit")
    asset = _new(request.state.owner, given["fileName"], given["contentType"], given["size"])
    emulator.library.add(asset)
    upload = emulator.signer.signed(
        "PUT", asset.path, time.time() + _UPLOAD_S, extra=asset.content_type
    )
    body = {
        "uploadUrl": emulator.address + upload,
        "url": emulator.address + asset.path,
        "expiresIn": _UPLOAD_S,
    }
    return JSONResponse(body, 201)


async def register(emulator: Emulator, request: Request) -> Response:
    """POST /v2/assets: make an uploaded file, or a public address, an asset."""
    owner, given = request.state.owner, parsed(await request.body())
    url = given.get("url") if isinstance(given, dict) else None
    if not isinstance(url, str) or urlsplit(url).scheme not in ("http", "https"):
        raise Refused(400, INVALID, ["url must be a URL address"], field="url")
    asset_id = emulator.asset_in(url)
    if asset_id is not None:
        asset = emulator.library.owned(owner, asset_id, is_registered=False)
        size = emulator.library.file(asset).stat().st_size
        facts = await asyncio.to_thread(_facts, emulator, asset)
    else:
        name = PurePosixPath(urlsplit(url).path).name or "file"
        kind = guess_type(name)[0] or ""
        if kind.split("/")[0].upper() not in TYPES:
            raise Refused(400, INVALID, ["url must name a video, audio or image"], field="url")
        asset = replace(_new(owner, name, kind, 0), external_url=url, input_type="URL")
        emulator.library.add(asset)
        size, facts = 0, {}
    emulator.library.change(
        asset.id, registered=1, project_id=given.get("projectId"), declared_size=size, **facts
    )
    return JSONResponse(_shown(emulator, emulator.library.owned(owner, asset.id)), 201)


async def listed(emulator: Emulator, request: Request) -> Response:
    """GET /v2/assets: a page of them."""
    query = request.query_params
    limit = whole(query, "limit", 1, 100) or 20
    order = query.get("sortBy", "createdAt")
    types, words = several(query, "types"), query.get("searchQuery", "").lower()
    if set(types) - set(TYPES):
        raise Refused(400, INVALID, f"types must be of {', '.join(TYPES)}", field="types")
    project = query.get("projectId")
    found = [
        asset
        for asset in emulator.library.of(request.state.owner)
        if (not types or asset.type in types)
        and words in asset.name.lower()
        and project in (None, asset.project_id)
    ]
    found.sort(key=_ORDERS.get(order, _ORDERS["createdAt"]))
    places = [asset.id for asset in found]
    cursor = query.get("cursor")
    first = places.index(cursor) + 1 if cursor in places else 0
    page = found[first : first + limit]
    body: dict[str, Any] = {
        "items": [_shown(emulator, asset) for asset in page],
        "totalCount": len(found),
    }
    if first + limit < len(found):
        body["nextCursor"] = page[-1].id
    return JSONResponse(body)


async def read(emulator: Emulator, request: Request) -> Response:
    """GET /v2/assets/{id}."""
    return JSONResponse(_shown(emulator, _asked(emulator, request)))


async def read_several(emulator: Emulator, request: Request) -> Response:
    """POST /v2/assets/batch: those of the given ids that exist."""
    given = parsed(await request.body())
    ids = given.get("ids") if isinstance(given, dict) else None
    if not isinstance(ids, list):
        raise Refused(400, INVALID, ["ids must be an array"], field="ids")
    own = {asset.id: asset for asset in emulator.library.of(request.state.owner)}
    return JSONResponse([_shown(emulator, own[each]) for each in ids if each in own])


async def change(emulator: Emulator, request: Request) -> Response:
    """PATCH or PUT /v2/assets/{id}: its name, project or visibility."""
    asset, given = _asked(emulator, request), parsed(await request.body())
    names = {"name": "name", "projectId": "project_id", "visibility": "visibility"}
    if not isinstance(given, dict) or given.get("visibility", "USER") not in VISIBILITIES:
        raise Refused(400, INVALID, "visibility must be USER or ORGANIZATION")
    columns = {column: given[name] for name, column in names.items() if name in given}
    emulator.library.change(asset.id, **columns)
    return JSONResponse(_shown(emulator, emulator.library.owned(asset.owner, asset.id)))


async def delete(emulator: Emulator, request: Request) -> Response:
    """DELETE /v2/assets/{id}."""
    asset = _asked(emulator, request)
    body = _shown(emulator, asset)
    emulator.library.remove(asset)
    return JSONResponse(body)


async def download(emulator: Emulator, request: Request) -> Response:
    """GET /v2/assets/{id}/download: a signed address, as plain text."""
    return PlainTextResponse(_address(emulator, _asked(emulator, request)))


async def kept(emulator: Emulator, owner: str, files: dict[str, Part]) -> dict[str, Asset]:
    """The files of a form as assets, by their kind."""
    stored = {}
    for kind, part in files.items():
        declared = part.content_type if part.content_type.startswith(f"{kind}/") else f"{kind}/*"
        asset = _new(owner, part.file_name or kind, declared, len(part.body))
        emulator.library.folder.mkdir(parents=True, exist_ok=True)
        await asyncio.to_thread(emulator.library.file(asset).write_bytes, part.body)
        emulator.library.add(replace(asset, registered=1))
        stored[kind] = asset
    return stored


def _new(owner: str, name: str, content_type: str, size: int) -> Asset:
    now = time.time()
    return Asset(
        id=new_id(), owner=owner, created_at=now, updated_at=now,
        name=PurePosixPath(name).name or "file", content_type=content_type,
        declared_size=size,
    )  # fmt: skip


def _asked(emulator: Emulator, request: Request) -> Asset:
    return emulator.library.owned(request.state.owner, request.path_params["id"])


def _facts(emulator: Emulator, asset: Asset) -> dict[str, Any]:
    """What the file of an asset holds; one that is no media is an asset all the same."""
    try:
        found = looked_at(asset.type.lower(), emulator.library.file(asset))
    except Refused:
        return {}
    return {
        "duration_s": found.seconds or None,
        "width": found.width or None,
        "height": found.height or None,
    }


def _address(emulator: Emulator, asset: Asset) -> str:
    if asset.external_url is not None:
        return asset.external_url
    expires = time.time() + emulator.settings.url_seconds
    return emulator.address + emulator.signer.signed("GET", asset.path, expires)


def _shown(emulator: Emulator, asset: Asset) -> dict[str, Any]:
    told = {
        "id": asset.id,
        "createdAt": moment(asset.created_at),
        "updatedAt": moment(asset.updated_at),
        "type": asset.type,
        "visibility": asset.visibility,
        "name": asset.name,
        "url": _address(emulator, asset),
        "size": asset.declared_size or None,
        "format": PurePosixPath(asset.name).suffix.removeprefix(".") or None,
        "inputType": asset.input_type,
        "durationSeconds": asset.duration_s,
        "width": asset.width,
        "height": asset.height,
    }
    return {name: value for name, value in told.items() if value is not None}
