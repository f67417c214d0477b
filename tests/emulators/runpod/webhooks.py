"""Webhook calls: the status document, three tries at most, unsigned."""

from __future__ import annotations

import asyncio
import time
from urllib.parse import urlsplit

import httpx

from tests.emulators.runpod.documents import document
from tests.emulators.runpod.jobs import Jobs

_TRIES = 3
_PATIENCE_S = 10.0
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


async def tell(client: httpx.AsyncClient, jobs: Jobs, job_id: str, gap_s: float) -> None:
    """Call the webhook of a job that is over until it answers 200; one elsewhere is not called."""
    job = jobs.get(job_id)
    while job and not job.webhook_done and job.webhook_tries < _TRIES:
        assert job.webhook is not None
        if urlsplit(job.webhook).hostname not in _LOOPBACK:
            break
        if job.webhook_tries:
            await asyncio.sleep(gap_s)
        jobs.change(job_id, webhook_tries=job.webhook_tries + 1)
        if await _is_taken(client, job.webhook, document(jobs, job, time.time())):
            break
        job = jobs.get(job_id)
    jobs.change(job_id, webhook_done=1)


async def _is_taken(client: httpx.AsyncClient, url: str, body: bytes) -> bool:
    headers = {"Content-Type": "application/json"}
    try:
        answer = await client.post(url, content=body, headers=headers, timeout=_PATIENCE_S)
    except (httpx.HTTPError, httpx.InvalidURL):
        return False
    return answer.status_code == 200
