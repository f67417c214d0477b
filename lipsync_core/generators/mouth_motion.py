"""The mouth a speech asks for, frame by frame, where there is no film of the speaker to learn from.

The pooled model says how each shape varies; what a shut mouth is, it cannot know. So its numbers
are brought to a usual speaker's spread, counted from the shut mouth, and faded to a shut mouth
wherever nobody speaks.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from lipsync_core.faces.mouth import SHAPE_NAMES
from lipsync_core.generators.mouth_model import at_frames, pooled_model, speech_features
from lipsync_core.media.audio import ANALYSIS_RATE
from lipsync_core.media.mel import ROWS_PER_SECOND

_HOP = ANALYSIS_RATE // ROWS_PER_SECOND
# The shapes that move a portrait; the others the model knows follow from these.
_MOVED = [SHAPE_NAMES.index(name) for name in ("gap", "jaw", "width", "lips")]
# Where a shut mouth lies below the middle of each shape of speech, in spreads: measured on real
# speakers as the mean over the twentieth part with the smallest gap. Width goes both ways.
_OPEN_BY = np.array([1.35, 1.25, 0.0, 1.7])
_WIDEST = 2.5  # spreads from the middle; beyond it a mouth looks torn open
_SMOOTH_ROWS = 2.0
# Speech starts above the first level and ends below the second, under the loudest part.
_STARTS_DB, _ENDS_DB = -26.0, -34.0
_SILENCE_DB = -60.0  # under full scale: no speech however quiet the rest
_GATE_REACH_ROWS, _GATE_SMOOTH_ROWS = 9, 4.0


def mouth_motion(
    sound: NDArray[np.float32], frames: int, frame_rate: Fraction
) -> NDArray[np.float64]:
    """Mouth shapes above a shut mouth for mono 16 kHz sound, (frames, 4) in eye distances.

    Columns: gap between the lips, drop of the jaw, width, height of the outer lips, the first four
    of :data:`lipsync_core.faces.mouth.SHAPE_NAMES`; all zero is a shut mouth.
    """
    model = pooled_model()
    standard = model.predict(speech_features(sound))[:, _MOVED]
    standard = gaussian_filter1d(standard, _SMOOTH_ROWS, axis=0)
    gate = speech_gate(sound)
    spoken = standard[gate > 0.5]
    if len(spoken) > 1:
        standard = (standard - spoken.mean(0)) / (spoken.std(0) + 1e-6)
    standard = np.clip(standard, -_WIDEST, _WIDEST)
    shapes = (standard + _OPEN_BY) * model.spread[_MOVED]
    shapes[:, [0, 1, 3]] = np.maximum(shapes[:, [0, 1, 3]], 0)
    return at_frames(shapes * gate[:, None], np.arange(frames), frame_rate)


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
