"""A limit on jobs that all runs of one Prefect server keep together.

    prefect gcl create sync-jobs --limit 15

Where the server knows a global concurrency limit of that name, every job under way with the engine
holds one of its slots. Without one, every run keeps to its own lanes and to what the account says.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial

from prefect.client.orchestration import get_client
from prefect.concurrency.asyncio import concurrency
from prefect.exceptions import ObjectNotFound


async def shared_limit(engine: str) -> Callable[[], AbstractAsyncContextManager[None]]:
    """What to hold while a job is under way with an engine."""
    name = f"{engine}-jobs"
    async with get_client() as client:
        try:
            await client.read_global_concurrency_limit_by_name(name)
        except ObjectNotFound:
            return nullcontext
    # a job that is under way is waited for, whatever becomes of the slot it holds
    return partial(concurrency, name, raise_on_lease_renewal_failure=False)
