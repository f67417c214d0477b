"""What a run will cost and how long it will take, before anything is rendered."""

from __future__ import annotations

from dataclasses import dataclass

from lipsync_core.timeline import SpanKind, Timeline


@dataclass(frozen=True)
class Quote:
    """The price of a plan. ``render_s`` is the length of the film that gets a new mouth."""

    generator: str
    segments: int
    render_s: float
    film_s: float
    cost_usd: float


def quote(generator: str, timeline: Timeline) -> Quote:
    """Price a plan. Local engines cost nothing but time; passthrough spans cost nothing at all."""
    rendered = [s for s in timeline.segments if s.kind is SpanKind.LIPSYNC]
    return Quote(
        generator=generator,
        segments=len(rendered),
        render_s=sum(timeline.seconds(s.frames) for s in rendered),
        film_s=timeline.seconds(timeline.frames),
        cost_usd=0.0,
    )
