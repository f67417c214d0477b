"""A soft, tinted, smooth mouth comes nearer to its face, and nothing else changes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from face_factory import without_faces
from soft_mouths import FIRST, LAST, TINT, Planes, rendered, softened

from lipsync_core.errors import InputError
from lipsync_core.faces.blend import mouth_mask
from lipsync_core.faces.landmarks import OUTER_LIPS, FaceTrack
from lipsync_core.finish import load_finish
from lipsync_core.finish.bands import bands_of
from lipsync_core.finish.grain import grain
from lipsync_core.finish.match import Match, sharpened
from lipsync_core.material import Material
from lipsync_core.media.clip import Clip, cropped
from lipsync_core.media.frames import FrameWriter, frame_of, planes_of, read_frames
from lipsync_core.media.probe import probe

GRAIN = 3.0  # levels


@pytest.fixture(scope="module")
def grainy(demo_material: Material, tmp_path_factory: pytest.TempPathFactory) -> Material:
    """The demo film from its first frame of the clip on, with the grain of a camera."""
    film = tmp_path_factory.mktemp("grainy") / "film.mkv"
    info = demo_material.info
    faces = demo_material.scan.faces.with_name("grainy.npy")
    with FrameWriter(
        film, width=info.width, height=info.height, frame_rate=info.frame_rate,
        pixel_format=info.pixel_format, codec="ffv1", colour=info.colour,
    ) as writer:  # fmt: skip
        for number, frame in enumerate(read_frames(info, 0, LAST)):
            luma, *chroma = planes_of(frame)
            noise = np.random.default_rng(900 + number).standard_normal(luma.shape, np.float32)
            luma = np.clip(np.rint(luma + GRAIN * noise), 0, 255).astype(np.uint8)
            writer.write(frame_of([luma, *chroma], info.pixel_format, tags_of=frame))
    np.save(faces, demo_material.faces(0, LAST).points)
    return Material(probe(film), replace(demo_material.scan, faces=faces), None)


def soft(_: int, planes: Planes) -> Planes:
    return softened(planes, 3.3)


@pytest.fixture(scope="module")
def soft_clip(grainy: Material, tmp_path_factory: pytest.TempPathFactory) -> Clip:
    return rendered(grainy, tmp_path_factory.mktemp("soft") / "clip.mkv", soft)


@pytest.fixture(scope="module")
def matched(soft_clip: Clip, grainy: Material) -> Clip:
    return Match().finished(soft_clip, grainy, soft_clip.path.with_name("matched.mkv"))


def planes(frames: Iterator[Any]) -> list[Any]:
    """Y, U and V of all frames: three arrays (frames, rows, columns)."""
    stacked = zip(*[planes_of(frame) for frame in frames], strict=True)
    return [np.stack(plane).astype(float) for plane in stacked]


def three(material: Material, before: Clip, after: Clip) -> list[list[Any]]:
    """The film's own box, the rendered one and the finished one."""
    own = (cropped(f, before.box) for f in read_frames(material.info, FIRST, before.last_frame))
    clips = (read_frames(probe(clip.path)) for clip in (before, after))
    return [planes(own), *map(planes, clips)]


def masks(material: Material, clip: Clip) -> Any:
    faces = material.faces(FIRST, clip.last_frame).points - [clip.box.x, clip.box.y]
    return np.stack([mouth_mask(face, clip.box.width, clip.box.height) for face in faces])


def cheek(material: Material, clip: Clip, frame: int) -> tuple[slice, slice]:
    """An even patch of skin beside the mouth."""
    face = material.faces(FIRST, clip.last_frame).points[frame] - [clip.box.x, clip.box.y]
    x, y = face[[205, 50]].mean(0).astype(int)
    return slice(y - 10, y + 10), slice(x - 10, x + 10)


def noise_of(luma: Any, material: Material, clip: Clip) -> float:
    """The standard deviation of what is fine in the cheek, by its median deviation."""
    found = []
    for frame, picture in enumerate(luma):
        patch = picture[cheek(material, clip, frame)]
        fine = cv2.Laplacian(patch, cv2.CV_64F) / np.sqrt(20)  # 1 for white noise of 1
        found.append(1.4826 * np.median(np.abs(fine[1:-1, 1:-1])))
    return float(np.mean(found))


def detail_of(luma: Any, material: Material, clip: Clip) -> float:
    """The energy of edges round the lips."""
    faces = material.faces(FIRST, clip.last_frame).points - [clip.box.x, clip.box.y]
    found = []
    for picture, face in zip(luma, faces, strict=True):
        (left, top), (right, bottom) = face[OUTER_LIPS].min(0), face[OUTER_LIPS].max(0)
        blurred = cv2.GaussianBlur(picture, (0, 0), 1.0) - cv2.GaussianBlur(picture, (0, 0), 4.0)
        found.append(blurred[int(top) : int(bottom), int(left) : int(right)].std())
    return float(np.mean(found))


def test_its_colour_becomes_that_of_the_face(
    grainy: Material, soft_clip: Clip, matched: Clip
) -> None:
    own, before, after = three(grainy, soft_clip, matched)
    core = masks(grainy, soft_clip) > 0.95
    cores = [core, core[:, ::2, ::2], core[:, ::2, ::2]]
    for one, two, done, where, tint in zip(own, before, after, cores, TINT, strict=True):
        assert (two - one)[where].mean() == pytest.approx(tint, abs=0.5)
        assert abs((done - one)[where].mean()) < 1.0


def test_its_grain_becomes_that_of_the_skin(
    grainy: Material, soft_clip: Clip, matched: Clip
) -> None:
    own, before, after = (
        noise_of(luma, grainy, soft_clip) for luma, *_ in three(grainy, soft_clip, matched)
    )
    assert own > 2.3
    assert before < 0.5 * own
    assert after == pytest.approx(own, rel=0.25)


def test_its_edges_become_sharper_and_not_sharper_than_the_film_s(
    grainy: Material, soft_clip: Clip, matched: Clip
) -> None:
    own, before, after = (
        detail_of(luma, grainy, soft_clip) for luma, *_ in three(grainy, soft_clip, matched)
    )
    assert before < 0.85 * own
    assert before + 0.4 * (own - before) < after < 1.1 * own


def test_nothing_flickers(grainy: Material, soft_clip: Clip, matched: Clip) -> None:
    """From frame to frame the mouth changes no more than the film's own does."""
    core = masks(grainy, soft_clip) > 0.95
    lights, grains = [], []
    for luma, *_ in three(grainy, soft_clip, matched):
        light = np.array([picture[where].mean() for picture, where in zip(luma, core, strict=True)])
        lights.append(np.abs(np.diff(light, 2)).mean())
        fine = luma - np.stack([cv2.GaussianBlur(picture, (0, 0), 2.0) for picture in luma])
        grains.append(np.abs(np.diff(fine, axis=0))[core[1:]].mean())
    assert lights[2] < lights[0] + 0.1
    assert grains[2] < 1.15 * grains[0]


def test_one_odd_frame_does_not_make_the_finish_jump(grainy: Material, tmp_path: Path) -> None:
    def odd(number: int, planes: Planes) -> Planes:
        off = 25 if number == FIRST + 8 else 7
        return softened(planes, 5.0 if off == 25 else 3.3, (off, -5, 6))

    clip = rendered(grainy, tmp_path / "clip.mkv", odd)
    done = Match().finished(clip, grainy, tmp_path / "done.mkv")
    _, before, after = three(grainy, clip, done)
    core = masks(grainy, clip) > 0.95
    done_to = [(b - a)[where].mean() for a, b, where in zip(before[0], after[0], core, strict=True)]
    assert np.abs(np.diff(done_to)).max() < 1.0


def test_every_pixel_beyond_the_mask_stays(
    grainy: Material, soft_clip: Clip, matched: Clip
) -> None:
    own, before, after = three(grainy, soft_clip, matched)
    outside = masks(grainy, soft_clip) == 0
    assert outside.mean() > 0.1
    assert np.array_equal(before[0][outside], after[0][outside])
    assert np.array_equal(own[0][outside], after[0][outside])
    assert (before[0] != after[0]).mean() > 0.2
    assert (matched.first_frame, matched.last_frame) == (FIRST, LAST)
    assert (matched.box, probe(matched.path).pixel_format) == (soft_clip.box, "yuv420p")


def test_the_same_clip_gets_the_same_finish(
    grainy: Material, soft_clip: Clip, matched: Clip, tmp_path: Path
) -> None:
    again = Match().finished(soft_clip, grainy, tmp_path / "again.mkv")
    one, other = (planes(read_frames(probe(clip.path))) for clip in (matched, again))
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("film", ["grainy", "demo_material"])
def test_a_mouth_that_matches_is_hardly_changed(
    film: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """The mouth of the frame before is another one of the same face."""
    material: Material = request.getfixturevalue(film)
    frames = list(read_frames(material.info, FIRST - 1, LAST))
    box = rendered(material, tmp_path / "box.mkv", lambda _, planes: planes).box

    def other(number: int, _: Planes) -> Planes:
        return planes_of(cropped(frames[number - FIRST], box))

    clip = rendered(material, tmp_path / "clip.mkv", other)
    done = Match().finished(clip, material, tmp_path / "done.mkv")
    own, before, after = three(material, clip, done)
    assert np.abs(before[0] - own[0]).mean() > 0.5
    for one, other_one in zip(before, after, strict=True):
        assert np.abs(one - other_one).mean() < 0.15


def test_frames_without_a_face_or_left_alone_by_the_engine_pass_through(
    demo_material: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mouth(number: int, planes: Planes) -> Planes:
        return planes if FIRST + 8 <= number < FIRST + 11 else softened(planes, 3.3)

    clip = rendered(demo_material, tmp_path / "clip.mkv", mouth)
    gone = without_faces(demo_material.faces(FIRST, LAST), slice(3, 6))
    monkeypatch.setattr(Material, "faces", lambda *_: FaceTrack(gone.points, FIRST))
    done = Match().finished(clip, demo_material, tmp_path / "done.mkv")
    before, after = (planes(read_frames(probe(one.path))) for one in (clip, done))
    same = [
        all(np.array_equal(a[n], b[n]) for a, b in zip(before, after, strict=True))
        for n in range(LAST - FIRST)
    ]
    assert [n for n, alike in enumerate(same) if alike] == [3, 4, 5, 8, 9, 10]


def test_nobody_in_the_whole_clip_is_no_error(
    demo_material: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = rendered(demo_material, tmp_path / "clip.mkv", soft, last=FIRST + 3)
    nobody = without_faces(demo_material.faces(FIRST, FIRST + 3), slice(None))
    monkeypatch.setattr(Material, "faces", lambda *_: FaceTrack(nobody.points, FIRST))
    done = Match().finished(clip, demo_material, tmp_path / "done.mkv")
    before, after = (planes(read_frames(probe(one.path))) for one in (clip, done))
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_an_edge_gets_no_halo() -> None:
    step = np.where(np.arange(80) < 40, 60, 180).astype(np.float32)
    soft_step = cv2.GaussianBlur(np.tile(step, (80, 1)), (0, 0), 2.0)
    crisp = sharpened(soft_step, np.array([2.5, 2.5, 2.5]), np.array([0.3, 0.3]))
    slopes = [float(np.abs(np.diff(plane[40])).max()) for plane in (soft_step, crisp)]
    assert slopes[1] > 1.4 * slopes[0]
    reach = 0.1 * 120 + 1
    assert crisp.min() > 60 - reach - 0.1
    assert crisp.max() < 180 + reach + 0.1


def test_what_is_noise_is_not_sharpened() -> None:
    noise = np.random.default_rng(1).standard_normal((200, 200), np.float32)
    crisp = sharpened(128 + noise, np.array([2.5, 2.5]), np.array([0.9, 0.45]))
    assert crisp.std() < 1.6 * noise.std()


def test_grain_has_the_strength_the_fineness_and_the_persistence_that_is_asked() -> None:
    place = np.array([100.3, 50.6])
    for sigmas in (np.array([2.0, 1.0]), np.array([1.3, 1.2])):
        made = grain(8, 7, (300, 300), sigmas, 0.7, place)
        assert made is not None
        found = [float(band.std()) for band in bands_of(made, 2)[0]]
        assert found == pytest.approx(sigmas, rel=0.1)
    moved = np.array([3, 1])
    one, other = (grain(n, 7, (300, 300), sigmas, 0.7, place + n * moved) for n in range(2))
    assert one is not None
    assert other is not None
    along_the_face = np.corrcoef(one[:-1, :-3].ravel(), other[1:, 3:].ravel())[0, 1]
    assert along_the_face == pytest.approx(0.7, abs=0.05)
    assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.3
    coarse = grain(8, 7, (300, 300), np.array([0.5, 2.0]), 0.7, place)
    assert coarse is not None
    found = [float(band.std()) for band in bands_of(coarse, 2)[0]]
    assert np.hypot(*found) < 1.1 * np.hypot(0.5, 2.0)
    assert grain(0, 7, (30, 30), np.array([0.1, 0.1]), 0.7, place) is None


def test_a_finish_nobody_knows_is_told() -> None:
    with pytest.raises(InputError, match="no finish called 'magic': say match, or name the file"):
        load_finish("magic")
    assert load_finish("match").name == "match"
