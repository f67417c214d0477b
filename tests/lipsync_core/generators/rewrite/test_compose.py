"""A mouth is blended in without a trace round it, in every pixel format."""

from __future__ import annotations

from math import log10
from typing import Any

import av
import cv2
import numpy as np
import pytest
from face_factory import mouth_region

from lipsync_core.faces.landmarks import FaceMesh
from lipsync_core.faces.mouth import SHAPE_NAMES, mouth_shapes
from lipsync_core.generators.rewrite.compose import composed
from lipsync_core.material import Material
from lipsync_core.media.frames import (
    Plane,
    chroma_steps,
    frame_of,
    planes_of,
    read_frames,
    rgb_of,
)

FORMATS = ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le"]
GAP = SHAPE_NAMES.index("gap")


@pytest.fixture(scope="module")
def points(demo_material: Material) -> Any:
    return demo_material.faces(0, 250).points.astype(np.float64)


@pytest.fixture(scope="module")
def shut(points: Any) -> int:
    """The frame whose mouth is the most shut."""
    return int(shapes(points)[:, GAP].argmin())


@pytest.fixture(scope="module")
def wide(points: Any) -> int:
    return int(shapes(points)[:, GAP].argmax())


@pytest.fixture(scope="module")
def pictures(demo_material: Material, shut: int, wide: int) -> dict[int, av.VideoFrame]:
    info = demo_material.info
    return {index: next(read_frames(info, index, index + 1)) for index in (shut, wide)}


def shapes(points: Any) -> Any:
    return mouth_shapes(points.astype(np.float32)).astype(np.float64)


def planes(picture: av.VideoFrame, pixel_format: str = "yuv420p") -> list[Plane]:
    """Copies of a picture's planes in a format."""
    return [plane.copy() for plane in planes_of(picture.reformat(format=pixel_format))]


def psnr(one: Any, other: Any, peak: float) -> float:
    squares = (one.astype(np.float64) - other.astype(np.float64)) ** 2
    return 10 * log10(peak**2 / max(float(squares.mean()), 1e-9))


@pytest.mark.parametrize("pixel_format", FORMATS)
def test_a_frame_that_gets_its_own_mouth_hardly_changes(
    points: Any, pictures: Any, wide: int, pixel_format: str
) -> None:
    own = planes(pictures[wide], pixel_format)
    shape = shapes(points)[wide]
    result = composed(
        planes(pictures[wide], pixel_format), points[wide], own, points[wide], shape, pixel_format
    )
    rows, columns = mouth_region(points[wide])
    peak = 1023 if "10le" in pixel_format else 255
    across, down = chroma_steps(pixel_format)
    assert psnr(result[0][rows, columns], own[0][rows, columns], peak) > 45
    for new, old in zip(result[1:], own[1:], strict=True):
        part = np.s_[
            rows.start // down : rows.stop // down, columns.start // across : columns.stop // across
        ]
        assert psnr(new[part], old[part], peak) > 45


@pytest.mark.parametrize("pixel_format", FORMATS)
def test_every_pixel_outside_the_region_is_untouched(
    points: Any, pictures: Any, shut: int, wide: int, pixel_format: str
) -> None:
    frame, unit = planes(pictures[shut], pixel_format), planes(pictures[wide], pixel_format)
    before = [plane.copy() for plane in frame]
    result = composed(
        frame, points[shut], unit, points[wide], shapes(points)[wide], pixel_format
    )  # fmt: skip
    rows, columns = mouth_region(points[shut])
    steps = [(1, 1), chroma_steps(pixel_format), chroma_steps(pixel_format)]
    for new, old, (across, down) in zip(result, before, steps, strict=True):
        assert (new.shape, new.dtype) == (old.shape, old.dtype)
        inside = np.zeros(old.shape, bool)
        inside[
            rows.start // down : rows.stop // down, columns.start // across : columns.stop // across
        ] = True
        assert (new[~inside] == old[~inside]).all()
        assert (new[inside] != old[inside]).mean() > 0.1
        assert inside.mean() < 0.6


def test_the_unit_is_only_looked_at(points: Any, pictures: Any, shut: int, wide: int) -> None:
    unit = planes(pictures[wide])
    composed(
        planes(pictures[shut]), points[shut], unit, points[wide], shapes(points)[wide], "yuv420p"
    )
    for plane, before in zip(unit, planes(pictures[wide]), strict=True):
        assert (plane == before).all()


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p10le"])
def test_whoever_looks_sees_the_mouth_that_was_wanted(
    points: Any, pictures: Any, shut: int, wide: int, pixel_format: str
) -> None:
    frame, unit = planes(pictures[shut], pixel_format), planes(pictures[wide], pixel_format)
    wanted = shapes(points)[wide]
    result = composed(frame, points[shut], unit, points[wide], wanted, pixel_format)
    picture = frame_of(result, pixel_format, tags_of=pictures[shut])
    rgb = rgb_of(picture, picture.width, picture.height)
    with FaceMesh() as mesh:
        found = [mesh.find(rgb) for _ in range(8)][-1]  # once it has settled
    assert len(found) == 1
    seen = shapes(found * [picture.width, picture.height])[0]
    for name in ("gap", "jaw", "lips"):
        column = SHAPE_NAMES.index(name)
        before = shapes(points)[shut, column]
        assert abs(seen[column] - wanted[column]) < 0.45 * abs(before - wanted[column])


def test_a_mouth_in_another_light_takes_the_frame_s_light(
    points: Any, pictures: Any, wide: int
) -> None:
    own, dark = planes(pictures[wide]), planes(pictures[wide])
    dark[0] = (dark[0] * 0.85).astype(np.uint8)
    dark[1] += 6
    shape = shapes(points)[wide]
    result = composed(
        planes(pictures[wide]), points[wide], dark, points[wide], shape, "yuv420p"
    )  # fmt: skip
    chin = points[wide][[17, 200]].mean(0).astype(int)
    skin = np.s_[chin[1] - 5 : chin[1] + 6, chin[0] - 8 : chin[0] + 9]
    light = own[0][skin].mean()
    assert dark[0][skin].mean() < light - 15
    assert result[0][skin].mean() == pytest.approx(light, abs=5)
    blue = np.s_[chin[1] // 2 - 3 : chin[1] // 2 + 3, chin[0] // 2 - 4 : chin[0] // 2 + 4]
    assert result[1][blue].mean() == pytest.approx(own[1][blue].mean(), abs=2)


def test_brightest_and_darkest_stay_in_range(points: Any, pictures: Any, wide: int) -> None:
    for pixel_format, peak in (("yuv420p", 255), ("yuv420p10le", 1023)):
        checks = planes(pictures[wide], pixel_format)
        rows, columns = np.indices(checks[0].shape) // 3
        checks[0][:] = np.where((rows + columns) % 2, peak, 0)
        frame = [plane.copy() for plane in checks]
        shape = shapes(points)[wide] + 0.05
        result = composed(frame, points[wide], checks, points[wide], shape, pixel_format)
        assert result[0].max() <= peak
        assert result[0].mean() == pytest.approx(peak / 2, rel=0.1)  # nothing wrapped round


@pytest.mark.parametrize(
    "shift", [(0, 250), (-250, 0), (200, 0), (0, 330), (0, -330), (-400, 0), (400, 400)]
)
def test_a_face_partly_or_wholly_out_of_the_picture_does_no_harm(
    points: Any, pictures: Any, shut: int, wide: int, shift: tuple[int, int]
) -> None:
    matrix = np.float32([[1, 0, shift[0]], [0, 1, shift[1]]])
    moved = {}
    for index, picture in pictures.items():
        moved[index] = [
            cv2.warpAffine(
                plane, matrix if number == 0 else matrix * [[1, 1, 0.5], [1, 1, 0.5]],
                plane.shape[::-1], borderMode=cv2.BORDER_REPLICATE,
            )
            for number, plane in enumerate(planes(picture))
        ]  # fmt: skip
    before = [plane.copy() for plane in moved[shut]]
    result = composed(
        moved[shut], points[shut] + shift, moved[wide], points[wide] + shift,
        shapes(points)[wide], "yuv420p",
    )  # fmt: skip
    assert [plane.shape for plane in result] == [plane.shape for plane in before]
