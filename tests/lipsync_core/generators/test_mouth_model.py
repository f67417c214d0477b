"""From sound to mouth: the shipped model, and how it becomes a speaker's own."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from face_factory import recorded_words

from lipsync_core.generators.mouth_model import (
    FEATURES,
    MouthModel,
    at_frames,
    pooled_model,
    speech_features,
)
from lipsync_core.media.audio import ANALYSIS_RATE


@pytest.fixture(scope="module")
def features() -> Any:
    return speech_features(recorded_words("speech_a"))


def speaker(features: Any, noise: float = 0.0) -> tuple[MouthModel, Any]:
    """Somebody whose mouth follows the sound in a way of their own, and their shapes."""
    random = np.random.default_rng(8)
    weights = pooled_model().weights + random.normal(0, 0.05, pooled_model().weights.shape)
    own = MouthModel(weights, pooled_model().spread)
    shapes = own.predict(features)
    return own, shapes + random.normal(0, noise, shapes.shape)


def test_features_come_every_ten_milliseconds(features: Any) -> None:
    rows = len(recorded_words("speech_a")) // 160 + 1
    assert features.shape == (rows, FEATURES)
    assert np.isfinite(features).all()


def test_loudness_does_not_change_the_mouth(features: Any) -> None:
    quiet = speech_features(recorded_words("speech_a") * np.float32(0.1))
    shapes, others = pooled_model().predict(features), pooled_model().predict(quiet)
    for one, other in zip(shapes.T, others.T, strict=True):
        assert np.corrcoef(one, other)[0, 1] > 0.98


def test_the_mouth_is_open_in_words_and_shut_between_them() -> None:
    words = recorded_words("speech_a", 3)
    silence = np.zeros(ANALYSIS_RATE, np.float32)
    gap = pooled_model().predict(speech_features(np.concatenate([silence, words, silence])))[:, 0]
    assert gap[120:380].mean() > gap[20:80].mean() + 0.5


@pytest.mark.parametrize("seconds", [0, 1 / ANALYSIS_RATE, 0.05])
def test_the_shortest_sound_has_features(seconds: float) -> None:
    sound = np.zeros(round(seconds * ANALYSIS_RATE), np.float32)
    shapes = pooled_model().predict(speech_features(sound))
    assert len(shapes) == len(sound) // 160 + 1
    assert np.isfinite(shapes).all()


def test_a_frame_shows_what_is_heard_when_it_appears() -> None:
    rows = np.arange(200.0)[:, None]
    frames = np.array([0, 1, 24, 25, 47])
    assert at_frames(rows, frames, Fraction(24000, 1001))[:, 0].tolist() == [0, 4, 100, 104, 196]
    assert at_frames(rows, frames, Fraction(25))[:, 0].tolist() == [0, 4, 96, 100, 188]


def test_a_shift_looks_into_the_future() -> None:
    rows = np.arange(200.0)[:, None]
    assert at_frames(rows, np.array([10]), Fraction(25), 0.08).tolist() == [[48]]
    assert at_frames(rows, np.array([10]), Fraction(25), -0.08).tolist() == [[32]]


def test_beyond_both_ends_the_last_mouth_is_held() -> None:
    rows = np.arange(10.0)[:, None]
    assert at_frames(rows, np.array([0, 100]), Fraction(25), -1.0)[:, 0].tolist() == [0, 9]


def test_much_material_makes_the_model_the_speaker_s_own(features: Any) -> None:
    own, shapes = speaker(features)
    refitted = pooled_model().refitted(features, shapes, prior=1e-3)
    assert np.abs(refitted.predict(features) - own.predict(features)).max() < 0.02


def test_without_material_the_model_stays(features: Any) -> None:
    _, shapes = speaker(features)
    assert pooled_model().refitted(features[:0], shapes[:0]).weights == pytest.approx(
        pooled_model().weights
    )
    _, shapes = speaker(features[:3])
    nearly = pooled_model().refitted(features[:3], shapes, prior=1e6)
    assert nearly.weights == pytest.approx(pooled_model().weights, abs=1e-2)


def test_a_little_noisy_material_does_not_spoil_the_model(features: Any) -> None:
    own, shapes = speaker(features, noise=1.0)
    truth, before = own.predict(features), pooled_model().predict(features)
    leaning = pooled_model().refitted(features[:100], shapes[:100], prior=300).predict(features)
    alone = pooled_model().refitted(features[:100], shapes[:100], prior=1e-3).predict(features)
    assert error(leaning, truth) < error(before, truth) < error(alone, truth)


def error(one: Any, other: Any) -> float:
    return float(((one - other) ** 2).mean())
