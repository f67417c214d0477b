"""The published example, put right and measured by its published numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from lipsync_core.errors import MissingWeights
from lipsync_core.material import gather
from lipsync_core.sync import load_scorer
from lipsync_core.sync.delay import Answer
from lipsync_core.sync.tracks import score_tracks
from tasks.correct import correct_sound


def test_the_published_example_is_put_right(real_media: Path, tmp_path: Path) -> None:
    """Its sound is three frames early, by its authors' own measure."""
    done = correct_sound.fn(
        real_media / "syncnet_example.avi", tmp_path / "right.avi", "landmark", 5, False
    )
    assert done.answer is Answer.CORRECTED
    assert done.delay_ms == pytest.approx(120, abs=40)
    assert done.after is not None
    assert done.after.offset_frames == pytest.approx(0, abs=0.5)


def test_the_published_example_has_its_published_numbers(real_media: Path, tmp_path: Path) -> None:
    """Offset 3, least distance 5.353, confidence 10.021; its authors call them approximate, and
    cutting the face out anew has moved them by up to a third before."""
    try:
        scorer = load_scorer("syncnet")
    except MissingWeights as error:
        pytest.skip(str(error))
    material = gather(real_media / "syncnet_example.avi", tmp_path)
    assert material.sound is not None
    found = score_tracks(material, material.sound, scorer)
    assert found.offset_frames == pytest.approx(3, abs=1)
    assert found.distance == pytest.approx(5.353, rel=0.35)
    assert found.confidence == pytest.approx(10.021, rel=0.15)
