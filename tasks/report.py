"""Report: ``run.json``, ``report.html`` and the same facts as Prefect artifacts."""

from __future__ import annotations

import base64
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prefect import task
from prefect.artifacts import (
    create_image_artifact,
    create_link_artifact,
    create_markdown_artifact,
    create_table_artifact,
)
from prefect.logging import get_run_logger

from lipsync_core.errors import told
from lipsync_core.plan import SILENT_BUT_MOVING
from lipsync_core.report.evidence import loudness_of, openings_of
from lipsync_core.report.page import FilmEvidence, write_report
from lipsync_core.report.plots import segment_plot_png
from lipsync_core.report.summary import (
    FailedFilm,
    FilmSummary,
    RunSummary,
    SegmentSummary,
    write_summary,
)
from lipsync_core.scan import load_thumbnails
from lipsync_core.timeline import SpanKind
from tasks.tell import artifact_key
from tasks.values import store_at


@task(name="report", persist_result=False, cache_result_in_memory=False)
def report(
    outcomes: Sequence[Any],
    failed: list[FailedFilm],
    out: Path,
    next_command: str | None,
    store: str,
) -> RunSummary:
    """Write what people read; ``outcomes`` are :class:`flows.dub.FilmOutcome` values."""
    page = out / "report.html"
    planned_only = bool(outcomes) and all(outcome.final is None for outcome in outcomes)
    films = [_summary(outcome, out) for outcome in outcomes]
    run = RunSummary(
        run_dir=str(out), cost_usd=sum(map(_cost_usd, outcomes)), films=films,
        failed=failed, next_command=next_command,
    )  # fmt: skip
    if planned_only:
        _show(run, page)
        return run
    keep = store_at(store)
    evidence = [
        _evidence(outcome, summary, keep) for outcome, summary in zip(outcomes, films, strict=True)
    ]
    write_report(run, evidence, page)
    for outcome, summary in zip(outcomes, films, strict=True):
        write_summary(run.model_copy(update={"films": [summary]}), outcome.folder)
    write_summary(run, out)
    _show(run, page)
    return run


def _cost_usd(outcome: Any) -> float:
    """What a film cost, or would cost if it was only planned."""
    if outcome.final is None:
        return float(outcome.quote.cost_usd)
    return float(sum(segment.cost_usd for segment in outcome.segments))


def _summary(outcome: Any, out: Path) -> FilmSummary:
    notes = [*outcome.film.notes, *outcome.plan.notes, *outcome.notes]
    if outcome.speech.note:
        notes.append(outcome.speech.note)
    if outcome.plan.voice_method != "silero":
        notes.append("speech was found by its energy alone: install silero-vad for a better plan")
    moving = [s for s in outcome.plan.segments if s.reason == SILENT_BUT_MOVING]
    if moving:
        frames = ", ".join(f"{s.first_frame}-{s.last_frame}" for s in moving)
        notes.append(f"the new speech is silent where a mouth still moves, frames {frames}: look")
    if remark := (outcome.film_score or {}).get("remark"):
        notes.append(f"lips were measured {remark}")
    return FilmSummary(
        name=outcome.name, output=str(outcome.output), report=str(out / "report.html"),
        frame_rate=outcome.film.frame_rate, frames=outcome.film.frames, checks=outcome.checks,
        segments=outcome.segments or _planned(outcome), film_score=outcome.film_score,
        source_score=outcome.source_score, notes=notes, stage_seconds=outcome.stage_seconds,
    )  # fmt: skip


def _planned(outcome: Any) -> list[SegmentSummary]:
    return [SegmentSummary(**segment.model_dump()) for segment in outcome.plan.segments]


def _evidence(outcome: Any, summary: FilmSummary, keep: Any) -> FilmEvidence:
    material = outcome.film.material(keep)
    source = openings_of(material)
    return FilmEvidence(
        summary=summary,
        source=material.info.path,
        final=Path(summary.output),
        thumbnails=load_thumbnails(material.scan.thumbnails),
        loudness=loudness_of(outcome.speech.analysis.track(keep), material.info),
        source_opening=source,
        final_opening=openings_of(material, outcome.openings),
    )


def _show(run: RunSummary, page: Path) -> None:
    """Mirror the run to the server; one in trouble must not fail work that is done."""
    try:
        _mirror(run, page)
    except Exception as error:
        get_run_logger().warning("no artifacts were written: %s", told(error))


def _mirror(run: RunSummary, page: Path) -> None:
    """The same facts as artifacts, for people who look at the server; the truth stays on disk."""
    place = f"Seen from the folder `{Path.cwd()}` of the machine `{platform.node()}`:"
    create_markdown_artifact(
        f"{place}\n\n```text\n{run.as_text()}\n```",
        key="run", description="What was done and where it lies",
    )  # fmt: skip
    for film in run.films:
        create_table_artifact(
            [_row(segment) for segment in film.segments], key=artifact_key(film.name, "segments"),
            description=f"Segments of {film.name}; offset in frames of 1/25 s, plus = sound early",
        )  # fmt: skip
        if film.checks is None:  # only planned
            continue
        picture = base64.b64encode(segment_plot_png(film)).decode()
        create_image_artifact(
            f"data:image/png;base64,{picture}", key=artifact_key(film.name, "plot"),
            description=f"{film.name} over time: blue = new film, grey = source, red = to review",
        )  # fmt: skip
        create_markdown_artifact(
            film.as_markdown(),
            key=artifact_key(film.name, "checks"),
            description=f"Checks of {film.name}: frames, sound, picture",
        )
    if any(film.checks for film in run.films):
        create_link_artifact(
            page.resolve().as_uri(), link_text=str(page.resolve()), key="report",
            description=f"The review page, a file on the machine {platform.node()}",
        )  # fmt: skip


def _row(segment: SegmentSummary) -> dict[str, Any]:
    """A row narrow enough for the server's page."""
    verdict = str(segment.verdict) if segment.attempts else "to render"
    return {
        "segment": segment.index,
        "frames": f"{segment.first_frame}-{segment.last_frame}",
        "verdict": verdict if segment.kind is SpanKind.LIPSYNC else "kept",
        "offset": _short(segment.offset_frames),
        "confidence": _short(segment.confidence),
        "source": _short(segment.source_confidence),
        "attempts": segment.attempts,
        "why": segment.told,
    }


def _short(figure: float | None) -> float | None:
    return None if figure is None else round(figure, 2)
