"""A film's score names every face, says how far the sound is off, and tells a drift from a shift.

The face is the demo film's; what is changed is the sound it is scored with.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from media_factory import write_sound
from numpy.typing import NDArray

from lipsync_core.demo.film import CUT_FRAME
from lipsync_core.material import Material
from lipsync_core.media.audio import Track
from lipsync_core.scan import Scan
from lipsync_core.sync.landmark import LandmarkScorer
from lipsync_core.sync.tracks import FilmScore, score_tracks
from lipsync_core.timeline import Cut

SAMPLES_A_FRAME = 640


@pytest.fixture(scope="module")
def words(demo_material: Material) -> NDArray[np.float32]:
    """What the face says, sample by sample."""
    assert demo_material.sound is not None
    return demo_material.sound.read(0, CUT_FRAME * SAMPLES_A_FRAME)[:, 0]


def in_a_row(material: Material, times: int, cuts: tuple[int, ...], folder: Path) -> Material:
    """A film that shows the talking face several times over."""
    faces = np.concatenate([np.load(material.scan.faces)[:CUT_FRAME]] * times)
    np.save(folder / "faces.npy", faces)
    scan = Scan(tuple(map(Cut, cuts)), folder / "faces.npy", material.scan.thumbnails)
    return Material(replace(material.info, frames=len(faces)), scan, None)


def scored(material: Material, sound: NDArray[np.float32], folder: Path) -> FilmScore:
    """The score with a sound, ended or continued in silence where the film ends."""
    samples = material.info.frames * SAMPLES_A_FRAME
    laid = np.pad(sound[:samples], (0, max(0, samples - len(sound))))[:, None]
    track = Track(
        write_sound(folder / "sound.wav", laid, 16_000), 16_000, 1, samples, samples / 16_000
    )
    return score_tracks(material, track, LandmarkScorer())


@pytest.mark.parametrize(
    ("early_frames", "verdict"),
    [(0, "in sync"), (3, "ms early: delay it by 1"), (-4, "ms late: advance it by 1")],
)
def test_a_sound_that_was_moved_is_found_out(
    demo_material: Material,
    words: NDArray[np.float32],
    tmp_path: Path,
    early_frames: int,
    verdict: str,
) -> None:
    shift = early_frames * SAMPLES_A_FRAME
    moved = words[shift:] if shift >= 0 else np.pad(words, (-shift, 0))
    found = scored(demo_material, moved, tmp_path)
    assert found.offset_frames == pytest.approx(early_frames, abs=0.5)
    assert found.offset_ms == pytest.approx(40 * early_frames, abs=20)
    assert found.in_sync == (early_frames == 0)
    assert verdict in found.verdict
    [track] = found.tracks
    assert (track.first_frame, track.last_frame, track.evidence) == (0, CUT_FRAME, "ok")
    assert track.offset_frames == found.offset_frames


def test_a_track_too_short_to_tell_is_listed_and_says_so(
    demo_material: Material, words: NDArray[np.float32], tmp_path: Path
) -> None:
    cut = replace(demo_material, scan=replace(demo_material.scan, cuts=(Cut(20), Cut(CUT_FRAME))))
    short, long = scored(cut, words, tmp_path).tracks
    assert (short.first_frame, short.last_frame) == (0, 20)
    assert (short.offset_frames, short.in_sync) == (None, False)
    assert short.evidence == "only 0.8 s long"
    assert (long.first_frame, long.last_frame, long.in_sync) == (20, CUT_FRAME, True)


@pytest.mark.parametrize("percent", [-1.0, -0.3, 0.3, 1.0])
def test_a_sound_at_the_wrong_speed_shows_as_a_slope(
    demo_material: Material, words: NDArray[np.float32], tmp_path: Path, percent: float
) -> None:
    sound = np.tile(words, 3)
    places = np.linspace(0, len(sound) - 1, round(len(sound) * (1 - percent / 100)))
    faster = np.interp(places, np.arange(len(sound)), sound).astype(np.float32)
    found = scored(in_a_row(demo_material, 3, (), tmp_path), faster, tmp_path)
    assert found.drift_ms_per_s == pytest.approx(10 * percent, abs=1)
    assert not found.in_sync
    assert ("slow it down by" if percent > 0 else "speed it up by") in found.verdict


def test_a_sound_at_its_own_speed_shows_no_drift(
    demo_material: Material, words: NDArray[np.float32], tmp_path: Path
) -> None:
    found = scored(in_a_row(demo_material, 3, (), tmp_path), np.tile(words, 3), tmp_path)
    assert found.drift_ms_per_s == pytest.approx(0, abs=1)
    assert found.in_sync


def test_few_windows_tell_no_drift(
    demo_material: Material, words: NDArray[np.float32], tmp_path: Path
) -> None:
    half = replace(demo_material, scan=replace(demo_material.scan, cuts=(Cut(125), Cut(CUT_FRAME))))
    assert [track.drift_ms_per_s for track in scored(half, words, tmp_path).tracks] == [None, None]


def test_a_face_that_disagrees_with_the_film_is_told(
    demo_material: Material, words: NDArray[np.float32], tmp_path: Path
) -> None:
    film = in_a_row(demo_material, 3, (CUT_FRAME, 2 * CUT_FRAME), tmp_path)
    dubbed_late = np.roll(words, 8 * SAMPLES_A_FRAME)
    found = scored(film, np.concatenate([words, dubbed_late, words]), tmp_path)
    assert [track.in_sync for track in found.tracks] == [True, False, True]
    assert found.verdict.endswith("; 1 of 3 face tracks differ by more than 40 ms")


def test_no_answer_is_never_in_sync(
    demo_material: Material, words: NDArray[np.float32], tmp_path: Path
) -> None:
    silent = scored(demo_material, np.zeros(100, np.float32), tmp_path)
    assert (silent.in_sync, silent.verdict) == (False, "no evidence: no speech")
    nobody = np.full((demo_material.info.frames, 468, 2), np.nan, np.float32)
    np.save(tmp_path / "nobody.npy", nobody)
    empty = replace(
        demo_material, scan=Scan((), tmp_path / "nobody.npy", demo_material.scan.thumbnails)
    )
    nobody = scored(empty, words, tmp_path)
    assert (nobody.in_sync, nobody.tracks) == (False, ())
    assert nobody.verdict == "no evidence: no face in the film"
