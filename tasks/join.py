"""Join: the finished film from the source, the rendered segments and one continuous speech."""

from __future__ import annotations

from pathlib import Path

from prefect import task

from lipsync_core.errors import writing
from lipsync_core.media.join import join_film
from lipsync_core.media.probe import probe
from lipsync_core.stores import MediaRef, ref_of
from tasks.policy import CACHED, RETRYING, content_key, may_retry
from tasks.values import Rendered, Speech, store_at

VERSION = 1


@task(
    name="join",
    cache_key_fn=content_key("join", VERSION),
    retry_condition_fn=may_retry,
    **CACHED,
    **RETRYING,
)
def join(video: MediaRef, clips: list[Rendered], speech: Speech, out: str, store: str) -> MediaRef:
    """Encode the film once, to ``out``."""
    keep = store_at(store)
    path = Path(out)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    join_film(
        probe(keep.path(video)),
        [rendered.clip(keep) for rendered in clips],
        speech.master.track(keep),
        path,
    )
    return ref_of(path)
