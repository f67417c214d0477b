"""The voice of text inputs: it hums as long as somebody would speak."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lipsync_core.media.audio import wav_file

SAMPLE_RATE = 48_000
_LETTERS_A_SECOND = 15.0
_SHORTEST_S = 0.4
_PITCH, _SYLLABLES_A_SECOND = 120.0, 4.0


def spoken_s(script: str) -> float:
    """How long a script takes, in seconds."""
    return max(_SHORTEST_S, len(script) / _LETTERS_A_SECOND)


def speak(script: str, out: Path) -> Path:
    """Write a WAV file of the length of a script: a hum in syllables."""
    time = np.arange(round(spoken_s(script) * SAMPLE_RATE)) / SAMPLE_RATE
    harmonics = sum(np.sin(2 * np.pi * _PITCH * n * time) / n for n in range(1, 12))
    syllables = np.sin(np.pi * _SYLLABLES_A_SECOND * time) ** 2
    with wav_file(out, SAMPLE_RATE, 1) as wav:
        wav.write((0.2 * harmonics * syllables).astype(np.float32))
    return out
