"""What lies on the upper lip's side of a mouth, on the lower lip's side, and behind both.

The pictures here do not move; :mod:`lipsync_core.faces.mouth_warp` moves them.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lipsync_core.faces.axes import FaceAxes
from lipsync_core.faces.lips import Lips
from lipsync_core.faces.planes import Planes
from lipsync_core.faces.warp import smooth_step

Array = NDArray[np.float64]
Picture = NDArray[np.uint8]

# All lengths in eye distances.
_FEATHER = 0.012  # over which the edge of a lip is soft
_MELTING = 0.3  # beyond the corners, at most
_GAPES, _GAPES_MOST = 0.15, 0.03  # of the gap: how far the mesh may be wrong about an open mouth
_INSIDE_LIP = 0.03  # of an open mouth's lower lip turns inwards
_TEETH, _TOOTH = 0.055, 0.055  # how far down a hint of teeth reaches, how wide each is


@dataclass(frozen=True)
class Layer:
    """What one lip carries with it: its picture, and ``side`` (height, width), 255 on the lip's own
    side of its edge."""

    picture: Planes
    side: Picture


class MouthLayers:
    """The layers of one picture's mouth, drawn once.

    ``part`` is the region, and ``grid`` (height, width, 2) its (u, v).
    """

    def __init__(self, part: Planes, axes: FaceAxes, grid: Array, lips: Lips) -> None:
        self._part, self._axes = part.full(), axes
        self._u, self._v = grid[..., 0], grid[..., 1]
        self._upper_line, self._lower_line = lips.upper(self._u), lips.lower(self._u)
        from_corner = np.minimum(self._u - lips.left, lips.right - self._u)
        self._arch = lips.arch(self._u)
        self._between_corners = np.clip(from_corner / 0.05, 0, 1)
        self._beyond_corners = np.maximum(-from_corner, 0)
        # a lip's last pixels hold some tooth, the more the wider the picture's mouth stands open
        self._gap = self._lower_line - self._upper_line
        self._edge = _FEATHER + 1.0 / axes.unit
        self._inset = self._edge + np.minimum(_GAPES * self._gap, _GAPES_MOST)

    def upper(self) -> Layer:
        """The picture as the upper lip moves it."""
        # beyond the corners the two lips' layers differ little and melt into each other
        softness = _FEATHER + np.minimum(self._beyond_corners, _MELTING)
        side = np.clip((self._upper_line - self._v) / softness + 0.5, 0, 1)
        v = np.minimum(self._v, self._upper_line - self._inset)
        return _layer(self._continued(v, self._between_corners), side)

    def lower(self) -> Layer:
        """The picture as the lower lip moves it."""
        side = np.clip((self._v - self._lower_line) / _FEATHER + 0.5, 0, 1)
        side = np.maximum(side, 1 - self._between_corners)
        v = np.maximum(self._v, self._lower_line + self._inset)
        return _layer(self._continued(v, self._between_corners), side)

    def inside(self) -> Planes:
        """The teeth the picture shows, or a hint of upper teeth where it shows none; darkness."""
        turned_in = _INSIDE_LIP * smooth_step((self._gap - 0.05) / 0.15)
        top, bottom = self._upper_line + self._edge, self._lower_line - self._edge - turned_in
        middle = (top + bottom) / 2
        top, bottom = np.minimum(top, middle), np.maximum(bottom, middle)
        seen = self._continued(np.clip(self._v, top, bottom), np.ones_like(self._v))
        shown = smooth_step((self._gap - 2 * self._edge) / 0.05)
        hinted = 1 - shown.max()
        shown = shown * (1 - smooth_step((self._v - bottom) / 0.035))
        shown = shown * (1 - 0.7 * smooth_step((top - self._v) / 0.08))
        inside = _mixed(self._darkness(), seen, shown)
        teeth = self._flat(self._tooth_colour())
        return Planes.of_full(_mixed(inside, teeth, hinted * self._hint_of_teeth()))

    def dark(self) -> Planes:
        """Nothing but darkness, the lips' own colour without its light."""
        return Planes.of_full(self._darkness())

    def _darkness(self) -> Picture:
        luma, *chroma = self._colour_below(0.06)
        return self._flat(np.array([16 + 0.13 * (luma - 16), *_paler(chroma, 0.5)]))

    def _tooth_colour(self) -> Array:
        luma, *chroma = self._colour_below(0.3)
        return np.array([16 + 1.1 * (luma - 16), *_paler(chroma, 0.45)])

    def _hint_of_teeth(self) -> Array:
        """A band under the upper lip that fades downwards and towards the corners."""
        between = np.abs(np.cos(np.pi * self._u / _TOOTH)) ** 12
        below = (self._v - self._upper_line) / (_TEETH * self._arch + 0.01) + 0.15 * between
        return 0.9 * self._arch**0.7 * (1 - 0.2 * between) * (1 - smooth_step((below - 0.7) / 0.4))

    def _colour_below(self, v: float) -> Array:
        """The mean colour (3,) of a short strip some way below the lower lip's inner edge."""
        away = np.abs(self._v - self._lower_line - v) + (self._between_corners < 1)
        colour: Array = self._part[away < away.min() + 0.03].mean(0)
        return colour

    def _flat(self, colour: Array) -> Picture:
        return np.tile(np.rint(colour).astype(np.uint8), (*self._part.shape[:2], 1))

    def _continued(self, v: Array, share: Array) -> Picture:
        """The picture with every pixel taken from another ``v`` as far as ``share`` says."""
        down = self._axes.pixels(np.array([0.0, 1.0]))
        rows, columns = np.indices(self._part.shape[:2])
        change = share * (v - self._v)
        x = (columns + change * down[0]).astype(np.float32)
        y = (rows + change * down[1]).astype(np.float32)
        return cv2.remap(self._part, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _layer(picture: Picture, side: Array) -> Layer:
    return Layer(Planes.of_full(picture), np.rint(255 * side).astype(np.uint8))


def _paler(chroma: list[float], share: float) -> Array:
    return 128 + share * (np.array(chroma) - 128)


def _mixed(background: Picture, picture: Picture, share: Array) -> Picture:
    mixed = background + share[..., None] * (picture.astype(np.float64) - background)
    return np.rint(np.clip(mixed, 0, 255)).astype(np.uint8)
