"""Join the parts of a folder back into one film."""

from __future__ import annotations

from pathlib import Path

from prefect import task

from lipsync_core.media import join_parts as core
from lipsync_core.media.parts import find_parts
from tasks.steps import frames_done


@task(name="join parts")
def join_parts(folder: Path, audio: Path | None, out: Path) -> core.JoinedParts:
    """Find the parts, write the film they make, prove its frames and its sound."""
    parts = find_parts(folder, with_sound=audio is None)
    return core.join_parts(parts, audio, out, on_frame=frames_done)
