"""One film, from source to finished film: the table of contents of the job."""

from __future__ import annotations

from dataclasses import dataclass, field

from prefect import flow

from flows.approval import keep_to_budget
from flows.progress import progress
from flows.render import render_segments
from flows.request import BulkRequest
from lipsync_core.errors import InputError
from lipsync_core.jobs.budget import Purse, Quote, quote
from lipsync_core.jobs.manifest import Source
from lipsync_core.media.probe import probe
from lipsync_core.plan import write_plan
from lipsync_core.report.summary import SegmentSummary, TimelineChecks
from lipsync_core.stores import MediaRef
from tasks.check import check
from tasks.fetch import at_hand
from tasks.join import joined, publish
from tasks.plan import plan
from tasks.prepare import prepare
from tasks.scan import scan
from tasks.score import score_film
from tasks.speech import lay_speech
from tasks.values import Plan, ScannedFilm, Speech, store_at


@dataclass
class FilmOutcome:
    """Everything the report needs of one film; without ``final`` it was only planned."""

    name: str
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


@flow(name="film", flow_run_name="{name}", persist_result=False)
def dub_film(
    name: str, video: Source, audio: Source, request: BulkRequest, purse: Purse
) -> FilmOutcome:
    """Fetch, probe, scan, plan, quote, render, verify, repair, join and check one film."""
    store, folder = request.store_root, request.out / name
    prepare(folder, store)
    source, sound = at_hand(video, store), at_hand(audio, store)
    info = probe(store_at(store).path(source))
    if objection := request.engine.objection(info.width, info.height):
        raise InputError(f"{name}: {objection}")

    progress.stage("scan", "looking for scenes and faces", of=info.frames, unit="frames")
    film = scan(source, request.detector, store).at(source)
    speech = lay_speech(sound, info.frames, str(info.frame_rate), store)

    progress.stage("plan", "planning segments")
    cuts, kinds = request.given_cuts(info.frames)
    rules = {
        "target_s": request.segment_seconds, "start_s": request.start, "end_s": request.end
    }  # fmt: skip
    planned = plan(film, speech.analysis, rules, cuts, kinds, store)
    write_plan(folder / "segments.csv", planned.timeline())
    price = quote(request.generator, planned.timeline(), request.engine.price)
    outcome = FilmOutcome(name, film, speech, planned, price)
    keep_to_budget(price, purse, name)
    if request.dry_run:
        return outcome

    outcome.notes = request.remarks
    for remark in outcome.notes:
        progress.say(f"{name}: {remark}")
    rendered = render_segments(film, speech, planned, request)
    outcome.segments, outcome.openings = rendered.summaries, rendered.openings
    outcome.to_resubmit = rendered.to_resubmit

    progress.stage("join", "joining the film", of=info.frames, unit="frames")
    draft = joined(film.video, rendered.clips, speech, folder, store)

    progress.stage("check", "checking the finished film")
    outcome.checks = check(film.video, draft, rendered.clips, speech, planned, store)
    outcome.final = publish(draft, folder)
    outcome.source_score, outcome.film_score = score_film(
        rendered.looks, film, request.scorer, store
    )
    outcome.stage_seconds = progress.seconds()
    return outcome
