"""How many frames a long task has worked through, told to whoever shows it to a person.

The one listener of a process is the live view of a command; elsewhere nobody listens.
"""

from __future__ import annotations

from collections.abc import Callable


class FrameCount:
    """Handed to the core as its ``on_frame``."""

    def __init__(self) -> None:
        self.listener: Callable[[int], None] | None = None

    def __call__(self, frames: int) -> None:
        """So many frames of the task are done."""
        if self.listener is not None:
            self.listener(frames)


frames_done = FrameCount()
