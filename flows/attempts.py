"""One segment on its way through a run, and what is told of it in the end."""

from __future__ import annotations

from dataclasses import dataclass, field

from flows.engine import Engine
from lipsync_core.report.summary import Candidate, SegmentSummary, Verdict
from lipsync_core.sync.verdict import Judgement
from lipsync_core.timeline import sample_of_frame
from tasks.values import (
    Looked,
    Plan,
    PlannedSegment,
    Rendered,
    ScannedFilm,
    SegmentJob,
    Speech,
    store_at,
)


@dataclass
class Attempt:
    """One segment: what was asked, what came of it.

    ``is_open`` says that its job elsewhere has not ended yet; ``instead_of`` is the attempt that a
    fallback takes the place of; ``candidates`` are the attempts, itself among them, that it was
    chosen from.
    """

    segment: PlannedSegment
    job: SegmentJob
    rendered: Rendered | None = None
    looked: Looked | None = None
    judgement: Judgement | None = None
    reused: bool = False
    cost_usd: float = 0.0
    error: str = ""
    may_be_resubmitted: bool = False
    is_open: bool = False
    instead_of: Attempt | None = None
    candidates: list[Attempt] = field(default_factory=list)

    @property
    def merit(self) -> tuple[bool, bool, float]:
        """What makes one attempt at a segment better than another, by measurement."""
        found = self.judgement
        if found is None:
            return False, False, 0.0
        return found.passes, found.score.offset_frames is not None, found.score.confidence


@dataclass
class RenderedFilm:
    """The clips to join, and what is told of every segment."""

    clips: list[Rendered] = field(default_factory=list)
    summaries: list[SegmentSummary] = field(default_factory=list)
    openings: dict[int, tuple[float | None, ...]] = field(default_factory=dict)
    looks: list[Looked] = field(default_factory=list)
    to_resubmit: int = 0


def first_attempts(
    film: ScannedFilm, speech: Speech, planned: Plan, engine: Engine, store: str
) -> list[Attempt]:
    """An attempt at every segment that gets a new mouth."""
    track = speech.analysis.track(store_at(store))
    reach = round(engine.hears_s * track.sample_rate)
    attempts = []
    seam_frames = engine.seam_frames if film.still else 0
    for segment in planned.to_render:
        first_frame = max(0, segment.first_frame - seam_frames)
        last_frame = min(film.frames, segment.last_frame + seam_frames)
        first, last = (
            sample_of_frame(frame, film.rate, track.sample_rate)
            for frame in (first_frame, last_frame)
        )
        job = SegmentJob(
            film=film, shot=_shot(planned, segment, film.frames),
            first_frame=first_frame, last_frame=last_frame, seam_frames=seam_frames,
            speech=speech.analysis, heard=track.fingerprint(first - reach, last + reach),
            generator=engine.name, generator_version=engine.version, options=engine.options,
        )  # fmt: skip
        attempts.append(Attempt(segment, job))
    return attempts


def newest(attempts: list[Attempt], later: list[Attempt]) -> list[Attempt]:
    """The attempts, those made later in place of the earlier ones."""
    by_index = {attempt.segment.index: attempt for attempt in later}
    return [by_index.get(attempt.segment.index, attempt) for attempt in attempts]


def best_of(entries: list[list[Attempt]]) -> list[Attempt]:
    """Of several engines' attempts at the same segments the better one of each; of equally good
    ones the earlier engine's."""
    chosen = []
    for candidates in zip(*entries, strict=True):
        best = max(candidates, key=lambda attempt: attempt.merit)
        best.candidates = list(candidates) if len(candidates) > 1 else []
        chosen.append(best)
    return chosen


def collected(planned: Plan, attempts: list[Attempt]) -> RenderedFilm:
    """The whole film, segment by segment, from the attempts that count."""
    film = RenderedFilm()
    by_index = {attempt.segment.index: attempt for attempt in attempts}
    for segment in planned.segments:
        summary = SegmentSummary(
            index=segment.index, first_frame=segment.first_frame, last_frame=segment.last_frame,
            kind=segment.kind, reason=segment.reason,
        )  # fmt: skip
        attempt = by_index.get(segment.index)
        if attempt is not None:
            _tell(summary, attempt)
            film.to_resubmit += attempt.may_be_resubmitted
            if attempt.rendered is not None:
                film.clips.append(attempt.rendered)
            if attempt.looked is not None:
                start = segment.first_frame - attempt.job.first_frame
                opening = attempt.looked.opening[start : start + segment.frames]
                film.openings[segment.first_frame] = opening
                film.looks.append(attempt.looked)
        film.summaries.append(summary)
    return film


def _shot(planned: Plan, segment: PlannedSegment, frames: int) -> tuple[int, int]:
    first = max((f for f in planned.shots if f <= segment.first_frame), default=0)
    last = min((f for f in planned.shots if f >= segment.last_frame), default=frames)
    return first, last


def _as_candidate(attempt: Attempt, chosen: bool) -> Candidate:
    found = attempt.judgement
    return Candidate(
        generator=attempt.job.generator, chosen=chosen,
        passes=found is not None and found.passes,
        offset_frames=found.score.offset_frames if found else None,
        confidence=found.score.confidence if found else None,
        reason=found.reason if found else attempt.error,
        file=attempt.rendered.file.uri if attempt.rendered else None,
    )  # fmt: skip


def _tell(summary: SegmentSummary, attempt: Attempt) -> None:
    summary.generator = attempt.job.generator
    summary.attempts = attempt.job.attempt
    summary.reused = attempt.reused
    summary.cost_usd = attempt.cost_usd
    summary.candidates = [_as_candidate(one, one is attempt) for one in attempt.candidates]
    if attempt.rendered is not None:
        summary.remarks = attempt.rendered.remarks
        if not attempt.reused:
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
    repaired = attempt.job.shift_ms != 0
    good = Verdict.REPAIRED if repaired else Verdict.PASS
    summary.verdict = good if found.passes else Verdict.REVIEW
    summary.reason = found.reason
    if (first := attempt.instead_of) is not None:
        why = first.error or (first.judgement.reason if first.judgement else "")
        summary.verdict = Verdict.FALLBACK
        summary.attempts = first.job.attempt + 1
        summary.cost_usd = first.cost_usd
        summary.reason = f"{first.job.generator}: {why}"
