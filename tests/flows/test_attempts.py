"""Of several engines' attempts at a segment, which one counts."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest

from flows.attempts import Attempt, best_of
from flows.render import _fill_in
from lipsync_core.errors import InputError
from lipsync_core.sync.score import SyncScore
from lipsync_core.sync.verdict import Judgement
from lipsync_core.timeline import SpanKind
from tasks.values import PlannedSegment


def attempt(passes: bool | None, confidence: float = 0.0, offset: float | None = 0.0) -> Attempt:
    segment = PlannedSegment(
        index=0, first_frame=0, last_frame=50, kind=SpanKind.LIPSYNC, reason=""
    )
    made = Attempt(segment, mock.Mock())
    if passes is not None:
        score = SyncScore(offset, confidence, 1.0, passes, "ok")
        made.judgement = Judgement(score, None, passes, None, "")
    return made


@pytest.mark.parametrize(
    ("one", "other", "first_wins"),
    [
        (attempt(True, 0.5), attempt(False, 2.0), True),  # one that passes all gates counts more
        (attempt(True, 0.5), attempt(True, 0.9), False),  # then the better agreement
        (attempt(False, 0.9, None), attempt(False, 0.5), False),  # no answer is worse than any
        (attempt(None), attempt(False, 0.1), False),  # and no picture the worst
        (attempt(True, 0.5), attempt(True, 0.5), True),  # the engine named first
        (attempt(None), attempt(None), True),
    ],
)
def test_the_better_one_by_measurement_counts(one: Any, other: Any, first_wins: bool) -> None:
    [chosen] = best_of([[one], [other]])
    assert chosen is (one if first_wins else other)
    assert chosen.candidates == [one, other]


def test_one_engine_alone_is_no_contest() -> None:
    only = attempt(True, 0.5)
    assert best_of([[only]]) == [only]
    assert only.candidates == []


def future(result: Any = None, error: Exception | None = None) -> Any:
    """A step of Prefect's that has ended."""
    made = mock.Mock()
    made.result.return_value = result
    made.state.name = "Failed" if error else "Completed"
    made.state.is_completed.return_value = error is None
    made.state.result.return_value = error
    return made


def test_where_the_finish_fails_the_mouth_goes_into_the_film_without_it() -> None:
    made = attempt(None)
    broken, never = InputError("the model fails at a picture"), RuntimeError("not ready")
    _fill_in(made, future("the rendering"), future(error=broken), future(error=never))
    assert made.rendered == "the rendering"
    assert made.looked is None
    assert made.error == "the finish failed: the model fails at a picture"


def test_where_the_rendering_fails_its_own_error_is_told() -> None:
    made = attempt(None)
    broken, never = InputError("no usable face"), RuntimeError("not ready")
    _fill_in(made, future(error=broken), future(error=never), future(error=never))
    assert made.rendered is None
    assert made.error == "no usable face"
