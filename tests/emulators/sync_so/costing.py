"""The paths of prices: models, estimates, and what a generation did cost."""

from __future__ import annotations

import shutil
import time

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.emulators.sync_so.bodies import checked
from tests.emulators.sync_so.emulator import Emulator
from tests.emulators.sync_so.generations import owned
from tests.emulators.sync_so.ids import new_id
from tests.emulators.sync_so.inputs import output_frames
from tests.emulators.sync_so.jobs import ACTIVE, COMPLETED
from tests.emulators.sync_so.prices import MODEL_NAMES, MODELS, price_usd
from tests.emulators.sync_so.queries import parsed
from tests.emulators.sync_so.refusals import INVALID, Refused

_ESTIMATE_RATE = 30.0  # frames a second, where an estimate does not say


async def models(_emulator: Emulator, _request: Request) -> Response:
    """GET /v2/models."""
    return JSONResponse(list(MODELS))


async def cost(emulator: Emulator, request: Request) -> Response:
    """POST /v2/analyze/cost: what a create body would cost, its inputs looked at."""
    body = checked(parsed(await request.body()))
    folder = emulator.work(new_id())
    try:
        visual, *voices = await emulator.fetched(request.state.owner, body, folder)
        frames = output_frames(body, visual, voices)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    told = {
        "estimatedFrameCount": frames,
        "estimatedGenerationCost": price_usd(body.model, frames),
    }
    return JSONResponse(told if emulator.settings.cost_object else [told])


async def estimate(_emulator: Emulator, request: Request) -> Response:
    """POST /v2/generations/estimate: by length alone, no media is fetched."""
    given = parsed(await request.body())
    if not isinstance(given, dict) or given.get("model") not in MODEL_NAMES:
        raise Refused(400, "generation_unsupported_model", field="model")
    numbers = {"duration": given.get("duration"), "fps": given.get("fps", _ESTIMATE_RATE)}
    for name, number in numbers.items():
        if not isinstance(number, (int, float)) or isinstance(number, bool) or number <= 0:
            raise Refused(400, INVALID, [f"{name} must be a positive number"], field=name)
    frames = round(numbers["duration"] * numbers["fps"])
    return JSONResponse(
        {
            "estimatedFrameCount": frames,
            "estimatedGenerationCost": price_usd(given["model"], frames),
            "estimatedCredits": None,
        }
    )


async def costs(emulator: Emulator, request: Request) -> Response:
    """GET /v2/generate/{id}/costs: what is recorded of a generation's cost."""
    job, now = owned(emulator, request), time.time()
    status = job.status(now)
    is_known = status not in ACTIVE
    usd = f"{job.billed_usd(now):.6f}"
    component = {"type": "generation", "model": job.model, "frames": job.frames, "costUsd": usd}
    return JSONResponse(
        {
            "generationId": job.id,
            "generationStatus": status,
            "currency": "USD",
            "availability": "complete" if is_known else "pending",
            "totalCostUsd": usd if is_known else None,
            "knownSubtotalUsd": usd,
            "retryAfterSeconds": None if is_known else 5,
            "components": [component] if status == COMPLETED else [],
        }
    )
