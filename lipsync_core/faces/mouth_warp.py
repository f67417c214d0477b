"""The mouth of a still picture, opened, shut, widened and rounded.

A mouth that opens tears the picture along the lips, which no smooth warp can show. So there are
three layers: everything as the upper lip moves, everything as the lower lip and the jaw move, and
between them the inside of the mouth, which does not move at all, since the upper teeth are part of
the skull. Each lip carries its own edge through its warp; where the edges part, the inside shows,
and where they overlap the mouth is shut.

Far above the mouth only the upper lip's layer is seen and far below it only the lower one's, so
each is drawn as far as it is seen, and they are put together in a band across the mouth.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from lipsync_core.faces.axes import FaceAxes
from lipsync_core.faces.lips import LOWER_LIP_AND_JAW, UPPER_LIP, Lips
from lipsync_core.faces.mouth_layers import Layer, MouthLayers
from lipsync_core.faces.planes import Planes, half_field, halved
from lipsync_core.faces.warp import StillKnots

Array = NDArray[np.float64]
Plane = NDArray[np.uint8]
Share = NDArray[np.float32]

# All lengths in eye distances.
_ACROSS, _DOWN = (-1.25, 1.25), (-0.8, 1.3)  # the region, from the middle of the mouth
_SHADOW = 0.02  # over which the lips shade what is behind them
_STEP = 0.06  # between the nodes of the warps
_RIM = 0.15  # over which the warps fade out
_EDGE_TRAVELS = 0.12  # the upper lip's edge, up or down


class MouthWarp:
    """One picture's mouth in any shape.

    ``points`` are the picture's (468, 2) landmarks. What :meth:`draw` changes lies in ``rows`` and
    ``columns``.
    """

    def __init__(self, picture: Planes, points: NDArray[np.float32]) -> None:
        self._axes = axes = FaceAxes.of(points)
        self.rows, self.columns = axes.region(_ACROSS, _DOWN, picture.width, picture.height)
        lips = Lips(axes.of_pixels(points.astype(np.float64)))
        layers = MouthLayers(
            picture.part(self.rows, self.columns), axes, axes.grid(self.rows, self.columns), lips
        )
        self._upper, self._lower = layers.upper(), layers.lower()
        self._band = self._rows_of_both()
        self._inside, self._dark = (
            _rows_of(layer, self._band) for layer in (layers.inside(), layers.dark())
        )
        self._shadow_px = max(1.0, _SHADOW * axes.unit)
        self._upper_warp, self._upper_moves = self._warp(*lips.upper_moves())
        self._lower_warp, self._lower_moves = self._warp(*lips.lower_moves())

    def _warp(self, knots: Array, moves: Array) -> tuple[StillKnots, Array]:
        corner = np.array([self.columns.start, self.rows.start])
        places = self._axes.origin + self._axes.pixels(knots) - corner
        height, width = self._upper.side.shape
        step = max(3, round(_STEP * self._axes.unit))
        return StillKnots(places, width, height, step, _RIM * self._axes.unit), moves

    def _rows_of_both(self) -> slice:
        """The rows of the region in which both lips' layers may be seen."""
        side = self._upper.side
        travel = _EDGE_TRAVELS * self._axes.unit
        first = int(np.flatnonzero((side < 255).any(1))[0] - travel) // 2 * 2
        last = -(-int(np.flatnonzero((side > 0).any(1))[-1] + 1 + travel) // 2) * 2
        return slice(max(0, first), min(len(side), last))

    def draw(self, picture: Planes, shape: Array) -> None:
        """Draw the mouth in a shape over the same picture.

        ``shape`` is (4,): gap between the lips, drop of the jaw, width, height of the outer lips,
        each the difference from a shut mouth in eye distances; all zero shuts the mouth.
        """
        shown = picture.part(self.rows, self.columns)
        band, height = self._band, len(self._upper.side)
        numbers = np.append(shape, 1.0)
        over = self._field(self._upper_warp, self._upper_moves @ numbers, slice(0, band.stop))
        under = self._field(
            self._lower_warp, self._lower_moves @ numbers, slice(band.start, height)
        )
        _seen_through(self._upper.picture, over[: band.start], shown, slice(0, band.start))
        _seen_through(
            self._lower.picture, under[band.stop - band.start :], shown, slice(band.stop, height)
        )
        self._draw_band(_rows_of(shown, band), over[band], under[: band.stop - band.start])

    def landmarks(self, points: NDArray[np.float64], shape: Array) -> NDArray[np.float64]:
        """Where the picture's own landmarks ``points`` (468, 2) lie when the mouth is in a shape;
        only those of lips and jaw move."""
        corner, numbers = np.array([self.columns.start, self.rows.start]), np.append(shape, 1.0)
        moved = points.copy()
        for landmarks, warp, moves in (
            (UPPER_LIP, self._upper_warp, self._upper_moves),
            (LOWER_LIP_AND_JAW, self._lower_warp, self._lower_moves),
        ):
            step = self._axes.pixels(moves @ numbers)
            moved[landmarks] = warp.forward(points[landmarks] - corner, step) + corner
        return moved

    def _field(self, warp: StillKnots, moves: Array, rows: slice) -> NDArray[np.float32]:
        return warp.backward(self._axes.pixels(moves), rows)

    def _draw_band(
        self, shown: Planes, over: NDArray[np.float32], under: NDArray[np.float32]
    ) -> None:
        above, below = _side(self._upper, over), _side(self._lower, under)
        below *= 1 - above
        apart = 1 - above - below
        # lips keep the light from what is close behind them
        lit = 0.3 + 0.7 * cv2.GaussianBlur(apart, None, self._shadow_px)
        lit *= apart
        shares = np.dstack([above, below, lit, apart - lit])
        half = cv2.resize(shares, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        upper, lower = (
            Planes(*_warped(self._upper.picture, over)),
            Planes(*_warped(self._lower.picture, under)),
        )
        layers = (upper, lower, self._inside, self._dark)
        shown.luma[:] = _mixed([layer.luma for layer in layers], shares)
        shown.chroma[:] = _mixed([layer.chroma for layer in layers], half)


def _rows_of(picture: Planes, rows: slice) -> Planes:
    return Planes(picture.luma[rows], picture.chroma[halved(rows)])


def _seen_through(picture: Planes, field: NDArray[np.float32], shown: Planes, rows: slice) -> None:
    """Some rows of ``shown`` filled with what the field brings there."""
    if rows.start < rows.stop:
        target = _rows_of(shown, rows)
        target.luma[:], target.chroma[:] = _warped(picture, field)


def _warped(picture: Planes, field: NDArray[np.float32]) -> tuple[Plane, Plane]:
    # only luma is worth the dearer interpolation
    luma = cv2.remap(picture.luma, field, None, cv2.INTER_CUBIC, None, cv2.BORDER_REPLICATE)
    chroma = cv2.remap(
        picture.chroma, half_field(field), None, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE
    )
    return luma.astype(np.uint8, copy=False), chroma.astype(np.uint8, copy=False)


def _side(layer: Layer, field: NDArray[np.float32]) -> Share:
    moved = cv2.remap(layer.side, field, None, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE)
    return moved * np.float32(1 / 255)


def _mixed(layers: list[Plane], shares: Share) -> Plane:
    """Layers of one size by their shares (height, width, layers), which add up to one."""
    shape = layers[0].shape
    total = np.full(shape, 0.5, np.float32)  # rounds
    for number, layer in enumerate(layers):
        share = shares[..., number]
        total += layer * (share if layer.ndim == 2 else share[..., None])
    return total.astype(np.uint8)
