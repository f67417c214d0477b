"""A call from the service ends the waiting at once; the watcher would have looked much later."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest
from media_factory import bursts, make_film, write_sound
from orders import placed
from pydantic import SecretStr
from sync_service import SyncService

from lipsync_core.generators.sync_so import SyncJobs
from lipsync_core.jobs import watch
from lipsync_core.jobs.dispatch import dispatching
from lipsync_core.jobs.lanes import Lanes
from lipsync_core.jobs.ledger import Entry, Ledger
from lipsync_core.services.sync_so.client import SyncClient
from lipsync_core.services.sync_so.options import SyncOptions
from lipsync_core.services.sync_so.webhook import WebhookReceiver

LATER_S = 30.0


@pytest.fixture
def service(tmp_path: Path) -> Iterator[SyncService]:
    service = SyncService(tmp_path / "service", "--job-seconds", "0.5", "--render", "copy")
    yield service
    service.stop()


@asynccontextmanager
async def listening(receiver: WebhookReceiver) -> AsyncIterator[str]:
    """A door for webhooks, as small as can be; its address."""

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
        raw = await reader.readexactly(int(headers["content-length"]))
        receiver.receive(raw, headers["sync-signature"], time.time())
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"


async def ordered(service: SyncService, folder: Path) -> list[object]:
    """Two orders of an account whose webhook is this test's own door."""
    key = SecretStr("a-key")
    async with aclosing(SyncClient(key, service.address)) as client:
        woken: list[watch.Watcher] = []
        receiver = WebhookReceiver(
            await client.webhook_secret(), lambda job: [each.wake(job) for each in woken]
        )
        async with listening(receiver) as hook:
            jobs = SyncJobs(client, "account", SyncOptions(), webhook_url=hook)
            ledger = Ledger.in_folder(folder)
            try:
                async with dispatching(jobs, ledger, Lanes(2)) as dispatcher:
                    woken.append(dispatcher.watcher)
                    return await placed(dispatcher, folder, 2)
            finally:
                ledger.close()


def test_a_webhook_wakes_the_watcher(
    service: SyncService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_film(tmp_path / "film.mp4", frames=25)
    write_sound(tmp_path / "speech.wav", bursts(1, 16_000), 16_000)
    monkeypatch.setattr(watch, "SOONEST_S", LATER_S)
    started = time.monotonic()
    found = asyncio.run(asyncio.wait_for(ordered(service, tmp_path), LATER_S))
    assert all(isinstance(entry, Entry) for entry in found), found
    assert time.monotonic() - started < LATER_S / 2
    assert len(service.bill) == 2
