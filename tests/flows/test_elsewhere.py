"""What a run tells of its orders elsewhere, and what it may spend on trying again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flows.attempts import Attempt
from flows.elsewhere import _left_for_retries, _look_up
from lipsync_core.jobs.ledger import JobStatus, Ledger
from lipsync_core.jobs.remote import Order
from lipsync_core.stores import MediaRef
from lipsync_core.timeline import SpanKind
from tasks.order import _label, order_key
from tasks.values import PlannedSegment, ScannedFilm, SegmentJob, Still, TrackValue

FILE = MediaRef(uri="file:///film.mp4", sha256="0" * 64, size=1)


def attempt(number: int = 1, error: str = "") -> Attempt:
    segment = PlannedSegment(
        index=7, first_frame=0, last_frame=100, kind=SpanKind.LIPSYNC, reason="talks"
    )
    film = ScannedFilm(
        video=FILE, frames=100, frame_rate="25", cuts=(), faces=FILE, thumbnails=FILE, sound=None,
        notes=(),
    )  # fmt: skip
    track = TrackValue(file=FILE, sample_rate=16_000, channels=1, samples=1, given_s=1)
    job = SegmentJob(
        film=film, shot=(0, 100), first_frame=0, last_frame=100, speech=track, heard="0" * 64,
        generator="infinitetalk", generator_version=1, attempt=number,
    )  # fmt: skip
    return Attempt(segment, job, error=error)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger.in_folder(tmp_path)
    yield ledger
    ledger.close()


def tried(ledger: Ledger, of: Attempt, number: int, *steps: JobStatus, **facts: Any) -> None:
    key = Order(order_key(of.job), "", "", 0, 0).attempt(number).key
    ledger.intend(
        key, engine="infinitetalk", label="", attempt=number, body={}, quoted_usd=1.0, owner="me"
    )  # fmt: skip
    for step in steps[:-1]:
        ledger.record(key, step)
    ledger.record(key, steps[-1], **facts)


def test_a_segment_costs_what_all_its_tries_did(ledger: Ledger) -> None:
    first, second = attempt(1), attempt(2)
    tried(ledger, first, 1, JobStatus.FAILED, cost_usd=0.5, again=True)
    tried(ledger, first, 2, JobStatus.FAILED, cost_usd=0.25, code="lost")
    tried(ledger, second, 1, JobStatus.FAILED, again=True)
    tried(ledger, second, 2, JobStatus.COMPLETED, JobStatus.FETCHED, cost_usd=2.0)
    second.cost_usd = 2.0
    _look_up(second, ledger)
    assert second.cost_usd == 2.75
    _look_up(first, ledger)
    assert first.cost_usd == 0.75
    unknown = attempt(3)
    unknown.cost_usd = 4.0  # a ledger that was thrown away says nothing
    _look_up(unknown, ledger)
    assert unknown.cost_usd == 2.75


def test_an_order_of_unknown_end_is_told_with_the_words_that_order_it_anew(ledger: Ledger) -> None:
    found = attempt(2, error="it is not known")
    tried(ledger, found, 1, JobStatus.UNKNOWN)
    _look_up(found, ledger)
    assert "it is not known; --redo 7 --attempt 3 orders it anew" in found.error
    assert found.is_open


def test_an_order_that_was_not_sent_needs_no_word(ledger: Ledger) -> None:
    found = attempt(1, error="no balance")
    tried(ledger, found, 1, JobStatus.UNKNOWN, code="not_sent")
    _look_up(found, ledger)
    assert found.error == "no balance"


@pytest.mark.parametrize(
    ("budget", "films", "left"), [(None, 1, None), (3.0, 1, 1.0), (1.5, 1, 0.0), (9.0, 2, 0.0)]
)
def test_retries_may_cost_what_the_quote_leaves_of_the_budget(
    budget: float | None, films: int, left: float | None
) -> None:
    request: Any = SimpleNamespace(budget=budget, pairs=lambda: [None] * films)
    engine: Any = SimpleNamespace(price=SimpleNamespace(usd=0.01))
    assert _left_for_retries([attempt(), attempt()], engine, request) == left


def test_orders_of_different_portraits_are_told_apart() -> None:
    film = attempt()
    assert _label(film.job) == "film.mp4 0-100"
    still = film.job.film.model_copy(update={"still": Still(image=FILE, made_of="abcdef0123")})
    assert _label(film.job.model_copy(update={"film": still})) == "portrait abcdef01 0-100"
