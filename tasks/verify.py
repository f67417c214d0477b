"""Verify: score a rendered segment against the new speech and against its source."""

from __future__ import annotations

import numpy as np
from prefect import task

from lipsync_core.sync import load_scorer
from lipsync_core.verify import VERSION, look_at
from tasks.policy import CACHED, RETRYING, content_key, may_retry
from tasks.values import Looked, Rendered, SegmentJob, store_at


@task(
    name="verify",
    task_run_name="verify {job.first_frame}-{job.last_frame}",
    cache_key_fn=content_key("verify", VERSION),
    retry_condition_fn=may_retry,
    **CACHED,
    **RETRYING,
)
def verify(
    job: SegmentJob, rendered: Rendered, scorer: str, scorer_version: int, store: str
) -> Looked:
    """Decode the rendered frames again and measure them."""
    keep = store_at(store)
    look = look_at(
        rendered.clip(keep), job.material(keep), job.speech.track(keep), load_scorer(scorer)
    )
    opening = tuple(None if np.isnan(gap) else round(float(gap), 4) for gap in look.opening)
    return Looked(
        rendered=look.rendered,
        source=look.source,
        motion_share=round(look.motion_share, 3),
        change_share=round(look.change_share, 3),
        opening=opening,
    )
