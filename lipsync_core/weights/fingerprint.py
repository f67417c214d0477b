"""Whether a file is the checkpoint its name says, told from its bytes."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel

from lipsync_core.weights.registry import Checkpoint, weights_folder
from lipsync_core.weights.tensors import what_it_is


class Standing(StrEnum):
    """What is known of a file."""

    ABSENT = "absent"
    PUBLISHED = "published"  # its fingerprint is the one that is stated
    UNKNOWN = "unknown"  # nobody states a fingerprint to compare with
    OTHER = "other"  # it is another file


class Finding(BaseModel, frozen=True):
    """What was found out about the file of a checkpoint; ``told`` says it in a line."""

    name: str
    path: Path
    standing: Standing
    sha256: str
    told: str


def finding(known: Checkpoint, path: Path | None = None) -> Finding:
    """Look at the file of a checkpoint, by default where it belongs."""
    path = path or weights_folder() / known.file
    if not path.is_file():
        return Finding(
            name=known.name, path=path, standing=Standing.ABSENT, sha256="", told="not here"
        )
    sha256 = sha256_of(path)
    standing, told = _compared(known, path, sha256)
    return Finding(name=known.name, path=path, standing=standing, sha256=sha256, told=told)


def sha256_of(path: Path) -> str:
    """The sha256 of a file, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def state_of(path: Path) -> tuple[int, ...]:
    """What changes when a file is written anew or replaced by another one, without reading it."""
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _compared(known: Checkpoint, path: Path, sha256: str) -> tuple[Standing, str]:
    if known.sha256 == sha256:
        return Standing.PUBLISHED, "the published file"
    if wrong := what_it_is(path, scripted=known.scripted):
        return Standing.OTHER, f"not {known.file} but {wrong}"
    size = path.stat().st_size
    if known.size is not None and size != known.size:
        less = "cut short, or another file" if size < known.size else "another file"
        return Standing.OTHER, f"{less}: {size:,} bytes and not {known.size:,}"
    if known.certain:
        return (
            Standing.OTHER,
            f"another file: sha256 {sha256[:12]}… not {known.sha256[:12]}…",
        )
    if known.sha256:
        return (
            Standing.UNKNOWN,
            f"not the file whose fingerprint is stated ({known.sha256[:12]}…); it may be another "
            "form of it",
        )
    return Standing.UNKNOWN, "nobody states a fingerprint to compare with"
