"""Many orders at once with the Sync.so emulator: by our flow, and by a loop as one would write it.

    python -m tests.benchmarks.orders ours|bare ADDRESS FOLDER COUNT LANES

prints one JSON object: seconds, how many were fetched, and the kinds of errors of the others.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

import flows  # noqa: F401  (its settings must stand before Prefect is imported)
from flows.server import server_for_the_run
from lipsync_core.generators.sync_so import SyncSo
from lipsync_core.jobs.dispatch import Dispatcher, dispatching
from lipsync_core.jobs.lanes import Lanes
from lipsync_core.stores import MediaRef
from tasks.order import order
from tasks.policy import results_in
from tasks.values import Kept, ScannedFilm, SegmentJob, TrackValue, ledger_of

KEY, FRAMES = "a-key", 25


def ours(address: str, folder: Path, count: int, lanes: int) -> Counter[str]:
    """Orders as the main job places them: cached Prefect tasks, the ledger, the dispatcher."""
    from prefect import flow

    @flow(name="orders", result_storage=results_in(folder / "store"))
    async def orders() -> Counter[str]:
        engine = SyncSo()
        secrets = {"SYNC_API_KEY": SecretStr(KEY), "SYNC_BASE_URL": SecretStr(address)}
        with ledger_of(str(folder / "store")) as ledger:
            async with (
                engine.opened(engine.checked({}), secrets) as jobs,
                dispatching(jobs, ledger, Lanes(lanes)) as dispatcher,
            ):
                kept = await _kept(dispatcher, folder)
                work = (_one(n, kept, dispatcher, folder) for n in range(count))
                return Counter(await asyncio.gather(*work))

    (folder / "store").mkdir()
    with server_for_the_run():
        started = time.monotonic()
        ends: Counter[str] = asyncio.run(orders())
        ends["seconds"] = round(time.monotonic() - started, 2)  # type: ignore[assignment]
    return ends


async def _kept(dispatcher: Dispatcher, folder: Path) -> Kept:
    return Kept(
        video=await dispatcher.keep(folder / "film.mp4", "0" * 64),
        speech=await dispatcher.keep(folder / "speech.wav", "1" * 64),
    )


async def _one(number: int, kept: Kept, dispatcher: Dispatcher, folder: Path) -> str:
    try:
        async with dispatcher.lanes.row():
            await order(
                _job(number), kept, 0.002, dispatcher=dispatcher, store=str(folder / "store")
            )
    except Exception as error:
        return type(error).__name__
    return "fetched"


def _job(number: int) -> SegmentJob:
    file = MediaRef(uri="file:///film.mp4", sha256="0" * 64, size=1)
    track = TrackValue(file=file, sample_rate=16_000, channels=1, samples=1, given_s=1)
    film = ScannedFilm(
        video=file, frames=FRAMES * 10**6, frame_rate="25", cuts=(), faces=file, thumbnails=file,
        sound=None, notes=(),
    )  # fmt: skip
    return SegmentJob(
        film=film, shot=(0, 1), first_frame=FRAMES * number, last_frame=FRAMES * (number + 1),
        speech=track, heard="0" * 64, generator="sync", generator_version=1,
    )  # fmt: skip


def bare(address: str, folder: Path, count: int, lanes: int) -> Counter[str]:
    """A thread for each lane: post, sleep and ask, download. No ledger, no second try."""
    with httpx.Client(base_url=address, headers={"x-api-key": KEY}, timeout=60) as http:
        inputs = [
            {"type": kind, "assetId": _asset(http, folder / name)}
            for kind, name in (("video", "film.mp4"), ("audio", "speech.wav"))
        ]
        started = time.monotonic()

        def one(number: int) -> str:
            try:
                body = {"model": "lipsync-2", "input": inputs, "outputFileName": f"bare_{number}"}
                job = http.post("/v2/generate", json=body).raise_for_status().json()
                while job["status"] in ("PENDING", "PROCESSING"):
                    time.sleep(0.5)
                    job = http.get(f"/v2/generate/{job['id']}").raise_for_status().json()
                if job["status"] != "COMPLETED":
                    return str(job["status"])
                (folder / f"bare_{number}.mp4").write_bytes(httpx.get(job["outputUrl"]).content)
            except (httpx.HTTPError, KeyError, ValueError) as error:
                return type(error).__name__
            return "fetched"

        with ThreadPoolExecutor(lanes) as threads:
            ends: Counter[str] = Counter(threads.map(one, range(count)))
        ends["seconds"] = round(time.monotonic() - started, 2)  # type: ignore[assignment]
        return ends


def _asset(http: httpx.Client, path: Path) -> str:
    kind = {".mp4": "video/mp4", ".wav": "audio/wav"}[path.suffix]
    room: dict[str, Any] = {"fileName": path.name, "contentType": kind, "size": path.stat().st_size}
    place = http.post("/v2/assets/upload", json=room).raise_for_status().json()
    httpx.put(place["uploadUrl"], content=path.read_bytes(), headers={"Content-Type": kind})
    made = http.post("/v2/assets", json={"url": place["url"]}).raise_for_status().json()
    return str(made["id"])


if __name__ == "__main__":
    how, address, folder, count, lanes = sys.argv[1:]
    ends = {"ours": ours, "bare": bare}[how](address, Path(folder), int(count), int(lanes))
    print()
    print(json.dumps(ends))
