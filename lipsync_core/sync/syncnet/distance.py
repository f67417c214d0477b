"""How far lips and sound are apart for every shift between them, and what follows from it.

Vector v of the lips is compared with sound v + k for k in −15…15. The shift of the least mean
distance is the offset, with its sign turned: where the matching sound comes *before* the picture
it is early, and early is positive. The confidence is the median of the 31 means over the least.
Distances are Euclidean, of vectors that differ by 1e-6 more in every component, as the published
program computes them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import medfilt
from torch import Tensor

MAX_SHIFT = 15
SHIFTS = 2 * MAX_SHIFT + 1
_EPSILON = 1e-6
_SMOOTHING = 9


class Slide:
    """Compares vectors as they come, holding no more than 31 of them beside the newest.

    At the ends of a clip a vector has no partner for some shifts. The published numbers compare it
    with a vector of zeros there (``padded``); else those distances are NaN and count for nothing.
    """

    def __init__(self, *, padded: bool = False) -> None:
        self._padded = padded
        self._lips: Tensor | None = None
        self._sounds: Tensor | None = None  # from shift −15 of the first waiting vector on

    def add(self, lips: Tensor, sounds: Tensor) -> NDArray[np.float32]:
        """Take the next vectors, both (n, 1024); the distances now complete, (m, 31)."""
        if self._lips is None or self._sounds is None:
            self._lips, self._sounds = lips[:0], self._nobody(lips)
        self._lips = torch.cat([self._lips, lips])
        self._sounds = torch.cat([self._sounds, sounds])
        return self._complete()

    def finish(self) -> NDArray[np.float32]:
        """The distances of the last vectors, whose later partners never come."""
        if self._lips is None or self._sounds is None:
            return np.zeros((0, SHIFTS), np.float32)
        self._sounds = torch.cat([self._sounds, self._nobody(self._lips)])
        return self._complete()

    def _nobody(self, like: Tensor) -> Tensor:
        return like.new_full((MAX_SHIFT, like.shape[1]), 0.0 if self._padded else torch.nan)

    def _complete(self) -> NDArray[np.float32]:
        assert self._lips is not None
        assert self._sounds is not None
        ready = max(0, min(len(self._lips), len(self._sounds) - 2 * MAX_SHIFT))
        if not ready:
            return np.zeros((0, SHIFTS), np.float32)
        partners = self._sounds[: ready + 2 * MAX_SHIFT].unfold(0, SHIFTS, 1)  # (ready, 1024, 31)
        differences = self._lips[:ready, :, None] - partners + _EPSILON
        self._lips, self._sounds = self._lips[ready:], self._sounds[ready:]
        distances: NDArray[np.float32] = differences.norm(dim=1).cpu().numpy()
        return distances


@dataclass(frozen=True)
class Agreement:
    """What a curve of 31 mean distances says. ``at_edge``: the least lies at ±15, where nothing
    was measured beyond it. ``offset_frames`` is a whole number of 1/25 s, positive = sound early;
    ``fine_offset_frames`` puts a parabola through the least and its neighbours."""

    offset_frames: int
    fine_offset_frames: float
    distance: float
    confidence: float
    at_edge: bool


def agreement(means: NDArray[np.float64]) -> Agreement:
    """Offset, least distance and confidence of the mean distances for the shifts −15…15."""
    best = int(means.argmin())
    at_edge = best in (0, SHIFTS - 1)
    least = float(means[best])
    fine = MAX_SHIFT - (best if at_edge else _lowest_point(means, best))
    return Agreement(MAX_SHIFT - best, fine, least, float(np.median(means)) - least, at_edge)


def frame_confidence(
    distances: NDArray[np.float32], means: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The confidence of every frame, (n, 31) distances → (n,): a running median of nine."""
    own = distances[:, int(means.argmin())]
    smoothed: NDArray[np.float64] = medfilt(np.median(means) - own, _SMOOTHING)
    return smoothed


def _lowest_point(curve: NDArray[np.float64], best: int) -> float:
    left, middle, right = curve[best - 1 : best + 2]
    bend = left - 2 * middle + right
    return best + (0.5 * (left - right) / bend if bend > 0 else 0.0)
