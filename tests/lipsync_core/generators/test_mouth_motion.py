"""What mouth a speech asks for, whatever part of it is asked about."""

from __future__ import annotations

from fractions import Fraction
from importlib import resources
from typing import Any

import numpy as np
import pytest
import soundfile

from lipsync_core.generators.mouth_motion import (
    HEARS_S,
    MouthMotion,
    mouth_motion,
    speech_gate,
)
from lipsync_core.media.audio import ANALYSIS_RATE

RATE = Fraction(25)


@pytest.fixture(scope="module")
def speech() -> Any:
    with resources.as_file(resources.files("lipsync_core.demo") / "speech_a.wav") as path:
        return soundfile.read(path, dtype="float32")[0]


@pytest.fixture(scope="module")
def minute(speech: Any) -> Any:
    return np.resize(speech, 60 * ANALYSIS_RATE)


def motion_of(sound: Any) -> MouthMotion:
    return MouthMotion(lambda first, last: sound[first:last], len(sound))


def test_silence_asks_for_a_shut_mouth() -> None:
    motion = mouth_motion(np.zeros(3 * ANALYSIS_RATE, np.float32), 60, RATE)
    assert motion.shape == (60, 4)
    assert (motion == 0).all()


def test_a_steady_hiss_is_no_speech_however_loud() -> None:
    hiss = np.random.default_rng(1).normal(0, 0.05, 4 * ANALYSIS_RATE).astype(np.float32)
    assert (mouth_motion(hiss, 100, RATE) == 0).all()


def test_a_pause_between_words_shuts_the_mouth(speech: Any) -> None:
    words = speech[ANALYSIS_RATE // 4 : ANALYSIS_RATE * 2]
    hiss = np.random.default_rng(1).normal(0, 1e-4, ANALYSIS_RATE).astype(np.float32)
    motion = mouth_motion(np.concatenate([words, hiss, words]), 112, RATE)
    pause = slice(50, 62)  # 0.25 s inside the hiss at both ends
    assert np.abs(motion[pause]).max() < 1e-3
    assert motion[:40, 0].mean() > 0.03


def test_a_short_dip_between_loud_vowels_brings_the_lips_together() -> None:
    times = np.arange(2 * ANALYSIS_RATE) / ANALYSIS_RATE
    vowel = 0.2 * sum(np.sin(2 * np.pi * f * times) / f for f in (120, 240, 720, 1200)) * 120
    stops = np.abs(times[:, None] - [0.7, 1.2]).min(1) < 0.05
    said = np.where(stops, 0.002, 1.0) * vowel
    said[: ANALYSIS_RATE // 4] = 0
    gap = motion_of(said.astype(np.float32)).shapes(np.arange(50), RATE)[:, 0]
    assert gap[[18, 30]].max() < 0.3 * gap[[13, 22, 25, 34]].min()


def test_the_mouth_opens_widely_and_often_comes_near_to_shut(minute: Any) -> None:
    gap = motion_of(minute).shapes(np.arange(1500), RATE)[:, 0]
    assert 0.12 < np.quantile(gap, 0.95) < 0.2
    assert 0.05 < (gap < 0.01).mean() < 0.35


def test_the_parts_of_a_speech_agree_with_the_whole_bit_for_bit(minute: Any) -> None:
    whole = motion_of(minute).shapes(np.arange(1500), RATE)
    for first, last in ((0, 40), (333, 700), (700, 701), (1400, 1500)):
        part = motion_of(minute).shapes(np.arange(first, last), RATE)
        assert (part == whole[first:last]).all()


def test_what_is_said_too_far_away_to_be_heard_changes_nothing(minute: Any) -> None:
    first, last = 25 * 25, 35 * 25  # 25 s to 35 s
    other = minute.copy()
    heard = slice(round((25 - HEARS_S) * ANALYSIS_RATE), round((35 + HEARS_S) * ANALYSIS_RATE))
    other[: heard.start] = 0
    other[heard.stop :] *= -0.01
    frames = np.arange(first, last)
    for shift_s in (-0.6, 0.0, 0.6):
        here = motion_of(minute).shapes(frames, RATE, shift_s)
        assert (motion_of(other).shapes(frames, RATE, shift_s) == here).all()


def test_an_hour_is_read_a_window_at_a_time() -> None:
    asked: list[tuple[int, int]] = []

    def hear(first: int, last: int) -> Any:
        asked.append((first, last))
        return np.zeros(last - first, np.float32)

    motion = MouthMotion(hear, 3600 * ANALYSIS_RATE)
    for first in range(80_000, 80_500, 50):
        motion.shapes(np.arange(first, first + 50), RATE)
    assert max(last - first for first, last in asked) <= 20 * ANALYSIS_RATE
    assert len(asked) == len(set(asked)) < 12


def test_the_mouth_follows_later_when_told_to(minute: Any) -> None:
    frames = np.arange(100, 400)
    usual = motion_of(minute).shapes(frames, RATE)
    later = motion_of(minute).shapes(frames, RATE, -0.2)
    assert (later[5:] == usual[:-5]).all()


def test_a_sound_of_one_sample_is_survived() -> None:
    assert len(speech_gate(np.zeros(1, np.float32))) == 1
    assert mouth_motion(np.zeros(1, np.float32), 3, RATE).shape == (3, 4)
