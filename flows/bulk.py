"""The main job: films and new speech in, films whose lips match out.

    python -m flows.bulk --video FILM --audio SPEECH --out DIR
    python -m flows.bulk --manifest FILMS.csv --out DIR

A run may be killed at any moment; the same command goes on where it stopped.
"""

from __future__ import annotations

from prefect import flow

from flows.command import run_command
from flows.each_film import each_film
from flows.film import dub_film
from flows.request import BulkRequest
from lipsync_core.report.summary import RunSummary


@flow(name="bulk", description="Dub films: new speech in, matching lips out.", persist_result=False)
def bulk(request: BulkRequest) -> RunSummary:
    """Dub every film of a request.

    Args:
        request: a video and an audio, or a manifest; the rest may stay empty.
    """
    request = request.with_settings()
    request.check_engine()
    return each_film(dub_film, request.pairs(), request)


if __name__ == "__main__":
    run_command(bulk, BulkRequest, check=BulkRequest.checked)
