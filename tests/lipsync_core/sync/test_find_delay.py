"""Where the sound belongs, told from scores alone: votes, far searches, drifts and oscillation."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lipsync_core.sync.delay import Answer, find_delay, vote
from lipsync_core.sync.tracks import FilmScore, TrackScore

Offset = float | None


def track(
    offset: Offset, frames: int = 100, confidence: float = 1.5, *, speaks: bool | None = True
) -> TrackScore:
    return TrackScore(
        first_frame=0, last_frame=frames, offset_frames=offset,
        offset_ms=None if offset is None else 40 * offset, confidence=confidence, distance=1.0,
        in_sync=offset is not None and abs(offset) <= 1,
        evidence="ok" if offset is not None else "agreement no better than chance",
        drift_ms_per_s=None, speaks=speaks,
    )  # fmt: skip


def scored(*tracks: TrackScore, drifts: bool = False, agreeing: int = 9) -> FilmScore:
    best = max(tracks, key=lambda one: one.confidence, default=track(None))
    return FilmScore(
        **best.model_dump(), frame_rate="25", scorer="made up", drifts=drifts, windows=9,
        agreeing_windows=agreeing,
        verdict="the sound drifts" if drifts else "as measured", tracks=tracks,
    )  # fmt: skip


def film_with(offset: float, reach: float = 15.0) -> Callable[[float], FilmScore]:
    """Measures perfectly what lies within reach, and nothing beyond."""

    def measure(delay_ms: float) -> FilmScore:
        left = offset - delay_ms / 40
        return scored(track(left if abs(left) < reach else None, confidence=2 - abs(left) / 100))

    return measure


@pytest.mark.parametrize("offset", [-12.0, -3.0, 0.7, 3.0, 12.0])
def test_a_delay_is_found_with_two_measurements(offset: float) -> None:
    found = find_delay(film_with(offset))
    assert (found.answer, found.measurements) == (Answer.CORRECTED, 2)
    assert found.delay_ms == pytest.approx(40 * offset)
    assert found.after.offset_frames == pytest.approx(0)


@pytest.mark.parametrize("offset", [-0.4, 0.0, 0.4])
def test_what_is_in_sync_is_left_alone(offset: float) -> None:
    found = find_delay(film_with(offset))
    assert (found.answer, found.delay_ms, found.measurements) == (Answer.ALREADY_IN_SYNC, 0, 1)


@pytest.mark.parametrize("offset", [-100.0, 55.0])
def test_sound_out_of_reach_is_looked_for(offset: float) -> None:
    asked: list[float] = []

    def measure(delay_ms: float) -> FilmScore:
        asked.append(delay_ms)
        return film_with(offset)(delay_ms)

    found = find_delay(measure)
    assert found.answer is Answer.CORRECTED
    assert found.delay_ms == pytest.approx(40 * offset)
    assert found.measurements == len(asked) == len(set(asked))  # no place is measured twice


def test_far_away_windows_that_disagree_are_no_evidence() -> None:
    def measure(delay_ms: float) -> FilmScore:
        return scored(track(2.0 if delay_ms >= 3000 else None), agreeing=4)

    assert find_delay(measure).answer is Answer.NO_EVIDENCE


def test_without_evidence_nothing_is_moved_and_the_reason_told() -> None:
    found = find_delay(lambda _: scored(track(None)))
    assert (found.answer, found.delay_ms) == (Answer.NO_EVIDENCE, 0)
    assert found.why == "agreement no better than chance"
    assert find_delay(lambda _: scored()).answer is Answer.NO_EVIDENCE


def test_a_drift_is_no_delay() -> None:
    found = find_delay(lambda _: scored(track(4.0), drifts=True))
    assert (found.answer, found.why) == (Answer.DRIFT, "the sound drifts")


def test_to_and_fro_ends_at_the_better_place() -> None:
    """A scorer that says +2 on one side and −0.9 on the other would move the sound for ever."""
    asked: list[float] = []

    def measure(delay_ms: float) -> FilmScore:
        asked.append(delay_ms)
        return scored(track(2.0 if delay_ms < 60 else -0.9))

    found = find_delay(measure, most_measurements=30)
    assert found.answer is Answer.CORRECTED
    assert found.after.offset_frames == -0.9
    assert len(asked) < 6


def test_sound_that_never_stands_still_is_no_evidence() -> None:
    found = find_delay(lambda delay_ms: scored(track(3.0 if delay_ms < 60 else -3.0)), 5)
    assert found.answer is Answer.NO_EVIDENCE
    assert "does not stand still" in found.why


@pytest.mark.parametrize(
    ("tracks", "offset"),
    [
        ([track(3.0), track(4.0)], 3.5),  # neighbours support each other
        ([track(3.0, frames=300), track(-8.0, frames=60)], 3.0),  # one who listens
        ([track(3.0), track(None, frames=900)], 3.0),  # no answer is no vote
        ([track(3.0, confidence=2.0), track(-8.0, confidence=0.7)], 3.0),
        ([track(3.0), track(-8.0, frames=900, speaks=False)], 3.0),  # nor has who is silent one
    ],
)  # fmt: skip
def test_faces_vote_with_the_weight_of_their_evidence(
    tracks: list[TrackScore], offset: float
) -> None:
    assert vote(scored(*tracks))[0] == pytest.approx(offset)


def test_faces_that_disagree_give_no_answer() -> None:
    offset, why = vote(scored(track(3.0), track(-8.0)))
    assert offset is None
    assert why.startswith("the faces disagree: 50% of the evidence lies within a frame of")
