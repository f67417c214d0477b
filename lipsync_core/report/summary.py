"""The summary of a run: what ``run.json`` holds and ``--json`` prints.

These models are the one description of those facts; the report page, the Prefect artifacts and
the command line all read them.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, Field

from lipsync_core.errors import writing
from lipsync_core.media.checks import REVIEW_PSNR_DB
from lipsync_core.timeline import SpanKind

_TOLD = 5  # segments that want a look, on a terminal


class Verdict(StrEnum):
    """What verification says of a segment."""

    PASS = "pass"
    REPAIRED = "repaired"
    FALLBACK = "fallback"
    REVIEW = "review"


class Candidate(BaseModel):
    """What one of several engines made of a segment; ``file`` is its clip in the store."""

    generator: str
    chosen: bool
    passes: bool
    offset_frames: float | None
    confidence: float | None
    reason: str
    file: str | None

    @property
    def told(self) -> str:
        """What it came to, in a sentence."""
        offset, confidence = self.offset_frames, self.confidence
        measured = "not measured" if confidence is None else f"confidence {confidence:.2f}"
        if offset is not None:
            measured = f"offset {offset:+.2f} frames, {measured}"
        if self.chosen:  # its reason is the segment's own
            return f"taken: {self.generator}: {measured}"
        return f"{self.generator}: {measured}" + (f" ({self.reason})" if self.reason else "")


class SegmentSummary(BaseModel):
    """One segment: frames [first_frame, last_frame), what was done to it and how it scored.

    ``offset_frames`` counts frames of 1/25 s, positive = the sound is early; it and the
    confidences are ``None`` where there is no evidence, and ``reason`` then says why. ``remarks``
    are what the engine had to say; ``candidates`` are given where several engines tried.
    """

    index: int
    first_frame: int
    last_frame: int
    kind: SpanKind
    generator: str | None = None
    verdict: Verdict = Verdict.PASS
    attempts: int = 0
    reused: bool = False
    offset_frames: float | None = None
    confidence: float | None = None
    source_confidence: float | None = None
    seconds: float = Field(0.0, description="how long the rendering took; 0 when reused")
    cost_usd: float = 0.0
    reason: str = ""
    remarks: tuple[str, ...] = ()
    candidates: list[Candidate] = []

    @property
    def told(self) -> str:
        """Everything there is to say about it, for one cell of a table."""
        tried = (candidate.told for candidate in self.candidates)
        return "; ".join(filter(None, (self.reason, *self.remarks, *tried)))


class TimelineChecks(BaseModel):
    """The figures of the timeline promise, measured on the finished file."""

    frames_equal: bool
    max_boundary_lag_ms: float
    colour_tags_equal: bool
    psnr_outside_db: float
    timestamps_monotonic: bool


class FilmSummary(BaseModel):
    """One finished film. ``notes`` are sentences for a person: conforming, padding, fallbacks.

    ``film_score`` is the score of the whole finished film in the fields of ``flows.verify``, with
    the ``scorer`` that measured it; ``source_score`` is the same of the source with its own sound.
    """

    name: str
    output: str
    report: str
    frame_rate: str
    frames: int
    checks: TimelineChecks | None
    segments: list[SegmentSummary]
    film_score: dict[str, object] | None = None
    source_score: dict[str, object] | None = None
    notes: list[str] = []
    stage_seconds: dict[str, float] = {}
    url: str | None = Field(None, description="where it was copied to; told, never written down")

    @property
    def needs_review(self) -> bool:
        """Whether a person should look before this film is delivered."""
        dim = self.checks is not None and self.checks.psnr_outside_db < REVIEW_PSNR_DB
        return dim or any(segment.verdict is Verdict.REVIEW for segment in self.segments)

    def as_markdown(self) -> str:
        """The checks and notes as a small page."""
        rows = "".join(f"| {name} | {figure} |\n" for name, figure in self._checks_in_words())
        notes = "".join(f"- {note}\n" for note in self.notes)
        return f"## {self.name}\n\n| check | figure |\n|---|---|\n{rows}\n{notes}"

    def _checks_in_words(self) -> list[tuple[str, str]]:
        found = self.checks
        if found is None:
            return [("finished", "no, only planned")]
        yes = {True: "yes", False: "no"}
        return [
            ("frame count as in the source", yes[found.frames_equal]),
            ("largest sound lag at a boundary", f"{found.max_boundary_lag_ms:.2f} ms"),
            ("colour tags as in the source", yes[found.colour_tags_equal]),
            ("picture outside the mouth", f"{found.psnr_outside_db:.1f} dB"),
            ("time stamps in order", yes[found.timestamps_monotonic]),
        ]


class FailedFilm(BaseModel):
    """A film that could not be finished, and the one line that says why."""

    name: str
    error: str


class RunSummary(BaseModel):
    """One execution of the main job."""

    run_dir: str
    cost_usd: float
    films: list[FilmSummary]
    failed: list[FailedFilm]
    next_command: str | None = None

    @property
    def exit_code(self) -> int:
        """0 when every film is finished and nothing needs a look, else 1."""
        return int(bool(self.failed) or any(film.needs_review for film in self.films))

    def as_text(self) -> str:
        """A few lines for a terminal."""
        lines = [line for film in self.films for line in _film_lines(film)]
        lines += [f"{film.name}: failed: {film.error}" for film in self.failed]
        if self.cost_usd:
            only = all(film.checks is None for film in self.films)
            lines.append(f"{'quote' if only else 'cost'}: ${self.cost_usd:.2f}")
        if self.films and self.films[0].checks is not None:
            lines.append(f"report: {self.films[0].report}")
        if self.next_command:
            lines.append(f"next: {self.next_command}")
        return "\n".join(lines)


def _film_lines(film: FilmSummary) -> list[str]:
    rendered = [s for s in film.segments if s.kind is SpanKind.LIPSYNC]
    kept = len(film.segments) - len(rendered)
    if film.checks is None:
        shares = ", ".join(f"{s.first_frame}-{s.last_frame}" for s in rendered) or "none"
        return [
            f"{film.name}: {len(rendered)} segments to render, {kept} kept (plan only)",
            f"  frames to render: {shares}",
        ]
    verdicts = Counter(str(s.verdict) for s in rendered)
    told = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items()) or "none"
    score = film.film_score or {}
    offset = score.get("offset_frames")
    sync = "no score" if offset is None else f"offset {offset:+.2f} frames"
    sync += f", confidence {score.get('confidence', 0)} ({score.get('scorer', 'not measured')})"
    checks = film.checks
    return [
        f"{film.name}: {film.output}",
        f"  {film.frames} frames, {len(rendered)} segments rendered ({told}), {kept} kept",
        f"  {sync}; sound lag "
        f"{checks.max_boundary_lag_ms:.2f} ms, picture outside {checks.psnr_outside_db:.1f} dB",
        *_reviews(film, rendered),
        *(f"  note: {note}" for note in film.notes),
        *([f"  address: {film.url}"] if film.url else []),
    ]


def _reviews(film: FilmSummary, rendered: list[SegmentSummary]) -> list[str]:
    """Why a person should look, in lines; of many segments the first ones."""
    poor = [segment for segment in rendered if segment.verdict is Verdict.REVIEW]
    lines = [
        f"  look at segment {s.index}, frames {s.first_frame}-{s.last_frame}: {s.reason}"
        for s in poor[:_TOLD]
    ]
    if len(poor) > _TOLD:
        lines.append(f"  and at {len(poor) - _TOLD} more: see the report")
    if film.checks is not None and film.checks.psnr_outside_db < REVIEW_PSNR_DB:
        lines.append(
            f"  look at the picture: outside the mouths it is under {REVIEW_PSNR_DB:g} dB of the "
            "source"
        )
    return lines


def write_summary(run: RunSummary, folder: Path) -> None:
    """Write ``run.json``; it appears whole or not at all."""
    path = folder / "run.json"
    part = folder / "run.json.part"
    with writing(path):
        part.write_text(run.model_dump_json(indent=2) + "\n", encoding="utf-8")
        part.replace(path)
