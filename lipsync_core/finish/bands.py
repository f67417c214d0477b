"""Detail and grain of a picture by size: differences of Gaussians, and what they hold.

A band is what a blur of one width leaves and one of twice the width takes away (Burt and Adelson
1983); all bands and the last blur add up to the picture again.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]
_MAD_TO_SIGMA = 1.4826  # of a normal distribution


def bands_of(plane: Plane, count: int) -> tuple[list[Plane], Plane]:
    """``count`` bands of a plane, the finest first, and what is left; widths of 1, 2, 4, … px."""
    bands, before = [], plane
    for number in range(count):
        # from what the last blur left on to the next width
        step = 1.0 if number == 0 else np.sqrt(3) * 2 ** (number - 1)
        after = cv2.GaussianBlur(before, (0, 0), step, borderType=cv2.BORDER_REFLECT_101)
        bands.append(before - after)
        before = after
    return bands, before


def power(band: Plane, where: NDArray[np.bool_]) -> float:
    """The mean square of a band in a region."""
    return float(np.mean(np.square(band[where]))) if where.any() else np.nan


def noise(band: Plane, where: NDArray[np.bool_]) -> float:
    """The standard deviation of what is noise in a band, by its median absolute deviation."""
    return _MAD_TO_SIGMA * float(np.median(np.abs(band[where]))) if where.any() else np.nan


def flat(plane: Plane, where: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The half of a region in which a picture is most even: what varies there is noise."""
    if not where.any():
        return where
    _, smooth = bands_of(plane, 2)
    slope = cv2.magnitude(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
    even: NDArray[np.bool_] = where & (slope <= np.median(slope[where]))
    return even
