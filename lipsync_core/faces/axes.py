"""A face's own coordinates, in which down is down however the head is held."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class FaceAxes:
    """u along the eyes to the picture's right, v down the face, both in distances of the outer
    eye corners (``unit`` pixels) from ``origin``, a place (2,) in pixels."""

    origin: Array
    across: Array
    unit: float

    @classmethod
    def of(cls, points: NDArray[np.float32]) -> Self:
        """The axes of one face's landmarks (468, 2), with the middle of the mouth as origin."""
        eyes = (points[263] - points[33]).astype(np.float64)
        unit = float(np.linalg.norm(eyes))
        return cls((points[61] + points[291]).astype(np.float64) / 2, eyes / unit, unit)

    @property
    def _turn(self) -> Array:
        return np.array([self.across, [-self.across[1], self.across[0]]])

    def of_pixels(self, places: Array) -> Array:
        """Pixels (…, 2) as (u, v)."""
        return (places - self.origin) @ self._turn.T / self.unit

    def pixels(self, moves: Array) -> Array:
        """Moves (…, 2) in (u, v) as moves in pixels."""
        return moves @ self._turn * self.unit

    def region(
        self, u: tuple[float, float], v: tuple[float, float], width: int, height: int
    ) -> tuple[slice, slice]:
        """Rows and columns of the upright box round a region, kept inside the picture.

        All four are even, so that the box lies on the chroma grid of a picture of even size.
        """
        corners = self.origin + self.pixels(np.array([(a, b) for a in u for b in v]))
        limits = np.array([width, height])
        left, top = np.clip(np.floor(corners.min(0) / 2).astype(int) * 2, 0, limits)
        right, bottom = np.clip(np.ceil(corners.max(0) / 2).astype(int) * 2, 0, limits)
        return slice(int(top), int(bottom)), slice(int(left), int(right))

    def grid(self, rows: slice, columns: slice) -> Array:
        """(u, v) of every pixel of a box: (rows, columns, 2)."""
        xs, ys = np.arange(columns.start, columns.stop), np.arange(rows.start, rows.stop)
        return self.of_pixels(np.stack(np.meshgrid(xs, ys), -1).astype(np.float64))
