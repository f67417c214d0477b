"""The landmark scorer on mouths whose sound is known, shifted by a known time."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from face_factory import face_track, recorded_words, speaking_faces, still_faces, without_faces

from lipsync_core.faces.landmarks import FaceTrack
from lipsync_core.media.audio import ANALYSIS_RATE
from lipsync_core.sync.landmark import LandmarkScorer, shipped_projection
from lipsync_core.sync.score import SyncScore

RATE = Fraction(25)
FRAMES = 225  # 9 s


@pytest.fixture(scope="module")
def words() -> Any:
    return recorded_words("speech_a", 9)


@pytest.fixture(scope="module")
def other_words() -> Any:
    return recorded_words("speech_b", 9)


@pytest.fixture(scope="module")
def faces(words: Any) -> FaceTrack:
    return speaking_faces(words, FRAMES, RATE)


@pytest.fixture(scope="module")
def in_step(faces: FaceTrack, words: Any) -> SyncScore:
    return score(faces, words)


def score(faces: FaceTrack, sound: Any, rate: Fraction = RATE) -> SyncScore:
    scorer = LandmarkScorer()
    return scorer.score([scorer.compare(faces, rate, sound)])


def early_by(sound: Any, milliseconds: float) -> Any:
    """The sound begun too early (or, below 0, too late), its length kept."""
    samples = round(milliseconds / 1000 * ANALYSIS_RATE)
    padded = np.pad(sound, abs(samples))
    return padded[abs(samples) + samples :][: len(sound)]


def test_a_mouth_that_follows_its_sound_is_in_sync(in_step: SyncScore) -> None:
    assert in_step.in_sync
    assert in_step.evidence == "ok"
    assert in_step.offset_ms == pytest.approx(0, abs=15)
    assert in_step.confidence > 2


@pytest.mark.parametrize("milliseconds", [480, 200, 80, 40, 10, 3, -3, -10, -40, -80, -200, -480])
def test_the_offset_is_how_early_the_sound_is_to_a_few_milliseconds(
    faces: FaceTrack, words: Any, in_step: SyncScore, milliseconds: float
) -> None:
    found = score(faces, early_by(words, milliseconds))
    assert found.offset_ms is not None
    assert in_step.offset_ms is not None
    assert found.offset_ms - in_step.offset_ms == pytest.approx(milliseconds, abs=3)
    assert found.offset_frames == pytest.approx(found.offset_ms / 40)


def test_early_sound_is_positive_and_more_than_a_frame_is_out_of_sync(
    faces: FaceTrack, words: Any
) -> None:
    early, late = score(faces, early_by(words, 120)), score(faces, early_by(words, -120))
    assert early.offset_frames == pytest.approx(3, abs=0.4)
    assert late.offset_frames == pytest.approx(-3, abs=0.4)
    assert not early.in_sync
    assert not late.in_sync


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(30), Fraction(50), Fraction(12)])
def test_an_offset_is_the_same_at_every_frame_rate(words: Any, rate: Fraction) -> None:
    faces = speaking_faces(words, int(9 * rate), rate)
    found = score(faces, early_by(words, 80), rate)
    assert found.offset_frames == pytest.approx(2 - 0.25, abs=0.1)  # the mouth leads by 10 ms
    assert found.confidence > 2


def test_the_size_of_the_face_does_not_matter(words: Any, in_step: SyncScore) -> None:
    small = score(speaking_faces(words, FRAMES, RATE, eyes_px=40), words)
    assert small.offset_frames == pytest.approx(in_step.offset_frames, abs=0.02)
    assert small.confidence == pytest.approx(in_step.confidence, abs=0.02)


def test_the_loudness_of_the_sound_does_not_matter(
    faces: FaceTrack, words: Any, in_step: SyncScore
) -> None:
    quiet = score(faces, words * np.float32(0.05))
    assert quiet.offset_frames == pytest.approx(in_step.offset_frames, abs=0.05)
    assert quiet.confidence == pytest.approx(in_step.confidence, abs=0.1)


@pytest.mark.parametrize("seconds", [2, 3, 5, 9])
def test_other_words_give_no_answer(faces: FaceTrack, other_words: Any, seconds: int) -> None:
    part = FaceTrack(faces.points[: seconds * 25])
    found = score(part, other_words[: seconds * ANALYSIS_RATE])
    assert_no_answer(found, "agreement no better than chance")


def test_an_offset_beyond_its_reach_gives_no_answer(faces: FaceTrack, words: Any) -> None:
    assert_no_answer(score(faces, early_by(words, 640)), "offset beyond ±0.6 s or no match")


def test_a_still_mouth_gives_no_answer(words: Any) -> None:
    assert_no_answer(score(still_faces(FRAMES), words), "the mouth does not move")
    drifting = still_faces(FRAMES).points + np.linspace(0, 40, FRAMES, dtype="f4")[:, None, None]
    assert_no_answer(score(FaceTrack(drifting), words), "the mouth does not move")


def test_a_steady_hum_gives_no_answer(faces: FaceTrack) -> None:
    time = np.arange(9 * ANALYSIS_RATE) / ANALYSIS_RATE
    for hum in (np.full(len(time), 0.3), 0.3 * np.sin(2 * np.pi * 100 * time)):
        found = score(faces, hum.astype(np.float32))
        assert found.offset_frames is None
        assert not found.in_sync


def test_a_mouth_that_jitters_gives_no_answer(words: Any) -> None:
    random = np.random.default_rng(3)
    mouths = np.array([0.05, 0.8, 0.6, 0.25]) + random.normal(0, 0.01, (FRAMES, 4))
    assert score(face_track(mouths), words).in_sync is False
    assert score(face_track(mouths), words).offset_frames is None


def test_no_face_gives_no_answer(faces: FaceTrack, words: Any) -> None:
    assert_no_answer(score(without_faces(faces, slice(None)), words), "no face in most frames")
    mostly = without_faces(faces, slice(0, FRAMES // 2 + 1))
    assert_no_answer(score(mostly, words), "no face in most frames")


def test_a_few_frames_without_a_face_are_bridged(
    faces: FaceTrack, words: Any, in_step: SyncScore
) -> None:
    random = np.random.default_rng(5)
    gaps = without_faces(faces, random.random(FRAMES) < 0.1)
    found = score(gaps, words)
    assert found.in_sync
    assert found.offset_frames == pytest.approx(in_step.offset_frames, abs=0.1)


def test_less_than_a_second_is_not_measured(faces: FaceTrack, words: Any) -> None:
    short = score(FaceTrack(faces.points[:24]), words[: 24 * 640])
    assert_no_answer(short, "only 1.0 s long")
    assert_no_answer(score(FaceTrack(faces.points[:1]), words[:640]), "no face in most")


def test_a_second_is_too_short_to_answer_alone_but_counts_with_others(
    faces: FaceTrack, words: Any
) -> None:
    scorer, seconds = LandmarkScorer(), pieces(faces, words, 25)
    spoken = [measured for measured in seconds if measured["evidence"] == "ok"]
    assert {scorer.score([one]).offset_frames for one in spoken} == {None}
    assert "only 1.0 s long" in {scorer.score([one]).evidence for one in spoken}
    assert scorer.score(spoken).in_sync


@pytest.mark.parametrize("level", [0.0, 0.0005])
def test_silence_gives_no_answer(faces: FaceTrack, level: float) -> None:
    noise = np.random.default_rng(1).uniform(-level, level, 9 * ANALYSIS_RATE).astype(np.float32)
    assert_no_answer(score(faces, noise), "no speech")


def test_sound_that_is_not_there_is_silence(faces: FaceTrack) -> None:
    assert_no_answer(score(faces, np.zeros(0, np.float32)), "no speech")


def test_nothing_measured_gives_no_answer() -> None:
    assert_no_answer(LandmarkScorer().score([]), "nothing measured")


def assert_no_answer(found: SyncScore, why: str) -> None:
    assert found.offset_frames is None
    assert found.offset_ms is None
    assert not found.in_sync
    assert why in found.evidence


def test_measurements_may_be_stored_as_json(
    faces: FaceTrack, words: Any, in_step: SyncScore
) -> None:
    scorer = LandmarkScorer()
    stored = json.loads(json.dumps(scorer.compare(faces, RATE, words)))
    assert scorer.score([stored]) == in_step


def test_spans_judged_together_add_up_in_any_order(faces: FaceTrack, words: Any) -> None:
    scorer, parts = LandmarkScorer(), pieces(faces, words, 45)
    together = scorer.score(parts)
    assert scorer.score(parts[::-1]).as_dict() == pytest.approx(together.as_dict())
    assert scorer.score(parts + parts).offset_frames == pytest.approx(together.offset_frames)
    assert scorer.score(parts + parts).confidence == pytest.approx(together.confidence)


def test_short_spans_together_say_what_the_whole_says(
    faces: FaceTrack, words: Any, in_step: SyncScore
) -> None:
    together = LandmarkScorer().score(pieces(faces, words, 45))
    assert together.in_sync
    assert together.offset_frames == pytest.approx(in_step.offset_frames, abs=0.15)


def test_a_span_without_evidence_takes_nothing_from_the_others(
    faces: FaceTrack, words: Any
) -> None:
    scorer, parts = LandmarkScorer(), pieces(faces, words, 75)
    silent = scorer.compare(faces, RATE, np.zeros_like(words))
    assert scorer.score([*parts, silent]) == scorer.score(parts)


def test_every_reason_is_told_once() -> None:
    scorer = LandmarkScorer()
    short = scorer.compare(still_faces(10), RATE, np.zeros(6400, np.float32))
    silent = scorer.compare(still_faces(50), RATE, np.zeros(32_000, np.float32))
    assert scorer.score([silent, short, silent]).evidence == "no speech; only 0.4 s long"


def test_a_short_span_needs_more_confidence_than_a_long_one() -> None:
    least = [shipped_projection().least_confidence(seconds) for seconds in (1, 2, 3, 5, 7, 30)]
    assert least == sorted(least, reverse=True)
    # as fitted: the wrong sound exceeds these in one window of twenty
    assert least[1:5] == pytest.approx([1.40, 1.21, 1.11, 0.92], abs=0.07)


def pieces(faces: FaceTrack, words: Any, frames: int) -> list[dict[str, Any]]:
    scorer = LandmarkScorer()
    return [
        scorer.compare(
            FaceTrack(faces.points[first : first + frames]),
            RATE,
            words[first * 640 : (first + frames) * 640],
        )
        for first in range(0, FRAMES, frames)
    ]
