"""The ledger: every paid job, written down before it is placed.

    intended ──▶ submitted ──▶ completed ──▶ fetched
       │   ▲        │   │
       ▼   │        ▼   ▼
      unknown    failed refused      (completed ──▶ failed, where the result is none)

``intended`` is recorded before the request goes out, ``submitted`` when the engine has told its
job id, ``unknown`` when a request went out and nobody knows what became of it. What is refused or
failed stays so: another try is another entry, under the key of another attempt.

An entry that is still open belongs to the run that works on it, for as long as its lease lasts;
another run waits for it, and takes over when the lease has run out, or at once when the run was one
of this machine and its process is gone. Several machines share a
ledger in PostgreSQL; their clocks must agree to within a lease.
"""

from __future__ import annotations

import json
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from lipsync_core.errors import InputError, StorageError

FILE = "ledger.sqlite3"
LEASE_S = 60.0


class JobStatus(StrEnum):
    """How an entry stands."""

    INTENDED = "intended"
    SUBMITTED = "submitted"
    UNKNOWN = "unknown"
    COMPLETED = "completed"
    REFUSED = "refused"
    FAILED = "failed"
    FETCHED = "fetched"


OPEN = frozenset({JobStatus.INTENDED, JobStatus.UNKNOWN, JobStatus.SUBMITTED})
# What may already be paid, or still become so.
SPENT = OPEN | {JobStatus.COMPLETED, JobStatus.FETCHED}

_FROM: dict[JobStatus, frozenset[JobStatus]] = {
    JobStatus.INTENDED: frozenset(),
    JobStatus.UNKNOWN: OPEN,
    JobStatus.SUBMITTED: OPEN,
    JobStatus.COMPLETED: OPEN | {JobStatus.COMPLETED, JobStatus.FETCHED},
    JobStatus.FETCHED: frozenset({JobStatus.COMPLETED, JobStatus.FETCHED}),
    JobStatus.REFUSED: OPEN,
    JobStatus.FAILED: OPEN | {JobStatus.COMPLETED},  # a result may turn out to be none
}

_TABLE = sa.Table(
    "lipsync_jobs",
    sa.MetaData(),
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("engine", sa.String(64), nullable=False),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("job_id", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("quoted_usd", sa.Float, nullable=False),
    sa.Column("cost_usd", sa.Float),
    sa.Column("code", sa.Text, nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("again", sa.Boolean, nullable=False),
    sa.Column("intended_s", sa.Float, nullable=False),
    sa.Column("updated_s", sa.Float, nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("lease_until_s", sa.Float, nullable=False),
    # what ledgers of earlier versions lack; it is added to them, empty
    sa.Column("account", sa.String(64), nullable=False, server_default=""),
    sa.Column("options", sa.Text, nullable=False, server_default="{}"),
    sa.Column("sent_s", sa.Float, nullable=False, server_default="0"),
    sa.Column("placed_s", sa.Float, nullable=False, server_default="0"),
)
_ADDED = ("account", "options", "sent_s", "placed_s")


@dataclass(frozen=True)
class Entry:
    """One job. Moments are Unix times; ``cost_usd`` is what the engine told, ``None`` before.

    ``body`` is the request as it was, or is to be, sent, without signatures. ``again`` says of a
    failed job whether another attempt could end better.

    ``account`` is the one it went to, and ``options`` are those the engine was opened with; empty
    where an earlier version wrote the entry. ``sent_s`` is when the request last began to go out,
    ``placed_s`` when the job's id was told; 0 where that is not known.
    """

    key: str
    engine: str
    label: str
    attempt: int
    status: JobStatus
    job_id: str
    body: Mapping[str, Any]
    quoted_usd: float
    cost_usd: float | None
    code: str
    error: str
    again: bool
    intended_s: float
    updated_s: float
    owner: str
    lease_until_s: float
    account: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    sent_s: float = 0.0
    placed_s: float = 0.0

    @property
    def spent_usd(self) -> float:
        """What it cost, or may yet cost where the engine has not told; a job that failed costs what
        was told of it."""
        if self.cost_usd is not None:
            return self.cost_usd
        return self.quoted_usd if self.status in SPENT else 0.0


class Ledger:
    """The entries of one database, shared by threads, processes and machines."""

    def __init__(self, url: str, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        try:
            self._engine = sa.create_engine(_with_driver(url))
            if self._engine.dialect.name == "sqlite":
                sa.event.listen(self._engine, "connect", _make_durable)
            self._make_table()
            self._add_columns()
        except (sa.exc.ArgumentError, ModuleNotFoundError) as error:
            raise InputError(
                "the ledger's address cannot be used: write postgresql://user:password@host/name "
                "(and install lipsync-flows[postgres]), or leave it out"
            ) from error
        except sa.exc.SQLAlchemyError as error:
            raise StorageError(f"cannot open the ledger: {_reason(error)}") from error

    def _make_table(self) -> None:
        make = sa.schema.CreateTable(_TABLE, if_not_exists=True)
        try:
            with self._begin() as connection:
                connection.execute(make)
        except sa.exc.IntegrityError:  # PostgreSQL, where another run makes it at this moment
            with self._begin() as connection:
                connection.execute(make)

    def _add_columns(self) -> None:
        """Bring the table of an earlier version up to date; another run may do so just now."""
        columns = sa.inspect(self._engine).get_columns(_TABLE.name)
        there = {column["name"] for column in columns}
        for name in _ADDED:
            if name in there:
                continue
            spec = sa.schema.CreateColumn(_TABLE.c[name]).compile(dialect=self._engine.dialect)
            try:
                with self._begin() as connection:
                    connection.execute(sa.text(f"ALTER TABLE {_TABLE.name} ADD COLUMN {spec}"))
            except (sa.exc.OperationalError, sa.exc.ProgrammingError):
                columns = sa.inspect(self._engine).get_columns(_TABLE.name)
                if name not in {column["name"] for column in columns}:
                    raise

    @classmethod
    def in_folder(cls, folder: Path) -> Ledger:
        """The embedded ledger of a run's store."""
        return cls(f"sqlite:///{folder.resolve() / FILE}")

    def close(self) -> None:
        """Let the connections go."""
        self._engine.dispose()

    def intend(
        self,
        key: str,
        *,
        engine: str,
        label: str,
        attempt: int,
        body: Mapping[str, Any],
        quoted_usd: float,
        owner: str,
        account: str = "",
        options: Mapping[str, Any] | None = None,
    ) -> Entry:
        """Write an intent down, unless there is an entry under this key; the entry as it stands.

        The caller may act on it only if it then is the ``owner``.
        """
        now = self._clock()
        row = {
            "key": key, "engine": engine, "label": label, "attempt": attempt,
            "status": JobStatus.INTENDED, "job_id": "", "body": json.dumps(body, sort_keys=True),
            "quoted_usd": quoted_usd, "code": "", "error": "", "again": False, "intended_s": now,
            "updated_s": now, "owner": owner, "lease_until_s": now + LEASE_S, "account": account,
            "options": json.dumps(dict(options or {}), sort_keys=True), "sent_s": 0.0,
            "placed_s": 0.0,
        }  # fmt: skip
        insert: Any = sqlite.insert
        if self._engine.dialect.name == "postgresql":
            from sqlalchemy.dialects import postgresql  # takes a while to load

            insert = postgresql.insert
        with self._begin() as connection:
            connection.execute(insert(_TABLE).values(row).on_conflict_do_nothing())
        entry = self.get(key)
        assert entry is not None
        return entry

    def claim(self, key: str, owner: str) -> Entry | None:
        """The open entry as it stands, if it now belongs to ``owner``: it did, or nobody held it
        any more."""
        now, entry = self._clock(), self.get(key)
        holders = [owner]
        if entry is not None and _has_died(entry.owner):
            holders.append(entry.owner)
        free = sa.or_(_TABLE.c.owner.in_(holders), _TABLE.c.lease_until_s < now)
        is_open = _TABLE.c.status.in_(OPEN)
        got = self._update(
            sa.and_(_TABLE.c.key == key, is_open, free), owner=owner, lease_until_s=now + LEASE_S
        )  # fmt: skip
        return self.get(key) if got else None

    def renew(self, owner: str) -> None:
        """Hold on to all open entries of ``owner`` for another lease."""
        mine = sa.and_(_TABLE.c.owner == owner, _TABLE.c.status.in_(OPEN))
        self._update(mine, lease_until_s=self._clock() + LEASE_S)

    def release(self, owner: str) -> None:
        """Let go of all open entries of ``owner``: another run may take them over at once."""
        mine = sa.and_(_TABLE.c.owner == owner, _TABLE.c.status.in_(OPEN))
        self._update(mine, lease_until_s=0.0)

    def record(self, key: str, status: JobStatus, **facts: Any) -> None:
        """Write down what became of a job; ``facts`` are columns.

        Raises:
            ValueError: an entry that is settled cannot become so.
        """
        if "options" in facts:
            facts["options"] = json.dumps(dict(facts["options"]), sort_keys=True)
        at_home = sa.and_(_TABLE.c.key == key, _TABLE.c.status.in_(_FROM[status]))
        if not self._update(at_home, status=status, updated_s=self._clock(), **facts):
            entry = self.get(key)
            known = "not in the ledger" if entry is None else f"{entry.status} already"
            raise ValueError(f"job {key[:12]} is {known} and cannot become {status}")

    def get(self, key: str) -> Entry | None:
        """The entry under a key."""
        found = self._select(_TABLE.c.key == key)
        return found[0] if found else None

    def entries(self, statuses: Iterable[JobStatus] = ()) -> list[Entry]:
        """All entries, or those that stand so, the oldest first."""
        wanted = list(statuses)
        return self._select(_TABLE.c.status.in_(wanted) if wanted else sa.true())

    def spent_usd(self) -> float:
        """What all jobs cost, or may yet cost."""
        return sum(entry.spent_usd for entry in self.entries())

    def _select(self, where: sa.ColumnElement[bool]) -> list[Entry]:
        query = sa.select(_TABLE).where(where).order_by(_TABLE.c.intended_s, _TABLE.c.key)
        with self._begin() as connection:
            return [_entry(row) for row in connection.execute(query).mappings()]

    def _update(self, where: sa.ColumnElement[bool], **values: Any) -> bool:
        with self._begin() as connection:
            done = connection.execute(sa.update(_TABLE).where(where).values(**values))
            return bool(done.rowcount)

    def _begin(self) -> Any:
        return self._engine.begin()


def owner_of_this_run() -> str:
    """A name for a run that nobody else has, and that tells its machine and process."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


def _has_died(owner: str) -> bool:
    """Whether a run is known to be over: it was one of this machine, and its process is gone."""
    host, _, process = owner.rpartition(":")[0].rpartition(":")
    if host != socket.gethostname() or not process.isdigit():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except OSError:  # it lives, and is somebody else's
        pass
    return False


def _entry(row: Mapping[Any, Any]) -> Entry:
    values = dict(row)
    values["status"] = JobStatus(values["status"])
    values["body"] = json.loads(values["body"])
    values["options"] = json.loads(values["options"])
    return Entry(**values)


def _with_driver(url: str) -> str:
    """The address with the driver this project installs."""
    for scheme in ("postgresql://", "postgres://"):
        if url.startswith(scheme):
            return "postgresql+psycopg://" + url.removeprefix(scheme)
    return url


def _make_durable(connection: Any, _: Any) -> None:
    """What is committed must be on the disk: an intent may not be lost with the power."""
    cursor = connection.cursor()
    for rule in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000"):
        cursor.execute(f"PRAGMA {rule}")
    cursor.close()


def _reason(error: Exception) -> str:
    """The first line of a database's complaint, which holds no password."""
    cause = getattr(error, "orig", None) or error
    return (str(cause).splitlines() or ["no reason given"])[0][:200]
