"""The database: all the emulator knows, in one SQLite file that survives its own SIGKILL.

Every statement is its own transaction in the write-ahead log, which a killed process leaves whole.
Inputs and outputs, which are large, lie as files beside it.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, endpoint TEXT NOT NULL, number INTEGER NOT NULL,
    is_sync INTEGER NOT NULL, input TEXT NOT NULL, policy TEXT NOT NULL, webhook TEXT,
    fault TEXT, samples INTEGER NOT NULL,
    accepted_at REAL NOT NULL, queued_at REAL NOT NULL, expires_at REAL NOT NULL,
    status TEXT NOT NULL, worker TEXT, started_at REAL, ended_at REAL, runs INTEGER NOT NULL,
    billed_ms INTEGER NOT NULL, retries INTEGER NOT NULL, reruns INTEGER NOT NULL,
    error TEXT, has_output INTEGER NOT NULL, progress TEXT, looks INTEGER NOT NULL,
    gone TEXT, webhook_tries INTEGER NOT NULL, webhook_done INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS jobs_by_status ON jobs (status);
CREATE INDEX IF NOT EXISTS jobs_by_number ON jobs (number);
CREATE TABLE IF NOT EXISTS chunks (
    place INTEGER PRIMARY KEY, job TEXT NOT NULL, chunk TEXT NOT NULL, taken INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS next_faults (place INTEGER PRIMARY KEY, fault TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS strikes (fault TEXT PRIMARY KEY, times INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""


def opened(folder: Path) -> sqlite3.Connection:
    """The database of a data folder, made where there is none."""
    folder.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(folder / "state.db", isolation_level=None)
    database.row_factory = sqlite3.Row
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")
    database.executescript(_SCHEMA)
    return database


def counted(database: sqlite3.Connection, name: str) -> int:
    """Add one to a counter; its new value."""
    row = database.execute(
        "INSERT INTO counters VALUES (?, 1)"
        " ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value",
        (name,),
    ).fetchone()
    return int(row["value"])
