"""A long speech is divided within bounds, and no word is cut that need not be."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipsync_core.errors import InputError
from lipsync_core.media.pauses import Pause, PauseKind
from lipsync_core.speech_plan import SpeechRules, plan_speech, rough_cuts
from lipsync_core.timeline import Timeline

LONG, SHORT, MOMENT = PauseKind
RATE = Fraction(25)


def place(frame: int, kind: PauseKind = LONG, level_db: float = -30.0) -> Pause:
    return Pause(frame / 25, frame / 25, frame, kind, level_db=level_db)


def cuts_of(timeline: Timeline) -> list[int]:
    return [segment.first_frame for segment in timeline.segments[1:]]


def lengths_of(timeline: Timeline) -> list[int]:
    return [segment.frames for segment in timeline.segments]


@st.composite
def rules_and_rates(draw: st.DrawFn) -> tuple[SpeechRules, Fraction]:
    minimum = draw(st.floats(0.1, 20))
    maximum = minimum * draw(st.floats(2, 8))
    target = draw(st.floats(minimum, maximum))
    rate = draw(st.sampled_from([Fraction(24000, 1001), RATE, Fraction(60), Fraction(1)]))
    return SpeechRules(target, minimum, maximum), rate


kinds = st.sampled_from(PauseKind)
levels = st.floats(-90, 10)


@given(
    rules_and_rates(),
    st.integers(1, 20_000),
    st.lists(st.builds(place, st.integers(-5, 21_000), kinds, levels), max_size=30),
)
def test_every_speech_is_divided_within_the_bounds(
    setting: tuple[SpeechRules, Fraction], frames: int, places: list[Pause]
) -> None:
    rules, rate = setting
    timeline = plan_speech(frames, rate, places, rules)
    least, _, most = rules.frames(rate)
    assert timeline.frames == frames
    assert timeline.frame_rate == rate
    edges = [s.first_frame for s in timeline.segments] + [timeline.segments[-1].last_frame]
    assert edges[0] == 0
    assert edges[-1] == frames
    assert all(a < b for a, b in pairwise(edges))
    if frames < least:
        assert len(timeline.segments) == 1
    else:
        assert least <= min(lengths_of(timeline))
        assert max(lengths_of(timeline)) <= most


@given(rules_and_rates())
def test_bounds_in_frames_are_the_bounds_in_seconds(setting: tuple[SpeechRules, Fraction]) -> None:
    rules, rate = setting
    least, target, most = rules.frames(rate)
    assert 1 <= least <= target <= most
    assert 2 * least <= most + 1  # so that any length divides
    assert most <= max(1, float(rules.maximum_s * rate) + 0.001)
    assert least > rules.minimum_s * rate - 0.501 or most <= 2


def test_seconds_are_meant_as_they_are_written() -> None:
    assert SpeechRules(2.0, 1.9, 3.8).frames(RATE) == (48, 50, 95)
    assert SpeechRules().frames(Fraction(24000, 1001)) == (360, 1079, 1438)


Grade = tuple[int, int, int, int, int]


def price(
    cuts: Sequence[int], frames: int, places: Iterable[Pause], bounds: tuple[int, int, int]
) -> Grade:
    """What a plan costs, told once more in the plainest way."""
    _, target, _ = bounds
    best: dict[int, Pause] = {}
    for found in sorted(places, key=lambda p: (p.kind, p.level_db)):
        best.setdefault(found.frame, found)
    at = [best.get(cut) for cut in cuts]
    loud = sum(round(p.level_db / 3) for p in at if p and p.kind == MOMENT)
    return (
        sum(p is None or p.kind == MOMENT for p in at),
        sum(p is None for p in at),
        loud,
        sum(p is not None and p.kind == SHORT for p in at),
        sum((b - a - target) ** 2 for a, b in pairwise([0, *cuts, frames])),
    )


small_places = st.lists(
    st.builds(place, st.integers(0, 15), kinds, st.sampled_from([-30.0, -20.0, -10.0])),
    max_size=8,
)


@given(st.integers(1, 15), st.integers(1, 4), st.integers(0, 5), st.data(), small_places)
def test_no_other_plan_is_better(
    frames: int, least: int, more: int, data: st.DataObject, places: list[Pause]
) -> None:
    most = 2 * least + more
    target = data.draw(st.integers(least, most))
    rules, bounds = SpeechRules(target, least, most), (least, target, most)
    chosen = cuts_of(plan_speech(frames, Fraction(1), places, rules))
    every = (
        cuts
        for count in range(frames)
        for cuts in combinations(range(1, frames), count)
        if all(least <= b - a <= most for a, b in pairwise([0, *cuts, frames]))
    )
    prices = [price(cuts, frames, places, bounds) for cuts in every]
    if prices:
        assert price(chosen, frames, places, bounds) == min(prices)
    else:
        assert frames < least
        assert chosen == []


wide_places = st.lists(
    st.builds(place, st.integers(0, 9000), kinds, st.integers(-90, 0).map(float)), max_size=40
)


@given(st.integers(1, 9000), wide_places, wide_places)
def test_a_place_more_never_makes_a_plan_worse(
    frames: int, places: list[Pause], others: list[Pause]
) -> None:
    bounds, both = SpeechRules().frames(RATE), places + others
    before = price(cuts_of(plan_speech(frames, RATE, places)), frames, both, bounds)
    assert price(cuts_of(plan_speech(frames, RATE, both)), frames, both, bounds) <= before


@given(st.integers(1, 9000), wide_places, st.randoms())
def test_the_order_of_places_does_not_matter(frames: int, places: list[Pause], random) -> None:  # type: ignore[no-untyped-def]
    shuffled = list(places)
    random.shuffle(shuffled)
    assert plan_speech(frames, RATE, places) == plan_speech(frames, RATE, shuffled + places[:3])


@given(st.integers(1, 400), st.lists(st.integers(5, 20), min_size=1, max_size=30))
def test_words_stay_whole_where_pauses_allow_it(seed: int, seconds: list[int]) -> None:
    """Pauses made so that a plan through them exists are enough, whatever else is offered."""
    ends = np.cumsum([max(15, s * 3) for s in seconds]) * 25
    frames = int(ends[-1])
    random = np.random.default_rng(seed)
    tempting = [place(int(f), MOMENT, -90) for f in random.integers(0, frames, 20)]
    pauses = [place(int(end)) for end in ends]
    cuts = cuts_of(plan_speech(frames, RATE, pauses + tempting))
    assert set(cuts) <= set(ends.tolist())


def test_a_speech_that_fits_stays_whole() -> None:
    assert cuts_of(plan_speech(45 * 25, RATE, [place(500), place(700)])) == []
    assert lengths_of(plan_speech(59 * 25, RATE, [])) == [59 * 25]
    assert lengths_of(plan_speech(3, RATE, [place(1), place(2)])) == [3]


def test_without_any_place_lengths_are_even() -> None:
    assert lengths_of(plan_speech(61 * 25, RATE, [])) == [762, 763]
    assert lengths_of(plan_speech(3001, RATE, [])) == [1000, 1000, 1001]


def test_a_tail_is_never_shorter_than_the_minimum() -> None:
    # 75.5 s with a pause at 75 s, and one at 46 s as the old way would have taken it
    timeline = plan_speech(1888, RATE, [place(1875), place(1150)])
    assert lengths_of(timeline) == [1150, 738]
    assert min(lengths_of(plan_speech(1563, RATE, [place(1500)]))) >= 375


def test_a_long_pause_is_worth_more_than_being_near_the_target() -> None:
    frames = 90 * 25
    assert cuts_of(plan_speech(frames, RATE, [place(1125, SHORT), place(900)])) == [900]
    assert cuts_of(plan_speech(frames, RATE, [place(1125), place(900)])) == [1125]


def test_where_no_pause_is_within_reach_the_quietest_moment_is_taken() -> None:
    offered = [place(1125, MOMENT, -8), place(900, MOMENT, -25), place(1300, MOMENT, -14)]
    timeline = plan_speech(2250, RATE, offered)
    assert cuts_of(timeline) == [900]
    assert rough_cuts(timeline, offered) == (
        "cut at 36.00 s inside the speech, at the quietest moment: no pause within reach",
    )


def test_the_report_hears_of_cuts_that_only_keep_the_lengths() -> None:
    timeline = plan_speech(2250, RATE, [])
    assert rough_cuts(timeline, []) == (
        "cut at 45.00 s inside the speech, to keep the lengths: no pause within reach",
    )
    assert rough_cuts(timeline, [place(1125, SHORT)]) == ()


def test_a_level_that_is_no_number_counts_as_loud() -> None:
    offered = [
        place(1000, MOMENT, float("nan")),
        place(1100, MOMENT, float("inf")),
        place(1200, MOMENT, -20),
    ]
    assert cuts_of(plan_speech(2250, RATE, offered)) == [1200]


@pytest.mark.parametrize("kinds", [list(PauseKind), [MOMENT]])
def test_an_hour_at_60_frames_a_second_takes_no_time(kinds: list[PauseKind]) -> None:
    random = np.random.default_rng(5)
    frames = 216_000
    places = [
        place(int(frame), kinds[index % len(kinds)], -float(random.integers(5, 60)))
        for index, frame in enumerate(random.integers(0, frames, 5000))
    ]
    started = time.perf_counter()
    timeline = plan_speech(frames, Fraction(60), places)
    assert time.perf_counter() - started < 2  # far less on an idle machine
    assert 60 <= len(timeline.segments) <= 240


@pytest.mark.parametrize(
    ("target", "least", "most", "said"),
    [
        (45, 40, 60, "twice the shortest"),
        (10, 15, 60, "between"),
        (70, 15, 60, "between"),
        (5, 0, 60, "over 0 s"),
        (float("nan"), 15, 60, "between"),
        (45, 15, float("inf"), "between"),
    ],
)
def test_bounds_that_cannot_be_kept_are_refused(
    target: float, least: float, most: float, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        SpeechRules(target, least, most)


def test_a_speech_without_frames_is_refused() -> None:
    with pytest.raises(InputError, match="no frames"):
        plan_speech(0, RATE, [])
