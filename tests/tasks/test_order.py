"""Which attempt at a segment counts, and whether it is over: as the ledger tells it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lipsync_core.jobs.ledger import JobStatus, Ledger
from lipsync_core.jobs.remote import Order
from lipsync_core.stores import MediaRef
from tasks.order import has_failed, last_entry, latest_attempt, order_key
from tasks.values import ScannedFilm, SegmentJob, Still, TrackValue

FILE = MediaRef(uri="file:///film.mp4", sha256="0" * 64, size=1)
JOB = SegmentJob(
    film=ScannedFilm(
        video=FILE, frames=100, frame_rate="25", cuts=(), faces=FILE, thumbnails=FILE, sound=None,
        notes=(),
    ),
    shot=(0, 100), first_frame=0, last_frame=100,
    speech=TrackValue(file=FILE, sample_rate=16_000, channels=1, samples=1, given_s=1),
    heard="0" * 64, generator="sync", generator_version=1,
)  # fmt: skip


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger.in_folder(tmp_path)
    yield ledger
    ledger.close()


def tried(
    ledger: Ledger, number: int, status: JobStatus, again: bool, job: SegmentJob = JOB
) -> None:
    key = Order(order_key(job), "", "", 0, 0).attempt(number).key
    ledger.intend(
        key, engine="sync", label="", attempt=number, body={}, quoted_usd=1.0, owner="me"
    )  # fmt: skip
    if status is not JobStatus.INTENDED:
        ledger.record(key, status, again=again)


def test_an_attempt_that_will_be_tried_again_has_not_failed_yet(ledger: Ledger) -> None:
    assert not has_failed(last_entry(JOB, ledger))
    for number, over in ((1, False), (2, False), (3, True)):
        tried(ledger, number, JobStatus.FAILED, again=True)
        assert has_failed(last_entry(JOB, ledger)) is over


def test_an_attempt_that_no_other_try_can_better_has_failed(ledger: Ledger) -> None:
    tried(ledger, 1, JobStatus.FAILED, again=False)
    assert has_failed(last_entry(JOB, ledger))


@pytest.mark.parametrize("status", [JobStatus.INTENDED, JobStatus.REFUSED])
def test_what_is_open_or_refused_has_not_failed(ledger: Ledger, status: JobStatus) -> None:
    tried(ledger, 1, status, again=False)
    assert not has_failed(last_entry(JOB, ledger))


def test_the_newest_attempt_is_the_one_that_was_ordered_last(ledger: Ledger) -> None:
    assert latest_attempt(JOB, ledger) == 1
    tried(ledger, 1, JobStatus.FAILED, again=False)
    second = JOB.model_copy(update={"attempt": 2})
    tried(ledger, 1, JobStatus.INTENDED, again=False, job=second)
    assert latest_attempt(JOB, ledger) == 2


def test_the_key_of_an_order_lasts_over_versions_of_this_project() -> None:
    """Another key would pay for every segment of every film once more."""
    assert order_key(JOB) == "d0b79288f950bf79091e0b92ccc1825c12fc8d301d6f208249cfad86bdd901d5"


def test_a_film_made_of_one_picture_goes_by_what_it_was_made_of() -> None:
    def key(video: str, image: str, content: str) -> str:
        still = Still(image=FILE.model_copy(update={"sha256": image * 64}), made_of=content)
        film = JOB.film.model_copy(
            update={"video": FILE.model_copy(update={"sha256": video * 64}), "still": still}
        )
        return order_key(JOB.model_copy(update={"film": film}))

    assert key("1", "2", "a portrait") == key("3", "4", "a portrait")
    assert key("1", "2", "a portrait") != key("1", "2", "another one")


def test_how_a_picture_is_made_does_not_make_it_another_order() -> None:
    on_one, on_other = (
        JOB.model_copy(update={"options": {"prompt": "a", "resources": {"gpu": gpu}}})
        for gpu in ("A100", "H100")
    )
    assert order_key(on_one) == order_key(on_other) != order_key(JOB)
