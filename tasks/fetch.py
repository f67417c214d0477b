"""Fetch: a film or a speech that lies elsewhere, into the store of the run."""

from __future__ import annotations

import asyncio
from pathlib import Path

from prefect import task

from blocks.addresses import on_the_web
from lipsync_core.jobs.manifest import Source
from lipsync_core.stores import MediaRef, ref_of
from lipsync_core.stores.address import Address
from lipsync_core.stores.fetched import fetched
from tasks.policy import RETRYING, may_retry
from tasks.values import store_at


@task(
    name="fetch",
    task_run_name="fetch {source}",
    persist_result=False,  # an address is no content: its server is asked every time
    retry_condition_fn=may_retry,
    **RETRYING,
)
def fetch(source: Address, store: str) -> MediaRef:
    """Fetch the file, unless the store holds it and its server says that it is unchanged."""
    return asyncio.run(_fetch(source, store))


def at_hand(source: Source, store: str) -> MediaRef:
    """A file of this machine where it lies, or one from elsewhere out of the store."""
    return ref_of(source) if isinstance(source, Path) else fetch(source, store)


async def _fetch(source: Address, store: str) -> MediaRef:
    return await fetched(await on_the_web(source), store_at(store), called=source)
