"""How well lips and sound agree.

A scorer of another package joins through the entry-point group ``lipsync.scorers``.
"""

from __future__ import annotations

from importlib.metadata import entry_points

from lipsync_core.errors import InputError
from lipsync_core.sync.score import Scorer
from lipsync_core.weights.registry import is_here

GROUP = "lipsync.scorers"
AUTO = "auto"


def load_scorer(name: str) -> Scorer:
    """The scorer of that name; ``auto`` is SyncNet where its checkpoint is here, else landmark.

    Raises:
        InputError: no installed scorer is called so, or its checkpoint is another file.
        MissingWeights: its checkpoint is not on this machine.
    """
    if name == AUTO:
        name = "syncnet" if is_here("syncnet") else "landmark"
    found = entry_points(group=GROUP)
    for entry in found:
        if entry.name == name:
            scorer: Scorer = entry.load()()
            return scorer
    known = ", ".join([AUTO, *sorted(found.names)])
    raise InputError(f"no scorer called {name!r}: choose one of {known}")
