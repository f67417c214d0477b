"""Where a frame's mouth and jaw should lie when it shows another frame's mouth.

The head stays the frame's own: its jaw keeps its outline and only drops or rises along the face,
and its mouth stays on the face's middle line. The lips take the shape of the chosen unit, brought
to the frame's pose and then nudged to the wanted shape, since the best unit is rarely the wanted
shape exactly and a head in another pose shows the same mouth in other proportions.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipsync_core.faces.landmarks import INNER_LIPS, OUTER_LIPS, STABLE
from lipsync_core.faces.mouth import mouth_shapes

Points = NDArray[np.float64]

# How far each landmark of jaw and chin follows the jaw's drop.
JAW_SHARE = {
    152: 1.0, 148: 0.95, 377: 0.95, 176: 0.85, 400: 0.85, 149: 0.7, 378: 0.7, 150: 0.5, 379: 0.5,
    136: 0.3, 365: 0.3, 172: 0.12, 397: 0.12, 175: 1.0, 199: 1.0, 200: 0.95, 171: 0.95, 396: 0.95,
    140: 0.85, 369: 0.85, 170: 0.7, 395: 0.7,
}  # fmt: skip
JAW = np.array(list(JAW_SHARE))
_SHARES = np.array(list(JAW_SHARE.values()))
MOUTH = np.union1d(INNER_LIPS, OUTER_LIPS)
_LOWER_INNER = np.array([95, 88, 178, 87, 14, 317, 402, 318, 324])
_LOWER_OUTER = np.array([146, 91, 181, 84, 17, 314, 405, 321, 375])
_CORNERS = [61, 291]
_NOSE = np.array([1, 2, 4, 97, 98, 326, 327])
_RIGID = np.concatenate([STABLE, _NOSE])
_RIGID_WEIGHTS = np.concatenate([np.ones(len(STABLE)), np.full(len(_NOSE), 1.5)])
_AFFINE_RIDGE = 0.15
_GAP, _JAW_DROP, _WIDTH, _LIPS = 0, 1, 2, 3
_FARTHEST = 0.07  # eye distances that lips are nudged at most
_FARTHEST_JAW = 0.2


def articulated(frame: Points, unit: Points, shape: NDArray[np.float64]) -> Points:
    """The frame's landmarks (468, 2) with the unit's mouth brought to the wanted ``shape`` (9,)."""
    eye = float(np.linalg.norm(frame[263] - frame[33]))
    across = (frame[263] - frame[33]) / eye
    down = np.array([-across[1], across[0]])
    wanted = frame.copy()
    wanted[MOUTH] = moved(unit[MOUTH], alignment(unit, frame))
    wanted[MOUTH] += ((frame[_CORNERS].mean(0) - wanted[_CORNERS].mean(0)) @ across) * across
    step = np.clip(shape - _shape(wanted), -_FARTHEST, _FARTHEST) * eye
    corners = wanted[_CORNERS] @ across
    middle, half = float(corners.mean()), max(float(np.ptp(corners)) / 2, 1e-6)
    place = np.clip((wanted @ across - middle) / half, -1, 1)[:, None]
    bow = 1 - place**2  # 1 in the middle of a lip, 0 at its corners
    wanted[MOUTH] += place[MOUTH] * step[_WIDTH] / 2 * across
    wanted[_LOWER_OUTER] += bow[_LOWER_OUTER] * step[_LIPS] * down
    wanted[_LOWER_INNER] += bow[_LOWER_INNER] * step[_GAP] * down
    drop = np.clip((shape - _shape(frame))[_JAW_DROP], -_FARTHEST_JAW, _FARTHEST_JAW) * eye
    wanted[JAW] += _SHARES[:, None] * drop * down
    return wanted


def alignment(source: Points, target: Points) -> NDArray[np.float64]:
    """The map (2, 3) that brings the still part of one face onto another's.

    A similarity (Umeyama 1991), then an affine correction held small by a ridge: to first order
    it follows the foreshortening of a head that turns or nods. The nose counts most, since it is
    by the nose that one sees where a mouth belongs.
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


def _shape(points: Points) -> NDArray[np.float64]:
    return mouth_shapes(points[None].astype(np.float32))[0].astype(np.float64)
