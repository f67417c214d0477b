"""Lay the new speech under the film, exactly as long as its picture."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

from prefect import task

from lipsync_core.errors import InputError
from lipsync_core.media.audio import ANALYSIS_RATE, lay_track, length_note, sound_seconds
from lipsync_core.still_film import FRAME_RATE
from lipsync_core.stores import MediaRef
from tasks.policy import CACHED, RETRYING, content_key, may_retry
from tasks.values import Speech, TrackValue, store_at

VERSION = 1


LONGEST_PORTRAIT_S = 3600.0


@task(
    name="measure speech",
    cache_key_fn=content_key("speech-frames", VERSION),
    retry_condition_fn=may_retry,
    **CACHED,
    **RETRYING,
)
def speech_frames(audio: MediaRef, called: str, store: str) -> int:
    """How many frames a still film needs for all of a speech to be heard.

    Raises:
        InputError: no sound, or more than a portrait should say at a time.
    """
    seconds = sound_seconds(store_at(store).path(audio))
    if seconds > LONGEST_PORTRAIT_S:
        raise InputError(
            f"{called} is {seconds / 60:.0f} minutes long: a portrait speaks for "
            f"{LONGEST_PORTRAIT_S / 60:.0f} at most, divide the speech"
        )
    # a hair is taken off, since seconds were counted in floating point
    return max(1, ceil(seconds * float(FRAME_RATE) - 1e-6))


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
