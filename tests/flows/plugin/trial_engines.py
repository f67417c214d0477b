"""Engines of somebody else's package: they render like ``rewrite`` and keep a diary."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from lipsync_core.errors import InputError
from lipsync_core.generators import no_options
from lipsync_core.generators.own_process import Job, process_for
from lipsync_core.generators.rewrite import Rewrite
from lipsync_core.media.clip import Clip
from lipsync_core.timeline import Segment


class Counted:
    """Writes the first frame of every rendering it begins to the file ``TRIAL_DIARY``."""

    name = "counted"
    version = 1
    hears_s = 15.0
    remark = ""

    def checked(self, options: Any) -> dict[str, Any]:
        """There are none."""
        return no_options(self.name, options)

    def render(self, material: Any, segment: Segment, *rest: Any, **options: Any) -> Clip:
        """Render as ``rewrite`` does."""
        with Path(os.environ["TRIAL_DIARY"]).open("a") as diary:
            diary.write(f"{segment.first_frame}\n")
        return Rewrite().render(material, segment, *rest, **options)


class Hanging(Counted):
    """Starts a process of its own in which nothing ever happens."""

    name = "hanging"

    def render(self, material: Any, segment: Segment, *rest: Any, **options: Any) -> Clip:
        """Wait for ever; the diary is told who waits."""
        words = Path(os.environ["TRIAL_DIARY"])
        clip: Clip = process_for("hanging")(Job(wait_for_ever, (words,), words), 600)
        return clip


def wait_for_ever(diary: Path, *, beat: Any) -> None:
    """The work of it."""
    with diary.open("a") as file:
        file.write(f"{os.getpid()}\n")
    time.sleep(3600)


class Stumbling(Counted):
    """Cannot render the segment that begins at frame 60."""

    name = "stumbling"

    def render(self, material: Any, segment: Segment, *rest: Any, **options: Any) -> Clip:
        """Render as ``rewrite`` does, with one exception."""
        clip = super().render(material, segment, *rest, **options)
        if segment.first_frame == 60:
            raise InputError("this mouth is too beautiful to touch")
        return clip
