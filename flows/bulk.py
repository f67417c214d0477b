"""The main job: films and new speech in, films whose lips match out.

    python -m flows.bulk --video FILM --audio SPEECH --out DIR
    python -m flows.bulk --manifest FILMS.csv --out DIR

A run may be killed at any moment; the same command goes on where it stopped.
"""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from flows.command import run_command
from flows.film import FilmOutcome, dub_film
from flows.progress import progress
from flows.request import BulkRequest
from lipsync_core.errors import told
from lipsync_core.jobs.budget import Purse
from lipsync_core.report.summary import FailedFilm, RunSummary
from tasks.policy import results_in
from tasks.prepare import prepare
from tasks.report import report


@flow(name="bulk", description="Dub films: new speech in, matching lips out.", persist_result=False)
def bulk(request: BulkRequest) -> RunSummary:
    """Dub every film of a request.

    Args:
        request: a video and an audio, or a manifest; the rest may stay empty.
    """
    request = request.with_settings()
    request.check_engine()
    pairs, purse = request.pairs(), Purse(request.budget)
    prepare(request.out, request.store_root)
    if not (request.dry_run or request.failed_again):
        request.remember()
    finished: list[FilmOutcome] = []
    failed: list[FailedFilm] = []
    for pair in pairs:
        with progress.film(pair.name):
            try:
                finished.append(
                    _film_flow(request)(pair.name, pair.video, pair.audio, request, purse)
                )
            except Exception as error:
                if len(pairs) == 1:
                    raise
                failed.append(FailedFilm(name=pair.name, error=told(error)))
                progress.say(f"{pair.name}: failed: {failed[-1].error}")
            else:
                progress.say(f"{pair.name}: finished")
    again = request.next_command(bool(failed), any(film.to_resubmit for film in finished))
    return report(finished, failed, request.out, again, request.store_root)


def _film_flow(request: BulkRequest) -> Any:
    """The film flow with this request's number of workers, its results kept in its store."""
    return dub_film.with_options(
        task_runner=ThreadPoolTaskRunner(max_workers=request.max_workers),  # type: ignore[arg-type]
        result_storage=results_in(request.store_root),
    )


if __name__ == "__main__":
    run_command(bulk, BulkRequest, check=BulkRequest.checked)
