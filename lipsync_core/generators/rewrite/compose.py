"""One mouth onto one frame: aligned, its jaw made to agree, its colour matched, blended.

Two warps meet at the seam. The unit's mouth is brought to the frame's head pose, its edge locked
to the frame's own nose, cheeks and jaw; the frame itself is bent so that its jaw drops as far
as the new mouth asks. Both show the same geometry where the mask fades: no second chin appears.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from lipsync_core.faces.landmarks import LOWER_FACE, OUTER_LIPS, STABLE
from lipsync_core.faces.warp import backward_field, warped_plane
from lipsync_core.generators.rewrite.articulate import JAW, Points, articulated
from lipsync_core.media.frames import Plane, chroma_steps

# Nose base and cheeks: the mask's upper edge, which must match the frame.
_SEAM = np.array([2, 97, 98, 326, 327, 129, 358, 36, 266, 205, 425])
_SIZE_STEP = 32
_LEAST_REGION = 8  # px
_RIM = 0.1  # of the region: where its bending fades out
_LIPS = np.concatenate([OUTER_LIPS, [13, 14, 78, 308, 81, 178, 311, 402]])


def composed(
    frame: list[Plane],
    frame_points: Points,
    unit: list[Plane],
    unit_points: Points,
    shape: NDArray[np.float64],
    pixel_format: str,
) -> list[Plane]:
    """The frame with the unit's mouth; points are (468, 2) in pixels of these planes,
    ``shape`` (9,) is the mouth that is wanted.

    ``frame`` is changed in place and returned; only a region round the lower face is touched.
    """
    wanted = articulated(frame_points, unit_points, shape)
    height, width = frame[0].shape
    left, top, right, bottom = _region(frame_points, wanted, width, height)
    if min(right - left, bottom - top) < _LEAST_REGION:  # the mouth lies outside the picture
        return frame
    corner = np.array([left, top], np.float64)
    size = (right - left, bottom - top)
    unit_field = _unit_field(unit_points, frame_points - corner, wanted - corner, *size)
    frame_field = _frame_field(frame_points - corner, wanted - corner, *size)
    mask = _mask(frame_points - corner, wanted - corner, *size)
    luma = frame[0][top:bottom, left:right]
    luma[:] = _blended(luma, unit[0], frame_field, unit_field, mask)
    dx, dy = chroma_steps(pixel_format)
    places = np.s_[top // dy : bottom // dy, left // dx : right // dx]
    chroma = _blended(
        cv2.merge([frame[1][places], frame[2][places]]), cv2.merge([unit[1], unit[2]]),
        frame_field, unit_field, mask, dx, dy,
    )  # fmt: skip
    frame[1][places], frame[2][places] = cv2.split(chroma)
    return frame


def _region(
    frame_points: Points, wanted: Points, width: int, height: int
) -> tuple[int, int, int, int]:
    """Left, top, right, bottom (all even) of what a new mouth may change, inside the planes."""
    outline = np.concatenate([frame_points[LOWER_FACE], wanted[LOWER_FACE], frame_points[JAW]])
    room = 0.3 * float(np.linalg.norm(frame_points[33] - frame_points[263]))
    left, top = np.maximum(outline.min(0) - room, 0).astype(int) // 2 * 2
    # few different sizes, so that what depends on the size alone is found again
    right, bottom = -(-(outline.max(0) + room - [left, top]) // _SIZE_STEP) * _SIZE_STEP
    limit = np.array([width, height]) // 2 * 2
    right, bottom = np.minimum([left + int(right), top + int(bottom)], limit)
    return int(left), int(top), int(right), int(bottom)


def _blended(
    own: Plane,
    unit: Plane,
    frame_field: NDArray[np.float32],
    unit_field: NDArray[np.float32],
    mask: NDArray[np.float32],
    dx: int = 1,
    dy: int = 1,
) -> Plane:
    """The unit's mouth over the bent frame in its colour: a plane, or two chroma planes stacked."""
    base = warped_plane(own, frame_field, dx, dy)
    mouth = warped_plane(unit, unit_field, dx, dy)
    size = (base.shape[1], base.shape[0])
    fade = mask if (dx, dy) == (1, 1) else cv2.resize(mask, size, interpolation=cv2.INTER_AREA)
    step = _colour_step(base, mouth, fade)
    if base.ndim == 3:
        fade = fade[..., None]
    difference = cv2.subtract(mouth, base, dtype=cv2.CV_32F)
    difference += step
    difference *= fade
    difference += base
    most = 255 if own.dtype == np.uint8 else 1023
    np.rint(difference, out=difference)
    return np.clip(difference, 0, most, out=difference).astype(own.dtype)


def _unit_field(
    unit_points: Points, frame_points: Points, wanted: Points, width: int, height: int
) -> NDArray[np.float32]:
    free = np.concatenate([_LIPS, JAW])
    source = np.concatenate([unit_points[free], unit_points[_SEAM], unit_points[STABLE]])
    target = np.concatenate([wanted[free], frame_points[_SEAM], frame_points[STABLE]])
    return backward_field(source, target, width, height)


def _frame_field(
    frame_points: Points, wanted: Points, width: int, height: int
) -> NDArray[np.float32]:
    """The frame bent so that its jaw lies where the unit's does; still at the box's edges."""
    xs, ys = np.linspace(0, width - 1, 6), np.linspace(0, height - 1, 6)
    edge = np.array([(x, y) for x in xs for y in ys if x in (0, width - 1) or y in (0, height - 1)])
    still = np.concatenate([frame_points[STABLE], frame_points[_SEAM], edge])
    source = np.concatenate([frame_points[JAW], still])
    target = np.concatenate([wanted[JAW], still])
    return backward_field(source, target, width, height, rim=_RIM * min(width, height))


def _mask(frame_points: Points, wanted: Points, width: int, height: int) -> NDArray[np.float32]:
    outline = wanted[LOWER_FACE].copy()
    seam = np.isin(LOWER_FACE, _SEAM)
    outline[seam] = frame_points[LOWER_FACE[seam]]
    hull = cv2.convexHull(np.rint(outline).astype(np.int32))
    mask = np.zeros((height, width), np.uint8)
    cv2.fillConvexPoly(mask, hull, 1)
    feather = max(2.0, 0.09 * float(np.linalg.norm(frame_points[33] - frame_points[263])))
    inside = cv2.distanceTransform(mask, cv2.DIST_L2, 3)
    ramp = np.clip(inside / (2 * feather), 0, 1)
    smooth: NDArray[np.float32] = ramp * ramp * (3 - 2 * ramp)
    return smooth


def _colour_step(base: Plane, mouth: Plane, fade: NDArray[np.float32]) -> NDArray[np.float32]:
    """The tilted plane that brings the mouth's skin to the frame's, fitted where the mask fades."""
    ys, xs = np.nonzero((fade > 0.02) & (fade < 0.9))
    if len(xs) < 50:
        return np.zeros(base.shape, np.float32)
    keep = slice(None, None, max(1, len(xs) // 1500))
    ys, xs = ys[keep], xs[keep]
    difference = base[ys, xs].astype(np.float64) - mouth[ys, xs]
    height, width = base.shape[:2]
    design = np.column_stack([np.ones(len(xs)), xs / width - 0.5, ys / height - 0.5])
    ridge = np.diag([0, 0.1, 0.1]) * len(xs)
    tilt = np.linalg.solve(design.T @ design + ridge, design.T @ np.clip(difference, -40, 40))
    tilt = tilt.astype(np.float32)
    x = np.linspace(-0.5, 0.5, width, dtype=np.float32)[None]
    y = np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None]
    if base.ndim == 3:
        x, y = x[..., None], y[..., None]
    step: NDArray[np.float32] = tilt[0] + x * tilt[1] + y * tilt[2]
    return step
