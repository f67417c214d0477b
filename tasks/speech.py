"""Lay the new speech under the film, exactly as long as its picture."""

from __future__ import annotations

from fractions import Fraction

from prefect import task

from lipsync_core.media.audio import ANALYSIS_RATE, lay_track, length_note
from lipsync_core.stores import MediaRef
from tasks.policy import CACHED, RETRYING, content_key, may_retry
from tasks.values import Speech, TrackValue, store_at

VERSION = 1


@task(
    name="lay speech",
    cache_key_fn=content_key("speech", VERSION),
    retry_condition_fn=may_retry,
    **CACHED,
    **RETRYING,
)
def lay_speech(audio: MediaRef, frames: int, frame_rate: str, store: str) -> Speech:
    """Decode the speech twice: as it is for delivery, mono at 16 kHz for analysis."""
    keep, rate = store_at(store), Fraction(frame_rate)
    path = keep.path(audio)
    with keep.workspace() as folder:
        master = lay_track(path, folder / "master.wav", frames=frames, frame_rate=rate)
        analysis = lay_track(
            path, folder / "speech.wav", frames=frames, frame_rate=rate,
            sample_rate=ANALYSIS_RATE, mono=True,
        )  # fmt: skip
        return Speech(
            master=TrackValue.of(master, keep.add(master.path)),
            analysis=TrackValue.of(analysis, keep.add(analysis.path)),
            note=length_note(master.given_s, float(frames / rate)),
        )
