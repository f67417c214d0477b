"""From sound to mouth: what shape the mouth takes at every frame of a speech.

A ridge regression from seven instants of cepstra (±120 ms) to the nine numbers of
:mod:`lipsync_core.faces.mouth`, standardised per speaker. One model pooled over several real
speakers is shipped; where the film itself shows its speaker talking, the regression is refitted on
that film with the pooled model as its prior, so little material changes little and much material
makes the model the speaker's own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from lipsync_core.media.mel import ROWS_PER_SECOND, cepstra, log_mel

INSTANTS_ROWS = np.arange(-12, 13, 4)  # seven instants, 40 ms apart
COEFFICIENTS = 12
FEATURES = len(INSTANTS_ROWS) * COEFFICIENTS


def speech_features(sound: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mono 16 kHz sound → (rows at 100 Hz, 84): cepstra at seven instants round each row.

    The log-mel bands are brought to zero mean and unit variance first, so that another voice or
    another microphone fits the same model.
    """
    bands = log_mel(sound)
    bands = (bands - bands.mean(0)) / (bands.std(0) + 1e-6)
    rows = cepstra(bands, COEFFICIENTS)
    reach = int(INSTANTS_ROWS[-1])
    padded = np.pad(rows, ((reach, reach), (0, 0)), mode="edge")
    return np.concatenate(
        [padded[reach + at : reach + at + len(rows)] for at in INSTANTS_ROWS], axis=1
    )


def at_frames(
    rows: NDArray[np.float64], frames: NDArray[np.int64], frame_rate: Fraction, shift_s: float = 0.0
) -> NDArray[np.float64]:
    """The rows heard when each frame appears (plus ``shift_s``), held at both ends."""
    wanted = np.rint((frames / float(frame_rate) + shift_s) * ROWS_PER_SECOND).astype(int)
    return rows[np.clip(wanted, 0, len(rows) - 1)]


@dataclass(frozen=True)
class MouthModel:
    """``weights``: (85, 9), the last row the constant; shapes come out standardised (mean 0,
    variance 1 for a perfect fit). ``spread``: (9,), how much a speaker's shapes usually vary, in
    eye distances."""

    weights: NDArray[np.float64]
    spread: NDArray[np.float64]

    def predict(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Standardised shapes (rows, 9) for features (rows, 84)."""
        shapes: NDArray[np.float64] = features @ self.weights[:-1] + self.weights[-1]
        return shapes

    def refitted(
        self, features: NDArray[np.float64], shapes: NDArray[np.float64], prior: float = 300.0
    ) -> MouthModel:
        """The model fitted to a speaker's standardised shapes, leaning on this one.

        Minimises |XW − Y|² + prior·|W − W₀|², so ``prior`` counts in frames of evidence.
        """
        design = np.column_stack([features, np.ones(len(features))])
        left = design.T @ design + prior * np.eye(design.shape[1])
        change = np.linalg.solve(left, design.T @ (shapes - design @ self.weights))
        return MouthModel(self.weights + change, self.spread)


@cache
def pooled_model() -> MouthModel:
    """The speaker-independent model that comes with the package."""
    text = resources.files("lipsync_core.generators").joinpath("mouth_model.json").read_text()
    stored = json.loads(text)
    return MouthModel(np.array(stored["weights"]), np.array(stored["spread"]))
