"""Conform: what an engine elsewhere gave back, as a clip of the film."""

from __future__ import annotations

from prefect import task

from lipsync_core.generators.conform import conformed
from tasks.policy import CACHED, content_key
from tasks.values import Rendered, Returned, SegmentJob, store_at

VERSION = 1


@task(
    name="conform",
    task_run_name="conform {job.first_frame}-{job.last_frame}",
    cache_key_fn=content_key("conform", VERSION),
    **CACHED,
)
def conform(job: SegmentJob, returned: Returned, store: str) -> Rendered:
    """Bring the frames to the film's grid, and the face into the film's own picture."""
    keep = store_at(store)
    with keep.workspace() as folder:
        clip = conformed(
            job.material(keep), job.segment(), keep.path(returned.file), folder / "clip.mkv"
        )
        file = keep.add(clip.path)
    box = clip.box
    return Rendered(
        file=file, first_frame=clip.first_frame, last_frame=clip.last_frame,
        box=(box.x, box.y, box.width, box.height),
        seconds=returned.seconds, seam_frames=job.seam_frames,
    )  # fmt: skip
