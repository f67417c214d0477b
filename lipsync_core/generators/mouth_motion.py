"""The mouth a speech asks for, frame by frame, where there is no film of the speaker to learn from.

The pooled model says how each shape varies; what a shut mouth is, it cannot know. So its numbers
are brought to a usual speaker's spread, counted from the shut mouth, and faded to a shut mouth
wherever nobody speaks.

What is usual is measured over windows of the speech that lie at fixed times, each fading into the
next. So a mouth depends on its time and on :data:`HEARS_S` of speech round it, and on nothing else:
however a film is divided, its parts agree.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from lipsync_core.faces.mouth import SHAPE_NAMES
from lipsync_core.faces.warp import smooth_step
from lipsync_core.generators.mouth_model import pooled_model, speech_features
from lipsync_core.media.audio import ANALYSIS_RATE
from lipsync_core.media.mel import ROWS_PER_SECOND

Sound = NDArray[np.float32]
Array = NDArray[np.float64]

_HOP = ANALYSIS_RATE // ROWS_PER_SECOND
# The shapes that move a portrait; the others the model knows follow from these.
_MOVED = [SHAPE_NAMES.index(name) for name in ("gap", "jaw", "width", "lips")]
# Where a shut mouth lies below the middle of each shape of speech, in spreads: measured on real
# speakers as the mean over the twentieth part with the smallest gap. Width goes both ways.
_OPEN_BY = np.array([1.35, 1.25, 0.0, 1.7])
_WIDEST = 2.5  # spreads from the middle; beyond it a mouth looks torn open
_SMOOTH_ROWS = 2.0
# How clearly each shape is spoken: the model's width is that of speakers who turn their heads.
_EXPRESSED = np.array([1.1, 1.1, 1.4, 1.1])
_DIP_ROWS, _DIPS_DB, _DIPS_OVER_DB = 21, 10.0, 14.0
# Speech starts above the first level and ends below the second, under the loudest part.
_STARTS_DB, _ENDS_DB = -26.0, -34.0
_SILENCE_DB = -60.0  # under full scale: no speech however quiet the rest
_GATE_REACH_ROWS, _GATE_SMOOTH_ROWS = 9, 4.0

_EVERY_ROWS, _REACH_ROWS = 300, 1000  # between the middles of windows, and to either side of them
HEARS_S = 14.0
"""Seconds of speech round a frame that its mouth may depend on: to the far end of the farther of
its two windows, and one second for a mouth that is shifted."""
# What a spoken second or less cannot tell: mean 0 and this spread are believed as much as so many
# rows of speech.
_USUAL_SPREAD, _BELIEVED_ROWS = 0.5, 100.0
_LEAST_RANGE_DB = 9.0  # between loud and quiet; a hiss or a hum has less


class MouthMotion:
    """The mouth for a speech that is read as it is needed.

    ``hear`` gives samples [first, last) of mono 16 kHz sound, of which there are ``samples``.
    ``articulated`` adds what the model leaves out: lips that meet, and clear shapes.
    """

    def __init__(
        self, hear: Callable[[int, int], Sound], samples: int, *, articulated: bool = True
    ) -> None:
        self._hear, self._samples, self._articulated = hear, samples, articulated
        self._rows = 1 + samples // _HOP
        self._windows: dict[int, Array] = {}

    def shapes(
        self, frames: NDArray[np.int64], frame_rate: Fraction, shift_s: float = 0.0
    ) -> Array:
        """Mouth shapes above a shut mouth for rising frame numbers, (frames, 4) in eye distances.

        Columns: gap between the lips, drop of the jaw, width, height of the outer lips, the first
        four of :data:`lipsync_core.faces.mouth.SHAPE_NAMES`; all zero is a shut mouth. The mouth of
        a frame is the one for what is heard ``shift_s`` after it.
        """
        wanted = np.rint((frames / float(frame_rate) + shift_s) * ROWS_PER_SECOND).astype(int)
        wanted = np.clip(wanted, 0, self._rows - 1)
        shapes = np.empty((len(wanted), len(_MOVED)))
        for window in np.unique(wanted // _EVERY_ROWS).tolist():
            inside = wanted // _EVERY_ROWS == window
            rows = wanted[inside]
            fade = (rows % _EVERY_ROWS / _EVERY_ROWS)[:, None]
            shapes[inside] = (1 - fade) * self._at(window, rows) + fade * self._at(window + 1, rows)
        return shapes

    def _at(self, window: int, rows: NDArray[np.int64]) -> Array:
        """What one window says of some rows."""
        first = max(0, window * _EVERY_ROWS - _REACH_ROWS)
        if window not in self._windows:
            last = min(self._samples, (window * _EVERY_ROWS + _REACH_ROWS) * _HOP)
            self._windows[window] = _spoken(self._hear(first * _HOP, last), self._articulated)
            for passed in [known for known in self._windows if known < window - 1]:
                del self._windows[passed]
        said = self._windows[window]
        return said[np.minimum(rows - first, len(said) - 1)]


def mouth_motion(sound: Sound, frames: int, frame_rate: Fraction) -> Array:
    """What the model alone says of the first ``frames`` frames under a whole sound, mono 16 kHz."""
    motion = MouthMotion(lambda first, last: sound[first:last], len(sound), articulated=False)
    return motion.shapes(np.arange(frames), frame_rate)


def _spoken(sound: Sound, articulated: bool) -> Array:
    """Mouth shapes for one window of speech: (rows at 100 Hz, 4)."""
    model = pooled_model()
    level = _level_db(sound)
    loud, quiet = np.percentile(level, (98, 5))
    if max(loud, _SILENCE_DB) - max(quiet, _SILENCE_DB) < _LEAST_RANGE_DB:
        return np.zeros((len(level), len(_MOVED)))
    standard = model.predict(speech_features(sound))[:, _MOVED]
    standard = gaussian_filter1d(standard, _SMOOTH_ROWS, axis=0)
    gate = speech_gate(sound)
    spoken = standard[gate > 0.5]
    known = len(spoken) / (len(spoken) + _BELIEVED_ROWS)
    middle = known * spoken.mean(0) if len(spoken) else np.zeros(len(_MOVED))
    spread = known * spoken.var(0) if len(spoken) else np.zeros(len(_MOVED))
    standard = (standard - middle) / np.sqrt(spread + (1 - known) * _USUAL_SPREAD**2)
    standard = np.clip(standard, -_WIDEST, _WIDEST)
    shapes = (standard + _OPEN_BY) * model.spread[_MOVED]
    shapes[:, [0, 1, 3]] = np.maximum(shapes[:, [0, 1, 3]], 0)
    if articulated:
        shapes *= _EXPRESSED
        shapes[:, [0, 3]] *= _lips_part(level)[:, None]
    return shapes * gate[:, None]


def _lips_part(level: Array) -> Array:
    """How far each row's sound lets the lips part, 0 to 1.

    A short dip between louder sounds is mostly a stop or a nasal, for which lips or tongue close;
    the regression, which hears a quarter of a second, only narrows the mouth.
    """
    dip = maximum_filter1d(level, _DIP_ROWS) - level
    parted: Array = gaussian_filter1d(1 - smooth_step((dip - _DIPS_DB) / _DIPS_OVER_DB), 1.0)
    return parted


def speech_gate(sound: NDArray[np.float32]) -> NDArray[np.float64]:
    """How much of each 10 ms row is speech, 0 to 1, by level with hysteresis: (rows,).

    The gate opens a little before the sound and closes a little after it, softly, as a mouth does.
    """
    level = _level_db(sound)
    loudest = float(np.percentile(level, 98))
    starts = level > max(loudest + _STARTS_DB, _SILENCE_DB)
    goes_on = level > max(loudest + _ENDS_DB, _SILENCE_DB)
    speaking = np.zeros(len(level))
    now = False
    for row in range(len(level)):
        now = bool(starts[row] or (now and goes_on[row]))
        speaking[row] = now
    reached = maximum_filter1d(speaking, _GATE_REACH_ROWS)
    gate: NDArray[np.float64] = gaussian_filter1d(reached, _GATE_SMOOTH_ROWS)
    return gate


def _level_db(sound: NDArray[np.float32]) -> NDArray[np.float64]:
    """Level of every 10 ms row under full scale, over 30 ms round it."""
    padded = np.pad(sound.astype(np.float64) ** 2, _HOP + _HOP // 2)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 3 * _HOP)[::_HOP]
    level: NDArray[np.float64] = 10 * np.log10(windows.mean(1) + 1e-12)
    return level
