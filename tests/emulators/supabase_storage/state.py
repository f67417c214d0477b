"""The database: all the emulator knows, in one SQLite file that survives its own SIGKILL."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS buckets (
    id TEXT PRIMARY KEY, public INTEGER NOT NULL, file_size_limit INTEGER,
    allowed_mime_types TEXT, created_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS objects (
    bucket TEXT NOT NULL, key TEXT NOT NULL, id TEXT NOT NULL, version TEXT NOT NULL,
    size INTEGER NOT NULL, kind TEXT NOT NULL, cache_control TEXT NOT NULL, md5 TEXT NOT NULL,
    metadata TEXT, created_at TEXT NOT NULL, PRIMARY KEY (bucket, key)
);
CREATE TABLE IF NOT EXISTS uploads (
    id TEXT PRIMARY KEY, bucket TEXT NOT NULL, key TEXT NOT NULL, version TEXT NOT NULL,
    size INTEGER NOT NULL, kind TEXT NOT NULL, cache_control TEXT NOT NULL, metadata TEXT,
    is_done INTEGER NOT NULL, expires_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS next_faults (
    place INTEGER PRIMARY KEY, method TEXT NOT NULL, fault TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS calls (
    place INTEGER PRIMARY KEY, method TEXT NOT NULL, path TEXT NOT NULL, size INTEGER NOT NULL,
    keys TEXT NOT NULL
);
"""


class State:
    """Rows in a database, bytes in files named by the version of what they are."""

    def __init__(self, folder: Path) -> None:
        self.files = folder / "files"
        self.files.mkdir(parents=True, exist_ok=True)
        self.database = sqlite3.connect(folder / "state.db", isolation_level=None)
        self.database.row_factory = sqlite3.Row
        self.database.execute("PRAGMA journal_mode = WAL")
        self.database.executescript(_SCHEMA)

    def close(self) -> None:
        """Let the file go."""
        self.database.close()

    def row(self, table: str, **where: Any) -> sqlite3.Row | None:
        """The one row with these values."""
        found: sqlite3.Row | None = self.database.execute(
            f"SELECT * FROM {table} WHERE {' AND '.join(f'{name} = ?' for name in where)}",
            tuple(where.values()),
        ).fetchone()
        return found

    def rows(self, table: str, order: str) -> list[sqlite3.Row]:
        """All rows."""
        return self.database.execute(f"SELECT * FROM {table} ORDER BY {order}").fetchall()

    def put(self, table: str, **values: Any) -> None:
        """Write a row, in place of one with the same key."""
        self.database.execute(
            f"INSERT OR REPLACE INTO {table} ({', '.join(values)})"
            f" VALUES ({', '.join('?' * len(values))})",
            tuple(values.values()),
        )

    def remove(self, table: str, **where: Any) -> None:
        """Forget rows."""
        self.database.execute(
            f"DELETE FROM {table} WHERE {' AND '.join(f'{name} = ?' for name in where)}",
            tuple(where.values()),
        )

    def fault(self, method: str) -> str | None:
        """What the next call with this method shall suffer; asked once."""
        row = self.database.execute(
            "DELETE FROM next_faults WHERE place = "
            "(SELECT MIN(place) FROM next_faults WHERE method = ?) RETURNING fault",
            (method,),
        ).fetchone()
        return row["fault"] if row else None


def metadata_of(text: str | None) -> Any:
    """What somebody told of an object, if it is JSON."""
    try:
        return json.loads(text or "null")
    except ValueError:
        return None
