"""Where bytes live, and the small values that stand for them.

Tasks hand each other :class:`MediaRef` values, never bytes. A reference carries the sha256 of what
it stands for, so everything computed from it can be cached by content.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlparse

from pydantic import BaseModel


class MediaRef(BaseModel, frozen=True):
    """A file by content: ``sha256`` of its bytes, ``size`` in bytes, ``uri`` where it lies now."""

    uri: str
    sha256: str
    size: int


class Store(Protocol):
    """Keeps bytes under the hash of their content."""

    def add(self, path: Path) -> MediaRef:
        """Move a finished file into the store."""
        ...

    def path(self, ref: MediaRef) -> Path:
        """A local file holding exactly the referenced bytes.

        Raises:
            StorageError: the bytes are gone.
        """
        ...


def ref_of(path: Path) -> MediaRef:
    """A reference to a file where it lies (a source film is not copied into a store).

    The hash of an unchanged file is computed once a process.
    """
    status = path.stat()
    return MediaRef(
        uri=path.resolve().as_uri(),
        sha256=_sha256(path.resolve(), status.st_size, status.st_mtime_ns),
        size=status.st_size,
    )


def path_of(ref: MediaRef) -> Path:
    """Where a file lies that no store keeps."""
    return Path(unquote(urlparse(ref.uri).path))


@lru_cache(maxsize=4096)
def _sha256(path: Path, size: int, modified_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_same_file(ref: MediaRef, path: Path) -> bool:
    """Whether ``path`` still is the referenced file, by its size."""
    return path.is_file() and path.stat().st_size == ref.size
