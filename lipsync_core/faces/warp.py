"""Smooth picture warps driven by landmarks, cheap enough for every frame.

A thin-plate spline (Bookstein 1989) through a few dozen points is evaluated on a coarse grid,
enlarged to pixels and applied to the planes of a YUV picture.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

# The nodes the spline is evaluated at: a warp of a face has no detail finer than these.
GRID_STEP = 12  # px apart at least
_NODES_ACROSS = 16  # and at most about so many to a side
_INVERSION_STEPS = 8


def backward_field(
    source: NDArray[np.float64],
    target: NDArray[np.float64],
    width: int,
    height: int,
    rim: float = 0.0,
) -> NDArray[np.float32]:
    """Where each pixel of the warped picture comes from: (height, width, 2) as x, y.

    ``source`` and ``target`` are (points, 2): what is at ``source[i]`` appears at ``target[i]``.
    Far from the points the field continues them smoothly, so anchor what must not move; over the
    last ``rim`` pixels before the edges it fades to no move at all.
    """
    nodes = _nodes(width, height, max(GRID_STEP, max(width, height) // _NODES_ACROSS))
    moved = _spline(target, source - target, nodes.reshape(-1, 2)).reshape(nodes.shape)
    if rim:
        from_edge = np.minimum(nodes, [width - 1, height - 1] - nodes).min(-1)
        moved *= smooth_step(from_edge / rim)[..., None]
    return _pixel_field(moved.astype(np.float32), width, height)


class StillKnots:
    """A spline whose knots stay where they are and only their moves change.

    Everything that depends on the knots is computed once, so a new field costs a small matrix
    product. The moves fade to nothing over the last ``rim`` pixels before the edges of the
    ``width`` × ``height`` picture, so that a warped cut-out fits back without a seam.
    """

    def __init__(
        self, knots: NDArray[np.float64], width: int, height: int, step: int, rim: float
    ) -> None:
        self.width, self.height = width, height
        self._nodes = _nodes(width, height, step).astype(np.float32)
        places = self._nodes.reshape(-1, 2).astype(np.float64)
        from_edge = np.minimum(places, [width - 1, height - 1] - places).min(1)
        self._knots, self._solved = knots, np.linalg.inv(_system(knots))[:, : len(knots)]
        influence = _design(knots, places) @ self._solved
        self._influence = influence * smooth_step(from_edge / rim)[:, None]

    def forward(
        self, places: NDArray[np.float64], moves: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Where what is at some places (places, 2) goes when the knots move by ``moves``."""
        moved: NDArray[np.float64] = places + _design(self._knots, places) @ (self._solved @ moves)
        return moved

    def backward(
        self, moves: NDArray[np.float64], rows: slice | None = None
    ) -> NDArray[np.float32]:
        """Where each pixel comes from when what is at each knot moves by ``moves`` (knots, 2), for
        all pixels or some rows of them.

        The spline says where things go; where a pixel comes from is its inverse, found as the
        fixed point of ``back(x) = -move(x + back(x))``; going half the way at each step keeps it
        from swinging where the picture is stretched to more than double.
        """
        forward = (self._influence @ moves).reshape(self._nodes.shape).astype(np.float32)
        spacing = self._nodes[1, 1] - self._nodes[0, 0]
        back = -forward
        for _ in range(_INVERSION_STEPS):
            places = (self._nodes + back) / spacing
            moved = cv2.remap(forward, places, None, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE)
            back = (back - moved) / 2
        return _pixel_field(back, self.width, self.height, rows)


def smooth_step(ramp: NDArray[np.float64]) -> NDArray[np.float64]:
    """0 below 0, 1 above 1 and between them a curve that starts and ends level."""
    ramp = np.clip(ramp, 0, 1)
    return ramp * ramp * (3 - 2 * ramp)


def _nodes(width: int, height: int, step: int) -> NDArray[np.float64]:
    """Evenly spaced places from corner to corner, at most ``step`` px apart: (rows, columns, 2)."""
    columns, rows = max(2, -(-width // step) + 1), max(2, -(-height // step) + 1)
    xs, ys = np.linspace(0, width - 1, columns), np.linspace(0, height - 1, rows)
    return np.stack(np.meshgrid(xs, ys), -1)


def _pixel_field(
    nodes: NDArray[np.float32], width: int, height: int, rows: slice | None = None
) -> NDArray[np.float32]:
    """Displacements at the nodes as absolute places for every pixel, or those of some rows."""
    rows = slice(0, height) if rows is None else rows
    x, y = _places_between_nodes(*nodes.shape[:2], width, height)
    field: NDArray[np.float32] = cv2.remap(nodes, x[rows], y[rows], cv2.INTER_LINEAR)
    field[..., 0] += np.arange(width, dtype=np.float32)
    field[..., 1] += np.arange(rows.start, rows.stop, dtype=np.float32)[:, None]
    return field


def _spline(
    knots: NDArray[np.float64], values: NDArray[np.float64], places: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Thin-plate spline with U(r) = r² log r² and an affine part."""
    weights = np.linalg.solve(_system(knots), np.vstack([values, np.zeros((3, values.shape[1]))]))
    moved: NDArray[np.float64] = _design(knots, places) @ weights
    return moved


def _system(knots: NDArray[np.float64]) -> NDArray[np.float64]:
    """The weights of the spline times this are its values; a touch of ridge for safety."""
    count = len(knots)
    system = np.zeros((count + 3, count + 3))
    system[:count, :count] = _kernel(knots, knots) + 1e-3 * np.eye(count)
    system[:count, count] = 1
    system[:count, count + 1 :] = knots
    system[count:, :count] = system[:count, count:].T
    return system


def _design(knots: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.column_stack([_kernel(places, knots), np.ones(len(places)), places])


def _kernel(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    squared = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    squared = np.maximum(squared, 0.0)
    kernel: NDArray[np.float64] = squared * np.log(squared + 1e-9)
    return kernel


@lru_cache(maxsize=64)
def _places_between_nodes(
    rows: int, columns: int, width: int, height: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    x, y = np.meshgrid(
        np.linspace(0, columns - 1, width, dtype=np.float32),
        np.linspace(0, rows - 1, height, dtype=np.float32),
    )
    return x, y


def warped_plane(
    plane: NDArray[Any], field: NDArray[np.float32], across: int = 1, down: int = 1
) -> NDArray[Any]:
    """A plane seen through a backward field given in luma pixels (see ``chroma_steps``).

    The result has the size of the field, divided by the steps. Planes of one size may be warped
    together, stacked as (height, width, planes).
    """
    if (across, down) != (1, 1):
        size = (field.shape[1] // across, field.shape[0] // down)
        field = cv2.resize(field, size, interpolation=cv2.INTER_AREA)
        # chroma samples sit in the middle of the luma pixels they cover
        steps = np.array([across, down], np.float32)
        field = (field - (steps - 1) / 2) / steps
    return cv2.remap(plane, field, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
