"""Plan the segments: which part of the film gets a new mouth, and why the rest does not."""

from __future__ import annotations

from functools import partial

from prefect import task

from lipsync_core.faces.landmarks import FaceTrack
from lipsync_core.media.speech import voice_activity
from lipsync_core.plan import PlanRules, plan_segments, with_kinds
from lipsync_core.timeline import Cut, SpanKind
from tasks.policy import CACHED, content_key
from tasks.values import Plan, ScannedFilm, TrackValue, store_at

VERSION = 2


@task(name="plan segments", cache_key_fn=content_key("plan", VERSION), **CACHED)
def plan(
    film: ScannedFilm,
    speech: TrackValue,
    rules: dict[str, float | None],
    cuts: list[int] | None,
    kinds: dict[int, SpanKind],
    store: str,
) -> Plan:
    """Class every segment. ``cuts`` and ``kinds`` are a person's own, where given."""
    keep = store_at(store)
    voice = voice_activity(speech.track(keep))
    shots = film.cuts if cuts is None else tuple(cuts)
    timeline = plan_segments(
        film.rate,
        film.frames,
        [Cut(frame) for frame in shots],
        partial(FaceTrack.load, keep.path(film.faces)),
        voice,
        PlanRules(**rules),  # type: ignore[arg-type]
        divide=cuts is None,
    )
    timeline = with_kinds(timeline, {int(frame): kind for frame, kind in kinds.items()})
    return Plan.of(timeline, film.cuts, voice.method)
