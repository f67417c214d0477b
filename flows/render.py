"""Render, verify and repair the segments of one film, as many at a time as there are workers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from prefect import unmapped
from prefect.futures import PrefectFuture

from flows.progress import progress
from flows.request import BulkRequest
from lipsync_core.errors import RenderFailed, told
from lipsync_core.generators import load_generator
from lipsync_core.report.summary import SegmentSummary, Verdict
from lipsync_core.sync import load_scorer
from lipsync_core.sync.score import Scorer
from lipsync_core.sync.verdict import Judgement, judge
from tasks.generate import generate
from tasks.values import Looked, Plan, PlannedSegment, Rendered, ScannedFilm, SegmentJob, Speech
from tasks.verify import verify

Future = PrefectFuture[Any]


@dataclass
class Attempt:
    """One segment on its way: what was asked, what came of it."""

    segment: PlannedSegment
    job: SegmentJob
    rendered: Rendered | None = None
    looked: Looked | None = None
    judgement: Judgement | None = None
    reused: bool = False
    error: str = ""


@dataclass
class RenderedFilm:
    """The clips to join, and what is told of every segment."""

    clips: list[Rendered] = field(default_factory=list)
    summaries: list[SegmentSummary] = field(default_factory=list)
    openings: dict[int, tuple[float | None, ...]] = field(default_factory=dict)
    looks: list[Looked] = field(default_factory=list)


def render_segments(
    film: ScannedFilm, speech: Speech, planned: Plan, request: BulkRequest
) -> RenderedFilm:
    """Render every lipsync segment, judge it, and repair once what a shift can repair.

    Raises:
        RenderFailed: more segments failed than the request allows.
    """
    engine, scorer = load_generator(request.generator), load_scorer(request.scorer)
    attempts = [
        Attempt(
            segment,
            SegmentJob(
                film=film, shot=_shot(planned, segment, film.frames),
                first_frame=segment.first_frame, last_frame=segment.last_frame,
                speech=speech.analysis, generator=engine.name, generator_version=engine.version,
            ),
        )
        for segment in planned.to_render
    ]  # fmt: skip
    _render_and_look(attempts, "render", "rendering mouths", scorer, request)
    _give_up_beyond(request.max_failure_rate, attempts)
    _judge(attempts, attempts, scorer)

    repairs = [
        Attempt(
            a.segment,
            a.job.model_copy(update={"shift_ms": a.judgement.repair_ms, "attempt": 2}),
        )
        for a in attempts
        if a.judgement is not None and a.judgement.repair_ms is not None
    ]
    _render_and_look(repairs, "repair", "taking out offsets", scorer, request)
    _judge(repairs, _newest(attempts, repairs), scorer)
    good = [repair for repair in repairs if repair.judgement and repair.judgement.passes]
    return _collected(planned, _newest(attempts, good))


def _newest(attempts: list[Attempt], later: list[Attempt]) -> list[Attempt]:
    """The attempts, those made later in place of the earlier ones."""
    by_index = {attempt.segment.index: attempt for attempt in later}
    return [by_index.get(attempt.segment.index, attempt) for attempt in attempts]


def _shot(planned: Plan, segment: PlannedSegment, frames: int) -> tuple[int, int]:
    first = max((f for f in planned.shots if f <= segment.first_frame), default=0)
    last = min((f for f in planned.shots if f >= segment.last_frame), default=frames)
    return first, last


def _render_and_look(
    attempts: list[Attempt], stage: str, doing: str, scorer: Scorer, request: BulkRequest
) -> None:
    if not attempts:
        return
    progress.stage(stage, doing, of=len(attempts), unit="segments")
    store = unmapped(request.store_root)
    jobs = [attempt.job for attempt in attempts]
    renderings = generate.map(jobs, store=store)
    looks = verify.map(
        jobs, renderings, unmapped(scorer.name), unmapped(scorer.version), store=store
    )
    for attempt, rendering, look in zip(attempts, renderings, looks, strict=True):
        attempt.rendered, attempt.error = _outcome(rendering)
        attempt.reused = rendering.state.name == "Cached"
        if attempt.rendered is not None:
            attempt.looked, attempt.error = _outcome(look)
        progress.advance()


def _outcome(future: Future) -> tuple[Any, str]:
    """A task's result, or the one line that says why there is none."""
    future.wait()
    if future.state.is_completed():
        return future.result(), ""
    error = future.state.result(raise_on_failure=False)
    return None, told(error)


def _give_up_beyond(rate: float, attempts: list[Attempt]) -> None:
    failed = [a for a in attempts if a.error]
    if attempts and len(failed) > rate * len(attempts):
        raise RenderFailed(
            f"{len(failed)} of {len(attempts)} segments failed, the first with: {failed[0].error}"
        )


def _judge(attempts: list[Attempt], film: list[Attempt], scorer: Scorer) -> None:
    """Apply the gates; a segment too short to be judged alone is judged with the whole film."""
    measured = [attempt.looked.rendered for attempt in film if attempt.looked is not None]
    for attempt in attempts:
        if (looked := attempt.looked) is not None:
            attempt.judgement = judge(
                looked.rendered, looked.source, looked.motion_share, measured, scorer
            )


def _collected(planned: Plan, attempts: list[Attempt]) -> RenderedFilm:
    collected = RenderedFilm()
    by_index = {attempt.segment.index: attempt for attempt in attempts}
    for segment in planned.segments:
        summary = SegmentSummary(
            index=segment.index, first_frame=segment.first_frame, last_frame=segment.last_frame,
            kind=segment.kind, reason=segment.reason,
        )  # fmt: skip
        attempt = by_index.get(segment.index)
        if attempt is not None:
            _tell(summary, attempt)
            if attempt.rendered is not None:
                collected.clips.append(attempt.rendered)
            if attempt.looked is not None:
                collected.openings[segment.first_frame] = attempt.looked.opening
                collected.looks.append(attempt.looked)
        collected.summaries.append(summary)
    return collected


def _tell(summary: SegmentSummary, attempt: Attempt) -> None:
    summary.generator = attempt.job.generator
    summary.attempts = attempt.job.attempt
    summary.reused = attempt.reused
    if attempt.rendered is not None and not attempt.reused:
        summary.seconds = attempt.rendered.seconds
    if attempt.judgement is None:
        summary.verdict = Verdict.REVIEW
        kept = attempt.rendered is None
        summary.reason = (
            "the source picture was kept: " if kept else "not scored: "
        ) + attempt.error
        return
    found = attempt.judgement
    summary.offset_frames = found.score.offset_frames
    summary.confidence = found.score.confidence
    if found.source is not None and found.source.offset_frames is not None:
        summary.source_confidence = found.source.confidence
    repaired = attempt.job.attempt > 1
    good = Verdict.REPAIRED if repaired else Verdict.PASS
    summary.verdict = good if found.passes else Verdict.REVIEW
    summary.reason = found.reason
