"""What a face does beside speaking: it blinks, and its head is never quite still.

Everything is a function of the absolute time, so that parts of a film rendered apart agree.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipsync_core.faces.head_sway import HeadMove

Array = NDArray[np.float64]

_BLINK = (0.0, 0.35, 0.85, 1.0, 1.0, 0.7, 0.35, 0.12, 0.0)  # how far the lids are down
_BLINK_STEP_S = 0.04
_BLINK_S = _BLINK_STEP_S * (len(_BLINK) - 1)
_FIRST_BLINK_S, _BETWEEN_BLINKS_S = (0.5, 4.0), (2.0, 5.0)
# Two slow waves each for right, down and tilt, whose periods have no small common multiple.
_PERIODS_S = np.array([[5.3, 3.7, 6.7], [2.3, 1.9, 3.1]])
# Amplitudes: eye distances, eye distances, radians.
_SWAY = np.array([[0.020, 0.012, 0.009], [0.005, 0.004, 0.003]])
_NOD = 0.16  # of how far the mouth is open on average: a head goes down with what it stresses


class IdleMotion:
    """One person's blinks and sway.

    The same ``seed`` moves the same way. ``sway`` and ``blinks`` say how much of each: 1 is usual,
    0 none, 2 twice as far and twice as often.
    """

    def __init__(self, seed: int, sway: float = 1.0, blinks: float = 1.0) -> None:
        self._sway, self._blinks = sway, blinks
        self._phases = np.random.default_rng(seed).random(_PERIODS_S.shape)
        self._random = np.random.default_rng([seed, 1])
        self._starts: list[float] = []

    def lids(self, times: Array) -> Array:
        """How far the lids are down at rising times in seconds: (times,), 0 to 1."""
        lids = np.zeros(len(times))
        if not self._blinks or not len(times):
            return lids
        steps = np.arange(len(_BLINK)) * _BLINK_STEP_S
        for start in self._starts_until(float(times[-1])):
            if start + _BLINK_S > times[0]:
                lids += np.interp(times, start + steps, _BLINK)
        return lids

    def head(self, times: Array, stress: Array) -> list[HeadMove]:
        """Where the head is at those times; ``stress`` (times,) is how far the mouth is open on
        average round each, in eye distances."""
        turns = 2 * np.pi * (times[:, None, None] / _PERIODS_S + self._phases)
        moves = (_SWAY * np.sin(turns)).sum(1)
        moves[:, 1] += _NOD * stress
        return [HeadMove(*move) for move in (self._sway * moves).tolist()]

    def _starts_until(self, time: float) -> list[float]:
        """When the blinks up to some time start; known ones are drawn once."""
        if not self._starts:
            self._starts.append(self._random.uniform(*_FIRST_BLINK_S) / self._blinks)
        while self._starts[-1] <= time:
            pause = self._random.uniform(*_BETWEEN_BLINKS_S) / self._blinks
            self._starts.append(self._starts[-1] + _BLINK_S + pause)
        return self._starts
