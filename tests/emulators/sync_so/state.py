"""The database: all the emulator knows, in one SQLite file that survives its own SIGKILL.

Every statement is its own transaction in the write-ahead log, which a killed process leaves whole.
"""

from __future__ import annotations

import secrets
import sqlite3
from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, number INTEGER NOT NULL, key TEXT,
    fingerprint TEXT NOT NULL, model TEXT NOT NULL, body TEXT NOT NULL,
    inputs TEXT NOT NULL, output_name TEXT NOT NULL, project_id TEXT, webhook_url TEXT,
    batch_id TEXT, request_id TEXT, fault TEXT,
    accepted_at REAL NOT NULL, pending_until REAL NOT NULL, ends_at REAL,
    render TEXT NOT NULL, rendered_at REAL, frames INTEGER NOT NULL, seconds REAL NOT NULL,
    error TEXT, error_code TEXT,
    was_truncated INTEGER NOT NULL, webhook_sent INTEGER NOT NULL, deleted INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS jobs_by_key ON jobs (owner, key);
CREATE INDEX IF NOT EXISTS jobs_by_batch ON jobs (batch_id);
CREATE TABLE IF NOT EXISTS assets (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, created_at REAL NOT NULL, updated_at REAL NOT NULL,
    name TEXT NOT NULL, content_type TEXT NOT NULL, declared_size INTEGER NOT NULL,
    external_url TEXT, project_id TEXT, visibility TEXT NOT NULL, input_type TEXT NOT NULL,
    duration_s REAL, width INTEGER, height INTEGER, registered INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS batches (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, created_at REAL NOT NULL,
    webhook_url TEXT, webhook_sent INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS next_faults (place INTEGER PRIMARY KEY, fault TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS strikes (fault TEXT PRIMARY KEY, times INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS secrets (name TEXT PRIMARY KEY, value TEXT NOT NULL);
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


def counted(database: sqlite3.Connection, name: str, by: int = 1) -> int:
    """Add to a counter; its new value."""
    row = database.execute(
        "INSERT INTO counters VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET value = value + excluded.value RETURNING value",
        (name, by),
    ).fetchone()
    return int(row["value"])


def kept_secret(database: sqlite3.Connection, name: str, prefix: str = "") -> str:
    """A random text that stays the same as long as the data folder."""
    database.execute(
        "INSERT OR IGNORE INTO secrets VALUES (?, ?)", (name, prefix + secrets.token_hex(24))
    )
    row = database.execute("SELECT value FROM secrets WHERE name = ?", (name,)).fetchone()
    return str(row["value"])
