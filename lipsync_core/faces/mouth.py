"""The shape of a mouth as nine numbers, and whether a face is good enough to work on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Each shape is a distance between landmarks, or the mean of several: name → pairs.
_SHAPES = {
    "gap": ((13, 14), (81, 178), (311, 402)),
    "jaw": ((1, 152),),
    "width": ((61, 291),),
    "lips": ((0, 17),),
    "inner width": ((78, 308),),
    "upper lip": ((0, 13),),
    "lower lip": ((14, 17),),
    "right corner": ((61, 1),),
    "left corner": ((291, 1),),
}
SHAPE_NAMES = tuple(_SHAPES)
_LEFT_EYE, _RIGHT_EYE = 33, 263


def eye_distance(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Distance of the outer eye corners in pixels; points (frames, 468, 2) → (frames,)."""
    return _distance(points, _LEFT_EYE, _RIGHT_EYE)


def mouth_shapes(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mouth shape of every frame, (frames, 468, 2) → (frames, 9), free of the face's size.

    Columns as in ``SHAPE_NAMES``: mean inner-lip gap, jaw drop (nose tip to chin), mouth width,
    outer-lip height, inner width, thickness of both lips, both corners to the nose; each divided
    by the eye-corner distance. NaN where no face was found.
    """
    columns = [
        sum(_distance(points, a, b) for a, b in pairs) / len(pairs) for pairs in _SHAPES.values()
    ]
    return (np.stack(columns, 1) / eye_distance(points)[:, None]).astype(np.float32)


def yaw(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """How far the head is turned: 0 = frontal, ±1 = profile; (frames, 468, 2) → (frames,).

    The nose tip's place between the two cheek edges: it sits in the middle of a frontal face and
    on the edge of a profile.
    """
    left, right = points[:, 234, 0], points[:, 454, 0]
    nose = points[:, 1, 0]
    width = np.where(np.abs(right - left) < 1e-3, np.nan, right - left)
    return np.clip(2 * (nose - left) / width - 1, -1, 1).astype(np.float32)


def _distance(points: NDArray[np.float32], a: int, b: int) -> NDArray[np.float32]:
    return np.linalg.norm(points[:, a] - points[:, b], axis=1)
