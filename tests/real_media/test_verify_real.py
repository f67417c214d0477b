"""Offsets that are known from elsewhere are found in real clips."""

from __future__ import annotations

from pathlib import Path

import pytest

from lipsync_core.material import gather
from lipsync_core.sync.landmark import LandmarkScorer
from lipsync_core.sync.tracks import FilmScore, score_tracks


def scored(film: Path, folder: Path) -> FilmScore:
    material = gather(film, folder)
    assert material.sound is not None
    return score_tracks(material, material.sound, LandmarkScorer())


@pytest.mark.parametrize(
    ("name", "offset_frames"),
    [
        ("syncnet_example.avi", 3),
        ("syncnet_example_plus5.avi", -1.5),
        ("syncnet_example_plus12.avi", -9),
        ("hdtf_menendez.mp4", -1),
        ("hdtf_aoc.mp4", -3),
        ("latentsync_demo1.mp4", -0.5),
        ("threequarter_officer.mp4", -2),
    ],
)
def test_the_offset_of_a_real_clip_is_found_to_a_frame(
    real_media: Path, tmp_path: Path, name: str, offset_frames: float
) -> None:
    found = scored(real_media / name, tmp_path)
    assert found.offset_frames == pytest.approx(offset_frames, abs=1)
    assert found.in_sync == (found.offset_frames is not None and abs(found.offset_frames) <= 1)
    [track] = found.tracks
    assert track.evidence == "ok"
    assert abs(found.drift_ms_per_s or 0) < 1.5


def test_a_rapper_in_profile_among_shots_of_an_audience_gives_no_evidence(
    real_media: Path, tmp_path: Path
) -> None:
    found = scored(real_media / "hamilton_cuts.mp4", tmp_path)
    assert (found.offset_frames, found.in_sync) == (None, False)
    assert found.verdict.startswith("no evidence")
    shots = [(0, 20), (20, 82), (82, 211), (211, 275)]
    for track in found.tracks:  # none goes on over a cut
        assert any(a <= track.first_frame < track.last_frame <= b for a, b in shots)
