"""The paths of batches: many create calls in one file, run at once."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from tests.emulators.sync_so.bodies import CreateBody, check_webhook, checked
from tests.emulators.sync_so.emulator import OUTPUT, Emulator
from tests.emulators.sync_so.forms import Part, is_form, read_form
from tests.emulators.sync_so.ids import new_id
from tests.emulators.sync_so.jobs import ACTIVE, COMPLETED, FAILED, PENDING, PROCESSING, compact
from tests.emulators.sync_so.queries import parsed, several
from tests.emulators.sync_so.refusals import INVALID, Refused
from tests.emulators.sync_so.shapes import generation, moment
from tests.emulators.sync_so.webhooks import deliver

FEWEST, MOST = 20, 500
LARGEST = 5 * 10**6
STATUSES = (PENDING, "JOBS_CREATED", PROCESSING, COMPLETED, FAILED)
_AT_ONCE = 1
_SETTLING_S = 0.2  # how long a batch is PENDING before its jobs are told of


@dataclass(frozen=True)
class Batch:
    """One batch; every field is a column."""

    id: str
    owner: str
    created_at: float
    webhook_url: str | None
    webhook_sent: int


async def create(emulator: Emulator, request: Request) -> Response:
    """POST /v2/batch."""
    content_type = request.headers.get("content-type", "")
    if not is_form(content_type):
        raise Refused(400, INVALID, "The batch must be sent as multipart/form-data")
    parts = {part.name: part for part in read_form(content_type, await request.body())}
    if "input" not in parts:
        raise Refused(400, INVALID, ["input should not be empty"], field="input")
    wishes = _wishes(parts["input"])
    webhook = parts["webhook_url"].text if "webhook_url" in parts else None
    check_webhook(webhook)
    if "dry_run" in parts and parts["dry_run"].text.lower() == "true":
        return JSONResponse({"status": "VALIDATED"}, 201)
    owner = request.state.owner
    running = [b for b in _of(emulator, owner) if _status(emulator, b) not in (COMPLETED, FAILED)]
    if len(running) >= _AT_ONCE:
        raise Refused(
            429, "concurrency_limit_reached",
            "Batch concurrency limit reached. Please wait for an existing batch to complete or "
            "upgrade your plan.",
        )  # fmt: skip
    batch = Batch(new_id(), owner, time.time(), webhook, 0)
    emulator.database.execute(
        "INSERT INTO batches VALUES (?, ?, ?, ?, ?)",
        (batch.id, owner, batch.created_at, webhook, 0),
    )
    for name, body in wishes.items():
        number, fault = emulator.strike(in_batch=True)
        emulator.accepted(
            owner, body, job_id=new_id(), inputs=(), number=number, fault=fault,
            batch_id=batch.id, request_id=name,
        )  # fmt: skip
    follow(emulator, batch)
    return JSONResponse(_shown(emulator, batch), 201)


def resume(emulator: Emulator) -> None:
    """Take up the webhooks that a stopped process owed."""
    for row in emulator.database.execute("SELECT * FROM batches WHERE webhook_sent = 0"):
        follow(emulator, Batch(*row))


def follow(emulator: Emulator, batch: Batch) -> None:
    """Call the webhook of a batch when it is complete."""
    if batch.webhook_url:
        emulator.start(_told(emulator, batch, batch.webhook_url))


async def _told(emulator: Emulator, batch: Batch, webhook_url: str) -> None:
    for job in emulator.jobs.where("batch_id = ?", batch.id):
        await emulator.settled(job.id)
    await deliver(emulator.client, webhook_url, _shown(emulator, batch), emulator.webhook_secret)
    emulator.database.execute("UPDATE batches SET webhook_sent = 1 WHERE id = ?", (batch.id,))


async def listed(emulator: Emulator, request: Request) -> Response:
    """GET /v2/batch: newest first."""
    query = request.query_params
    statuses = several(query, "status")
    after, before = (_unix_s(query.get(name)) for name in ("created_after", "created_before"))
    return JSONResponse(
        [
            shown
            for batch in _of(emulator, request.state.owner)
            if (after is None or batch.created_at >= after)
            and (before is None or batch.created_at <= before)
            and ((shown := _shown(emulator, batch))["status"] in statuses or not statuses)
        ]
    )


async def read(emulator: Emulator, request: Request) -> Response:
    """GET /v2/batch/{id}."""
    return JSONResponse(_shown(emulator, _asked(emulator, request)))


async def result(emulator: Emulator, request: Request) -> Response:
    """GET /v2/batch/{id}/output: on to the signed file of results."""
    batch = _asked(emulator, request)
    if _status(emulator, batch) != COMPLETED:
        raise Refused(409, "generation_conflict", "The batch is not completed")
    expires = time.time() + emulator.settings.url_seconds
    path = emulator.signer.signed("GET", f"{OUTPUT}/{batch.id}.jsonl", expires)
    return RedirectResponse(emulator.address + path, 302)


def result_lines(emulator: Emulator, batch_id: str) -> str:
    """What came of each line of a batch, as JSONL."""
    now, lines = time.time(), []
    for job in emulator.jobs.where("batch_id = ? ORDER BY number", batch_id):
        told = generation(emulator, job, now)
        facts = ("status", "outputUrl", "outputDuration", "error", "errorCode", "error_code")
        line = {"requestId": job.request_id, "generationId": job.id}
        lines.append(compact(line | {name: told[name] for name in facts if told.get(name)}))
    return "".join(f"{line}\n" for line in lines)


def _wishes(file: Part) -> dict[str, CreateBody]:
    """The create bodies of a JSONL file by their ``request_id``.

    Raises:
        Refused: 413 too large, 400 too few or too many lines, or one that cannot be.
    """
    if len(file.body) > LARGEST:
        raise Refused(413, INVALID, "The batch file is larger than 5 MB")
    lines = [line for line in file.body.splitlines() if line.strip()]
    if not FEWEST <= len(lines) <= MOST:
        message = f"A batch holds {FEWEST} to {MOST} requests, this one {len(lines)}"
        raise Refused(400, INVALID, message)
    wishes: dict[str, CreateBody] = {}
    problems = []
    for number, line in enumerate(lines, 1):
        try:
            name, body = _wish(parsed(line))
            if name in wishes:
                raise Refused(400, INVALID, f"request_id {name} is used twice")
            wishes[name] = body
        except Refused as refusal:
            problems.append(f"line {number}: {refusal.line}")
    if problems:
        raise Refused(400, INVALID, problems)
    return wishes


def _wish(line: Any) -> tuple[str, CreateBody]:
    if not isinstance(line, dict) or not isinstance(line.get("request_id"), str):
        raise Refused(400, INVALID, "request_id should not be empty")
    if line.get("endpoint") != "/v2/generate":
        raise Refused(400, INVALID, "endpoint must be /v2/generate")
    return line["request_id"], checked(line.get("payload"))


def _of(emulator: Emulator, owner: str) -> list[Batch]:
    rows = emulator.database.execute(
        "SELECT * FROM batches WHERE owner = ? ORDER BY created_at DESC", (owner,)
    )
    return [Batch(*row) for row in rows]


def _asked(emulator: Emulator, request: Request) -> Batch:
    for batch in _of(emulator, request.state.owner):
        if batch.id == request.path_params["id"]:
            return batch
    raise Refused(404, None, "Batch not found")


def _status(emulator: Emulator, batch: Batch) -> str:
    return str(_shown(emulator, batch)["status"])


def _shown(emulator: Emulator, batch: Batch) -> dict[str, Any]:
    now = time.time()
    statuses = [job.status(now) for job in emulator.jobs.where("batch_id = ?", batch.id)]
    pending = sum(status in ACTIVE for status in statuses)
    good = statuses.count(COMPLETED)
    if not pending:
        status = COMPLETED if good else FAILED
    elif now < batch.created_at + _SETTLING_S:
        status = PENDING
    else:
        waiting = all(each == PENDING for each in statuses)
        status = "JOBS_CREATED" if waiting else PROCESSING
    url = f"{emulator.address}/v2/batch/{batch.id}/output" if status == COMPLETED else ""
    shown = {
        "id": batch.id,
        "created_at": moment(batch.created_at),
        "status": status,
        "metrics": {
            "total_generations": len(statuses),
            "success_count": good,
            "failed_count": len(statuses) - good - pending,
            "pending_count": pending,
        },
        "outputUrl": url,
    }
    return shown | ({"webhookUrl": batch.webhook_url} if batch.webhook_url else {})


def _unix_s(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError as error:
        raise Refused(400, INVALID, "created_after and created_before are ISO dates") from error
