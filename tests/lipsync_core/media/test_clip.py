from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from media_factory import make_film, number_of, numbered_frame

from lipsync_core.errors import TimelineBroken
from lipsync_core.media.clip import Box, Clip, cropped, joined_frames, pasted
from lipsync_core.media.frames import FrameWriter, frame_of, planes_of, read_frames
from lipsync_core.media.probe import FilmInfo, probe

BOX = Box(64, 40, 48, 36)


def rendered(path: Path, info: FilmInfo, first: int, last: int, box: Box = BOX) -> Clip:
    """Frames [first, last) of a film as an engine might give them back: here, inverted."""
    with FrameWriter(
        path,
        width=box.width,
        height=box.height,
        frame_rate=info.frame_rate,
        pixel_format=info.pixel_format,
        codec="ffv1",
    ) as writer:
        for frame in read_frames(info, first, last):
            writer.write(inverted(cropped(frame, box)))
    return Clip(path, first, last, box)


def inverted(part: av.VideoFrame) -> av.VideoFrame:
    planes = planes_of(part)
    peak = planes[0].dtype.type(255 if planes[0].dtype == np.uint8 else 1023)
    return frame_of([peak - plane for plane in planes], part.format.name)


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le"])
def test_pasting_what_was_cropped_changes_nothing_else(pixel_format: str) -> None:
    frame = numbered_frame(2730, 192, 108, pixel_format)
    before = [plane.copy() for plane in planes_of(frame)]
    changed = pasted(frame, inverted(cropped(frame, BOX)), BOX)
    assert all(np.array_equal(*pair) for pair in zip(planes_of(frame), before, strict=True))
    restored = pasted(changed, cropped(frame, BOX), BOX)
    for old, new, back in zip(before, planes_of(changed), planes_of(restored), strict=True):
        height, width = old.shape
        across, down = 192 // width, 108 // height
        inside = np.zeros(old.shape, bool)
        inside[40 // down : 76 // down, 64 // across : 112 // across] = True
        assert np.array_equal(old[~inside], new[~inside])
        assert (old[inside] != new[inside]).all()
        assert np.array_equal(old, back)


def test_the_box_around_a_region_is_even_and_holds_it(tmp_path: Path) -> None:
    info = probe(make_film(tmp_path / "film.mp4", frames=1))
    assert Box.around(11.5, 20, 31.2, 40, info) == Box(10, 20, 22, 20)
    assert Box.around(-5, -5, 500, 500, info) == Box(0, 0, 192, 108)
    assert Box.around(191.7, 107.9, 230, 140, info) == Box(190, 106, 2, 2)
    assert Box.around(300, 300, 310, 310, info) == Box(190, 106, 2, 2)


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv420p10le"])
def test_the_joined_picture_is_the_source_but_for_the_boxes(
    tmp_path: Path, pixel_format: str
) -> None:
    info = probe(make_film(tmp_path / "film.mp4", frames=30, pixel_format=pixel_format))
    clips = [
        rendered(tmp_path / "late.mkv", info, 20, 30),
        rendered(tmp_path / "early.mkv", info, 5, 8),
    ]
    for index, (source, joined) in enumerate(
        zip(read_frames(info), joined_frames(info, clips), strict=True)
    ):
        expected = source
        if 5 <= index < 8 or index >= 20:
            expected = pasted(source, inverted(cropped(source, BOX)), BOX)
        for one, other in zip(planes_of(expected), planes_of(joined), strict=True):
            assert np.array_equal(one, other)
        assert number_of(source) == index


def one_grey(path: Path, info: FilmInfo, first: int, last: int, grey: int, seam: int) -> Clip:
    """A clip of nothing but one grey, which may share frames at both ends."""
    box = Box(0, 0, info.width, info.height)
    with FrameWriter(
        path, width=info.width, height=info.height, frame_rate=info.frame_rate,
        pixel_format=info.pixel_format, codec="ffv1", colour=info.colour,
    ) as writer:  # fmt: skip
        planes = [np.full_like(plane, grey) for plane in planes_of(next(read_frames(info)))]
        for _ in range(first, last):
            writer.write(frame_of(planes, info.pixel_format))
    return Clip(path, first, last, box, seam_frames=seam)


class TestSeams:
    """Where two clips share frames, one picture passes over into the other."""

    @pytest.fixture
    def info(self, tmp_path: Path) -> FilmInfo:
        return probe(make_film(tmp_path / "film.mp4", frames=16))

    def test_the_later_picture_comes_up_evenly_over_the_shared_frames(
        self, tmp_path: Path, info: FilmInfo
    ) -> None:
        one = one_grey(tmp_path / "one.mkv", info, 0, 10, 50, seam=2)
        other = one_grey(tmp_path / "other.mkv", info, 6, 16, 150, seam=2)
        shown = [int(planes_of(frame)[0].mean()) for frame in joined_frames(info, [other, one])]
        assert shown == [50] * 6 + [70, 90, 110, 130] + [150] * 6

    def test_pictures_that_are_the_same_stay_the_same(self, tmp_path: Path, info: FilmInfo) -> None:
        one = one_grey(tmp_path / "one.mkv", info, 0, 10, 77, seam=2)
        other = one_grey(tmp_path / "other.mkv", info, 6, 16, 77, seam=2)
        for frame in joined_frames(info, [one, other]):
            assert all((plane == 77).all() for plane in planes_of(frame))

    def test_more_than_was_agreed_is_not_shared(self, tmp_path: Path, info: FilmInfo) -> None:
        one = one_grey(tmp_path / "one.mkv", info, 0, 10, 50, seam=2)
        other = one_grey(tmp_path / "other.mkv", info, 5, 16, 150, seam=2)
        with pytest.raises(TimelineBroken, match=r"claims frames \[5, 16\)"):
            list(joined_frames(info, [one, other]))

    def test_three_pictures_never_pass_into_each_other(
        self, tmp_path: Path, info: FilmInfo
    ) -> None:
        clips = [
            one_grey(tmp_path / f"{first}.mkv", info, first, last, 50, seam=4)
            for first, last in ((0, 8), (4, 9), (7, 16))
        ]
        with pytest.raises(TimelineBroken, match=r"claims frames \[7, 16\)"):
            list(joined_frames(info, clips))


class TestRefusedClips:
    """A clip that does not fit its place breaks the join, it is never stretched or dropped."""

    @pytest.fixture
    def info(self, tmp_path: Path) -> FilmInfo:
        return probe(make_film(tmp_path / "film.mp4", frames=12))

    def refused(self, info: FilmInfo, *clips: Clip) -> str:
        with pytest.raises(TimelineBroken) as caught:
            list(joined_frames(info, clips))
        return str(caught.value)

    def test_a_frame_too_few(self, tmp_path: Path, info: FilmInfo) -> None:
        clip = rendered(tmp_path / "clip.mkv", info, 2, 7)
        message = self.refused(info, Clip(clip.path, 2, 8, BOX))
        assert message == "clip.mkv holds 5 frames, its segment 6: render it again"

    def test_another_size(self, tmp_path: Path, info: FilmInfo) -> None:
        clip = rendered(tmp_path / "clip.mkv", info, 2, 7)
        message = self.refused(info, Clip(clip.path, 2, 7, Box(0, 0, 60, 60)))
        assert "is 48x36 yuv420p, its place in the film 60x60 yuv420p" in message

    def test_two_for_one_place(self, tmp_path: Path, info: FilmInfo) -> None:
        one, other = (
            rendered(tmp_path / f"clip{first}.mkv", info, first, first + 3) for first in (2, 4)
        )
        assert "clip4.mkv claims frames [4, 7)" in self.refused(info, one, other)

    def test_beyond_the_end(self, tmp_path: Path, info: FilmInfo) -> None:
        clip = rendered(tmp_path / "clip.mkv", info, 9, 12)
        message = self.refused(info, Clip(clip.path, 10, 13, BOX))
        assert "claims frames [10, 13) of a film of 12" in message
