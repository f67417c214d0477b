"""Frame arithmetic is exact: no gap, no overlap, no drift."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipsync_core.errors import InputError, TimelineBroken
from lipsync_core.timeline import (
    Cut,
    Segment,
    Timeline,
    frame_of_seconds,
    sample_of_frame,
)

NTSC_FILM = Fraction(24000, 1001)
RATES = [
    NTSC_FILM, Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(50),
    Fraction(60000, 1001), Fraction(12), Fraction(15),
]  # fmt: skip
SAMPLE_RATES = [8000, 16_000, 22_050, 44_100, 48_000, 96_000]

rates = st.sampled_from(RATES) | st.fractions(Fraction(1), Fraction(240), max_denominator=1001)
sample_rates = st.sampled_from(SAMPLE_RATES)


@st.composite
def timelines(draw: st.DrawFn) -> Timeline:
    frames = draw(st.integers(1, 5000))
    cuts = draw(st.lists(st.integers(0, frames), max_size=12))
    return Timeline.from_cuts([Cut(frame) for frame in cuts], frames, draw(rates))


@given(timelines(), sample_rates)
def test_segments_cover_every_sample_once(timeline: Timeline, sample_rate: int) -> None:
    lengths = [
        timeline.sample(s.last_frame, sample_rate) - timeline.sample(s.first_frame, sample_rate)
        for s in timeline.segments
    ]
    assert min(lengths) > 0
    assert sum(lengths) == timeline.sample(timeline.frames, sample_rate)


@given(st.integers(0, 10_000_000), rates, sample_rates)
def test_a_sample_is_never_more_than_half_a_sample_off(
    frame: int, rate: Fraction, sample_rate: int
) -> None:
    exact = frame / rate * sample_rate
    off = sample_of_frame(frame, rate, sample_rate) - exact
    assert Fraction(-1, 2) < off <= Fraction(1, 2)


def test_a_hundred_thousand_frames_of_ntsc_film_do_not_drift() -> None:
    samples = [sample_of_frame(frame, NTSC_FILM, 44_100) for frame in range(100_001)]
    lengths = {b - a for a, b in pairwise(samples)}
    assert lengths == {1839, 1840}  # 1839.3375 on average
    assert samples[-1] == 183_933_750  # 100,000 · 44,100 · 1001 / 24,000, a whole number


def test_half_a_sample_rounds_up() -> None:
    # 3 samples a second at 2 frames a second: frame 1 lies at 1.5, frame 3 at 4.5
    assert [sample_of_frame(frame, Fraction(2), 3) for frame in range(5)] == [0, 2, 3, 5, 6]
    # 220,720.5: rounding to even, as Python's round does, would give 220,720
    assert sample_of_frame(120, NTSC_FILM, 44_100) == 220_721


@given(st.integers(0, 1_000_000), rates)
def test_the_frame_on_screen_when_a_frame_appears_is_that_frame(frame: int, rate: Fraction) -> None:
    assert frame_of_seconds(frame / rate, rate) == frame


def test_the_frame_before_stays_on_screen_until_the_next_appears() -> None:
    assert frame_of_seconds(0.0399, Fraction(25)) == 0
    assert frame_of_seconds(0.04001, Fraction(25)) == 1


def test_cuts_at_the_ends_or_given_twice_do_no_harm() -> None:
    cuts = [Cut(frame) for frame in (100, 0, 40, 40, 40)]
    timeline = Timeline.from_cuts(cuts, 100, Fraction(25))
    assert [(s.index, s.first_frame, s.last_frame) for s in timeline.segments] == [
        (0, 0, 40),
        (1, 40, 100),
    ]


def test_a_film_without_cuts_is_one_segment() -> None:
    assert Timeline.from_cuts([], 7, Fraction(25)).segments == (Segment(0, 0, 7),)


@pytest.mark.parametrize("frame", [-1, 101])
def test_a_cut_outside_the_film_is_named(frame: int) -> None:
    with pytest.raises(InputError, match=rf"cut at frame {frame} is outside the film's 100"):
        Timeline.from_cuts([Cut(frame)], 100, Fraction(25))


@pytest.mark.parametrize(
    ("spans", "complaint"),
    [
        ([(0, 10), (11, 20)], r"segment 1 is \[11, 20\) but frame 10 comes next"),
        ([(0, 10), (9, 20)], r"segment 1 is \[9, 20\) but frame 10 comes next"),
        ([(1, 20)], r"segment 0 is \[1, 20\) but frame 0 comes next"),
        ([(0, 10), (10, 10), (10, 20)], r"segment 1 is \[10, 10\)"),
        ([(0, 19)], r"segments end at frame 19 of 20"),
        ([], r"segments end at frame 0 of 20"),
    ],
)
def test_gaps_overlaps_and_missed_ends_are_refused(
    spans: list[tuple[int, int]], complaint: str
) -> None:
    segments = tuple(Segment(index, *span) for index, span in enumerate(spans))
    with pytest.raises(TimelineBroken, match=complaint):
        Timeline(Fraction(25), 20, segments)


def test_segments_must_be_numbered_in_order() -> None:
    with pytest.raises(TimelineBroken, match="segment 5 stands at place 0"):
        Timeline(Fraction(25), 20, (Segment(5, 0, 20),))


def test_a_long_segment_is_divided_at_the_silences_nearest_to_the_target() -> None:
    timeline = Timeline.from_cuts([], 1000, Fraction(25))
    divided = timeline.divided([60, 220, 270, 480, 555, 760, 990], 250, 25)
    # 250 wanted: 270 is nearest; then 520: 555; the rest, 445, is longer than 1.5 targets: 760
    assert edges(divided) == [0, 270, 555, 760, 1000]


def test_a_segment_without_a_silence_stays_whole() -> None:
    timeline = Timeline.from_cuts([], 1000, Fraction(25))
    assert timeline.divided([10, 995], 250, 25) == timeline
    assert timeline.divided([], 250, 25) == timeline


def test_a_segment_up_to_one_and_a_half_targets_stays_whole() -> None:
    candidates = list(range(0, 400, 10))
    assert len(Timeline.from_cuts([], 375, Fraction(25)).divided(candidates, 250, 25).segments) == 1
    assert len(Timeline.from_cuts([], 376, Fraction(25)).divided(candidates, 250, 25).segments) == 2


@given(timelines(), st.lists(st.integers(0, 5000), max_size=60), st.integers(1, 300), st.data())
def test_dividing_keeps_the_cuts_and_makes_no_scraps(
    timeline: Timeline, candidates: list[int], target: int, data: st.DataObject
) -> None:
    minimum = data.draw(st.integers(1, target))
    divided = timeline.divided(candidates, target, minimum)
    added = set(edges(divided)) - set(edges(timeline))
    assert set(edges(timeline)) <= set(edges(divided))
    assert added <= set(candidates)
    for segment in divided.segments:
        if {segment.first_frame, segment.last_frame} & added:
            assert segment.frames >= minimum


def edges(timeline: Timeline) -> list[int]:
    return [0, *(s.last_frame for s in timeline.segments)]
