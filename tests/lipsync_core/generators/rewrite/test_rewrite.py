"""The embedded engine on the demo film: a real photograph's face that talks for ten seconds."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from face_factory import mouth_region

from lipsync_core.errors import RenderFailed
from lipsync_core.faces.landmarks import FACE_OVAL, FaceTrack
from lipsync_core.faces.mouth import mouth_shapes
from lipsync_core.generators import load_generator
from lipsync_core.generators.rewrite import Rewrite
from lipsync_core.material import Material
from lipsync_core.media.audio import ANALYSIS_RATE, Track
from lipsync_core.media.clip import Clip, cropped
from lipsync_core.media.frames import planes_of, read_frames
from lipsync_core.media.probe import probe
from lipsync_core.sync.landmark import LandmarkScorer
from lipsync_core.sync.score import SyncScore
from lipsync_core.timeline import Segment
from lipsync_core.verify import look_at, track_faces

FIRST, LAST = 125, 250


@pytest.fixture(scope="module")
def clip(
    demo_material: Material, demo_speech: Track, tmp_path_factory: pytest.TempPathFactory
) -> Clip:
    """Five seconds of the speaker with new words."""
    out = tmp_path_factory.mktemp("clip") / "clip.mkv"
    return Rewrite().render(demo_material, Segment(0, FIRST, LAST), demo_speech, out)


@pytest.fixture(scope="module")
def seen(clip: Clip) -> FaceTrack:
    """The faces somebody finds who looks at the clip alone."""
    return track_faces(probe(clip.path))


def rendered(
    material: Material, speech: Track, out: Path, first: int, last: int, shift_ms: float = 0
) -> Clip:
    return Rewrite().render(material, Segment(0, first, last), speech, out, shift_ms=shift_ms)


def planes(clip: Clip) -> list[list[Any]]:
    return [[p.copy() for p in planes_of(frame)] for frame in read_frames(probe(clip.path))]


def source_planes(material: Material, clip: Clip) -> list[list[Any]]:
    """The same part of the film as it was."""
    frames = read_frames(material.info, clip.first_frame, clip.last_frame)
    return [[p.copy() for p in planes_of(cropped(frame, clip.box))] for frame in frames]


def score(faces: FaceTrack, clip: Clip, speech: Track) -> SyncScore:
    scorer = LandmarkScorer()
    samples = [frame * ANALYSIS_RATE // 25 for frame in (clip.first_frame, clip.last_frame)]
    sound = speech.read(*samples)[:, 0]
    return scorer.score([scorer.compare(faces, probe(clip.path).frame_rate, sound)])


def test_it_is_the_default_engine_and_installed() -> None:
    assert load_generator("rewrite") == Rewrite()


def test_the_clip_has_exactly_the_frames_of_the_segment(
    clip: Clip, demo_material: Material
) -> None:
    info = probe(clip.path)
    assert (clip.first_frame, clip.last_frame, info.frames) == (FIRST, LAST, LAST - FIRST)
    assert (info.width, info.height) == (clip.box.width, clip.box.height)
    assert (info.frame_rate, info.pixel_format, info.codec, info.colour) == (
        demo_material.info.frame_rate,
        demo_material.info.pixel_format,
        "ffv1",
        demo_material.info.colour,
    )


def test_the_box_holds_the_face_in_every_frame(clip: Clip, demo_material: Material) -> None:
    box, info = clip.box, demo_material.info
    oval = demo_material.faces(FIRST, LAST).points[:, FACE_OVAL]
    assert box.x <= oval[..., 0].min()
    assert oval[..., 0].max() <= box.x + box.width <= info.width
    assert box.y <= oval[..., 1].min()
    assert oval[..., 1].max() <= box.y + box.height <= info.height
    assert box.width * box.height < info.width * info.height / 2


def test_only_the_lower_face_changes_and_it_does(clip: Clip, demo_material: Material) -> None:
    points = demo_material.faces(FIRST, LAST).points - [clip.box.x, clip.box.y]
    changed = 0
    pairs = zip(planes(clip), source_planes(demo_material, clip), points, strict=True)
    for new, old, face in pairs:
        rows, columns = mouth_region(face)
        outside = [np.ones(plane.shape, bool) for plane in old]
        for plane, step in zip(outside, (1, 2, 2), strict=True):
            plane[
                rows.start // step : rows.stop // step, columns.start // step : columns.stop // step
            ] = False
            assert plane.mean() > 0.1
        for one, other, kept in zip(new, old, outside, strict=True):
            assert (one[kept] == other[kept]).all()
        changed += not np.array_equal(new[0], old[0])
    assert changed == LAST - FIRST


def test_the_lips_follow_the_new_speech(clip: Clip, seen: FaceTrack, demo_speech: Track) -> None:
    found = score(seen, clip, demo_speech)
    assert found.in_sync
    assert found.offset_frames == pytest.approx(0, abs=0.75)
    assert found.confidence > 1.1


def test_the_lips_no_longer_follow_the_old_words(
    clip: Clip, seen: FaceTrack, demo_material: Material
) -> None:
    assert demo_material.sound is not None
    assert not score(seen, clip, demo_material.sound).in_sync


def test_a_second_look_finds_what_the_engine_made(
    clip: Clip, demo_material: Material, demo_speech: Track
) -> None:
    scorer = LandmarkScorer()
    look = look_at(clip, demo_material, demo_speech, scorer)
    assert look.source is not None
    assert scorer.score([look.rendered]).in_sync
    assert scorer.score([look.source]).in_sync
    assert 0.4 < look.motion_share < 2.5
    assert look.opening.shape == (LAST - FIRST,)
    assert np.isfinite(look.opening).all()


def test_the_mouth_moves_as_much_as_the_speaker_s_own(
    seen: FaceTrack, demo_material: Material
) -> None:
    new, old = mouth_shapes(seen.points), mouth_shapes(demo_material.faces(0, 250).points)
    assert new[:, :4].std(0) == pytest.approx(old[:, :4].std(0), rel=0.5)
    low, high = np.percentile(old[:, 0], [0, 100])
    assert (new[:, 0] > low - 0.03).all()
    assert (new[:, 0] < high + 0.03).all()


def test_the_same_work_gives_the_same_picture(
    demo_material: Material, demo_speech: Track, tmp_path: Path
) -> None:
    hashes = []
    for name in ("one.mkv", "two.mkv"):
        clip = rendered(demo_material, demo_speech, tmp_path / name, 60, 72)
        pixels = b"".join(plane.tobytes() for frame in planes(clip) for plane in frame)
        hashes.append(hashlib.sha256(pixels).hexdigest())
    assert hashes[0] == hashes[1]


def test_a_shift_delays_the_mouth(
    clip: Clip, seen: FaceTrack, demo_material: Material, demo_speech: Track, tmp_path: Path
) -> None:
    late = rendered(demo_material, demo_speech, tmp_path / "late.mkv", FIRST, LAST, shift_ms=160)
    before, after = (
        score(seen, clip, demo_speech),
        score(track_faces(probe(late.path)), late, demo_speech),
    )
    assert before.offset_frames is not None
    assert after.offset_frames is not None
    later = after.offset_frames - before.offset_frames
    assert later == pytest.approx(4, abs=0.5)  # the sound is early now


def test_where_nobody_speaks_the_mouth_rests(
    demo_material: Material, demo_speech: Track, tmp_path: Path
) -> None:
    silent = replace(demo_speech, path=_silence(tmp_path / "silent.wav", demo_speech))
    clip = rendered(demo_material, silent, tmp_path / "rest.mkv", 60, 85)
    gap = mouth_shapes(track_faces(probe(clip.path)).points)[:, 0]
    own = mouth_shapes(demo_material.faces(0, 250).points)[:, 0]
    assert gap.max() < np.percentile(own, 50)
    assert gap.std() < own.std() / 3


def _silence(path: Path, like: Track) -> Path:
    import soundfile

    soundfile.write(path, np.zeros(like.samples, np.float32), like.sample_rate)
    return path


def test_one_frame_is_a_segment(
    demo_material: Material, demo_speech: Track, tmp_path: Path
) -> None:
    clip = rendered(demo_material, demo_speech, tmp_path / "one.mkv", 249, 250)
    assert probe(clip.path).frames == 1


def test_frames_without_a_face_stay_as_they_are(
    demo_material: Material, demo_speech: Track, tmp_path: Path
) -> None:
    found = np.load(demo_material.scan.faces)
    found[64:67] = np.nan
    np.save(tmp_path / "faces.npy", found)
    scan = replace(demo_material.scan, faces=tmp_path / "faces.npy")
    material = replace(demo_material, scan=scan)
    clip = rendered(material, demo_speech, tmp_path / "clip.mkv", 62, 70)
    pairs = list(zip(planes(clip), source_planes(material, clip), strict=True))
    same = [all(np.array_equal(a, b) for a, b in zip(*pair, strict=True)) for pair in pairs]
    assert same == [False, False, True, True, True, False, False, False]


def test_a_shot_without_a_usable_face_is_refused_with_advice(
    demo_material: Material, demo_speech: Track, tmp_path: Path
) -> None:
    with pytest.raises(
        RenderFailed,
        match="segment 0: no usable face in frames 250 to 350; set it to passthrough in the cut",
    ):
        rendered(demo_material, demo_speech, tmp_path / "none.mkv", 260, 300)
    assert not list(tmp_path.iterdir())


def test_nothing_but_the_clip_is_left(
    demo_material: Material, demo_speech: Track, tmp_path: Path
) -> None:
    rendered(demo_material, demo_speech, tmp_path / "clip.mkv", 60, 62)
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mkv"]
