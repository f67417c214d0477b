"""Cut out: one segment as files of its own, for an engine elsewhere."""

from __future__ import annotations

from prefect import task

from lipsync_core.generators import load_generator
from lipsync_core.jobs.remote import RemoteEngine
from lipsync_core.media.audio import wav_file
from lipsync_core.media.split import split_film
from lipsync_core.naming import audio_name
from lipsync_core.stores import MediaRef
from lipsync_core.stores.local import LocalStore
from lipsync_core.timeline import sample_of_frame
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
    """The segment's frames as an MP4, and its samples of the speech as a WAV; of a film that is
    one picture, that picture, where the engine brings pictures to life."""
    keep = store_at(store)
    if job.film.still is not None and is_sent_as_still(job):
        return CutOut(video=job.film.still.image, speech=_speech_of(job, speech, keep))
    with keep.workspace() as folder:
        [(video, sound)] = split_film(
            job.material(keep).info, [job.segment()], speech.track(keep), folder
        )
        assert sound is not None
        return CutOut(video=keep.add(video), speech=keep.add(sound))


def is_sent_as_still(job: SegmentJob) -> bool:
    """Whether the engine of a segment gets one picture instead of a film."""
    if job.film.still is None:
        return False
    engine = load_generator(job.generator)
    return isinstance(engine, RemoteEngine) and engine.takes_stills(job.options)


def _speech_of(job: SegmentJob, speech: TrackValue, keep: LocalStore) -> MediaRef:
    """The segment's samples alone."""
    track, rate = speech.track(keep), job.film.rate
    first, last = (
        sample_of_frame(frame, rate, track.sample_rate)
        for frame in (job.first_frame, job.last_frame)
    )
    with keep.workspace() as folder:
        out = folder / audio_name(1, ".wav")
        with wav_file(out, track.sample_rate, track.channels) as wav:
            wav.write(track.read(first, last))
        return keep.add(out)
