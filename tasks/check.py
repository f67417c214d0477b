"""Check: the timeline promise, measured on the finished film."""

from __future__ import annotations

from dataclasses import asdict

from prefect import task

from lipsync_core.errors import TimelineBroken
from lipsync_core.media.checks import check_film
from lipsync_core.media.probe import probe
from lipsync_core.report.summary import TimelineChecks
from lipsync_core.stores import MediaRef
from tasks.policy import CACHED, content_key
from tasks.values import Plan, Rendered, Speech, store_at

VERSION = 1


@task(name="check", cache_key_fn=content_key("check", VERSION), **CACHED)
def check(
    video: MediaRef, final: MediaRef, clips: list[Rendered], speech: Speech, plan: Plan, store: str
) -> TimelineChecks:
    """Measure the finished film against its source and its speech.

    Raises:
        TimelineBroken: a promise is not kept.
    """
    keep = store_at(store)
    with keep.workspace() as folder:
        checks = check_film(
            probe(keep.path(video)),
            keep.path(final),
            speech.master.track(keep),
            [rendered.clip(keep) for rendered in clips],
            [segment.first_frame for segment in plan.segments],
            folder=folder,
        )
    if failures := checks.failures():
        raise TimelineBroken("; ".join(failures))
    return TimelineChecks(**asdict(checks))
