"""Upload: the files of a segment, to where an engine elsewhere finds them."""

from __future__ import annotations

from prefect import task

from lipsync_core.jobs.dispatch import Dispatcher
from tasks.policy import CACHED, RETRYING, content_key, may_retry
from tasks.values import CutOut, Kept, store_at

VERSION = 1


@task(
    name="upload",
    cache_key_fn=content_key("upload", VERSION),
    retry_condition_fn=may_retry,
    **CACHED,
    **RETRYING,
)
async def upload(parts: CutOut, account: str, *, dispatcher: Dispatcher, store: str) -> Kept:
    """Hand both files over, under names made of their content; ``account`` is where they go.

    To an engine that keeps no files they have to be shown by every run, whatever an earlier one
    did (``with_options(refresh_cache=True)``).
    """
    keep = store_at(store)
    video, speech = keep.path(parts.video), keep.path(parts.speech)
    return Kept(
        video=await dispatcher.keep(video, parts.video.sha256),
        speech=await dispatcher.keep(speech, parts.speech.sha256),
    )
