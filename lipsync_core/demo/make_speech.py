"""Make the two speeches of the demo film with espeak-ng.

    python -m lipsync_core.demo.make_speech

Only a developer who changes a text needs this: the recordings come with the package.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy.signal import resample_poly

from lipsync_core.errors import InputError, LipsyncError
from lipsync_core.media.audio import ANALYSIS_RATE, wav_file

_PEAK = 0.7


@dataclass(frozen=True)
class Speech:
    """Sentences in one voice, with the silence in seconds before each and after the last."""

    voice: str
    words_per_minute: int
    sentences: tuple[str, ...]
    silences_s: tuple[float, ...]


SPEECHES = {
    "speech_a.wav": Speech(
        "en-us+f3",
        163,
        (
            "Hello, and welcome to Lipsync Flows.",
            "Give me a film and a new voice, and my lips will follow every word.",
            "Then I measure whether you can believe them.",
        ),
        (0.2, 0.3, 0.3, 0.2),
    ),
    "speech_b.wav": Speech(
        "de+f3",
        150,
        (
            "Guten Tag! Nun spreche ich auf einmal Deutsch.",
            "Nach einer kleinen Pause rede ich weiter, und mein Mund bewegt sich mit.",
        ),
        (0.2, 1.7, 0.3),
    ),
}


def spoken(speech: Speech) -> NDArray[np.float32]:
    """The speech as mono 16 kHz samples.

    Raises:
        InputError: espeak-ng is not installed or does not know the voice.
    """
    parts = [_silence(speech.silences_s[0])]
    for sentence, silence_s in zip(speech.sentences, speech.silences_s[1:], strict=True):
        parts += [_sentence(speech, sentence), _silence(silence_s)]
    sound = np.concatenate(parts)
    return (sound * (_PEAK / np.abs(sound).max())).astype(np.float32)


def _sentence(speech: Speech, sentence: str) -> NDArray[np.float64]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "sentence.wav"
        command = ["espeak-ng", "-v", speech.voice, "-s", str(speech.words_per_minute)]
        try:
            subprocess.run([*command, "-w", str(out), sentence], check=True, capture_output=True)
        except FileNotFoundError as error:
            raise InputError(
                "espeak-ng is not installed: install the package espeak-ng of your system"
            ) from error
        except subprocess.CalledProcessError as error:
            told = error.stderr.decode(errors="replace").strip()
            raise InputError(f"espeak-ng cannot speak as {speech.voice}: {told}") from error
        samples, rate = soundfile.read(out)
    loud = np.flatnonzero(np.abs(samples) > 1e-3)  # espeak-ng adds pauses of its own
    sound: NDArray[np.float64] = resample_poly(samples[loud[0] : loud[-1] + 1], ANALYSIS_RATE, rate)
    return sound


def _silence(seconds: float) -> NDArray[np.float64]:
    return np.zeros(round(seconds * ANALYSIS_RATE))


def main() -> int:
    """Write both recordings beside this file and say how long they are."""
    for name, speech in SPEECHES.items():
        try:
            sound = spoken(speech)
        except LipsyncError as error:
            print(error, file=sys.stderr)
            return error.exit_code
        with wav_file(Path(__file__).with_name(name), ANALYSIS_RATE, 1) as wav:
            wav.write(sound)
        print(f"{name}: {len(sound) / ANALYSIS_RATE:.2f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
