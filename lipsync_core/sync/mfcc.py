"""The cepstra SyncNet listens to: 13 coefficients of 16 kHz sound, one row every 10 ms.

The recipe is that of the features the published checkpoint was trained on (speech cepstra with a
rectangular window, integer filter corners and the log energy in place of the first coefficient).
It differs in every one of those points from :mod:`lipsync_core.media.mel`, and a network only
understands what it was trained on.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from lipsync_core.media.mel import cosines

HOP = 160
WINDOW = 400
COEFFICIENTS = 13
_TRANSFORM = 512
_BANDS = 26
_RATE = 16_000
_PRE_EMPHASIS = 0.97
_LIFTER = 22
_TINY = np.finfo(np.float64).eps  # in place of 0 under a logarithm
_BLOCK = 4096  # rows made at once, which bounds the memory


def mfcc(samples: NDArray[np.int16], before: int | None = None) -> NDArray[np.float64]:
    """The coefficients of a sound: (samples,) whole numbers → (rows, 13).

    Row r covers samples [160·r, 160·r + 400), silence beyond the end; sound shorter than one window
    gives one row. ``before`` is the sample that comes before them, where the sound is a piece of a
    longer one: its rows are then the same as those of the whole.
    """
    sound = samples.astype(np.float64)
    # pre-emphasis: y[n] = x[n] − 0.97·x[n−1], and the very first sample stays as it is
    sound -= _PRE_EMPHASIS * np.concatenate([[before or 0], sound[:-1]])
    rows = 1 + max(0, -(-(len(sound) - WINDOW) // HOP))
    sound = np.pad(sound, (0, (rows - 1) * HOP + WINDOW - len(sound)))
    windows = np.lib.stride_tricks.sliding_window_view(sound, WINDOW)[::HOP]
    return np.concatenate([
        _coefficients(windows[first : first + _BLOCK]) for first in range(0, rows, _BLOCK)
    ])  # fmt: skip


def _coefficients(windows: NDArray[np.float64]) -> NDArray[np.float64]:
    spectrum = np.fft.rfft(windows, _TRANSFORM)
    power = (spectrum.real**2 + spectrum.imag**2) / _TRANSFORM
    energies = power @ _triangles().T
    coefficients = np.log(_positive(energies)) @ cosines(_BANDS, COEFFICIENTS)
    coefficients *= 1 + _LIFTER / 2 * np.sin(np.pi * np.arange(COEFFICIENTS) / _LIFTER)
    coefficients[:, 0] = np.log(_positive(power.sum(1)))
    return coefficients


def _positive(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(values == 0, _TINY, values)


@cache
def _triangles() -> NDArray[np.float64]:
    """26 triangles on the bins of the transform, (26, 257), corners on whole bins.

    Corners are equally far apart on the mel scale 2595·log10(1 + f/700) from 0 to 8 kHz.
    """
    top = 2595 * np.log10(1 + _RATE / 2 / 700)
    hertz = 700 * (10 ** (np.linspace(0, top, _BANDS + 2) / 2595) - 1)
    corners = np.floor((_TRANSFORM + 1) * hertz / _RATE).astype(int)
    triangles = np.zeros((_BANDS, _TRANSFORM // 2 + 1))
    for row, (low, centre, high) in enumerate(zip(corners, corners[1:], corners[2:], strict=False)):
        triangles[row, low:centre] = (np.arange(low, centre) - low) / (centre - low)
        triangles[row, centre:high] = (high - np.arange(centre, high)) / (high - centre)
    return triangles
