"""What shape the mouth should take in every frame of a segment."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from lipsync_core.faces.landmarks import FaceTrack
from lipsync_core.generators.mouth_model import (
    MouthModel,
    at_frames,
    pooled_model,
    speech_features,
)
from lipsync_core.generators.mouth_motion import speech_gate
from lipsync_core.generators.rewrite.units import Units
from lipsync_core.material import Material
from lipsync_core.media.audio import ANALYSIS_RATE, Track
from lipsync_core.sync.landmark import LandmarkScorer
from lipsync_core.timeline import sample_of_frame

_CONTEXT_S = 12.0  # of speech round the segment, for normalising its features
_LEAST_LEARNING_S = 3.0
# Mouths that are chosen and blended come a little before the wanted ones: measured as the mean
# offset, -0.3 frames, of ten renderings of five real speakers.
_LEAD_S = 0.01


def wanted_shapes(
    material: Material,
    faces: FaceTrack,
    units: Units,
    speech: Track,
    frames: NDArray[np.int64],
    shift_ms: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mouth shapes (frames, 9) in eye distances for the new speech, and the speaker's spread (9,).

    The predictions are brought to the distribution the speaker's own mouth has while talking,
    shape by shape and rank by rank: a regression alone would mumble, and would never quite close
    the lips. Where the speech is silent the mouth takes its rest shape.
    """
    rate = material.info.frame_rate
    shapes = units.shapes[units.usable]
    model = _learned(material, faces, units)
    context = round(_CONTEXT_S * rate)
    around = np.arange(
        max(0, frames[0] - context), min(material.info.frames, frames[-1] + 1 + context)
    )
    sound = _sound(speech, around, rate)
    shift_s = -shift_ms / 1000 - _LEAD_S
    predicted = at_frames(model.predict(speech_features(sound)), around - around[0], rate, shift_s)
    speaking = at_frames(speech_gate(sound)[:, None], around - around[0], rate, shift_s)[:, 0]
    if (speaking > 0.5).any():
        for column in range(predicted.shape[1]):
            predicted[:, column] = _ranked(
                predicted[:, column], predicted[speaking > 0.5, column], shapes[:, column]
            )
    rest = _rest_shape(shapes)
    wanted = rest + speaking[:, None] * (predicted - rest)
    inside = slice(int(frames[0] - around[0]), int(frames[-1] + 1 - around[0]))
    return wanted[inside], np.maximum(shapes.std(0), 1e-3)


def _learned(material: Material, faces: FaceTrack, units: Units) -> MouthModel:
    """The pooled model, refitted on the shot where the shot shows its speaker talking in sync."""
    pooled = pooled_model()
    rate = material.info.frame_rate
    if material.sound is None or len(units.usable) < _LEAST_LEARNING_S * rate:
        return pooled
    frames = faces.first_frame + np.arange(len(units.usable))
    sound = _sound(material.sound, frames, rate)
    scorer = LandmarkScorer()
    score = scorer.score([scorer.compare(faces, rate, sound)])
    if score.offset_frames is None:
        return pooled
    # the film's own offset is taken out first, or it would be learned
    features = at_frames(
        speech_features(sound), frames - frames[0], rate, -score.offset_frames / 25
    )
    talking = units.usable & (
        at_frames(speech_gate(sound)[:, None], frames - frames[0], rate)[:, 0] > 0.5
    )
    if talking.sum() < _LEAST_LEARNING_S * rate:
        return pooled
    shapes = units.shapes[talking]
    standard = (shapes - shapes.mean(0)) / np.maximum(shapes.std(0), 1e-6)
    return pooled.refitted(features[talking], standard, prior=1000.0)


def _sound(track: Track, frames: NDArray[np.int64], rate: Fraction) -> NDArray[np.float32]:
    first = sample_of_frame(int(frames[0]), rate, ANALYSIS_RATE)
    last = sample_of_frame(int(frames[-1]) + 1, rate, ANALYSIS_RATE)
    return track.read(first, last)[:, 0]


def _rest_shape(shapes: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of the most closed tenth of the speaker's mouths."""
    gap = shapes[:, 0]
    return shapes[gap <= np.percentile(gap, 10)].mean(0)


def _ranked(
    values: NDArray[np.float64], reference: NDArray[np.float64], model: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Each value replaced by the model's value of the same rank among the reference."""
    ranks = np.linspace(0, 1, 101)
    return np.interp(values, np.quantile(reference, ranks), np.quantile(model, ranks))
