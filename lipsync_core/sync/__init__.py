"""How well lips and sound agree.

A scorer of another package joins through the entry-point group ``lipsync.scorers``.
"""

from __future__ import annotations

from importlib.metadata import entry_points

from lipsync_core.errors import InputError
from lipsync_core.sync.score import Scorer

GROUP = "lipsync.scorers"


def load_scorer(name: str) -> Scorer:
    """The scorer of that name.

    Raises:
        InputError: no installed scorer is called so.
    """
    found = entry_points(group=GROUP)
    for entry in found:
        if entry.name == name:
            scorer: Scorer = entry.load()()
            return scorer
    raise InputError(f"no scorer called {name!r}: choose one of {', '.join(sorted(found.names))}")
