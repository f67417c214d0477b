"""Segments that an engine elsewhere renders: each on its own way, all at the same time.

Cutting out, conforming and verifying are work for this machine's processors and done by as many
threads as there are workers; uploading, ordering and waiting cost no thread at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from blocks.bucket import opened_bucket
from blocks.credentials import secrets_for
from flows.attempts import Attempt
from flows.engine import Engine
from flows.engine_request import EngineRequest
from flows.progress import progress
from flows.shared_limit import shared_limit
from lipsync_core.errors import LipsyncError, told
from lipsync_core.jobs.dispatch import NOT_SENT, Dispatcher, dispatching
from lipsync_core.jobs.lanes import Lanes
from lipsync_core.jobs.ledger import OPEN, Entry, JobStatus, Ledger
from lipsync_core.sync.score import Scorer
from tasks.conform import conform
from tasks.cut_out import cut_out
from tasks.enhance import enhance
from tasks.order import has_failed, last_entry, latest_attempt, order, spent_on
from tasks.upload import upload
from tasks.values import SegmentJob, Speech, TrackValue, ledger_of, store_at
from tasks.verify import verify

T = TypeVar("T")


def render_elsewhere(
    attempts: list[Attempt], speech: Speech, engine: Engine, scorer: Scorer, request: EngineRequest
) -> None:
    """Fill in what came of every attempt."""
    film = attempts[0].job.material(store_at(request.store_root)).info
    sized = engine.sized(film.width, film.height)
    asyncio.run(_all(attempts, speech, sized, scorer, request))


async def _all(
    attempts: list[Attempt], speech: Speech, engine: Engine, scorer: Scorer, request: EngineRequest
) -> None:
    assert engine.remote is not None
    secrets = secrets_for(engine.remote)
    store = opened_bucket(request.upload) if request.upload else None
    lanes = Lanes(request.max_lanes, shared=await shared_limit(engine.name))
    workers = asyncio.Semaphore(request.max_workers)
    with ledger_of(request.store_root) as ledger:
        for attempt in attempts:
            attempt.job = _numbered(attempt, ledger, request)
        async with (
            engine.remote.opened(engine.options, secrets) as jobs,
            dispatching(jobs, ledger, lanes, store) as dispatcher,
        ):
            dispatcher.say = progress.say
            dispatcher.most_retry_usd = _left_for_retries(attempts, engine, request)
            dispatcher.most_failures = request.max_failure_rate * len(attempts)
            await asyncio.gather(
                *(_one(a, speech, engine, scorer, dispatcher, workers, request) for a in attempts)
            )
        for attempt in attempts:
            _look_up(attempt, ledger)


def _numbered(attempt: Attempt, ledger: Ledger, request: EngineRequest) -> SegmentJob:
    """The segment's job with the number of the attempt that this run makes or takes up."""
    number = latest_attempt(attempt.job, ledger)
    job = attempt.job.model_copy(update={"attempt": number})
    if attempt.segment.index in request.redone:
        number = request.attempt
    elif request.failed_again and has_failed(last_entry(job, ledger)):
        number += 1
    return job.model_copy(update={"attempt": number})


def _left_for_retries(
    attempts: list[Attempt], engine: Engine, request: EngineRequest
) -> float | None:
    """What the run may cost beyond its quote. Of several films only the quotes of all are kept
    within the budget, and those to come are not known here: so nothing is left for retries."""
    if request.budget is None:
        return None
    if len(request.pairs()) > 1:
        return 0.0
    frames = sum(attempt.job.last_frame - attempt.job.first_frame for attempt in attempts)
    return max(0.0, request.budget - engine.price.usd * frames)


def _look_up(attempt: Attempt, ledger: Ledger) -> None:
    """What the ledger says of an attempt in the end; what is still open may yet be paid."""
    entry = last_entry(attempt.job, ledger)
    attempt.may_be_resubmitted = has_failed(entry)
    attempt.is_open = entry is not None and entry.status in OPEN
    spent_usd = spent_on(attempt.job, ledger)
    if spent_usd is not None:
        attempt.cost_usd = spent_usd
    if attempt.error and entry is not None and _is_for_a_person(entry):
        attempt.error += (
            f"; --redo {attempt.segment.index} --attempt {attempt.job.attempt + 1} orders it anew "
            "(it may have been paid)"
        )


def _is_for_a_person(entry: Entry) -> bool:
    """Whether only a person can say that it is to be ordered anew, or with which options."""
    is_unknown = entry.status is JobStatus.UNKNOWN and entry.code != NOT_SENT
    return is_unknown or entry.code == "execution_timeout"


def _heard_by(engine: Engine, speech: Speech) -> TrackValue:
    """The speech in the form that an engine works on; the film gets the master in any case."""
    wanted = None if engine.remote is None else engine.remote.hears
    if wanted is None:
        return speech.master
    for track in (speech.analysis, speech.master):
        has_form = track.channels == 1 or not wanted.mono
        if has_form and track.sample_rate == wanted.sample_rate:
            return track
    raise LipsyncError(f"no speech at {wanted.sample_rate} Hz is at hand for {engine.name}")


async def _one(
    attempt: Attempt,
    speech: Speech,
    engine: Engine,
    scorer: Scorer,
    dispatcher: Dispatcher,
    workers: asyncio.Semaphore,
    request: EngineRequest,
) -> None:
    job, store = attempt.job, request.store_root

    async def here(work: Callable[..., T], *arguments: Any) -> T:
        async with workers:
            return await asyncio.to_thread(work, *arguments, store=store)

    try:
        parts = await here(cut_out, job, _heard_by(engine, speech))
        account = request.upload or dispatcher.engine.account
        hand_over = upload if dispatcher.keeps_files else upload.with_options(refresh_cache=True)
        kept = await hand_over(parts, account, dispatcher=dispatcher, store=store)
        async with dispatcher.lanes.row():
            state: Any = await order(
                job, kept, engine.price.usd, dispatcher=dispatcher, store=store, return_state=True
            )  # type: ignore[misc]  # Prefect's types do not know that an async task is awaited
        returned = await state.aresult()
        attempt.cost_usd = returned.cost_usd
        attempt.reused = state.name == "Cached" or not returned.placed_now
        attempt.rendered = await here(conform, job, returned)
        if request.enhance:
            try:
                attempt.rendered = await here(enhance, job, attempt.rendered, request.enhance)
            except LipsyncError as error:
                raise LipsyncError(f"the finish failed: {error}") from error
        attempt.looked = await here(verify, job, attempt.rendered, scorer.name, scorer.version)
    except Exception as error:
        attempt.error = told(error)
    progress.advance()
