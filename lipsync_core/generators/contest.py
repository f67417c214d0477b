"""Several engines at once, of which the better picture counts, segment by segment."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Contest:
    """Engines of this machine by name; all of them are given the same options."""

    name: str
    rivals: tuple[str, ...]
