"""What Wav2Lip listens to: 80 mel bands of 16 kHz sound in decibels, one column every 12.5 ms.

A network only understands what it was trained on, so the recipe is that of its training: magnitudes
and not powers, Slaney's mel scale and areas, sound mirrored at its two ends, −100…0 dB brought to
−4…4.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache

import numpy as np
from numpy.typing import NDArray

from lipsync_core.generators.wav2lip.network import BANDS, COLUMNS
from lipsync_core.media.audio import ANALYSIS_RATE

HOP = 200
COLUMNS_PER_SECOND = ANALYSIS_RATE // HOP
_WINDOW = 800
_PRE_EMPHASIS = 0.97
_LOW_HZ, _HIGH_HZ = 55.0, 7600.0
_SILENCE = 1e-5  # of full scale; in place of anything quieter under a logarithm
_REFERENCE_DB, _RANGE_DB, _MOST = 20.0, 100.0, 4.0

Sound = Callable[[int, int], NDArray[np.float32]]
"""Samples [first, last) of a sound, mono, 16 kHz, in −1…1."""


def column_of(frame: int, frame_rate: Fraction) -> int:
    """The first of the sixteen columns a frame hears: by its own time, so that nothing adds up."""
    return int(frame * COLUMNS_PER_SECOND / frame_rate)


def windows(
    sound: Sound, samples: int, first: int, last: int, frame_rate: Fraction
) -> NDArray[np.float32]:
    """What frames [first, last) hear, of a sound of so many samples: (frames, 1, 80, 16).

    Where the sound ends before a window does, the window is its last sixteen columns.
    """
    end = 1 + samples // HOP
    starts = np.array([
        max(0, min(column_of(frame, frame_rate), end - COLUMNS)) for frame in range(first, last)
    ])  # fmt: skip
    heard = mel(sound, samples, int(starts[0]), int(starts[-1]) + COLUMNS)
    every = np.lib.stride_tricks.sliding_window_view(heard, COLUMNS, axis=1)  # (80, starts, 16)
    return np.ascontiguousarray(every[:, starts - starts[0]].transpose(1, 0, 2)[:, None])


def mel(sound: Sound, samples: int, first: int, last: int) -> NDArray[np.float32]:
    """Columns [first, last) of a sound of so many samples: (80, columns) in −4…4.

    Column c is centred on sample 200·c. A piece of a sound gives the same columns as the whole.
    """
    start, end = first * HOP - _WINDOW // 2, (last - 1) * HOP + _WINDOW // 2
    places = np.arange(start, end)
    # mirrored at both ends; a sound shorter than that goes to and fro
    period = max(1, 2 * (samples - 1))
    places = np.abs((places + samples - 1) % period - (samples - 1))
    low, high = int(places.min()), int(places.max()) + 1
    # one sample more before, whose share the pre-emphasis takes away; before the first is nothing
    given = sound(low - 1, high).astype(np.float64)
    if low == 0:
        given[0] = 0
    emphasised = given[1:] - _PRE_EMPHASIS * given[:-1]
    framed = np.lib.stride_tricks.sliding_window_view(emphasised[places - low], _WINDOW)[::HOP]
    magnitudes = np.abs(np.fft.rfft(framed * _hann(), axis=1)) @ _triangles().T
    decibels = 20 * np.log10(np.maximum(_SILENCE, magnitudes)) - _REFERENCE_DB
    scaled = 2 * _MOST * (decibels + _RANGE_DB) / _RANGE_DB - _MOST
    return np.clip(scaled, -_MOST, _MOST).astype(np.float32).T


@cache
def _hann() -> NDArray[np.float64]:
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW) / _WINDOW)


@cache
def _triangles() -> NDArray[np.float64]:
    """80 triangles of equal area on the bins of the transform: (80, 401).

    Slaney's scale is linear up to 1 kHz, three mel to 200 Hz, and logarithmic above it, 27 steps
    to a factor of 6.4.
    """
    bend, step = 15.0, np.log(6.4) / 27
    top = bend + np.log(_HIGH_HZ / 1000) / step
    mels = np.linspace(_LOW_HZ * 3 / 200, top, BANDS + 2)
    hertz = np.where(mels < bend, mels * 200 / 3, 1000 * np.exp(step * (mels - bend)))
    bins = np.fft.rfftfreq(_WINDOW, 1 / ANALYSIS_RATE)
    low, centre, high = hertz[:-2, None], hertz[1:-1, None], hertz[2:, None]
    rising, falling = (bins - low) / (centre - low), (high - bins) / (high - centre)
    triangles: NDArray[np.float64] = np.clip(np.minimum(rising, falling), 0, None)
    return triangles * 2 / (high - low)
