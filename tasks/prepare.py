"""Make sure there is somewhere to write, and tidy up after killed runs, before work is done."""

from __future__ import annotations

from pathlib import Path

from prefect import task

from lipsync_core.stores.local import LocalStore, make_writable
from tasks.policy import results_in
from tasks.values import store_at


@task(name="prepare")
def prepare(out: Path, store: str) -> None:
    """Create the output folder and the store; forget what killed runs and deleted files left.

    Raises:
        InputError: one of them is a file, or may not be written to.
    """
    keep = store_at(store)
    make_writable(out)
    make_writable(keep.root)
    keep.sweep()
    _forget_lost(keep)


def _forget_lost(store: LocalStore) -> None:
    """Drop remembered results whose files somebody deleted, so that their tasks run again."""
    for record in results_in(store.root).rglob("*"):
        if record.is_file() and store.lost(record.read_text(errors="replace")):
            record.unlink(missing_ok=True)
