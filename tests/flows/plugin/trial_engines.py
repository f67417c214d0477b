"""Engines of somebody else's package: they render like ``rewrite`` and keep a diary."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from lipsync_core.errors import InputError
from lipsync_core.generators import no_options
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


class Stumbling(Counted):
    """Cannot render the segment that begins at frame 60."""

    name = "stumbling"

    def render(self, material: Any, segment: Segment, *rest: Any, **options: Any) -> Clip:
        """Render as ``rewrite`` does, with one exception."""
        clip = super().render(material, segment, *rest, **options)
        if segment.first_frame == 60:
            raise InputError("this mouth is too beautiful to touch")
        return clip
