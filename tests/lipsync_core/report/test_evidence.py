"""The curves of the report say what is heard and what the mouth does, frame by frame."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from face_factory import SHUT, face_track, without_faces
from media_factory import make_film, write_sound

from lipsync_core.material import Material
from lipsync_core.media.audio import Track
from lipsync_core.media.probe import FilmInfo, probe
from lipsync_core.report.evidence import loudness_of, openings_of
from lipsync_core.scan import Scan
from lipsync_core.timeline import sample_of_frame

NTSC_FILM = Fraction(24000, 1001)


def track(path: Path, sound: Any, sample_rate: int = 16_000) -> Track:
    write_sound(path, sound, sample_rate)
    return Track(path, sample_rate, 1, len(sound), len(sound) / sample_rate)


def film(folder: Path, frames: int, rate: Fraction = NTSC_FILM) -> FilmInfo:
    return probe(make_film(folder / "film.mp4", frames=frames, rate=rate, size=(32, 18)))


def material(folder: Path, gaps: Any) -> Material:
    """A film of frames whose mouths are so far open."""
    mouths = np.tile(SHUT, (len(gaps), 1))
    mouths[:, 0] = gaps
    faces = without_faces(face_track(np.nan_to_num(mouths)), np.isnan(gaps))
    np.save(folder / "faces.npy", faces.points)
    scan = Scan((), folder / "faces.npy", folder / "none.npz")
    return Material(film(folder, len(gaps), Fraction(25)), scan, None)


def test_a_frame_is_as_loud_as_the_samples_under_it(tmp_path: Path) -> None:
    info = film(tmp_path, 40)
    samples = sample_of_frame(40, NTSC_FILM, 16_000)
    first, last = (sample_of_frame(frame, NTSC_FILM, 16_000) for frame in (13, 14))
    sound = np.zeros(samples, np.float32)
    sound[first:last] = 0.4
    sound[sample_of_frame(20, NTSC_FILM, 16_000)] = 0.4
    levels = loudness_of(track(tmp_path / "s.wav", sound), info)
    assert levels.shape == (40,)
    assert levels[13] == pytest.approx(1)
    assert levels[20] == pytest.approx(1 / np.sqrt(667), rel=0.01)  # one sample of a frame's 667
    assert np.flatnonzero(levels).tolist() == [13, 20]


def test_levels_are_by_amplitude_and_the_loudest_is_one(tmp_path: Path) -> None:
    info = film(tmp_path, 20, Fraction(25))
    steps = np.repeat(np.linspace(0.02, 0.4, 20), 640).astype(np.float32)
    levels = loudness_of(track(tmp_path / "s.wav", steps), info)
    assert levels == pytest.approx(np.linspace(0.05, 1, 20), rel=1e-4)


def test_silence_has_no_level(tmp_path: Path) -> None:
    info = film(tmp_path, 10, Fraction(25))
    assert (loudness_of(track(tmp_path / "s.wav", np.zeros(6400)), info) == 0).all()


def test_a_film_longer_than_a_block_has_no_seam(tmp_path: Path) -> None:
    info = film(tmp_path, 2003)
    sound = np.full(sample_of_frame(2003, NTSC_FILM, 8000), 0.25, np.float32)
    levels = loudness_of(track(tmp_path / "s.wav", sound, 8000), info)
    assert levels == pytest.approx(np.ones(2003))


def test_openings_are_the_gap_of_the_lips(tmp_path: Path) -> None:
    gaps = np.array([0.02, 0.1, np.nan, 0.2, 0.05])
    assert openings_of(material(tmp_path, gaps)) == pytest.approx(gaps, abs=1e-4, nan_ok=True)


def test_rendered_segments_stand_in_place_of_the_source(tmp_path: Path) -> None:
    source = material(tmp_path, np.full(8, 0.1))
    found = openings_of(source, {2: [0.2, None, 0.3], 7: [0.0]})
    wanted = [0.1, 0.1, 0.2, np.nan, 0.3, 0.1, 0.1, 0.0]
    assert found == pytest.approx(wanted, abs=1e-4, nan_ok=True)


def test_a_film_is_read_in_blocks_without_a_seam(tmp_path: Path) -> None:
    gaps = np.linspace(0.01, 0.2, 2003)
    assert openings_of(material(tmp_path, gaps)) == pytest.approx(gaps, abs=1e-4)
