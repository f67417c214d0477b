"""Cut out: one segment as files of its own, for an engine elsewhere."""

from __future__ import annotations

from prefect import task

from lipsync_core.media.split import split_film
from tasks.policy import CACHED, RETRYING, content_key, may_retry
from tasks.values import CutOut, SegmentJob, TrackValue, store_at

VERSION = 1


@task(
    name="cut out",
    task_run_name="cut out {job.first_frame}-{job.last_frame}",
    cache_key_fn=content_key("cut-out", VERSION),
    retry_condition_fn=may_retry,
    **CACHED,
    **RETRYING,
)
def cut_out(job: SegmentJob, speech: TrackValue, store: str) -> CutOut:
    """The segment's frames as an MP4, and its samples of the speech as a WAV."""
    keep = store_at(store)
    with keep.workspace() as folder:
        [(video, sound)] = split_film(
            job.material(keep).info, [job.segment()], speech.track(keep), folder
        )
        assert sound is not None
        return CutOut(video=keep.add(video), speech=keep.add(sound))
