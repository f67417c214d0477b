"""The embedded store: a folder."""

from __future__ import annotations

import tempfile
from pathlib import Path
from urllib.parse import unquote, urlparse

from lipsync_core.errors import StorageError, writing
from lipsync_core.stores import MediaRef, is_same_file, ref_of


class LocalStore:
    """Files under ``root``: ``objects/`` by content, ``work/`` for what is being made."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._objects = root / "objects"
        self._work = root / "work"

    def add(self, path: Path) -> MediaRef:
        """Move a finished file into the store; a file that is already there is kept."""
        found = ref_of(path)
        place = self._objects / found.sha256[:2] / (found.sha256 + path.suffix)
        with writing(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            path.replace(place)
        return MediaRef(uri=place.resolve().as_uri(), sha256=found.sha256, size=found.size)

    def path(self, ref: MediaRef) -> Path:
        """The file itself; nothing is copied."""
        path = Path(unquote(urlparse(ref.uri).path))
        if not is_same_file(ref, path):
            raise StorageError(f"missing or changed since it was stored: {path}; {self._advice()}")
        return path

    def workspace(self) -> tempfile.TemporaryDirectory[str]:
        """A folder on the store's own disk, so that finished files can simply be moved."""
        with writing(self._work):
            self._work.mkdir(parents=True, exist_ok=True)
            return tempfile.TemporaryDirectory(dir=self._work)

    def _advice(self) -> str:
        return f"delete {self.root} and run the same command again"
