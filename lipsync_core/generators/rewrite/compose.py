"""One mouth onto one frame: aligned, its jaw made to agree, its colour matched, blended.

Two warps meet at the seam. The unit's mouth is brought to the frame's head pose, its upper edge
locked to the frame's own nose and cheeks; the frame itself is bent so that its jaw line lies where
the unit's jaw is. Both then show the same geometry where the mask fades, so no second chin appears.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from lipsync_core.faces.landmarks import LOWER_FACE, OUTER_LIPS, STABLE
from lipsync_core.faces.warp import backward_field, warped_plane
from lipsync_core.media.frames import Plane, chroma_steps

# Nose base and cheeks: the mask's upper edge, which must match the frame.
_SEAM = np.array([2, 97, 98, 326, 327, 129, 358, 36, 266, 205, 425])
_JAW = np.array([172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397])
_CHIN = np.array([175, 171, 396, 170, 395, 140, 369, 199, 200, 18])
_NOSE = np.array([1, 2, 4, 97, 98, 326, 327])
_RIGID = np.concatenate([STABLE, _NOSE])
_RIGID_WEIGHTS = np.concatenate([np.ones(len(STABLE)), np.full(len(_NOSE), 1.5)])
_AFFINE_RIDGE = 0.15
_MOUTH = np.concatenate([OUTER_LIPS, [13, 14, 78, 308]])

Points = NDArray[np.float64]


def alignment(source: Points, target: Points) -> NDArray[np.float64]:
    """The map (2, 3) that brings the still part of one face onto another's.

    A similarity (Umeyama 1991), then an affine correction held small by a ridge: to first order
    it follows the foreshortening of a head that turns or nods without throwing the chin about,
    which lies outside the points that are fitted. The nose counts most, since it is by the nose
    that one sees where a mouth belongs.
    """
    weights = _RIGID_WEIGHTS[:, None] / _RIGID_WEIGHTS.sum()
    a, b = source[_RIGID], target[_RIGID]
    middle_a, middle_b = (weights * a).sum(0), (weights * b).sum(0)
    a, b = a - middle_a, b - middle_b
    left, sizes, right = np.linalg.svd((weights * b).T @ a)
    signs = np.array([1.0, np.sign(np.linalg.det(left @ right))])
    spread = float((weights * a**2).sum())
    turn = (left * signs) @ right * ((sizes * signs).sum() / spread)
    bend = np.linalg.solve(
        (weights * a).T @ a + _AFFINE_RIDGE * spread * np.eye(2), (weights * a).T @ (b - a @ turn.T)
    )
    turn = turn + bend.T
    return np.column_stack([turn, middle_b - turn @ middle_a])


def moved(points: Points, matrix: NDArray[np.float64]) -> Points:
    """Points (n, 2) under a (2, 3) matrix."""
    return points @ matrix[:, :2].T + matrix[:, 2]


def composed(
    frame: list[Plane],
    frame_points: Points,
    unit: list[Plane],
    unit_points: Points,
    pixel_format: str,
) -> list[Plane]:
    """The frame with the unit's mouth; points are (468, 2) in pixels of these planes.

    ``frame`` is changed in place and returned; only a region round the lower face is touched.
    """
    wanted = moved(unit_points, alignment(unit_points, frame_points))
    height, width = frame[0].shape
    left, top, right, bottom = _region(frame_points, wanted, width, height)
    corner = np.array([left, top], np.float64)
    size = (right - left, bottom - top)
    unit_field = _unit_field(unit_points, frame_points - corner, wanted - corner, *size)
    frame_field = _frame_field(frame_points - corner, wanted - corner, *size)
    mask = _mask(frame_points - corner, wanted - corner, *size)
    across, down = chroma_steps(pixel_format)
    for number, (own, other) in enumerate(zip(frame, unit, strict=True)):
        dx, dy = (1, 1) if number == 0 else (across, down)
        part = own[top // dy : bottom // dy, left // dx : right // dx]
        fade = (
            mask
            if number == 0
            else cv2.resize(mask, part.shape[::-1], interpolation=cv2.INTER_AREA)
        )
        base = warped_plane(part, frame_field, dx, dy)
        mouth = warped_plane(other, unit_field, dx, dy)
        part[:] = _blended(base, mouth, fade, part)
    return frame


def _region(
    frame_points: Points, wanted: Points, width: int, height: int
) -> tuple[int, int, int, int]:
    """Left, top, right, bottom (all even) of what a new mouth may change, inside the planes."""
    outline = np.concatenate([frame_points[LOWER_FACE], wanted[LOWER_FACE], frame_points[_JAW]])
    room = 0.3 * float(np.linalg.norm(frame_points[33] - frame_points[263]))
    left, top = np.maximum(outline.min(0) - room, 0).astype(int) // 2 * 2
    right, bottom = np.minimum(outline.max(0) + room, [width, height]).astype(int) // 2 * 2
    return int(left), int(top), int(right), int(bottom)


def _blended(base: Plane, mouth: Plane, fade: NDArray[np.float32], own: Plane) -> Plane:
    """Mouth over base in colour agreement with it, in the integer type of the plane."""
    step = _colour_step(base, mouth, fade)
    difference = cv2.subtract(mouth, base, dtype=cv2.CV_32F) + step
    blended = np.rint(base + fade * difference)
    most = 255 if own.dtype == np.uint8 else 1023
    return np.clip(blended, 0, most).astype(own.dtype)


def _unit_field(
    unit_points: Points, frame_points: Points, wanted: Points, width: int, height: int
) -> NDArray[np.float32]:
    free = np.concatenate([_MOUTH, _CHIN, _JAW])
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
    source = np.concatenate([frame_points[_JAW], frame_points[_CHIN], still])
    target = np.concatenate([wanted[_JAW], wanted[_CHIN], still])
    field = backward_field(source, target, width, height)
    # the spline is only nearly still at the edge: fade it out so the box has no seam
    fade = np.minimum(
        np.minimum(np.arange(width), np.arange(width)[::-1])[None] / (0.08 * width),
        np.minimum(np.arange(height), np.arange(height)[::-1])[:, None] / (0.08 * height),
    )
    identity = _identity(width, height)
    share = np.clip(fade, 0, 1).astype(np.float32)[..., None]
    return identity + share * (field - identity)


def _identity(width: int, height: int) -> NDArray[np.float32]:
    return np.stack(
        np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)), -1
    )


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
    difference = np.clip(base[ys, xs].astype(np.float64) - mouth[ys, xs], -40, 40)
    height, width = base.shape
    design = np.column_stack([np.ones(len(xs)), xs / width - 0.5, ys / height - 0.5])
    tilt = np.linalg.solve(
        design.T @ design + np.diag([0, 0.1, 0.1]) * len(xs), design.T @ difference
    )
    across = (np.arange(width) / width - 0.5) * tilt[1]
    down = (np.arange(height) / height - 0.5) * tilt[2]
    return (tilt[0] + across[None] + down[:, None]).astype(np.float32)
