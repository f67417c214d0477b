"""Bringing a checkpoint to its folder: from where its authors keep it, or from a file at hand."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

from lipsync_core.errors import InputError, RemoteRefused, writing
from lipsync_core.services.web import download_in_steps, open_web
from lipsync_core.weights.fingerprint import Finding, Standing, finding
from lipsync_core.weights.registry import Checkpoint, weights_folder


def fetch(
    known: Checkpoint,
    source: Path | None = None,
    on_bytes: Callable[[int, int | None], None] | None = None,
) -> Finding:
    """Bring a checkpoint to the folder of weights and check its fingerprint; what lies there.

    ``source`` is a file to copy in place of a download. One that is already there and is the
    published one is left alone. An interrupted download is gone on with by the next.

    Raises:
        InputError: its authors give no address and no ``source`` was named, or that is no file.
        RemoteRefused: what came is another file; nothing of it is kept.
        RemoteUnavailable: the download broke off.
        StorageError: it cannot be written.
    """
    out = weights_folder() / known.file
    found = finding(known, out)
    if found.standing is Standing.PUBLISHED:
        return found
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    came = out.with_name(known.file + ".unchecked")
    try:
        if source is not None:
            _copy(source, came)
        elif known.url:
            asyncio.run(_download(known, came, on_bytes))
        else:
            raise InputError(
                f"{known.file} has no direct address: get it by way of {known.page}, then "
                f"python -m lipsync_core.weights fetch {known.name} --source FILE"
            )
        found = finding(known, came)
        if found.standing is Standing.OTHER:
            raise RemoteRefused(f"{source or known.url} is {found.told}; nothing was kept")
        with writing(out):
            came.replace(out)
    finally:
        came.unlink(missing_ok=True)
    return found.model_copy(update={"path": out})


def _copy(source: Path, out: Path) -> None:
    if not source.is_file():
        raise InputError(f"{source} is not a file: name the checkpoint to copy")
    with writing(out):
        shutil.copyfile(source, out)


async def _download(
    known: Checkpoint, out: Path, on_bytes: Callable[[int, int | None], None] | None
) -> None:
    async with open_web() as web:
        await download_in_steps(web, known.url, out, known.file, on_bytes)
