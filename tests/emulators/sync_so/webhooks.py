"""Webhook calls: compact JSON, signed over its bytes, once and without another try."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import httpx

from tests.emulators.sync_so.bodies import is_loopback
from tests.emulators.sync_so.jobs import compact
from tests.emulators.sync_so.signatures import webhook_signature

_PATIENCE_S = 5.0


async def deliver(
    client: httpx.AsyncClient, url: str, payload: dict[str, Any], secret: str
) -> None:
    """Call a webhook on this machine; those elsewhere are never called."""
    if not is_loopback(url):
        return
    body = compact(payload).encode()
    headers = {
        "Content-Type": "application/json",
        "Sync-Signature": webhook_signature(secret, body, int(time.time())),
    }
    with suppress(httpx.HTTPError):
        await client.post(url, content=body, headers=headers, timeout=_PATIENCE_S)
