"""POST /run and /runsync: look at the envelope, accept the job, answer."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from tests.emulators.runpod.documents import answered, facts
from tests.emulators.runpod.emulator import Emulator
from tests.emulators.runpod.faults import REFUSALS, SLOW_ACCEPT_S, Fault
from tests.emulators.runpod.infinitetalk.keys import samples_in
from tests.emulators.runpod.jobs import Job, shortened
from tests.emulators.runpod.refusals import Refused, bad_gateway

_MIB = 1 << 20
_RUN_MIB, _RUNSYNC_MIB = 10, 20
_WEEK_MS = 7 * 24 * 3600 * 1000
# milliseconds: what stands in for a missing one, the least and the most
_POLICY = {"executionTimeout": (600_000, 5_000, _WEEK_MS), "ttl": (86_400_000, 10_000, _WEEK_MS)}
_WAIT_MS = (90_000, 1_000, 300_000)


@dataclass(frozen=True)
class Envelope:
    """A run call's body; ``policy`` is complete."""

    input: dict[str, Any]
    policy: dict[str, Any]
    webhook: str | None


class _LostResponse(Response):
    """An answer that never comes: the head promises a body, and the connection ends."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        head = {"type": "http.response.start", "status": 200}
        await send({**head, "headers": [(b"content-length", b"512")]})


async def run(emulator: Emulator, request: Request) -> Response:
    """POST /run: the job is queued."""
    envelope = checked(await _body(request, _RUN_MIB))
    number, fault = emulator.faults.strike()
    if fault in REFUSALS:
        return _refused(fault)
    job = _accepted(emulator, request, envelope, number, fault, is_sync=False)
    if fault is Fault.LOST_RESPONSE:
        return _LostResponse()
    if fault is Fault.SLOW_ACCEPT:
        await asyncio.sleep(SLOW_ACCEPT_S)
    return JSONResponse(facts(job, time.time()))


async def runsync(emulator: Emulator, request: Request) -> Response:
    """POST /runsync: the job as it stands when it is over, or when the wait is."""
    wait_s = waited_s(request.query_params)
    envelope = checked(await _body(request, _RUNSYNC_MIB))
    number, fault = emulator.faults.strike()
    if fault in REFUSALS:
        return _refused(fault)
    job = _accepted(emulator, request, envelope, number, fault, is_sync=True)
    if fault is Fault.LOST_RESPONSE:
        return _LostResponse()
    await emulator.over(job.id, wait_s)
    job = emulator.found(job.endpoint, job.id)
    return answered(emulator.jobs, job, time.time())


def checked(raw: bytes) -> Envelope:
    """The envelope in a body.

    Raises:
        Refused: 400, it is none.
    """
    try:
        given = json.loads(raw)
    except ValueError as error:
        raise Refused(400, "bad request: body: invalid JSON") from error
    if not isinstance(given, dict) or not isinstance(given.get("input"), dict):
        raise Refused(400, "bad request: body: input must be an object")
    webhook = given.get("webhook")
    if webhook is not None and not isinstance(webhook, str):
        raise Refused(400, "bad request: body: webhook must be a string")
    policy = given.get("policy") or {}
    if not isinstance(policy, dict):
        raise Refused(400, "bad request: body: policy must be an object")
    complete = {name: _within(policy.get(name), name, *limits) for name, limits in _POLICY.items()}
    is_low = bool(policy.get("lowPriority", False))
    return Envelope(given["input"], complete | {"lowPriority": is_low}, webhook)


def waited_s(query: Mapping[str, str]) -> float:
    """The ``wait`` of a call, in seconds.

    Raises:
        Refused: 400, it is no number, or out of range.
    """
    given = query.get("wait")
    wait = int(given) if given and given.isdecimal() else given
    return _within(wait, "wait", *_WAIT_MS) / 1000


def _within(given: Any, name: str, usual: int, least: int, most: int) -> int:
    if given is None:
        return usual
    if not isinstance(given, int) or not least <= given <= most:
        raise Refused(400, f"bad request: {name} must be from {least} to {most} ms")
    return given


async def _body(request: Request, limit_mib: int) -> bytes:
    """The body; one that is too large is read to its end, so that the refusal arrives."""
    kept, size = bytearray(), 0
    async for block in request.stream():
        size += len(block)
        if size <= limit_mib * _MIB:
            kept += block
    if size > limit_mib * _MIB:
        raise Refused(400, f"bad request: body: exceeded max body size of {limit_mib}MiB")
    return bytes(kept)


def _refused(fault: Fault | None) -> Response:
    if fault is Fault.BAD_GATEWAY:
        return bad_gateway()
    if fault is Fault.TOO_MANY:
        raise Refused(429, "too many requests")
    raise Refused(500, "internal server error")


def _accepted(
    emulator: Emulator,
    request: Request,
    envelope: Envelope,
    number: int,
    fault: Fault | None,
    *,
    is_sync: bool,
) -> Job:
    """A new job, on disk and in the queue."""
    now, ttl_s = time.time(), envelope.policy["ttl"] / 1000 * emulator.settings.policy_scale
    job = Job(
        id=f"{'sync-' if is_sync else ''}{uuid.uuid4()}-e1",
        endpoint=request.path_params["endpoint"], number=number, is_sync=int(is_sync),
        input=json.dumps(shortened(envelope.input)), policy=json.dumps(envelope.policy),
        webhook=envelope.webhook, fault=fault.value if fault else None,
        samples=samples_in(envelope.input), accepted_at=now, queued_at=now, expires_at=now + ttl_s,
    )  # fmt: skip
    emulator.jobs.add(job, envelope.input)
    return job
