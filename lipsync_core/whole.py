"""Text files that appear whole or not at all, however many processes write them."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from lipsync_core.errors import writing

_FOR_ALL, _FOR_ME = 0o644, 0o600


def write_whole(path: Path, text: str, *, is_private: bool = False) -> None:
    """Write a text as UTF-8; nobody but the owner may read it if it ``is_private``.

    Raises:
        StorageError: it cannot be written.
    """
    part: str | None = None
    try:
        with writing(path):
            handle, part = tempfile.mkstemp(".part", f"{path.name}.", path.parent)
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
                os.fchmod(file.fileno(), _FOR_ME if is_private else _FOR_ALL)
                file.write(text)
            Path(part).replace(path)
            part = None
    finally:
        if part is not None:
            Path(part).unlink(missing_ok=True)
