"""Files that appear whole or not at all, however many processes write them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lipsync_core.errors import writing

_FOR_ALL, _FOR_ME = 0o644, 0o600


def write_whole(path: Path, text: str, *, is_private: bool = False) -> None:
    """Write a text as UTF-8; nobody but the owner may read it if it ``is_private``.

    Raises:
        StorageError: it cannot be written.
    """
    with _appearing(path) as part:
        part.chmod(_FOR_ME if is_private else _FOR_ALL)
        part.write_text(text, encoding="utf-8", newline="")


def bytes_whole(path: Path, content: bytes) -> None:
    """Write bytes.

    Raises:
        StorageError: they cannot be written.
    """
    with _appearing(path) as part:
        part.chmod(_FOR_ALL)
        part.write_bytes(content)


def copy_whole(source: Path, out: Path) -> None:
    """Copy a file.

    Raises:
        StorageError: it cannot be written.
    """
    with _appearing(out) as part:
        shutil.copyfile(source, part)
        part.chmod(_FOR_ALL)


@contextmanager
def _appearing(path: Path) -> Iterator[Path]:
    """A file of its own beside ``path`` that takes its place in the end."""
    with writing(path):
        handle, name = tempfile.mkstemp(".part", f"{path.name}.", path.parent)
        os.close(handle)
        part = Path(name)
        try:
            yield part
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
