"""Assets: their rows and files."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.emulators.sync_so.refusals import Refused

STORAGE = "/_storage"
VISIBILITIES = ("USER", "ORGANIZATION")
TYPES = ("AUDIO", "VIDEO", "IMAGE")


@dataclass(frozen=True)
class Asset:
    """One file of an organisation; every field is a column.

    ``registered`` is 0 while it is only being uploaded; ``external_url`` is where a file lies
    that was registered by a public address.
    """

    id: str
    owner: str
    created_at: float
    updated_at: float
    name: str
    content_type: str
    declared_size: int
    external_url: str | None = None
    project_id: str | None = None
    visibility: str = "USER"
    input_type: str = "UPLOAD"
    duration_s: float | None = None
    width: int | None = None
    height: int | None = None
    registered: int = 0

    @property
    def type(self) -> str:
        """AUDIO, VIDEO or IMAGE."""
        return self.content_type.split("/")[0].upper()

    @property
    def path(self) -> str:
        """Where the bucket has it."""
        return f"{STORAGE}/{self.id}/{quote(self.name)}"


_COLUMNS = ", ".join(field.name for field in fields(Asset))
_MARKS = ", ".join("?" for _ in fields(Asset))


@dataclass(frozen=True)
class Library:
    """All assets; their files lie in ``folder`` under their ids."""

    database: sqlite3.Connection
    folder: Path

    def file(self, asset: Asset) -> Path:
        """Where the bytes are."""
        return self.folder / asset.id

    def add(self, asset: Asset) -> None:
        """Keep a new asset."""
        self.database.execute(f"INSERT INTO assets ({_COLUMNS}) VALUES ({_MARKS})", astuple(asset))

    def change(self, asset_id: str, **columns: Any) -> None:
        """Set columns of one asset."""
        columns["updated_at"] = time.time()
        names = ", ".join(f"{name} = ?" for name in columns)
        self.database.execute(
            f"UPDATE assets SET {names} WHERE id = ?", (*columns.values(), asset_id)
        )

    def remove(self, asset: Asset) -> None:
        """Forget an asset and its bytes."""
        self.database.execute("DELETE FROM assets WHERE id = ?", (asset.id,))
        self.file(asset).unlink(missing_ok=True)

    def get(self, asset_id: str) -> Asset | None:
        """One asset, registered or not, whoever owns it."""
        rows = self.database.execute(f"SELECT {_COLUMNS} FROM assets WHERE id = ?", (asset_id,))
        return next((Asset(*row) for row in rows), None)

    def of(self, owner: str) -> list[Asset]:
        """The registered assets of an organisation, newest first."""
        rows = self.database.execute(
            f"SELECT {_COLUMNS} FROM assets WHERE owner = ? AND registered = 1"
            " ORDER BY created_at DESC, id",
            (owner,),
        )
        return [Asset(*row) for row in rows]

    def owned(self, owner: str, asset_id: str, *, is_registered: bool = True) -> Asset:
        """One asset that an organisation may use.

        Raises:
            Refused: 404 unknown, 403 another organisation's, 422 never uploaded.
        """
        asset = self.get(asset_id)
        if asset is None or (is_registered and not asset.registered):
            raise Refused(404, "asset_not_found")
        if asset.owner != owner:
            raise Refused(403, "asset_forbidden")
        if asset.external_url is None and not self.file(asset).exists():
            raise Refused(422, "uploaded_file_not_found")
        return asset
