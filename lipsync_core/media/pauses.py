"""Where a long speech may be cut: its pauses, the best frame in each, and worse places than those.

Two methods are asked. One goes by level, counted from the track's own voice and its own noise, so
that neither a quiet recording nor a noisy one is misread; the other is the network that tells
speech from other sounds (:mod:`lipsync_core.media.speech`). Where both hear a pause, there is one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from fractions import Fraction
from itertools import pairwise
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import minimum_filter1d, uniform_filter1d

from lipsync_core.errors import InputError
from lipsync_core.media.audio import ANALYSIS_RATE, Track
from lipsync_core.media.speech import VoiceActivity, voice_activity

_HOP = ANALYSIS_RATE // 100
_HOP_S = _HOP / ANALYSIS_RATE
_HOPS_A_BLOCK = 2000  # 20 s
_QUIETEST_DB = -100.0

# Speech of the usual loudness reaches this in its loudest tenth; what is louder or less loud has
# its limit of quiet shifted by as much.
_USUAL_VOICE_DB = -14.0
_VOICE_PERCENTILE = 90
# Noise is what the track never gets under for long: the quietest tenth of a second in 20 s.
_NOISE_HOPS, _NOISE_WITHIN_HOPS = 10, 2000
_ABOVE_NOISE_DB, _BELOW_VOICE_DB = 6.0, 10.0
_SMOOTHED_HOPS, _CUT_HOPS = 3, 6

# A closed mouth before a plosive is quiet for up to 0.2 s in the middle of a word, so that level
# alone has to hear more than that.
_LEVEL_ALONE_S = 0.25
_LONGEST_PART_S = 2.0
_SAME_DB = 3.0


class PauseKind(IntEnum):
    """How good a place to cut is; the smaller, the better."""

    LONG = 0
    SHORT = 1
    MOMENT = 2


@dataclass(frozen=True)
class Pause:
    """A place where a speech may be cut: ``frame`` is the first frame of what follows the cut.

    ``start_s`` and ``end_s`` bound the stretch the frame was chosen from. ``agreed`` says that
    level and voice activity both hear the pause. ``level_db`` is how loud the cut is, counted from
    the track's voice. A ``MOMENT`` is no pause, only the quietest frame of a second of speech.
    """

    start_s: float
    end_s: float
    frame: int
    kind: PauseKind
    agreed: bool = False
    level_db: float = _QUIETEST_DB


@dataclass(frozen=True)
class PauseRules:
    """What counts as a pause: quieter than ``quiet_db`` for ``long_s``; from ``short_s`` on it is
    a short one. The level holds for speech of the usual loudness and moves with the track's own.
    """

    quiet_db: float = -40.0
    long_s: float = 0.5
    short_s: float = 0.1


def find_pauses(
    track: Track,
    frame_rate: Fraction,
    rules: PauseRules | None = None,
    voice: VoiceActivity | None = None,
) -> list[Pause]:
    """The places where a mono track of 16 kHz may be cut, in order, at most one a frame.

    A silence of many seconds is given in parts, so that there is a place in every one or two of
    them. ``voice`` is the track's voice activity where it is known already.

    Raises:
        InputError: the track has another rate or more channels.
    """
    rules = rules or PauseRules()
    voice = voice_activity(track) if voice is None else voice
    power = _power(track)
    if not len(power):
        return []
    times = (np.arange(len(power)) + 0.5) * _HOP_S
    is_silent = ~voice.voiced_mask(times)
    is_quiet, voice_db = _quiet(power, is_silent, rules.quiet_db)
    heard = _Heard(_decibels(uniform_filter1d(power, _CUT_HOPS)) - voice_db, frame_rate)

    found: list[Pause] = []
    taken = np.zeros(len(power), bool)
    for first, last in _runs(is_quiet | is_silent):
        inside = slice(first, last)
        both = _at_least(is_quiet[inside] & is_silent[inside], rules.short_s)
        by_voice = _at_least(is_silent[inside], rules.short_s)
        by_level = _at_least(is_quiet[inside], max(rules.short_s, _LEVEL_ALONE_S))
        is_long = bool(both) and (last - first) * _HOP_S >= rules.long_s
        kind = PauseKind.LONG if is_long else PauseKind.SHORT
        for a, b in both or by_voice or by_level:
            for start, end in _parts(first + a, first + b):
                found.append(heard.pause(start, end, kind, agreed=bool(both)))
            taken[first + a : first + b] = True
    found += heard.moments(~taken)
    best: dict[int, Pause] = {}
    for pause in sorted(found, key=lambda pause: (pause.kind, pause.level_db)):
        best.setdefault(pause.frame, pause)
    whole = floor(len(power) * Fraction(_HOP, ANALYSIS_RATE) * frame_rate)
    return [best[frame] for frame in sorted(best) if 0 < frame < whole]


@dataclass(frozen=True)
class _Heard:
    """How loud each moment is, in dB counted from the voice, and where the frames begin in it."""

    levels: NDArray[np.float64]
    frame_rate: Fraction

    def pause(self, first: int, last: int, kind: PauseKind, *, agreed: bool) -> Pause:
        """The pause of hops [first, last), cut as near its middle as it is about as quiet."""
        frames = self._frames(first, last)
        if not len(frames):
            frames = np.array([round((first + last) / 2 * _HOP_S * self.frame_rate)])
        levels = self._at(frames)
        middle = (first + last) / 2 * _HOP_S * float(self.frame_rate)
        usable = np.flatnonzero(levels <= levels.min() + _SAME_DB)
        place = usable[np.argmin(np.abs(frames[usable] - middle))]
        return Pause(
            first * _HOP_S, last * _HOP_S, int(frames[place]), kind, agreed, float(levels[place])
        )

    def moments(self, wanted: NDArray[np.bool_]) -> Iterator[Pause]:
        """The quietest frame of every second, of the hops that are wanted."""
        for first in range(0, len(wanted), round(1 / _HOP_S)):
            last = min(len(wanted), first + round(1 / _HOP_S))
            frames = self._frames(first, last)
            frames = frames[wanted[self._hops(frames)]]
            if len(frames):
                levels = self._at(frames)
                place = int(np.argmin(levels))
                at_s = float(frames[place] / self.frame_rate)
                half_s = _CUT_HOPS / 2 * _HOP_S
                yield Pause(
                    at_s - half_s, at_s + half_s, int(frames[place]), PauseKind.MOMENT,
                    level_db=float(levels[place]),
                )  # fmt: skip

    def _frames(self, first: int, last: int) -> NDArray[np.int64]:
        """The frames that begin in hops [first, last)."""
        hop = Fraction(_HOP, ANALYSIS_RATE)
        return np.arange(
            ceil(first * hop * self.frame_rate), ceil(last * hop * self.frame_rate), dtype=np.int64
        )

    def _hops(self, frames: NDArray[np.int64]) -> NDArray[np.int64]:
        hops = frames / (float(self.frame_rate) * _HOP_S)
        return np.clip(hops.astype(np.int64), 0, len(self.levels) - 1)

    def _at(self, frames: NDArray[np.int64]) -> NDArray[np.float64]:
        return self.levels[self._hops(frames)]


def _power(track: Track) -> NDArray[np.float64]:
    """The power of every whole 10 ms, (n,), without what is slower than they are (rumble, an
    offset)."""
    if track.sample_rate != ANALYSIS_RATE or track.channels != 1:
        raise InputError(
            f"{track.path} is {track.sample_rate} Hz with {track.channels} channels: "
            "pauses are looked for in a mono track of 16000 Hz"
        )
    hops = track.samples // _HOP
    power = np.zeros(hops)
    for first in range(0, hops, _HOPS_A_BLOCK):
        last = min(hops, first + _HOPS_A_BLOCK)
        block = track.mono(first * _HOP, last * _HOP).astype(np.float64)
        power[first:last] = block.reshape(-1, _HOP).var(axis=1)
    return power


def _quiet(
    power: NDArray[np.float64], is_silent: NDArray[np.bool_], quiet_db: float
) -> tuple[NDArray[np.bool_], float]:
    """Which hops are quiet, and how loud the voice is in dB."""
    levels = _decibels(uniform_filter1d(power, _SMOOTHED_HOPS))
    voiced = levels if is_silent.all() else levels[~is_silent]
    voice_db = float(np.percentile(voiced, _VOICE_PERCENTILE))
    noise = minimum_filter1d(_decibels(uniform_filter1d(power, _NOISE_HOPS)), _NOISE_WITHIN_HOPS)
    limit = np.maximum(quiet_db + voice_db - _USUAL_VOICE_DB, noise + _ABOVE_NOISE_DB)
    return levels < np.minimum(limit, voice_db - _BELOW_VOICE_DB), voice_db


def _decibels(power: NDArray[np.float64]) -> NDArray[np.float64]:
    # a running mean may leave a trace below zero where silence follows
    return 10 * np.log10(np.maximum(power, 10 ** (_QUIETEST_DB / 10)))


def _runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Where a mask is true: [first, last) of every run."""
    edges = np.flatnonzero(np.diff(mask.astype(np.int8), prepend=0, append=0))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]


def _at_least(mask: NDArray[np.bool_], least_s: float) -> list[tuple[int, int]]:
    return [(first, last) for first, last in _runs(mask) if (last - first) * _HOP_S >= least_s]


def _parts(first: int, last: int) -> Iterator[tuple[int, int]]:
    """A stretch of hops in equal parts, none longer than two seconds."""
    count = max(1, ceil((last - first) * _HOP_S / _LONGEST_PART_S))
    edges = [first + (last - first) * part // count for part in range(count + 1)]
    yield from pairwise(edges)
