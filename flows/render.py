"""Render, verify and repair the segments of one film, as many at a time as there are workers."""

from __future__ import annotations

from typing import Any, Literal

from prefect import unmapped
from prefect.futures import PrefectFuture

from flows.attempts import Attempt, RenderedFilm, best_of, collected, first_attempts, newest
from flows.elsewhere import render_elsewhere
from flows.engine import Engine
from flows.engine_request import EngineRequest
from flows.progress import progress
from lipsync_core.errors import RenderFailed, told
from lipsync_core.generators.own_process import start_anew, stop_all
from lipsync_core.plan import NOBODY_SPEAKS
from lipsync_core.sync import load_scorer
from lipsync_core.sync.score import Scorer
from lipsync_core.sync.verdict import Moved, at_rest, judge
from tasks.enhance import enhance
from tasks.generate import generate
from tasks.values import Plan, ScannedFilm, Speech
from tasks.verify import verify

Future = PrefectFuture[Any]


def render_segments(
    film: ScannedFilm, speech: Speech, planned: Plan, request: EngineRequest
) -> RenderedFilm:
    """Render every lipsync segment, judge it, and repair once what a shift can repair, or fall
    back to another engine of this machine.

    Raises:
        RenderFailed: more segments failed than the request allows.
    """
    start_anew()
    engine = request.engine
    request.check_redone([segment.index for segment in planned.to_render])
    entries = [
        _attempted(rival, film, speech, planned, request) for rival in engine.rivals or (engine,)
    ]
    attempts = best_of(entries)
    _give_up_beyond(request, attempts)
    return collected(planned, attempts)


def _attempted(
    engine: Engine, film: ScannedFilm, speech: Speech, planned: Plan, request: EngineRequest
) -> list[Attempt]:
    """What one engine makes of every segment."""
    scorer = load_scorer(request.scorer)
    attempts = first_attempts(film, speech, planned, engine, request.store_root)
    _render_and_look(attempts, "render", engine, scorer, speech, request)
    _judge(attempts, attempts, scorer)
    if engine.remote is not None:  # to shift a mouth there would mean to pay for it again
        return _fallen_back(attempts, film, speech, planned, request)
    repairs = [
        Attempt(a.segment, a.job.model_copy(
            update={"shift_ms": a.judgement.repair_ms, "attempt": 2}
        ))
        for a in attempts
        if a.judgement is not None and a.judgement.repair_ms is not None
    ]  # fmt: skip
    _render_and_look(repairs, "repair", engine, scorer, speech, request)
    _judge(repairs, newest(attempts, repairs), scorer)
    good = [repair for repair in repairs if repair.judgement and repair.judgement.passes]
    return newest(attempts, good)


def _fallen_back(
    attempts: list[Attempt],
    film: ScannedFilm,
    speech: Speech,
    planned: Plan,
    request: EngineRequest,
) -> list[Attempt]:
    """The attempts, and in place of those that are not good what the engine for that made of them,
    where it did better."""
    poor = {
        a.segment.index: a
        for a in attempts
        if not (a.judgement and a.judgement.passes) and not a.is_open
    }
    if request.fallback is None or not poor:
        return attempts
    engine, scorer = Engine.chosen(request.fallback, {}), load_scorer(request.scorer)
    assert engine.remote is None  # the request was checked: a fallback is never paid
    entries = []
    for rival in engine.rivals or (engine,):
        tries = [
            attempt
            for attempt in first_attempts(film, speech, planned, rival, request.store_root)
            if attempt.segment.index in poor
        ]
        _render_and_look(tries, "fall back", rival, scorer, speech, request)
        _judge(tries, newest(attempts, tries), scorer)
        entries.append(tries)
    good = [a for a in best_of(entries) if a.judgement and a.judgement.passes]
    for attempt in good:
        attempt.instead_of = poor[attempt.segment.index]
    return newest(attempts, good)


def _render_and_look(
    attempts: list[Attempt],
    stage: Literal["render", "repair", "fall back"],
    engine: Engine,
    scorer: Scorer,
    speech: Speech,
    request: EngineRequest,
) -> None:
    if not attempts:
        return
    named = engine.remote is not None or stage == "fall back" or request.engine.rivals
    where = f" by {engine.name}" if named else ""
    doing = "taking out offsets" if stage == "repair" else "rendering mouths"
    progress.stage(stage, doing + where, of=len(attempts), unit="segments")
    if engine.remote is not None:
        render_elsewhere(attempts, speech, engine, scorer, request)
    else:
        _render_here(attempts, scorer, request.store_root, request.enhance)


def _render_here(attempts: list[Attempt], scorer: Scorer, store: str, finish: str | None) -> None:
    jobs, at = [attempt.job for attempt in attempts], unmapped(store)
    generated = generate.map(jobs, store=at)
    finished = enhance.map(jobs, generated, unmapped(finish), store=at) if finish else generated
    looks = verify.map(jobs, finished, unmapped(scorer.name), unmapped(scorer.version), store=at)
    try:
        for attempt, *steps in zip(attempts, generated, finished, looks, strict=True):
            _fill_in(attempt, *steps)  # type: ignore[arg-type]  # mypy knows no types of a rest
            progress.advance()
    except Exception:
        raise
    except BaseException:  # the run is stopped; its threads would first wait for their engines
        stop_all()
        raise


def _fill_in(attempt: Attempt, generated: Future, finished: Future, look: Future) -> None:
    """What came of the steps of an attempt. One whose finish failed goes into the film without it,
    for somebody to look at."""
    attempt.rendered, attempt.error = _outcome(generated)
    attempt.reused = generated.state.name == "Cached"
    if attempt.error:
        return
    better, attempt.error = _outcome(finished)
    if attempt.error:
        attempt.error = f"the finish failed: {attempt.error}"
        return
    attempt.rendered = better
    attempt.looked, attempt.error = _outcome(look)


def _outcome(future: Future) -> tuple[Any, str]:
    """A task's result, or the one line that says why there is none."""
    future.wait()
    if future.state.is_completed():
        return future.result(), ""
    error = future.state.result(raise_on_failure=False)
    return None, told(error)


def _give_up_beyond(request: EngineRequest, attempts: list[Attempt]) -> None:
    failed = [a for a in attempts if a.error]
    if attempts and len(failed) > request.max_failure_rate * len(attempts):
        again = any(a.may_be_resubmitted for a in failed)
        raise RenderFailed(
            f"{len(failed)} of {len(attempts)} segments failed, the first with: {failed[0].error}"
            + (f" ({request.next_command(False, True)} orders them again)" if again else "")
        )


def _judge(attempts: list[Attempt], film: list[Attempt], scorer: Scorer) -> None:
    """Apply the gates; a segment too short to be judged alone is judged with the whole film."""
    measured = [attempt.looked.rendered for attempt in film if attempt.looked is not None]
    for attempt in attempts:
        if (looked := attempt.looked) is None:
            continue
        if attempt.segment.reason == NOBODY_SPEAKS:  # a portrait between two sentences
            attempt.judgement = at_rest(looked.rendered, scorer)
            continue
        moved = Moved(looked.motion_share, looked.change_share)
        attempt.judgement = judge(looked.rendered, looked.source, moved, measured, scorer)
