"""A head that drifts a few pixels in front of a background that stays.

The move is whole inside an ellipse round head and hair and fades out round it, so the neck bends,
the shoulders rest and the edges of the picture never show.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from lipsync_core.faces.axes import FaceAxes
from lipsync_core.faces.landmarks import FACE_OVAL
from lipsync_core.faces.warp import smooth_step

Array = NDArray[np.float64]
Planes = tuple[NDArray[np.uint8], NDArray[np.uint8]]

# The ellipse in halves of the face's width, and heights of the face above and below its middle.
_SIDES, _ABOVE, _BELOW = 1.5, 1.0, 0.52
_FADE = 0.75  # beyond the ellipse, in its own radii
_EDGE = 0.06  # of the picture's size, over which the move fades to the picture's edges


class HeadSway:
    """How every pixel of one picture follows its head.

    ``points`` are the (468, 2) landmarks; ``width`` and ``height`` the picture's, both even.
    """

    def __init__(self, points: NDArray[np.float32], width: int, height: int) -> None:
        axes = FaceAxes.of(points)
        face = axes.of_pixels(points[FACE_OVAL].astype(np.float64))
        middle, size = (face.min(0) + face.max(0)) / 2, np.ptp(face, axis=0)
        grid = axes.grid(slice(0, height), slice(0, width)) - middle
        across = grid[..., 0] / (_SIDES * size[0] / 2)
        down = grid[..., 1] / (np.where(grid[..., 1] < 0, _ABOVE, _BELOW) * size[1])
        follows = 1 - smooth_step((np.hypot(across, down) - 1) / _FADE)
        x, y = np.arange(width), np.arange(height)
        from_edge = np.minimum(
            np.minimum(x, width - 1 - x)[None] / width,
            np.minimum(y, height - 1 - y)[:, None] / height,
        )
        self._follows = (follows * smooth_step(from_edge / _EDGE)).astype(np.float32)
        self._half = cv2.resize(
            self._follows, (width // 2, height // 2), interpolation=cv2.INTER_AREA
        )
        self._places, self._half_places = _places(width, height), _places(width // 2, height // 2)

    def moved(
        self, luma: NDArray[np.uint8], chroma: NDArray[np.uint8], dx: float, dy: float
    ) -> Planes:
        """The picture with its head moved by (dx, dy) pixels.

        ``luma`` is (height, width), ``chroma`` (height / 2, width / 2, 2).
        """
        return (
            _shifted(luma, self._places, self._follows, dx, dy),
            _shifted(chroma, self._half_places, self._half, dx / 2, dy / 2),
        )


def _places(width: int, height: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return x, y


def _shifted(
    plane: NDArray[np.uint8],
    places: tuple[NDArray[np.float32], NDArray[np.float32]],
    follows: NDArray[np.float32],
    dx: float,
    dy: float,
) -> NDArray[np.uint8]:
    x = places[0] - np.float32(dx) * follows
    y = places[1] - np.float32(dy) * follows
    moved = cv2.remap(plane, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return moved.astype(np.uint8, copy=False)
