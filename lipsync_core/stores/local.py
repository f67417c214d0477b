"""The embedded store: a folder."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lipsync_core.errors import InputError, StorageError, writing
from lipsync_core.stores import MediaRef, is_same_file, path_of, ref_of

_ADDRESS = re.compile(r"objects/[0-9a-f]{2}/[0-9a-f]{64}[.\w]*")


class LocalStore:
    """Files under ``root``: ``objects/`` by content, ``work/`` for what is being made.

    What the store holds is referred to relative to ``root``, so the folder may be moved.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._work = root / "work"

    def add(self, path: Path) -> MediaRef:
        """Move a finished file into the store."""
        found = ref_of(path)
        address = f"objects/{found.sha256[:2]}/{found.sha256}{path.suffix}"
        place = self.root / address
        with writing(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            path.replace(place)
        return MediaRef(uri=address, sha256=found.sha256, size=found.size)

    def path(self, ref: MediaRef) -> Path:
        """The file itself; nothing is copied."""
        inside = _ADDRESS.fullmatch(ref.uri)
        path = self.root / ref.uri if inside else path_of(ref)
        if not is_same_file(ref, path):
            raise StorageError(f"missing or changed since it was stored: {path}; {self._advice()}")
        return path

    def lost(self, text: str) -> list[str]:
        """The files of this store that a text speaks of and that are gone."""
        return [found for found in _ADDRESS.findall(text) if not (self.root / found).is_file()]

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """A folder on the store's own disk, so that finished files can simply be moved."""
        with writing(self._work):
            self._work.mkdir(parents=True, exist_ok=True)
        with _opened(self._work) as work:
            _locked(work, fcntl.LOCK_SH)
            with writing(self._work):
                folder = tempfile.TemporaryDirectory(dir=self._work)
            with folder as path:
                yield Path(path)

    def sweep(self) -> None:
        """Remove what killed runs left in ``work/``, unless another run is at work there."""
        if not self._work.is_dir():
            return
        with _opened(self._work) as work:
            if _locked(work, fcntl.LOCK_EX | fcntl.LOCK_NB):
                for left in self._work.iterdir():
                    shutil.rmtree(left, ignore_errors=True)

    def _advice(self) -> str:
        return f"delete {self.root} and run the same command again"


def make_writable(folder: Path) -> None:
    """Create a folder, and make sure that files can be written to it.

    Raises:
        InputError: it is a file, or may not be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(
            f"cannot write to the folder {folder} ({error.strerror}): choose another one"
        ) from error


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        yield handle
    finally:
        os.close(handle)


def _locked(handle: int, how: int) -> bool:
    """Whether the lock was got. The system itself lets go of it when its process dies."""
    try:
        fcntl.flock(handle, how)
    except OSError:  # somebody holds it, or the file system knows no locks
        return False
    return True
