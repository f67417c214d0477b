"""Finished films, copied to a bucket of the person who asked for it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from blocks.bucket import opened_bucket
from flows.progress import progress
from lipsync_core.report.summary import FilmSummary, RunSummary
from lipsync_core.stores.public import PublicStore, link
from tasks.publish import publish_file


def pushed(run: RunSummary, where: str) -> RunSummary:
    """The summary with the address of every film in the bucket ``where``.

    The addresses are told and not written down: one that is signed lets in whoever reads it.

    Raises:
        RemoteRefused: the bucket does not take a film; the films themselves are finished.
        RemoteUnavailable: it does not answer.
    """
    return run.model_copy(update={"films": asyncio.run(_all(run.films, opened_bucket(where)))})


async def _all(films: list[FilmSummary], store: PublicStore) -> list[FilmSummary]:
    told = []
    for film in films:
        progress.say(f"{film.name}: copying to {store.name}")
        uri = await publish_file(Path(film.output), store=store)
        told.append(film.model_copy(update={"url": await link(store, uri)}))
    return told
