"""Make sure there is somewhere to write before any work is done."""

from __future__ import annotations

from pathlib import Path

from prefect import task

from lipsync_core.errors import InputError


@task(name="prepare")
def prepare(out: Path, store: str) -> None:
    """Create the output folder and the store.

    Raises:
        InputError: one of them is a file, or may not be written to.
    """
    for folder in (out, Path(store)):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            probe = folder / ".writable"
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise InputError(
                f"cannot write to the folder {folder} ({error.strerror}): choose another one"
            ) from error
