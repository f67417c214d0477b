"""The eyelids of a still picture, lowered and raised.

A lid slides over the eye: the skin between brow and lashes is stretched downwards, the lashes come
with its edge as they are, and what lies below is covered without moving.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from lipsync_core.faces.axes import FaceAxes
from lipsync_core.faces.planes import Planes, half_field

Array = NDArray[np.float64]
Plane = NDArray[np.uint8]

# Corner, lid margin and corner again; then the lower edge of the brow above.
_EYES = (
    (
        np.array([33, 246, 161, 160, 159, 158, 157, 173, 133]),
        np.array([33, 7, 163, 144, 145, 153, 154, 155, 133]),
        np.array([46, 53, 52, 65, 55]),
    ),
    (
        np.array([362, 398, 384, 385, 386, 387, 388, 466, 263]),
        np.array([362, 382, 381, 380, 374, 373, 390, 249, 263]),
        np.array([285, 295, 282, 283, 276]),
    ),
)
# All lengths in eye distances.
_FEATHER = 0.012
_MARGIN = 0.03  # round what moves
_LASHES = 0.075  # above the edge of the lid: they come down with it, unstretched
_SKIN = 0.85  # of the way from lid to brow: where the lid begins


class Eyelid:
    """One eye of a picture; what :meth:`draw` changes lies in ``rows`` and ``columns``.

    ``points`` are the picture's (468, 2) landmarks; ``side`` is 0 for the eye to the left in the
    picture and 1 for the other.
    """

    def __init__(self, picture: Planes, points: NDArray[np.float32], side: int) -> None:
        axes = FaceAxes.of(points)
        upper, lower, brow = (
            axes.of_pixels(points[line].astype(np.float64)) for line in _EYES[side]
        )
        left, right = float(upper[0, 0]), float(upper[-1, 0])
        self.rows, self.columns = axes.region(
            (left, right), (brow[:, 1].min(), lower[:, 1].max() + _MARGIN),
            picture.width, picture.height,
        )  # fmt: skip
        self._part = picture.part(self.rows, self.columns).copy()
        grid = axes.grid(self.rows, self.columns)
        u, self._v = grid[..., 0], grid[..., 1]
        self._open = np.interp(u, *upper.T)
        self._shut = np.maximum(np.interp(u, *lower.T), self._open)
        to_brow = np.minimum(np.interp(u, *brow.T) - self._open, -_LASHES - _MARGIN)
        self._fold, self._lashes = self._open + _SKIN * to_brow, self._open - _LASHES
        self._down = axes.pixels(np.array([0.0, 1.0]))
        self._rows, self._columns = np.indices(self._part.luma.shape)

    def draw(self, picture: Planes, share: float) -> None:
        """Draw the lid lowered over the same picture: 0 as it is there, 1 shut."""
        way = share * (self._shut - self._open)
        edge, fold, v = self._open + way, self._fold, self._v
        skin = fold + (v - fold) * (self._lashes - fold) / (self._lashes + way - fold)
        from_v = np.select(
            [v < fold, v < self._lashes + way], [v, skin], np.minimum(v - way, self._open)
        )
        change = from_v - v
        x, y = self._columns + change * self._down[0], self._rows + change * self._down[1]
        field = np.stack([x, y], -1).astype(np.float32)
        covers = np.clip((edge - v) / _FEATHER + 0.5, 0, 1).astype(np.float32)
        half = cv2.resize(covers, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        shown = picture.part(self.rows, self.columns)
        shown.luma[:] = _covered(self._part.luma, field, covers)
        shown.chroma[:] = _covered(self._part.chroma, half_field(field), half[..., None])


def _covered(
    plane: Plane, field: NDArray[np.float32], covers: NDArray[np.float32]
) -> NDArray[np.float32]:
    lid = cv2.remap(plane, field, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    covered: NDArray[np.float32] = np.rint(plane + covers * (lid - plane.astype(np.float32)))
    return covered
