"""Voice activity: when somebody speaks in a track, and where the silences are.

Silero's network decides where it is installed; an energy threshold that follows the track's own
levels stands in for it otherwise. Either way the track is read in blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipsync_core.errors import InputError
from lipsync_core.media.audio import ANALYSIS_RATE, Track
from lipsync_core.media.silero import CHUNK, Silero

_CHUNK_S = CHUNK / ANALYSIS_RATE
_CHUNKS_A_BLOCK = 625  # 20 s

# Hysteresis on Silero's probability and what it counts as speech or pause: its own defaults.
_STARTS_AT, _GOES_ON_AT = 0.5, 0.35
_SHORTEST_SPEECH_S, _SHORTEST_PAUSE_S, _MARGIN_S = 0.25, 0.1, 0.03

# Energy, in dB. Speech swings by 30 dB and more within a second; what does not is no speech.
_QUIETEST_DB, _SMALLEST_SWING_DB = -80.0, 12.0
_ABOVE_NOISE_DB, _BELOW_VOICE_DB, _HYSTERESIS_DB = 9.0, 30.0, 4.0


@dataclass(frozen=True)
class VoiceActivity:
    """When somebody speaks: ``spans`` in seconds, in order, without overlap.

    ``method`` says how it was found, ``silero`` or ``energy``, so that the report can.
    """

    spans: tuple[tuple[float, float], ...]
    method: str

    def voiced_s(self, first_s: float, last_s: float) -> float:
        """How many of the seconds [first_s, last_s) are spoken."""
        return sum(max(0.0, min(last_s, b) - max(first_s, a)) for a, b in self.spans)

    def voiced_mask(self, times: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Which of the times, (n,) in seconds, lie in speech."""
        edges = np.array(self.spans, np.float64).ravel()
        return np.searchsorted(edges, times, side="right") % 2 == 1

    def silences(self, minimum_s: float, end_s: float) -> list[tuple[float, float]]:
        """The pauses of at least ``minimum_s`` between 0 and ``end_s``, in seconds."""
        starts = [0.0, *(min(b, end_s) for _, b in self.spans)]
        ends = [*(min(a, end_s) for a, _ in self.spans), end_s]
        return [(a, b) for a, b in zip(starts, ends, strict=True) if b > a and b - a >= minimum_s]


def voice_activity(track: Track) -> VoiceActivity:
    """When somebody speaks in a mono track of 16 kHz.

    Raises:
        InputError: the track has another rate or more channels.
    """
    try:
        network = Silero()
    except ImportError:
        return energy_activity(track)
    probabilities = [network.probabilities(block) for block in _blocks(track)]
    spans = _spans(_flat(probabilities), _STARTS_AT, _GOES_ON_AT, track.samples / ANALYSIS_RATE)
    return VoiceActivity(spans, "silero")


def energy_activity(track: Track) -> VoiceActivity:
    """The same judged by loudness alone, for where Silero is not installed.

    Speech starts 9 dB above the track's noise or 30 dB below its voice, whichever is higher.

    Raises:
        InputError: the track has another rate or more channels.
    """
    power = _flat([np.mean(block**2, axis=1) for block in _blocks(track)])
    levels = 10 * np.log10(np.maximum(power, 10 ** (_QUIETEST_DB / 10)))
    if not len(levels):
        return VoiceActivity((), "energy")
    # the voice is as loud as the loudest second, however little is spoken in the film
    loud = min(round(1 / _CHUNK_S), len(levels) // 20 + 1)
    voice = float(np.partition(levels, -loud)[-loud])
    noise = float(np.percentile(levels, 10))
    if voice - noise < _SMALLEST_SWING_DB:
        return VoiceActivity((), "energy")
    starts_at = max(noise + _ABOVE_NOISE_DB, voice - _BELOW_VOICE_DB)
    goes_on_at = starts_at - _HYSTERESIS_DB
    return VoiceActivity(
        _spans(levels, starts_at, goes_on_at, track.samples / ANALYSIS_RATE), "energy"
    )


def _blocks(track: Track) -> Iterator[NDArray[np.float32]]:
    """The track in blocks of (n, 512) samples, the last chunk filled up with silence."""
    if track.sample_rate != ANALYSIS_RATE or track.channels != 1:
        raise InputError(
            f"{track.path} is {track.sample_rate} Hz with {track.channels} channels: "
            "speech is looked for in a mono track of 16000 Hz"
        )
    for first in range(0, track.samples, CHUNK * _CHUNKS_A_BLOCK):
        chunks = min(_CHUNKS_A_BLOCK, -(-(track.samples - first) // CHUNK))
        yield track.read(first, first + chunks * CHUNK).reshape(chunks, CHUNK)


def _flat(blocks: list[NDArray[np.float32]]) -> NDArray[np.float64]:
    return np.concatenate([np.zeros(0), *blocks])


def _spans(
    levels: NDArray[np.float64], starts_at: float, goes_on_at: float, end_s: float
) -> tuple[tuple[float, float], ...]:
    """Speech from where the level reaches ``starts_at`` to where it stays under ``goes_on_at``."""
    found: list[tuple[float, float]] = []
    start: float | None = None
    pause: float | None = None
    for now, level in zip(np.arange(len(levels)) * _CHUNK_S, levels, strict=True):
        if level >= starts_at:
            start = now if start is None else start
            pause = None
        elif start is not None and level < goes_on_at:
            pause = now if pause is None else pause
            if now - pause >= _SHORTEST_PAUSE_S:
                found.append((start, pause))
                start = pause = None
    if start is not None:
        found.append((start, end_s))
    kept = [(a, b) for a, b in found if b - a > _SHORTEST_SPEECH_S]
    if not kept:
        return ()
    ends = [-np.inf, *(b for _, b in kept[:-1])]
    starts = [*(a for a, _ in kept[1:]), np.inf]
    widened = (
        (a - min(_MARGIN_S, (a - before) / 2), b + min(_MARGIN_S, (after - b) / 2))
        for (a, b), before, after in zip(kept, ends, starts, strict=True)
    )
    return tuple((float(max(0.0, a)), float(min(end_s, b))) for a, b in widened)
