"""Film by film: one that fails never stops those after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prefect import Flow
from prefect.task_runners import ThreadPoolTaskRunner

from flows.dub import FilmOutcome
from flows.engine_request import EngineRequest
from flows.progress import progress
from lipsync_core.errors import InputError, told
from lipsync_core.jobs.budget import Purse
from lipsync_core.jobs.manifest import Pair
from lipsync_core.report.summary import FailedFilm, RunSummary
from tasks.policy import results_in
from tasks.prepare import prepare
from tasks.report import report


def each_film(
    film_flow: Flow[..., Any], pairs: Sequence[Pair], request: EngineRequest
) -> RunSummary:
    """Run the flow of one film for every pair, within one budget, and report on them all.

    Raises:
        InputError: segments of several films were to be rendered anew.
        LipsyncError: the only film of the run failed.
    """
    if request.redone and len(pairs) > 1:
        raise InputError("--redo goes with one film at a time: name it with --only")
    purse = Purse(request.budget)
    prepare(request.run_dir, request.store_root)
    if not (request.dry_run or request.failed_again):
        request.remember()
    in_threads: Any = film_flow.with_options(
        task_runner=ThreadPoolTaskRunner(max_workers=request.max_workers),  # type: ignore[arg-type]
        result_storage=results_in(request.store_root),
    )
    finished: list[FilmOutcome] = []
    failed: list[FailedFilm] = []
    for pair in pairs:
        with progress.film(pair.name):
            try:
                finished.append(in_threads(pair.name, pair.video, pair.audio, request, purse))
            except Exception as error:
                if len(pairs) == 1:
                    raise
                failed.append(FailedFilm(name=pair.name, error=told(error)))
                progress.say(f"{pair.name}: failed: {failed[-1].error}")
            else:
                progress.say(f"{pair.name}: finished")
    again = request.next_command(bool(failed), any(film.to_resubmit for film in finished))
    return report(finished, failed, request.run_dir, again, request.store_root)
