"""A picture as its planes: luma, and both chromas at half of its height and width."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.uint8]


@dataclass(frozen=True)
class Planes:
    """``luma`` (height, width) and ``chroma`` (height / 2, width / 2, 2), both uint8; height and
    width are even."""

    luma: Plane
    chroma: Plane

    @property
    def height(self) -> int:
        """Rows of luma."""
        return int(self.luma.shape[0])

    @property
    def width(self) -> int:
        """Columns of luma."""
        return int(self.luma.shape[1])

    @classmethod
    def of_full(cls, picture: Plane) -> Self:
        """The planes of (height, width, 3) with chroma for every pixel, luma first."""
        size = (picture.shape[1] // 2, picture.shape[0] // 2)
        halved = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        return cls(picture[..., 0].copy(), halved[..., 1:].astype(np.uint8))

    def full(self) -> Plane:
        """(height, width, 3) with the same chroma for every four pixels, luma first.

        :meth:`of_full` takes this back exactly.
        """
        return np.dstack([self.luma, self.chroma.repeat(2, 0).repeat(2, 1)])

    def part(self, rows: slice, columns: slice) -> Planes:
        """A view of even rows and columns."""
        return Planes(self.luma[rows, columns], self.chroma[halved(rows), halved(columns)])

    def copy(self) -> Planes:
        """The same, free to be changed."""
        return Planes(self.luma.copy(), self.chroma.copy())


def halved(span: slice) -> slice:
    """An even span of luma as a span of chroma."""
    return slice(span.start // 2, span.stop // 2)


def half_field(field: NDArray[np.float32]) -> NDArray[np.float32]:
    """A backward field (height, width, 2) in luma pixels as one for chroma."""
    size = (field.shape[1] // 2, field.shape[0] // 2)
    half: NDArray[np.float32] = cv2.resize(field, size, interpolation=cv2.INTER_AREA)
    # chroma samples sit in the middle of the luma pixels they cover
    half -= 0.5
    half *= 0.5
    return half
