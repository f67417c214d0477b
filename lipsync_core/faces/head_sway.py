"""A head that drifts and tilts a little in front of a background that stays.

The move is whole inside an ellipse round head and hair and fades out round it, so the neck bends,
the shoulders rest and the edges of the picture never show.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lipsync_core.faces.axes import FaceAxes
from lipsync_core.faces.landmarks import FACE_OVAL
from lipsync_core.faces.planes import Planes
from lipsync_core.faces.warp import smooth_step

Array = NDArray[np.float64]
Map = NDArray[np.float32]

# The ellipse in halves of the face's width, and heights of the face above and below its middle.
_SIDES, _ABOVE, _BELOW = 1.5, 1.0, 0.52
_FADE = 0.75  # beyond the ellipse, in its own radii
_EDGE = 0.06  # of the picture's size, over which the move fades to the picture's edges
_NECK = 0.75  # heights of the face below its middle: about where a head tilts


@dataclass(frozen=True)
class HeadMove:
    """How far a head has moved: ``right`` and ``down`` along the face's own axes in eye distances,
    ``tilt`` in radians, clockwise."""

    right: float = 0.0
    down: float = 0.0
    tilt: float = 0.0


class HeadSway:
    """How every pixel of one picture follows its head.

    ``points`` are the (468, 2) landmarks; ``width`` and ``height`` the picture's, both even. What
    moves lies in ``rows`` and ``columns``.
    """

    def __init__(self, points: NDArray[np.float32], width: int, height: int) -> None:
        self._axes = axes = FaceAxes.of(points)
        face = axes.of_pixels(points[FACE_OVAL].astype(np.float64))
        middle, size = (face.min(0) + face.max(0)) / 2, np.ptp(face, axis=0)
        reach = 1 + _FADE
        across, above, below = _SIDES * size[0] / 2, _ABOVE * size[1], _BELOW * size[1]
        self.rows, self.columns = axes.region(
            (middle[0] - reach * across, middle[0] + reach * across),
            (middle[1] - reach * above, middle[1] + reach * below), width, height,
        )  # fmt: skip
        grid = axes.grid(self.rows, self.columns) - middle
        down = grid[..., 1] / np.where(grid[..., 1] < 0, above, below)
        follows = 1 - smooth_step((np.hypot(grid[..., 0] / across, down) - 1) / _FADE)
        x = np.arange(self.columns.start, self.columns.stop)
        y = np.arange(self.rows.start, self.rows.stop)
        from_edge = np.minimum(
            np.minimum(x, width - 1 - x)[None] / width,
            np.minimum(y, height - 1 - y)[:, None] / height,
        )
        follows *= smooth_step(from_edge / _EDGE)
        neck = axes.origin + axes.pixels(middle + np.array([0.0, _NECK * size[1]]))
        places = np.stack(np.meshgrid(x, y), -1)
        self._luma = _Maps(follows, places - neck)
        pairs = (follows.shape[0] // 2, 2, follows.shape[1] // 2, 2)
        self._chroma = _Maps(
            follows.reshape(pairs).mean((1, 3)), places[::2, ::2] / 2 - (neck - 0.5) / 2
        )

    def apply(self, picture: Planes, move: HeadMove) -> None:
        """Move the head in the picture."""
        shown = picture.part(self.rows, self.columns)
        dx, dy = self._axes.pixels(np.array([move.right, move.down]))
        shown.luma[:] = self._luma.moved(shown.luma, dx, dy, move.tilt)
        shown.chroma[:] = self._chroma.moved(shown.chroma, dx / 2, dy / 2, move.tilt)


class _Maps:
    """For one size of plane: ``follows`` (height, width), and places (height, width, 2) from the
    point round which the head tilts."""

    def __init__(self, follows: Array, from_neck: Array) -> None:
        height, width = follows.shape
        self._follows = follows.astype(np.float32)
        self._tilt_x = (follows * from_neck[..., 1]).astype(np.float32)
        self._tilt_y = (follows * from_neck[..., 0]).astype(np.float32)
        self._x, self._y = np.meshgrid(
            np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
        )

    def moved(
        self, plane: NDArray[np.uint8], dx: float, dy: float, tilt: float
    ) -> NDArray[np.uint8]:
        x = cv2.scaleAdd(self._tilt_x, tilt, cv2.scaleAdd(self._follows, -dx, self._x))
        y = cv2.scaleAdd(self._tilt_y, -tilt, cv2.scaleAdd(self._follows, -dy, self._y))
        moved = cv2.remap(plane, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        return moved.astype(np.uint8, copy=False)
