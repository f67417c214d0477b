"""One look at a film finds its cuts, its faces and its thumbnails, in constant memory."""

from __future__ import annotations

import threading
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from media_factory import make_film

from lipsync_core import scan
from lipsync_core.demo.film import CUT_FRAME, FRAMES
from lipsync_core.errors import InputError, StorageError
from lipsync_core.faces.landmarks import POINTS, FaceMesh, FaceTrack
from lipsync_core.faces.mouth import mouth_shapes
from lipsync_core.material import Material, own_sound
from lipsync_core.media.frames import FrameWriter, read_frames
from lipsync_core.media.probe import FilmInfo, probe
from lipsync_core.media.scenes import CutFinder
from lipsync_core.scan import find_cuts, load_thumbnails, scan_film
from lipsync_core.timeline import Cut, Segment


@pytest.fixture
def numbers(tmp_path: Path) -> FilmInfo:
    """A film of forty frames without a face."""
    return probe(make_film(tmp_path / "numbers.mp4", frames=40))


def portraits(path: Path, source: FilmInfo, places: list[int], side: int) -> FilmInfo:
    """Some frames of the demo film as a film of their own, of another size."""
    with FrameWriter(
        path, width=side, height=side, frame_rate=Fraction(25), pixel_format="yuv420p",
        codec="libx264", options={"crf": "12", "preset": "ultrafast"}, colour=source.colour,
    ) as writer:  # fmt: skip
        for place in places:
            [frame] = read_frames(source, place, place + 1)
            writer.write(frame.reformat(side, side))
    return probe(path)


def test_cuts_faces_and_thumbnails_come_from_one_decode(
    numbers: FilmInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[int] = []

    def counted(*arguments: Any) -> Any:
        for index, frame in enumerate(read_frames(*arguments)):
            decoded.append(index)
            yield frame

    monkeypatch.setattr(scan, "read_frames", counted)
    told: list[int] = []
    scan_film(numbers, tmp_path, on_frame=told.append)
    assert decoded == list(range(40))
    assert told == decoded


def test_the_cut_is_found(demo_material: Material) -> None:
    assert demo_material.scan.cuts == (Cut(CUT_FRAME),)


def test_looking_for_cuts_alone_finds_the_same(demo_material: Material) -> None:
    seen: list[int] = []
    assert find_cuts(demo_material.info, on_frame=seen.append) == list(demo_material.scan.cuts)
    assert len(seen) == FRAMES


def test_faces_are_where_the_speaker_is(demo_material: Material) -> None:
    stored = np.load(demo_material.scan.faces, mmap_mode="r")
    assert (stored.shape, stored.dtype) == ((FRAMES, POINTS, 2), np.float32)
    track = demo_material.faces()
    assert track.present[:CUT_FRAME].all()
    assert not track.present[CUT_FRAME:].any()
    assert np.isnan(track.points[CUT_FRAME:]).all()
    nose = track.points[:CUT_FRAME, 1]
    assert ((nose > 150) & (nose < 350)).all()  # pixels of the film, in its middle


def test_a_part_of_the_faces_knows_where_it_begins(demo_material: Material) -> None:
    part = demo_material.faces(240, 260)
    assert (part.first_frame, len(part.points), part.present.sum()) == (240, 20, 10)
    assert np.array_equal(part.points[:10], demo_material.faces().points[240:250])


def test_landmarks_are_pixels_of_the_film_whatever_its_size(
    demo_material: Material, tmp_path: Path
) -> None:
    small = portraits(tmp_path / "small.mp4", demo_material.info, [30] * 6, 256)
    large = portraits(tmp_path / "large.mp4", demo_material.info, [30] * 6, 1280)
    found = []
    for info in (small, large):
        folder = tmp_path / str(info.width)
        folder.mkdir()
        found.append(FaceTrack.load(scan_film(info, folder).faces).points[-1])
    assert found[0] * 5 == pytest.approx(found[1], abs=12)
    own = demo_material.faces(30, 31).points
    assert mouth_shapes(found[1][None])[0, :4] == pytest.approx(mouth_shapes(own)[0, :4], abs=0.03)


def test_thumbnails_are_small_pictures_spread_over_the_film(demo_material: Material) -> None:
    thumbnails = load_thumbnails(demo_material.scan.thumbnails)
    places = [frame for frame, _ in thumbnails]
    assert places == list(range(0, FRAMES, FRAMES // 24))
    for _, jpeg in thumbnails:
        picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert picture.shape == (160, 160, 3)


def test_a_film_of_one_frame_is_scanned(tmp_path: Path) -> None:
    found = scan_film(probe(make_film(tmp_path / "one.mp4", frames=1)), tmp_path)
    assert found.cuts == ()
    assert np.load(found.faces).shape == (1, POINTS, 2)
    assert [frame for frame, _ in load_thumbnails(found.thumbnails)] == [0]


def test_the_decoder_waits_for_whoever_is_slower(
    numbers: FilmInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fed = [-1]

    class Slow(CutFinder):
        def feed(self, frame_index: int, bgr: Any) -> None:
            time.sleep(0.02)
            super().feed(frame_index, bgr)
            fed.append(frame_index)

    monkeypatch.setattr(scan, "CutFinder", Slow)
    ahead: list[int] = []
    scan_film(numbers, tmp_path, on_frame=lambda index: ahead.append(index - fed[-1]))
    assert max(ahead) < 12  # frames that wait, however long the film is


@pytest.mark.parametrize("frame", [0, 17, 39])
@pytest.mark.parametrize("worker", [CutFinder, FaceMesh])
def test_an_error_behind_the_decoder_reaches_the_caller(
    numbers: FilmInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, worker: Any, frame: int
) -> None:
    name = "feed" if worker is CutFinder else "find"
    work, seen = getattr(worker, name), iter(range(1000))

    def stumble(self: Any, *arguments: Any) -> Any:
        if next(seen) == frame:
            raise MemoryError("no room")
        return work(self, *arguments)

    monkeypatch.setattr(worker, name, stumble)
    before = threading.enumerate()
    with pytest.raises(MemoryError, match="no room"):
        scan_film(numbers, tmp_path)
    assert set(threading.enumerate()) <= set(before)


def test_a_damaged_film_is_told_and_the_workers_go_home(numbers: FilmInfo, tmp_path: Path) -> None:
    path = numbers.path
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    before = threading.enumerate()
    with pytest.raises(InputError, match=r"numbers\.mp4"):
        scan_film(numbers, tmp_path)
    with pytest.raises(InputError, match=r"numbers\.mp4"):
        find_cuts(numbers)
    assert set(threading.enumerate()) <= set(before)


def test_a_folder_that_is_gone_is_told(numbers: FilmInfo, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot write"):
        scan_film(numbers, tmp_path / "gone")


def test_a_segment_knows_its_shot(demo_material: Material) -> None:
    assert demo_material.shot_of(Segment(0, 10, 40)) == (0, CUT_FRAME)
    assert demo_material.shot_of(Segment(0, 0, CUT_FRAME)) == (0, CUT_FRAME)
    assert demo_material.shot_of(Segment(0, CUT_FRAME, FRAMES)) == (CUT_FRAME, FRAMES)


def test_the_film_s_own_sound_lies_under_its_frames(demo_material: Material) -> None:
    assert demo_material.sound is not None
    assert (demo_material.sound.sample_rate, demo_material.sound.channels) == (16_000, 1)
    assert demo_material.sound.samples == FRAMES * 640


def test_a_silent_film_has_no_sound_of_its_own(numbers: FilmInfo, tmp_path: Path) -> None:
    assert own_sound(numbers, tmp_path / "sound.wav") is None
    assert not (tmp_path / "sound.wav").exists()
