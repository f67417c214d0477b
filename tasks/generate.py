"""Generate: render one segment with the chosen engine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prefect import task
from prefect.logging import get_run_logger

from lipsync_core.errors import writing
from lipsync_core.generators import load_generator
from lipsync_core.generators.contest import Contest
from lipsync_core.jobs.remote import RemoteEngine
from tasks.policy import CACHED, RETRYING, content_key, may_retry
from tasks.values import Rendered, SegmentJob, store_at

VERSION = 1
ENGINE_WORDS = "engines"
"""The folder of a store in which lies what engines printed."""


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
    assert not isinstance(engine, Contest), "its rivals are asked one by one"
    with keep.workspace() as folder, _words_kept(folder, job, Path(store)):
        clip = engine.render(
            job.material(keep),
            job.segment(),
            job.speech.track(keep),
            folder / "clip.mkv",
            shift_ms=job.shift_ms,
            options=job.options,
        )
        file = keep.add(clip.path)
    box = clip.box
    return Rendered(
        file=file,
        first_frame=clip.first_frame,
        last_frame=clip.last_frame,
        box=(box.x, box.y, box.width, box.height),
        seconds=round(time.monotonic() - started, 2),
        remarks=clip.remarks,
    )


@contextmanager
def _words_kept(folder: Path, job: SegmentJob, store: Path) -> Iterator[None]:
    """Keep what an engine prints with the run, above all where it fails."""
    try:
        yield
    finally:
        said = folder / "words.log"
        if said.exists() and said.stat().st_size:
            film = job.film.video.sha256[:12]
            name = f"{job.generator}-{film}-{job.first_frame}-{job.last_frame}.log"
            kept = store / ENGINE_WORDS / name
            with writing(kept):
                kept.parent.mkdir(exist_ok=True)
                with kept.open("ab") as file:  # a second try must not replace the first one's
                    file.write(said.read_bytes())
