"""Real clips are no part of the project; tests that need them skip where they are absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_media() -> Path:
    """The folder of real clips: ``LIPSYNC_REAL_MEDIA``, else ``shared/media`` beside the tree."""
    beside = Path(__file__).parents[3] / "shared" / "media"
    folder = Path(os.environ.get("LIPSYNC_REAL_MEDIA") or beside)
    if not folder.is_dir():
        pytest.skip(f"no real clips in {folder}: name their folder in LIPSYNC_REAL_MEDIA")
    return folder
