"""Generate: render one segment with the chosen engine."""

from __future__ import annotations

import time

from prefect import task
from prefect.logging import get_run_logger

from lipsync_core.generators import load_generator
from lipsync_core.jobs.remote import RemoteEngine
from tasks.policy import CACHED, RETRYING, content_key, may_retry
from tasks.values import Rendered, SegmentJob, store_at

VERSION = 1


@task(
    name="generate",
    task_run_name="generate {job.first_frame}-{job.last_frame}",
    cache_key_fn=content_key("generate", VERSION),
    retry_condition_fn=may_retry,
    **CACHED,
    **RETRYING,
)
def generate(job: SegmentJob, store: str) -> Rendered:
    """Render frames [first_frame, last_frame) to the new speech."""
    keep = store_at(store)
    started = time.monotonic()
    get_run_logger().info("rendering frames %d to %d", job.first_frame, job.last_frame)
    engine = load_generator(job.generator)
    assert not isinstance(engine, RemoteEngine), "jobs of an engine elsewhere are ordered"
    with keep.workspace() as folder:
        clip = engine.render(
            job.material(keep),
            job.segment(),
            job.speech.track(keep),
            folder / "clip.mkv",
            shift_ms=job.shift_ms,
        )
        file = keep.add(clip.path)
    box = clip.box
    return Rendered(
        file=file,
        first_frame=clip.first_frame,
        last_frame=clip.last_frame,
        box=(box.x, box.y, box.width, box.height),
        seconds=round(time.monotonic() - started, 2),
    )
