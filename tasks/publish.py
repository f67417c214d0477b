"""Publish: one file of a person's, in a store that the world can be let into."""

from __future__ import annotations

import asyncio
from pathlib import Path

from prefect import task

from lipsync_core.stores import ref_of
from lipsync_core.stores.public import PublicStore
from tasks.policy import RETRYING, may_retry


@task(
    name="publish",
    task_run_name="publish {path.name}",
    persist_result=False,  # a store is asked what it holds, every time
    retry_condition_fn=may_retry,
    **RETRYING,
)
async def publish_file(path: Path, *, store: PublicStore) -> str:
    """The URI of the file in the store; what is there already is not sent again."""
    ref = await asyncio.to_thread(ref_of, path)
    return await store.publish(path, ref.sha256)
