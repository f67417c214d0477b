"""Orders placed with the emulator, in this process or in one that dies on the way.

    python orders.py ADDRESS FOLDER COUNT [POINT]

places COUNT orders and kills itself at POINT.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from lipsync_core.generators.runpod import RunPodJobs
from lipsync_core.generators.sync_so import SyncJobs, SyncSo
from lipsync_core.jobs.dispatch import Dispatcher, Quoted, dispatching
from lipsync_core.jobs.lanes import Lanes
from lipsync_core.jobs.ledger import Entry, JobStatus, Ledger
from lipsync_core.jobs.remote import Order
from lipsync_core.jobs.watch import Watcher
from lipsync_core.services.runpod.client import RunPodClient
from lipsync_core.services.sync_so.client import SyncClient


@asynccontextmanager
async def account(address: str, folder: Path, lanes: int = 5) -> AsyncIterator[Dispatcher]:
    """A run's dispatcher; the ledger is the one in ``folder``."""
    engine = SyncSo()
    secrets = {"SYNC_API_KEY": SecretStr("a-key"), "SYNC_BASE_URL": SecretStr(address)}
    ledger = Ledger.in_folder(folder)
    try:
        async with (
            engine.opened(engine.checked({}), secrets) as jobs,
            dispatching(jobs, ledger, Lanes(lanes)) as dispatcher,
        ):
            yield dispatcher
    finally:
        ledger.close()


async def placed(dispatcher: Dispatcher, folder: Path, count: int) -> list[Any]:
    """What became of so many orders: entries, or errors."""
    video = await dispatcher.keep(folder / "film.mp4", "0" * 64)

    async def one(number: int) -> Entry:
        speech = await dispatcher.keep(folder / "speech.wav", f"{number:064d}")
        order = Order(f"{number:064d}", video, speech, seconds=1.0, frame_rate=25.0)
        return await dispatcher.rendered(
            Quoted(order, f"film {number}", 0.05), folder / f"{number}.mp4"
        )  # fmt: skip

    return await asyncio.gather(*map(one, range(count)), return_exceptions=True)


async def run(address: str, folder: Path, count: int, lanes: int = 5) -> list[Any]:
    """A run of so many orders."""
    async with account(address, folder, lanes) as dispatcher:
        return await placed(dispatcher, folder, count)


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _around(owner: type, name: str, *, before: bool, when: Callable[..., bool]) -> None:
    """Die before or after the method does its work, the first time that ``when`` says so."""
    work = getattr(owner, name)

    def sync_dying(*given: Any, **more: Any) -> Any:
        if before and when(*given, **more):
            die()
        result = work(*given, **more)
        if not before and when(*given, **more):
            die()
        return result

    async def async_dying(*given: Any, **more: Any) -> Any:
        if before and when(*given, **more):
            die()
        result = await work(*given, **more)
        if not before and when(*given, **more):
            die()
        return result

    setattr(owner, name, async_dying if asyncio.iscoroutinefunction(work) else sync_dying)


def _during_the_post(client: type, name: str) -> None:
    """The request is on the wire and nobody waits for its answer."""
    work = getattr(client, name)

    async def dying(*given: Any, **more: Any) -> Any:
        posting = asyncio.create_task(work(*given, **more))
        await asyncio.sleep(0.004)
        die()
        return await posting

    setattr(client, name, dying)


def _records(status: JobStatus) -> Callable[..., bool]:
    return lambda _ledger, _key, recorded, **_facts: recorded is status


def _always(*_: Any, **__: Any) -> bool:
    return True


POINTS: dict[str, Callable[[], None]] = {
    "before the intent": lambda: _around(Ledger, "intend", before=True, when=_always),
    "after the intent": lambda: _around(Ledger, "intend", before=False, when=_always),
    "during the request": lambda: _during_the_post(SyncClient, "create"),
    "after it was accepted": lambda: _around(SyncClient, "create", before=False, when=_always),
    "after the id": lambda: _around(
        Ledger, "record", before=False, when=_records(JobStatus.SUBMITTED)
    ),
    "while it is watched": lambda: _around(Watcher, "_look", before=False, when=_always),
    "after its end": lambda: _around(
        Ledger, "record", before=False, when=_records(JobStatus.COMPLETED)
    ),
    "while it is fetched": lambda: _around(SyncJobs, "fetch", before=False, when=_always),
    "after it is fetched": lambda: _around(
        Ledger, "record", before=False, when=_records(JobStatus.FETCHED)
    ),
}

# The same with RunPod, where a call or a result of the engine's own is meant.
RUNPOD_POINTS = POINTS | {
    "during the request": lambda: _during_the_post(RunPodClient, "run"),
    "after it was accepted": lambda: _around(RunPodClient, "run", before=False, when=_always),
    "while it is fetched": lambda: _around(RunPodJobs, "fetch", before=False, when=_always),
}

if __name__ == "__main__":
    address, folder, count, *point = sys.argv[1:]
    for name in point:
        POINTS[name]()
    asyncio.run(run(address, Path(folder), int(count)))
