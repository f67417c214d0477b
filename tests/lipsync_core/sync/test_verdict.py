"""Three gates decide whether a rendered segment passes, is repaired or wants a look."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from face_factory import face_track, recorded_words, speaking_faces, still_faces

from lipsync_core.faces.landmarks import FaceTrack
from lipsync_core.faces.mouth import mouth_shapes
from lipsync_core.media.audio import ANALYSIS_RATE
from lipsync_core.sync.landmark import LandmarkScorer
from lipsync_core.sync.verdict import Judgement, Moved, judge

RATE = Fraction(25)
SCORER = LandmarkScorer()
WORDS = recorded_words("speech_a", 9)


def measured(faces: FaceTrack, sound: Any = WORDS) -> dict[str, Any]:
    return SCORER.compare(faces, RATE, sound[: len(faces.points) * 640])


def mouth(seconds: float = 9, *, late_ms: float = 0, noise: float = 0) -> FaceTrack:
    """A mouth that follows the words, so many milliseconds late, with so much of its own will."""
    samples = round(late_ms / 1000 * ANALYSIS_RATE)
    sound = np.pad(WORDS, 16_000)[16_000 - samples :]
    faces = speaking_faces(sound, round(seconds * 25), RATE)
    wild = np.random.default_rng(2).normal(0, noise, faces.points.shape)
    return FaceTrack((faces.points + wild).astype(np.float32))


GOOD = measured(mouth())


def judged(
    rendered: dict[str, Any],
    source: dict[str, Any] | None = GOOD,
    motion: float = 1.0,
    change: float = 1.0,
    others: list[dict[str, Any]] | None = None,
) -> Judgement:
    film = [rendered] if others is None else others
    return judge(rendered, source, Moved(motion, change), film, SCORER)


def test_lips_that_follow_the_speech_pass() -> None:
    found = judged(GOOD)
    assert found.passes
    assert (found.reason, found.repair_ms) == ("", None)
    assert found.score.in_sync
    assert found.source == found.score


def test_a_film_without_sound_of_its_own_can_pass() -> None:
    assert judged(GOOD, source=None).passes


@pytest.mark.parametrize("late_ms", [120, -120])
def test_a_constant_offset_is_to_be_taken_out_of_the_mouth(late_ms: float) -> None:
    found = judged(measured(mouth(late_ms=late_ms)))
    assert not found.passes
    assert found.repair_ms == pytest.approx(-late_ms, abs=15)  # a late mouth is moved earlier
    assert found.reason == f"off by {found.score.offset_frames:+.1f} frames"


def test_the_repair_repairs() -> None:
    found = judged(measured(mouth(late_ms=90)))
    assert found.repair_ms is not None
    assert judged(measured(mouth(late_ms=90 + found.repair_ms))).passes


def test_an_offset_of_half_a_frame_passes() -> None:
    assert judged(measured(mouth(late_ms=20))).passes


def test_a_mouth_that_hardly_moves_wants_a_look() -> None:
    found = judged(GOOD, motion=0.2)
    assert not found.passes
    assert (found.reason, found.repair_ms) == ("the mouth hardly moves", None)


def test_much_less_agreement_than_the_source_wants_a_look() -> None:
    weak = measured(mouth(noise=6))
    share = SCORER.score([weak]).confidence / SCORER.score([GOOD]).confidence
    assert share < 0.6
    found = judged(weak)
    assert not found.passes
    assert found.reason == f"agreement is {share:.0%} of the source's own"
    assert judged(weak, source=weak).passes


def test_a_source_out_of_sync_with_itself_is_no_yardstick() -> None:
    wrong_sound = SCORER.compare(mouth(), RATE, recorded_words("speech_b", 9))
    assert judged(measured(mouth(noise=6)), source=wrong_sound).passes


def test_a_segment_too_short_alone_is_judged_with_the_film() -> None:
    short = measured(mouth(0.8))
    found = judged(short, source=None, others=[short, GOOD])
    assert found.passes
    assert found.reason == "judged with the whole film (only 0.8 s long)"


def test_a_short_segment_of_a_late_film_is_repaired_with_it() -> None:
    short, late = measured(mouth(0.8)), measured(mouth(late_ms=120))
    found = judged(short, source=None, others=[short, late])
    assert not found.passes
    assert found.repair_ms == pytest.approx(-120, abs=15)


NOTHING = "nothing was changed: the mouth moves as in the source"


def test_a_film_given_back_as_it_was_wants_a_look() -> None:
    weak = measured(mouth(noise=6))
    assert judged(weak, change=0.1).reason == NOTHING
    late = judged(measured(mouth(late_ms=120)), change=0.1)
    assert (late.passes, late.repair_ms, late.reason) == (False, None, NOTHING)


def test_a_short_segment_given_back_as_it_was_does_not_hide_behind_the_film() -> None:
    short = measured(mouth(0.8))
    found = judged(short, source=None, change=0.1, others=[short, GOOD])
    assert (found.passes, found.reason) == (False, NOTHING)


def test_a_mouth_that_said_these_words_already_may_stay_as_it_was() -> None:
    assert judged(GOOD, change=0.1).passes


@pytest.mark.parametrize(
    ("rendered", "why"),
    [
        (measured(still_faces(225)), "the mouth does not move"),
        (measured(face_track(np.full((225, 4), np.nan))), "no face in most frames"),
        (measured(mouth(), np.zeros(9 * ANALYSIS_RATE, np.float32)), "no speech"),
        (measured(mouth(), recorded_words("speech_b", 9)), "agreement no better than chance"),
    ],
)
def test_without_evidence_nothing_passes(rendered: dict[str, Any], why: str) -> None:
    found = judged(rendered)
    assert not found.passes
    assert found.repair_ms is None
    assert found.reason == f"no evidence of sync: {why}"


def test_the_mouths_of_these_tests_are_mouths() -> None:
    gap = mouth_shapes(mouth().points)[:, 0]
    assert 0.02 < gap.std() < 0.1
