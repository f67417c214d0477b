"""From a plan to a finished film: quote, approve, render, verify, repair, join, check, publish."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from flows.approval import keep_to_budget
from flows.engine_request import EngineRequest
from flows.progress import progress
from flows.render import render_segments
from lipsync_core.jobs.budget import Purse, Quote, quote
from lipsync_core.plan import write_plan
from lipsync_core.report.summary import SegmentSummary, TimelineChecks
from lipsync_core.stores import MediaRef
from tasks.check import check
from tasks.join import joined, publish
from tasks.score import score_film
from tasks.values import Plan, ScannedFilm, Speech, store_at


@dataclass
class FilmOutcome:
    """Everything the report needs of one film; without ``final`` it was only planned.

    ``folder`` is where its plan and figures lie, ``output`` where the film itself goes.
    """

    name: str
    folder: Path
    output: Path
    film: ScannedFilm
    speech: Speech
    plan: Plan
    quote: Quote
    final: MediaRef | None = None
    checks: TimelineChecks | None = None
    segments: list[SegmentSummary] = field(default_factory=list)
    to_resubmit: int = 0
    openings: dict[int, tuple[float | None, ...]] = field(default_factory=dict)
    source_score: dict[str, object] | None = None
    film_score: dict[str, object] | None = None
    stage_seconds: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def dubbed(
    name: str,
    film: ScannedFilm,
    speech: Speech,
    planned: Plan,
    request: EngineRequest,
    purse: Purse,
) -> FilmOutcome:
    """Make a planned film; only planned again where the request is a dry run.

    Raises:
        BudgetExceeded: it would cost too much; nothing was submitted.
        RenderFailed: too many segments failed.
        TimelineBroken: the finished film does not keep the timeline's promise.
    """
    store, folder = request.store_root, request.folder_of(name)
    write_plan(folder / "segments.csv", planned.timeline())
    engine = request.engine
    seam_frames = engine.seam_frames if film.still else 0
    info = film.material(store_at(store)).info
    a_frame = engine.sized(info.width, info.height).price
    price = quote(request.generator, planned.timeline(), a_frame, seam_frames)
    outcome = FilmOutcome(name, folder, request.output_of(name), film, speech, planned, price)
    keep_to_budget(price, purse, name)
    if request.dry_run:
        return outcome

    outcome.notes = request.remarks
    for remark in outcome.notes:
        progress.say(f"{name}: {remark}")
    rendered = render_segments(film, speech, planned, request)
    outcome.segments, outcome.openings = rendered.summaries, rendered.openings
    outcome.to_resubmit = rendered.to_resubmit

    progress.stage("join", "joining the film", of=film.frames, unit="frames")
    draft = joined(film.video, rendered.clips, speech, folder, outcome.output, store)

    progress.stage("check", "checking the finished film")
    outcome.checks = check(film.video, draft, rendered.clips, speech, planned, store)
    outcome.final = publish(draft, outcome.output)
    outcome.source_score, outcome.film_score = score_film(
        rendered.looks, film, request.scorer, store
    )
    outcome.stage_seconds = progress.seconds()
    return outcome
