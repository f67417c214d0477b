"""The ledger: an intent is written once, belongs to one run, and goes forward only."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from postgres import postgres_url

from lipsync_core.errors import InputError, StorageError
from lipsync_core.jobs.ledger import LEASE_S, OPEN, Entry, JobStatus, Ledger, owner_of_this_run


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger(request: Any, tmp_path: Path, clock: Clock) -> Iterator[Ledger]:
    url = f"sqlite:///{tmp_path / 'ledger.sqlite3'}"
    if request.param == "postgresql":
        url = postgres_url()
    ledger = Ledger(url, clock)
    yield ledger
    ledger.close()


def a_key() -> str:
    return uuid.uuid4().hex * 2


def intend(ledger: Ledger, key: str, owner: str = "me", **changes: Any) -> Entry:
    facts: dict[str, Any] = {
        "engine": "sync", "label": "talk 0-100", "attempt": 1, "body": {"model": "lipsync-2"},
        "quoted_usd": 0.2,
    }  # fmt: skip
    return ledger.intend(key, owner=owner, **facts | changes)


def test_an_intent_is_written_down_whole(ledger: Ledger) -> None:
    entry = intend(ledger, key := a_key())
    assert entry == ledger.get(key)
    assert (entry.status, entry.owner, entry.job_id) == (JobStatus.INTENDED, "me", "")
    assert (entry.body, entry.quoted_usd, entry.cost_usd) == ({"model": "lipsync-2"}, 0.2, None)
    assert entry.intended_s == entry.updated_s == 1000


def test_a_ledger_of_an_earlier_version_is_read_and_written_on(
    ledger: Ledger, clock: Clock
) -> None:
    intend(ledger, key := a_key())
    url = ledger._engine.url.render_as_string(hide_password=False)
    with ledger._begin() as connection:
        for name in ("account", "options", "sent_s", "placed_s"):
            connection.execute(sa.text(f"ALTER TABLE lipsync_jobs DROP COLUMN {name}"))
    for _ in range(2):
        newer = Ledger(url, clock)
        old = newer.get(key)
        assert old is not None
        assert (old.account, old.options, old.sent_s, old.placed_s) == ("", {}, 0, 0)
        entry = intend(newer, a_key(), account="a", options={"gpu": "H100"})
        assert (entry.account, entry.options) == ("a", {"gpu": "H100"})
        newer.record(entry.key, JobStatus.UNKNOWN, options={"gpu": "A100"}, sent_s=7.0)
        changed = newer.get(entry.key)
        assert changed is not None
        assert (changed.options, changed.sent_s) == ({"gpu": "A100"}, 7)
        newer.close()


def test_who_comes_second_is_shown_the_first_intent(ledger: Ledger) -> None:
    first = intend(ledger, key := a_key())
    assert intend(ledger, key, "another", body={"model": "sync-3"}) == first
    assert not ledger.claim(key, "another")
    assert ledger.claim(key, "me")


def test_an_intent_is_taken_over_when_its_run_is_gone(ledger: Ledger, clock: Clock) -> None:
    intend(ledger, key := a_key())
    clock.now += LEASE_S / 2
    ledger.renew("me")
    clock.now += LEASE_S - 1
    assert not ledger.claim(key, "another")
    clock.now += 2
    assert ledger.claim(key, "another")
    assert not ledger.claim(key, "me")


def test_an_intent_is_taken_at_once_from_a_run_whose_process_is_gone(ledger: Ledger) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    alive = owner_of_this_run()
    intend(ledger, key := a_key(), alive)
    assert not ledger.claim(key, "another")
    dead = alive.replace(f":{os.getpid()}:", f":{gone.pid}:")
    intend(ledger, key := a_key(), dead)
    assert ledger.claim(key, "another")
    assert not ledger.claim(key, dead)


def test_what_has_ended_belongs_to_nobody(ledger: Ledger) -> None:
    intend(ledger, key := a_key())
    ledger.record(key, JobStatus.REFUSED)
    assert ledger.claim(key, "me") is None


def test_a_run_that_ends_lets_go_at_once(ledger: Ledger) -> None:
    intend(ledger, key := a_key())
    ledger.release("me")
    assert ledger.claim(key, "another")


def test_a_job_goes_its_way(ledger: Ledger, clock: Clock) -> None:
    intend(ledger, key := a_key())
    clock.now += 5
    ledger.record(key, JobStatus.UNKNOWN, error="the answer was lost")
    ledger.record(key, JobStatus.SUBMITTED, job_id="j1", error="")
    ledger.record(key, JobStatus.COMPLETED)
    ledger.record(key, JobStatus.FETCHED, cost_usd=0.18)
    ledger.record(key, JobStatus.FETCHED)  # its file was lost, and brought again
    entry = ledger.get(key)
    assert entry is not None
    assert (entry.status, entry.job_id, entry.cost_usd) == (JobStatus.FETCHED, "j1", 0.18)
    assert (entry.intended_s, entry.updated_s) == (1000, 1005)


@pytest.mark.parametrize("end", [JobStatus.REFUSED, JobStatus.FAILED, JobStatus.FETCHED])
@pytest.mark.parametrize("back", sorted(OPEN - {JobStatus.INTENDED}))
def test_what_has_ended_does_not_begin_again(
    ledger: Ledger, end: JobStatus, back: JobStatus
) -> None:
    intend(ledger, key := a_key())
    ledger.record(key, JobStatus.SUBMITTED, job_id="j1")
    if end is JobStatus.FETCHED:
        ledger.record(key, JobStatus.COMPLETED)
    ledger.record(key, end)
    with pytest.raises(ValueError, match=f"is {end} already and cannot become {back}"):
        ledger.record(key, back)


def test_what_nobody_intended_cannot_happen(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="not in the ledger"):
        ledger.record(a_key(), JobStatus.SUBMITTED)


def test_what_may_have_been_paid_counts_as_spent(tmp_path: Path) -> None:
    ledger = Ledger.in_folder(tmp_path)
    ends: dict[str, list[tuple[JobStatus, dict[str, Any]]]] = {
        "unknown": [(JobStatus.UNKNOWN, {})],
        "refused": [(JobStatus.REFUSED, {})],
        "failed": [(JobStatus.FAILED, {})],
        "failed and billed": [(JobStatus.FAILED, {"cost_usd": 0.05})],
        "told": [(JobStatus.SUBMITTED, {}), (JobStatus.COMPLETED, {}),
                 (JobStatus.FETCHED, {"cost_usd": 0.17})],
    }  # fmt: skip
    for key, steps in ends.items():
        intend(ledger, key)
        for status, facts in steps:
            ledger.record(key, status, **facts)
    assert ledger.spent_usd() == pytest.approx(0.2 + 0.17 + 0.05)
    assert [e.key for e in ledger.entries([JobStatus.FAILED])] == ["failed", "failed and billed"]
    assert len(ledger.entries()) == 5


def test_an_intent_outlives_the_process_that_is_killed_after_it(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from lipsync_core.jobs.ledger import Ledger\n"
        "ledger = Ledger.in_folder(Path(sys.argv[1]))\n"
        "ledger.intend('k', engine='sync', label='', attempt=1, body={}, quoted_usd=1, owner='x')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ran = subprocess.run([sys.executable, "-c", program, tmp_path], check=False)
    assert ran.returncode == -signal.SIGKILL
    assert Ledger.in_folder(tmp_path).get("k") is not None


def test_many_runs_may_intend_the_same_and_one_owns_it(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from lipsync_core.jobs.ledger import Ledger\n"
        "ledger, me = Ledger.in_folder(Path(sys.argv[1])), sys.argv[2]\n"
        "for n in range(40):\n"
        "    entry = ledger.intend(str(n), engine='e', label='', attempt=1, body={},\n"
        "                          quoted_usd=1, owner=me)\n"
        "    print(entry.owner == me and ledger.claim(str(n), me) is not None)\n"
    )
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", program, tmp_path, name], stdout=subprocess.PIPE, text=True
        )
        for name in "abc"
    ]
    said = [run.communicate(timeout=120)[0].split() for run in runs]
    assert [run.returncode for run in runs] == [0, 0, 0]
    assert all(list(of_one).count("True") == 1 for of_one in zip(*said, strict=True))


@pytest.mark.parametrize("url", ["nonsense", "mysql+nothing://u:hidden@h/d"])
def test_an_address_that_cannot_be_used_is_told_without_its_password(url: str) -> None:
    with pytest.raises(InputError, match="write postgresql://") as error:
        Ledger(url)
    assert "hidden" not in str(error.value)


def test_a_ledger_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot open the ledger: unable to open"):
        Ledger(f"sqlite:///{tmp_path / 'no such folder' / 'ledger.sqlite3'}")
