from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from media_factory import bursts, ffmpeg, make_film, number_of, numbered_frame

from lipsync_core.errors import InputError, TimelineBroken
from lipsync_core.media.frames import FrameWriter, planes_of, read_frames, rgb_of
from lipsync_core.media.probe import ColourTags, FilmInfo, probe


def numbers(info: FilmInfo, first: int = 0, last: int | None = None) -> list[int]:
    return [number_of(frame) for frame in read_frames(info, first, last)]


B_FRAMES = {"crf": "12", "preset": "veryfast", "g": "25", "bf": "3"}
MPEG = {"b": "2000000", "g": "12", "bf": "2"}
CONTAINERS: dict[str, dict[str, Any]] = {
    "film.mp4": {"options": B_FRAMES},
    "open_gop.mkv": {"options": B_FRAMES | {"x264-params": "open-gop=1:scenecut=0"}},
    "film.ts": {"options": B_FRAMES},
    "film.mpg": {"codec": "mpeg2video", "options": MPEG},
    "film.avi": {"codec": "mpeg4", "options": MPEG},
    "film.mov": {"codec": "mjpeg", "pixel_format": "yuvj422p", "options": {"q": "2"}},
    "late.mp4": {"options": B_FRAMES, "start_s": Fraction(1, 2), "sound": bursts(3, 48_000)},
    "late.mkv": {"options": B_FRAMES, "start_s": Fraction(1, 2), "sound": bursts(3, 48_000)},
    "ten_bit.mp4": {"options": B_FRAMES, "pixel_format": "yuv420p10le"},
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_reading_anywhere_gives_what_reading_through_gives(tmp_path: Path, name: str) -> None:
    info = probe(make_film(tmp_path / name, frames=60, **CONTAINERS[name]))
    assert numbers(info) == list(range(60))
    through = [planes_of(frame)[0].tobytes() for frame in read_frames(info)]
    for first in (1, 24, 26, 49, 59):
        last = min(60, first + 3)
        there = [planes_of(frame)[0].tobytes() for frame in read_frames(info, first, last)]
        assert there == through[first:last]


def test_a_variable_rate_holds_each_picture_until_the_next_is_due(tmp_path: Path) -> None:
    info = probe(make_film(tmp_path / "film.mp4", places=[0, 1, 2, 5, 6, 10, 11, 12, 13, 16]))
    shown = [0, 1, 2, 2, 2, 5, 6, 6, 6, 6, 10, 11, 12, 13, 13, 13, 16]
    assert numbers(info) == shown
    assert numbers(info, 4, 9) == shown[4:9]


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_rotated_film_stands_as_players_show_it(tmp_path: Path, degrees: int) -> None:
    film = make_film(tmp_path / "film.mp4", frames=12, rotation=degrees)
    info = probe(film)
    assert (info.width, info.height) == (192, 108)
    assert numbers(info) == list(range(12))
    played = ffmpeg("-i", film, "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-")
    first = next(read_frames(info))
    assert played == b"".join(plane.tobytes() for plane in planes_of(first))


def test_an_odd_size_loses_its_last_row_and_column(tmp_path: Path) -> None:
    film = make_film(tmp_path / "film.mkv", frames=5, size=(191, 107), codec="ffv1", options={})
    info = probe(film)
    assert (info.width, info.height) == (190, 106)
    for number, frame in enumerate(read_frames(info)):
        drawn = planes_of(numbered_frame(number, 191, 107))
        luma, blue, red = planes_of(frame)
        assert np.array_equal(luma, drawn[0][:106, :190])
        assert np.array_equal(blue, drawn[1][:53, :95])
        assert np.array_equal(red, drawn[2][:53, :95])


def test_chroma_stays_with_its_luma_when_an_odd_film_is_turned(tmp_path: Path) -> None:
    film = make_film(
        tmp_path / "film.mp4", frames=1, size=(192, 107), codec="ffv1", options={}, rotation=90
    )
    luma, blue, _ = planes_of(next(read_frames(probe(film))))
    # the stored picture is 107 wide: its last column, the first row after the turn, is cut
    assert luma.shape == (106, 192)
    assert blue.shape == (53, 96)
    assert np.array_equal(luma, planes_of(numbered_frame(0, 192, 107))[0][1:])


def test_full_range_frames_come_in_the_plain_format_with_their_values(tmp_path: Path) -> None:
    tags = ColourTags(1, 1, 1, 2)
    film = make_film(tmp_path / "film.mkv", frames=2, codec="ffv1", options={}, colour=tags)
    frame = next(read_frames(probe(film)))
    assert (frame.format.name, frame.color_range, frame.colorspace) == ("yuv420p", 2, 1)
    assert np.array_equal(planes_of(frame)[0], planes_of(numbered_frame(0))[0])


@pytest.mark.parametrize("rotation", [0, 90])
def test_rgb_is_made_with_the_films_own_matrix_and_range(tmp_path: Path, rotation: int) -> None:
    tags = ColourTags(1, 1, 1, 2)
    film = make_film(
        tmp_path / "film.mp4", frames=1, colour=tags, rotation=rotation, options={"crf": "1"}
    )
    frame = next(read_frames(probe(film)))
    planes = planes_of(frame)
    luma, blue, red = float(planes[0][60, 60]), float(planes[1][30, 30]), float(planes[2][30, 30])
    expected = [  # full-range BT.709 (ITU-R BT.709-6, 3.2 and 3.3)
        luma + 1.5748 * (red - 128),
        luma - 0.1873 * (blue - 128) - 0.4681 * (red - 128),
        luma + 1.8556 * (blue - 128),
    ]
    rgb = rgb_of(frame, 192, 108)[60, 60].astype(float)
    assert np.abs(rgb - expected).max() < 4


def test_a_film_that_changes_its_size_midway_is_refused(tmp_path: Path) -> None:
    for name, size in (("one.ts", (192, 108)), ("two.ts", (128, 96))):
        make_film(tmp_path / name, frames=25, size=size)
    joined = (tmp_path / "one.ts").read_bytes() + (tmp_path / "two.ts").read_bytes()
    (tmp_path / "film.ts").write_bytes(joined)
    with pytest.raises(InputError, match="changes its size midway to 128x96"):
        list(read_frames(probe(tmp_path / "film.ts")))


def test_a_film_with_a_hole_is_refused_where_it_cannot_be_decoded(tmp_path: Path) -> None:
    film = make_film(tmp_path / "film.mp4", frames=60, options={"crf": "12", "g": "10"})
    raw = bytearray(film.read_bytes())
    middle = len(raw) // 2
    raw[middle : middle + 12_000] = bytes(12_000)
    film.write_bytes(raw)
    with pytest.raises(InputError, match=r"damaged film: .*film\.mp4 .*; copy it again"):
        list(read_frames(probe(film)))


def test_frames_outside_the_film_are_not_asked_for(tmp_path: Path) -> None:
    info = probe(make_film(tmp_path / "film.mp4", frames=5))
    with pytest.raises(TimelineBroken, match=r"\[3, 6\) asked of a film of 5"):
        list(read_frames(info, 3, 6))


def write_numbers(out: Path, frames: int, fault: BaseException | None = None) -> None:
    with FrameWriter(
        out, width=192, height=108, frame_rate=Fraction(25), pixel_format="yuv420p", codec="ffv1"
    ) as writer:
        for number in range(frames):
            writer.write(numbered_frame(number))
        assert not out.exists()
        if fault is not None:
            raise fault


def test_a_written_film_appears_only_when_whole(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_numbers(tmp_path / "clip.mkv", 3, fault=KeyboardInterrupt())
    assert list(tmp_path.iterdir()) == []
    write_numbers(tmp_path / "clip.mkv", 7)
    assert numbers(probe(tmp_path / "clip.mkv")) == list(range(7))
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mkv"]
