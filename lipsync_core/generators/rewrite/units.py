"""Which of the speaker's own mouths to show in every frame.

Unit selection as in concatenative speech synthesis (Hunt and Black 1996) applied to pictures as in
Video Rewrite (Bregler, Covell and Slaney 1997): every frame of the shot is a unit; the path through
them that fits the wanted shapes, the head's pose and each other best is found by Viterbi.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipsync_core.faces.landmarks import FaceTrack
from lipsync_core.faces.mouth import eye_distance, mouth_shapes, yaw

# How much one standard deviation of each mouth shape matters: about as well as it is predicted.
_SHAPE_WEIGHTS = np.array([1.5, 1.0, 0.8, 1.5, 0.8, 0.7, 0.7, 0.4, 0.4])
_JUMP = 0.5
_TOLL = 0.8  # for leaving consecutive order, so that runs of real motion are kept
_POSE_WEIGHTS = np.array([5.0, 5.0, 3.0])  # yaw, pitch, log size


@dataclass(frozen=True)
class Units:
    """The mouths there are. ``shapes`` (units, 9) in eye distances, ``poses`` (units, 3),
    ``usable`` (units,): a face is there and not turned too far."""

    shapes: NDArray[np.float64]
    poses: NDArray[np.float64]
    usable: NDArray[np.bool_]


def units_of(faces: FaceTrack, greatest_yaw: float) -> Units:
    """Every frame of a face track as a unit."""
    shapes = mouth_shapes(faces.points).astype(np.float64)
    poses = poses_of(faces)
    usable = faces.present & (np.abs(yaw(faces.points)) <= greatest_yaw)
    return Units(shapes, poses, usable)


def poses_of(faces: FaceTrack) -> NDArray[np.float64]:
    """Yaw, pitch (the nose tip between brow and mouth line) and log size of every frame."""
    points = faces.points.astype(np.float64)
    brow, nose, base = points[:, 168], points[:, 1], points[:, 2]
    size = eye_distance(faces.points).astype(np.float64)
    pitch = (nose[:, 1] - brow[:, 1]) / size - (base[:, 1] - brow[:, 1]) / size * 0.5
    with np.errstate(invalid="ignore"):
        return np.stack([yaw(faces.points).astype(np.float64), pitch, np.log(size)], 1)


def choose(
    wanted: NDArray[np.float64],
    poses: NDArray[np.float64],
    units: Units,
    spread: NDArray[np.float64],
) -> NDArray[np.int64]:
    """The unit for every frame: (frames,) indices, minimising shape, pose and jump costs.

    ``wanted`` (frames, 9) shapes in eye distances, ``poses`` (frames, 3) of the frames themselves,
    ``spread`` (9,) the speaker's standard deviations. Needs at least one usable unit; time grows
    with frames · units².
    """
    candidates = np.flatnonzero(units.usable)
    scale = _SHAPE_WEIGHTS / spread
    shapes = units.shapes[candidates] * scale
    unit_poses = units.poses[candidates] * _POSE_WEIGHTS
    jump = _jump_costs(units, candidates, scale)
    own = _squared(wanted * scale, shapes) + np.nan_to_num(
        _squared(poses * _POSE_WEIGHTS, unit_poses)
    )
    came_from = np.zeros(own.shape, np.int32)
    total = own[0]
    for frame in range(1, len(own)):
        ways = total[:, None] + jump
        came_from[frame] = ways.argmin(0)
        total = ways[came_from[frame], np.arange(len(candidates))] + own[frame]
    path = np.empty(len(own), np.int64)
    path[-1] = int(total.argmin())
    for frame in range(len(own) - 1, 0, -1):
        path[frame - 1] = came_from[frame, path[frame]]
    return candidates[path]


def _jump_costs(
    units: Units, candidates: NDArray[np.int64], scale: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The cost of showing candidate column after candidate row."""
    following = np.minimum(candidates + 1, len(units.shapes) - 1)
    next_shapes = units.shapes[following] * scale
    unknown = ~np.isfinite(next_shapes[:, 0])
    next_shapes[unknown] = (units.shapes[candidates] * scale)[unknown]
    jump = _JUMP * _squared(next_shapes, units.shapes[candidates] * scale) + _TOLL
    consecutive = candidates[:, None] + 1 == candidates[None, :]
    jump[consecutive] = 0.0
    return jump


def _squared(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    squared: NDArray[np.float64] = np.maximum(
        (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T, 0.0
    )
    return squared
