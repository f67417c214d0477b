"""POST /v2/generate: from the raw request to the accepted job, or to whatever went wrong."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import shutil
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from tests.emulators.sync_so.assets import kept
from tests.emulators.sync_so.bodies import checked
from tests.emulators.sync_so.emulator import Emulator
from tests.emulators.sync_so.faults import SLOW_ACCEPT_S, Fault
from tests.emulators.sync_so.forms import Part, is_form, read_form
from tests.emulators.sync_so.ids import new_id
from tests.emulators.sync_so.jobs import Job
from tests.emulators.sync_so.library import Asset
from tests.emulators.sync_so.queries import parsed
from tests.emulators.sync_so.refusals import INVALID, Refused
from tests.emulators.sync_so.shapes import generation

OLD_FILE_LIMIT, NEW_FILE_LIMIT = 20 * 10**6, 5 << 30
_MOST_FIELDS, _MOST_FILES, _MOST_PARTS = 32, 3, 35
_FIELD_LIMIT = 1 << 20
_FILES = ("video", "audio", "image")
_JSON_FIELDS = ("input", "options", "segments", "dubParams", "dialogueEdit")
_KEY = re.compile(r"[A-Za-z0-9._~-]{1,128}")


class _LostResponse(Response):
    """An answer that never comes: the head promises a body, and the connection ends."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        head = {"type": "http.response.start", "status": 201}
        await send({**head, "headers": [(b"content-length", b"512")]})


async def create(emulator: Emulator, request: Request) -> Response:
    """POST /v2/generate."""
    owner = request.state.owner
    emulator.rate.admit(owner)
    key = _idempotency_key(emulator, request)
    is_keyed = key is not None and not emulator.settings.is_old
    raw = await _read(emulator, request)
    async with emulator.under_key(owner, str(key)) if is_keyed else nullcontext():
        if is_keyed and (known := emulator.jobs.under_key(owner, str(key))):
            if known.fingerprint != raw.fingerprint:
                raise Refused(409, "IDEMPOTENCY_KEY_CONFLICT")
            return _created(emulator, known)
        # every file stands for something, so that nothing is stored for a body that cannot be
        checked(raw.with_files({kind: {"assetId": kind} for kind in raw.files}))
        emulator.check_lanes(owner)
        stored = await kept(emulator, owner, raw.files)
        body = checked(raw.with_files(_places(emulator, stored)))
        job_id = new_id()
        folder = emulator.work(job_id)
        inputs = await emulator.fetched(owner, body, folder)
        try:
            # nothing waits between this look and the acceptance
            emulator.check_lanes(owner)
            number, fault = emulator.strike()
            if fault is Fault.SERVER_ERROR:
                raise Refused(500, "internal_error", requestId=new_id())
        except Refused:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        job = emulator.accepted(
            owner, body, job_id=job_id, inputs=inputs, number=number, fault=fault, key=key,
            fingerprint=raw.fingerprint,
        )  # fmt: skip
    return await _answered(emulator, job, fault)


async def _answered(emulator: Emulator, job: Job, fault: Fault | None) -> Response:
    if fault is Fault.LOST_RESPONSE:
        return _LostResponse()
    if fault is Fault.OUTCOME_UNKNOWN:
        raise Refused(503, "IDEMPOTENCY_OUTCOME_UNKNOWN")
    if fault is Fault.OUTCOME_UNKNOWN_WITH_ID:
        raise Refused(503, "IDEMPOTENCY_OUTCOME_UNKNOWN", generationId=job.id)
    if fault is Fault.SLOW_ACCEPT:
        await asyncio.sleep(SLOW_ACCEPT_S)
    return _created(emulator, job)


def _created(emulator: Emulator, job: Job) -> Response:
    """The answer of the create call; a replay is given the same one, whatever came of the job."""
    return JSONResponse(generation(emulator, job, now=0), 201)


def _idempotency_key(emulator: Emulator, request: Request) -> str | None:
    """The key of a create call; the older API takes no notice of it, but the bill names it."""
    given = request.headers.getlist("idempotency-key")
    if not given or emulator.settings.is_old:
        return given[0] if given else None
    if len(given) > 1 or not _KEY.fullmatch(given[0]):
        raise Refused(400, "INVALID_IDEMPOTENCY_KEY")
    return given[0]


@dataclass(frozen=True)
class _Raw:
    """A create call as it came: JSON, or a form with files."""

    body: Any
    files: dict[str, Part]
    fingerprint: str

    def with_files(self, places: dict[str, dict[str, str]]) -> Any:
        """The body with the place of each file in it; a file wins over an input of its type."""
        given = self.body.get("input") or [] if places else None
        if not isinstance(given, list):
            return self.body
        others = [
            item for item in given if not (isinstance(item, dict) and item.get("type") in places)
        ]
        added = [{"type": kind, **place} for kind, place in places.items()]
        return {**self.body, "input": others + added}


def _places(emulator: Emulator, stored: dict[str, Asset]) -> dict[str, dict[str, str]]:
    """Where the files of a form lie now; the older API says it by address."""
    if emulator.settings.is_old:
        return {kind: {"url": emulator.address + asset.path} for kind, asset in stored.items()}
    return {kind: {"assetId": asset.id} for kind, asset in stored.items()}


async def _read(emulator: Emulator, request: Request) -> _Raw:
    content_type = request.headers.get("content-type", "")
    if not is_form(content_type):
        body = parsed(await request.body())
        return _Raw(body, {}, _digest(json.dumps(body, sort_keys=True).encode()))
    limit = OLD_FILE_LIMIT if emulator.settings.is_old else NEW_FILE_LIMIT
    if (
        int(request.headers.get("content-length", 0))
        > _MOST_FILES * limit + _MOST_PARTS * _FIELD_LIMIT
    ):
        raise Refused(413, INVALID, "File too large")
    parts = read_form(content_type, await request.body())
    files = {part.name: part for part in parts if part.name in _FILES}
    fields = [part for part in parts if part.name not in _FILES]
    if sum(part.name in _FILES for part in parts) > len(files):
        raise Refused(400, INVALID, "Each file may be given once")
    too_large = any(len(part.body) > limit for part in files.values())
    if too_large or len(fields) > _MOST_FIELDS or any(len(f.body) > _FIELD_LIMIT for f in fields):
        raise Refused(413, INVALID, "File or field too large")
    body = {f.name: _field(f) for f in fields}
    digests = {kind: _digest(part.body) for kind, part in files.items()}
    return _Raw(body, files, _digest(json.dumps([body, digests], sort_keys=True).encode()))


def _field(part: Part) -> Any:
    if part.name not in _JSON_FIELDS:
        return part.text
    try:
        return json.loads(part.body)
    except ValueError as error:
        message = f"{part.name} must be a JSON string"
        raise Refused(400, INVALID, [message], field=part.name) from error


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()
