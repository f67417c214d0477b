"""The mouth of a still picture, opened, shut, widened and rounded.

A mouth that opens tears the picture along the lips, which no smooth warp can show. So there are
three layers: everything as the upper lip moves, everything as the lower lip and the jaw move, and
between them the inside of the mouth, which does not move at all, since the upper teeth are part of
the skull. Each lip carries its own edge through its warp as a fourth channel; where the edges
part, the inside shows, and where they overlap the mouth is shut.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from lipsync_core.faces.axes import FaceAxes
from lipsync_core.faces.lips import Lips
from lipsync_core.faces.mouth_layers import MouthLayers
from lipsync_core.faces.warp import StillKnots

Array = NDArray[np.float64]
Picture = NDArray[np.uint8]

# All lengths in eye distances.
_ACROSS, _DOWN = (-1.25, 1.25), (-0.8, 1.3)  # the region, from the middle of the mouth
_SHADOW = 0.02  # over which the lips shade what is behind them
_STEP = 0.06  # between the nodes of the warps
_RIM = 0.15  # over which the warps fade out


class MouthWarp:
    """One picture's mouth in any shape.

    ``picture`` is (height, width, 3) uint8, luma first; ``points`` its (468, 2) landmarks. What
    :meth:`shaped` draws belongs at ``rows`` and ``columns`` of the picture.
    """

    def __init__(self, picture: Picture, points: NDArray[np.float32]) -> None:
        height, width = picture.shape[:2]
        self._axes = axes = FaceAxes.of(points)
        self.rows, self.columns = axes.region(_ACROSS, _DOWN, width, height)
        lips = Lips(axes.of_pixels(points.astype(np.float64)))
        layers = MouthLayers(
            picture[self.rows, self.columns], axes, axes.grid(self.rows, self.columns), lips
        )
        self._upper, self._lower = layers.upper(), layers.lower()
        self._inside, self._dark = layers.inside(), layers.dark()
        self._shadow_px = max(1.0, _SHADOW * axes.unit)
        self._upper_warp, self._upper_moves = self._warp(points, *lips.upper_moves())
        self._lower_warp, self._lower_moves = self._warp(points, *lips.lower_moves())

    def _warp(
        self, points: NDArray[np.float32], knots: NDArray[np.int64], moves: Array
    ) -> tuple[StillKnots, Array]:
        places = points[knots] - np.array([self.columns.start, self.rows.start], np.float64)
        height, width = self._inside.shape[:2]
        step = max(3, round(_STEP * self._axes.unit))
        return StillKnots(places, width, height, step, _RIM * self._axes.unit), moves

    def shaped(self, shape: Array) -> Picture:
        """The region with the mouth in a shape: (rows, columns, 3).

        ``shape`` is (4,): gap between the lips, drop of the jaw, width, height of the outer lips,
        each the difference from a shut mouth in eye distances; all zero shuts the mouth.
        """
        upper = self._moved(self._upper, self._upper_warp, self._upper_moves, shape)
        lower = self._moved(self._lower, self._lower_warp, self._lower_moves, shape)
        above, below = _side(upper), _side(lower)
        # lips keep the light from what is close behind them
        apart = (1 - above) * (1 - below)
        lit = 0.3 + 0.7 * cv2.GaussianBlur(apart, None, self._shadow_px)
        inside = cv2.blendLinear(self._inside, self._dark, lit, 1 - lit)
        behind = cv2.blendLinear(lower, inside, below, 1 - below)
        drawn = cv2.blendLinear(upper, behind, above, 1 - above)
        return cv2.cvtColor(drawn, cv2.COLOR_BGRA2BGR)  # drops the fourth channel

    def _moved(self, layer: Picture, warp: StillKnots, moves: Array, shape: Array) -> Picture:
        field = warp.backward(self._axes.pixels(moves @ np.append(shape, 1.0)))
        moved = cv2.remap(layer, field, None, cv2.INTER_LINEAR)
        # only luma is worth the dearer interpolation
        luma = cv2.remap(cv2.extractChannel(layer, 0), field, None, cv2.INTER_CUBIC)
        return cv2.insertChannel(luma, moved, 0)


def _side(layer: Picture) -> NDArray[np.float32]:
    return cv2.extractChannel(layer, 3) * np.float32(1 / 255)
