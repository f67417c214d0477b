"""Who speaks, where two faces are in view."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from lipsync_core.faces.crowd import Crowd
from lipsync_core.material import Material, gather
from lipsync_core.sync.landmark import LandmarkScorer
from lipsync_core.sync.speaker import Read, Turn, choose_speakers, turns
from lipsync_core.sync.tracks import score_tracks
from lipsync_core.timeline import Cut

FRAMES, CHANGE = 250, 125
SAMPLES_A_FRAME = 640
MIDDLE = 256  # px, between the two


@pytest.fixture(scope="module")
def material(dialogue: Path, tmp_path_factory: pytest.TempPathFactory) -> Material:
    return gather(dialogue, tmp_path_factory.mktemp("dialogue"))


def crowd_of(material: Material) -> Crowd:
    return Crowd.load(material.scan.faces, material.scan.others)


def found(material: Material, read: Read | None = None) -> list[tuple[str, Turn]]:
    """Every turn and on which side it is."""
    assert material.sound is not None
    crowd = crowd_of(material)
    cuts = [0, *(cut.frame for cut in material.scan.cuts), material.info.frames]
    sightings = crowd.sightings(list(pairwise(cuts)), material.info.frame_rate)
    sound = read or material.sound.mono
    taken = turns(crowd, sightings, material.info, sound, LandmarkScorer())
    return [(side_of(crowd.faces(t.sighting, t.first, t.last).points), t) for t in taken]


def side_of(points: np.ndarray) -> str:
    return "left" if np.nanmean(points[..., 0]) < MIDDLE else "right"


def test_everybody_in_view_is_found(material: Material) -> None:
    sightings = crowd_of(material).sightings([(0, FRAMES)], material.info.frame_rate)
    assert len(sightings) == 2
    for one in sightings:
        assert one.last - one.first >= FRAMES - 12
        side = {side_of(crowd_of(material).faces(one, f, f + 1).points) for f in one.frames[::20]}
        assert len(side) == 1


def test_who_goes_with_the_sound_speaks(material: Material) -> None:
    speaking = [(side, turn) for side, turn in found(material) if turn.speaks]
    assert [side for side, _ in speaking] == ["left", "right"]
    (_, left), (_, right) = speaking
    assert left.first <= 12
    assert left.last == right.first
    assert abs(left.last - CHANGE) <= 25
    assert right.last == FRAMES
    silent = [(side, turn.first, turn.last) for side, turn in found(material) if not turn.speaks]
    assert sorted(side for side, *_ in silent) == ["left", "right"]


@pytest.mark.parametrize("early_frames", [-8, 8])
def test_a_film_out_of_sync_has_the_same_speakers(material: Material, early_frames: int) -> None:
    assert material.sound is not None
    whole = np.roll(material.sound.read()[:, 0], -early_frames * SAMPLES_A_FRAME)
    speaking = [
        (side, turn) for side, turn in found(material, lambda a, b: whole[a:b]) if turn.speaks
    ]
    assert [side for side, _ in speaking] == ["left", "right"]
    assert abs(speaking[0][1].last - CHANGE) <= 30


def test_in_silence_it_is_open(material: Material) -> None:
    taken = found(material, lambda a, b: np.zeros(b - a, np.float32))
    assert {turn.speaks for _, turn in taken} == {None}


def test_in_noise_it_is_mostly_open(material: Material) -> None:
    """About one noise in six goes with one of the mouths by chance."""
    open_ones = 0
    for seed in range(8):
        loud = np.random.default_rng(seed).standard_normal(FRAMES * SAMPLES_A_FRAME)
        noise = (0.1 * loud).astype(np.float32)
        taken = found(material, lambda a, b, noise=noise: noise[a:b])
        open_ones += {turn.speaks for _, turn in taken} == {None}
    assert open_ones >= 5


def test_the_speaker_is_left_and_the_film_cut_where_another_one_begins(
    material: Material, tmp_path: Path
) -> None:
    chosen, told = choose_speakers(material, LandmarkScorer(), tmp_path)
    [cut] = chosen.cuts
    assert abs(cut.frame - CHANGE) <= 25
    faces = np.load(chosen.faces)
    assert side_of(faces[: cut.frame]) == "left"
    assert side_of(faces[cut.frame :]) == "right"
    for part in (faces[15 : cut.frame], faces[cut.frame :]):
        assert np.isfinite(part).all()
        assert np.ptp(part[:, :, 0].mean(1)) < 40
    assert told == (
        "several faces share the picture for 10 s: the one whose lips go with the sound is taken"
    )


def test_without_sound_the_larger_face_stays_all_the_time(
    material: Material, tmp_path: Path
) -> None:
    silent = Material(material.info, material.scan, None)
    chosen, told = choose_speakers(silent, LandmarkScorer(), tmp_path)
    assert chosen.cuts == ()
    faces = np.load(chosen.faces)[15:]
    assert np.ptp(faces[:, :, 0].mean(1)) < 60  # never the other one
    assert told.endswith("for 10 s that is open, and the largest is")


def test_a_film_with_one_face_is_left_as_it_is(demo_material: Material, tmp_path: Path) -> None:
    assert demo_material.scan.others is None
    chosen = choose_speakers(demo_material, LandmarkScorer(), tmp_path)
    assert chosen == (demo_material.scan, "")


def test_a_dialogue_is_scored_by_those_who_speak(material: Material) -> None:
    assert material.sound is not None
    score = score_tracks(material, material.sound, LandmarkScorer())
    assert score.speaks is True
    assert score.offset_frames == pytest.approx(0, abs=0.5)
    assert sorted((track.speaks or False) for track in score.tracks) == [False, False, True, True]
    quiet = [track for track in score.tracks if not track.speaks]
    talking = [track for track in score.tracks if track.speaks]
    assert min(t.confidence for t in talking) > max(t.confidence for t in quiet)


def test_a_known_cut_stays(material: Material, tmp_path: Path) -> None:
    cut_up = Material(
        material.info, type(material.scan)(
            (Cut(60),), material.scan.faces, material.scan.thumbnails, material.scan.others
        ), material.sound,
    )  # fmt: skip
    chosen, _ = choose_speakers(cut_up, LandmarkScorer(), tmp_path)
    assert chosen.cuts[0] == Cut(60)
    assert len(chosen.cuts) == 2
