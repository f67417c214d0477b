"""How far a film is, for the people who look at the Prefect UI: one bar a film, from 0 to 100."""

from __future__ import annotations

import time
from typing import cast
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.context import FlowRunContext
from prefect.logging import get_logger

from lipsync_core.errors import told
from tasks.tell import artifact_key

EVERY_S = 3.0
# From where to where a stage moves the bar of the main job, in percent: the shares `make bench`
# finds, rounded. A stage of another command has the bar to itself.
_STAGES = {
    "scan": (0, 30), "plan": (30, 31), "render": (31, 75), "repair": (75, 80), "join": (80, 96),
    "check": (96, 100),
}  # fmt: skip
_WHOLE = (0, 100)


class ProgressArtifact:
    """The bar of one film. A server in trouble costs the bar, never the film."""

    def __init__(self, film: str) -> None:
        self._film = film
        self._id: UUID | None = None
        self._told_at = 0.0
        self._lost = FlowRunContext.get() is None
        self._tell(0, "beginning")  # at once, so that the bar belongs to the run of all films

    def stage(self, key: str, text: str) -> None:
        """A stage begins."""
        self._tell(_STAGES.get(key, _WHOLE)[0], text)

    def advance(self, key: str, share: float) -> None:
        """``share`` of the stage is done, 0 to 1."""
        if time.monotonic() - self._told_at >= EVERY_S:
            begin, end = _STAGES.get(key, _WHOLE)
            self._tell(begin + share * (end - begin))

    def finish(self, text: str) -> None:
        """The film is done."""
        self._tell(100, text)

    def _tell(self, percent: float, text: str | None = None) -> None:
        if self._lost:
            return
        self._told_at = time.monotonic()
        try:
            if self._id is None:
                key = artifact_key(self._film, "progress")
                self._id = cast(UUID, create_progress_artifact(percent, key, text))
            else:
                update_progress_artifact(self._id, percent, text)
        except Exception as error:
            self._lost = True
            get_logger("lipsync").warning("no progress is shown any more: %s", told(error))
