"""Plan a speech: where it is divided, so that no word is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from prefect import task

from lipsync_core.errors import InputError
from lipsync_core.media.audio import Track
from lipsync_core.media.pauses import find_pauses
from lipsync_core.media.speech import voice_activity
from lipsync_core.plan import LEAST_VOICE_S, NOBODY_SPEAKS
from lipsync_core.speech_plan import SpeechRules, plan_speech, rough_cuts
from tasks.policy import CACHED, content_key
from tasks.values import Plan, ScannedFilm, TrackValue, store_at

VERSION = 1
_SILENT = 0.001  # −60 dB under full scale, which nobody hears
_BLOCK_SAMPLES = 1 << 20


@task(name="plan speech", cache_key_fn=content_key("plan-speech", VERSION), **CACHED)
def divide_speech(
    film: ScannedFilm, speech: TrackValue, called: str, target_s: float, store: str
) -> Plan:
    """The speech as segments about so long, all of them to be rendered; a silent one is only
    called so.

    Raises:
        InputError: the speech is silent.
    """
    track = speech.track(store_at(store))
    if _is_silent(track):
        raise InputError(f"{called} is silent: give a recording of somebody who speaks")
    voice = voice_activity(track)
    places = find_pauses(track, film.rate, voice=voice)
    rules = SpeechRules(target_s, minimum_s=target_s / 3, maximum_s=target_s * 4 / 3)
    timeline = plan_speech(film.frames, film.rate, places, rules)
    spoken = [
        voice.voiced_s(timeline.seconds(s.first_frame), timeline.seconds(s.last_frame))
        for s in timeline.segments
    ]
    timeline = replace(timeline, segments=tuple(
        replace(segment, reason="" if voiced >= LEAST_VOICE_S else NOBODY_SPEAKS)
        for segment, voiced in zip(timeline.segments, spoken, strict=True)
    ))  # fmt: skip
    plan = Plan.of(timeline, (), voice.method)
    return plan.model_copy(update={"notes": rough_cuts(timeline, places)})


def _is_silent(track: Track) -> bool:
    return all(
        float(np.abs(track.read(first, first + _BLOCK_SAMPLES)).max(initial=0)) < _SILENT
        for first in range(0, track.samples, _BLOCK_SAMPLES)
    )
