"""The pictures SyncNet sees: which, of what, and cut out how."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from media_factory import make_film, number_of
from numpy.typing import NDArray

from lipsync_core.faces.landmarks import POINTS, FaceTrack
from lipsync_core.media.frames import bgr_square, read_frames, rgb_of
from lipsync_core.media.probe import probe
from lipsync_core.sync.syncnet.crops import face_pictures, face_squares, grid


def face(frames: int, x: float = 112.1, y: float = 84.5, height: float = 155.7) -> FaceTrack:
    """A mesh of this height round this middle, the same in every frame."""
    spread = np.random.default_rng(0).uniform(-0.4, 0.4, (POINTS, 2))
    spread[0], spread[1] = (-0.4, -0.5), (0.4, 0.5)
    points = np.array([x, y]) + height * spread
    return FaceTrack(np.repeat(points[None], frames, 0).astype(np.float32))


@pytest.mark.parametrize(
    ("rate", "frames"),
    [(25, [0, 1, 2, 3, 4]), (50, [0, 2, 4, 6, 8]), (Fraction(30000, 1001), [0, 1, 2, 4, 5]),
     (Fraction(24000, 1001), [0, 1, 2, 3, 4]), (Fraction(25, 2), [0, 0, 1, 2, 2])],
)  # fmt: skip
def test_the_picture_of_a_moment_is_the_nearest(rate: Fraction, frames: list[int]) -> None:
    moments, found = grid(0, 1000, Fraction(rate)).T
    assert moments[:5].tolist() == [0, 1, 2, 3, 4]
    assert found[:5].tolist() == frames
    assert len(moments) == -(-1000 * 25 // Fraction(rate))


def test_moments_are_counted_from_the_beginning_of_the_film() -> None:
    moments, frames = grid(31, 61, Fraction(30)).T
    assert moments[0] == 26  # 1.04 s; frame 31 begins at 1.033 s
    assert frames[0] == 31
    assert (moments[-1], frames[-1]) == (50, 60)


def test_the_square_is_the_published_one_on_the_published_example() -> None:
    squares = face_squares(face(5))
    assert squares == pytest.approx(np.tile([0, 0, 224], (5, 1)), abs=0.5)


def test_boxes_are_bridged_and_smoothed_and_not_pulled_to_zero() -> None:
    points = face(40).points.copy()
    points[10:13] = np.nan
    points[20] += 50  # a jump of the mesh
    squares = face_squares(FaceTrack(points))
    assert squares == pytest.approx(np.tile(squares[0], (40, 1)), abs=1e-3)


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p10le", "yuv444p"])
def test_a_square_is_what_opencv_cuts_out_of_the_whole_picture(pixel_format: str) -> None:
    info_rgb = smooth_picture()
    frame = rgb_frame(info_rgb, pixel_format)
    whole = rgb_of(frame, frame.width, frame.height, order="bgr24")
    left, top, side = 100.0, -40.0, 280.0
    padded = cv2.copyMakeBorder(whole, 300, 300, 300, 300, cv2.BORDER_CONSTANT, value=[110] * 3)
    cut = padded[300 - 40 : 300 + 240, 300 + 100 : 300 + 380]
    wanted = cv2.resize(cut, (224, 224), interpolation=cv2.INTER_LINEAR)
    found = bgr_square(frame, left, top, side, 224, beyond=110)
    assert found.shape == (224, 224, 3)
    differences = np.abs(found.astype(int) - wanted.astype(int))
    assert np.median(differences) <= 1
    inside = np.delete(differences, np.s_[28:36], axis=0)  # where the grey begins
    assert np.percentile(inside, 99) <= 4
    assert found[:20] == pytest.approx(110, abs=2)


def smooth_picture() -> NDArray[np.uint8]:
    """Waves of colour, (240, 400, 3)."""
    y, x = np.mgrid[0:240, 0:400]
    waves = [np.sin(x / 31), np.cos(y / 23), np.sin((x + y) / 41)]
    return (128 + 80 * np.stack(waves, 2)).astype(np.uint8)


def rgb_frame(rgb: NDArray[np.uint8], pixel_format: str) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
    made = frame.reformat(format=pixel_format, dst_colorspace=1, dst_color_range=1)
    made.colorspace, made.color_range = 1, 1
    return made


def test_pictures_come_in_the_order_of_their_moments(tmp_path: Path) -> None:
    info = probe(make_film(tmp_path / "film.mp4", frames=60, rate=Fraction(50)))
    moments, frames = grid(10, 50, info.frame_rate).T
    squares = np.tile([0.0, 0.0, float(info.width)], (len(frames), 1))
    pictures = list(face_pictures(info, frames, squares))
    assert len(pictures) == len(moments) == 20
    wanted = [frame for number, frame in enumerate(read_frames(info)) if number in frames]
    assert [number_of(frame) for frame in wanted] == frames.tolist()
    for picture, frame in zip(pictures, wanted, strict=True):
        again = bgr_square(frame, 0, 0, info.width, 224, beyond=110)
        assert np.array_equal(picture, again)


def test_a_frame_that_is_shown_twice_is_seen_twice(tmp_path: Path) -> None:
    info = probe(make_film(tmp_path / "slow.mp4", frames=13, rate=Fraction(25, 2)))
    _, frames = grid(0, 13, info.frame_rate).T
    pictures = list(face_pictures(info, frames, np.tile([0.0, 0.0, 64.0], (len(frames), 1))))
    assert len(pictures) == 26
    assert np.array_equal(pictures[0], pictures[1])
