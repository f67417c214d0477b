"""Log-mel energies and cepstra of 16 kHz sound, one row every 10 ms."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from lipsync_core.media.audio import ANALYSIS_RATE

ROWS_PER_SECOND = 100
BANDS = 26
_HOP = ANALYSIS_RATE // ROWS_PER_SECOND
_WINDOW = 512
_RANGE_NATS = 7.0  # of energy, about 30 dB
_LOW_HZ, _HIGH_HZ = 60.0, 7600.0


def log_mel(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """Log energies in 26 mel bands, (samples,) at 16 kHz → (rows, 26), row r centred on r·10 ms.

    Each band is floored at its 20th percentile, or 30 dB below its loud parts where that is more:
    how silent a pause is says nothing about the mouth. The mel scale is O'Shaughnessy's
    2595·log10(1 + f/700); the bands are triangles that overlap by half.
    """
    padded = np.pad(samples.astype(np.float64), _WINDOW // 2)
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP]
    rows = [
        np.log(_power(windows[start : start + 4096]) @ _triangles().T + 1e-10)
        for start in range(0, len(windows), 4096)
    ]
    energies = np.concatenate(rows)
    quiet, loud = np.percentile(energies, (20, 95), axis=0)
    return np.maximum(energies, np.maximum(quiet, loud - _RANGE_NATS))


def cepstra(log_energies: NDArray[np.float64], count: int = 12) -> NDArray[np.float64]:
    """The first ``count`` cepstral coefficients (orthonormal DCT-II, including the level)."""
    return log_energies @ cosines(log_energies.shape[1], count)


@cache
def cosines(bands: int, count: int) -> NDArray[np.float64]:
    """The first ``count`` columns of the orthonormal cosine transform (DCT-II): (bands, count)."""
    angles = np.outer(2 * np.arange(bands) + 1, np.arange(count)) * np.pi / (2 * bands)
    columns = np.sqrt(2 / bands) * np.cos(angles)
    columns[:, 0] /= np.sqrt(2)
    return columns


def _power(windows: NDArray[np.float64]) -> NDArray[np.float64]:
    spectrum = np.fft.rfft(windows * np.hanning(_WINDOW))
    return spectrum.real**2 + spectrum.imag**2


@cache
def _triangles() -> NDArray[np.float64]:
    def mel(hz: float) -> float:
        return 2595 * np.log10(1 + hz / 700)

    edges = 700 * (10 ** (np.linspace(mel(_LOW_HZ), mel(_HIGH_HZ), BANDS + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(_WINDOW, 1 / ANALYSIS_RATE)
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    triangles: NDArray[np.float64] = np.clip(
        np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre)), 0, None
    )
    return triangles
