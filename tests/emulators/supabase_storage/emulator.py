"""What every call needs: who asks, what there is, where bytes lie."""

from __future__ import annotations

import hashlib
import uuid
from datetime import UTC, datetime
from pathlib import Path
from sqlite3 import Row
from typing import Any

from starlette.requests import Request

from tests.emulators.supabase_storage import refusals, tokens
from tests.emulators.supabase_storage.settings import Settings
from tests.emulators.supabase_storage.state import State


class Emulator:
    """One project's storage, listening at ``address``."""

    def __init__(self, settings: Settings, address: str) -> None:
        self.settings, self.address = settings, address
        self.state = State(settings.data)
        self.busy: set[str] = set()  # uploads with a chunk on its way

    def role(self, request: Request) -> str:
        """Who asks.

        Raises:
            Refused: nobody the project knows.
        """
        if self.settings.gateway and request.headers.get("apikey", "").startswith("sb_"):
            if request.headers["apikey"] != tokens.SECRET_KEY:
                raise refusals.bad_key()
            return "service_role"
        given = request.headers.get("authorization", "")
        if not given:
            raise refusals.no_key()
        claims = tokens.read(given.removeprefix("Bearer "))
        if claims is None:
            raise refusals.bad_key()
        return str(claims.get("role", "anon"))

    def bucket(self, name: str) -> Row:
        """A bucket."""
        row = self.state.row("buckets", id=name)
        if row is None:
            raise refusals.no_bucket()
        return row

    def found(self, bucket: str, key: str) -> Row:
        """An object."""
        row = self.state.row("objects", bucket=bucket, key=key)
        if row is None:
            raise refusals.no_object()
        return row

    def file(self, version: str) -> Path:
        """Where the bytes of a version lie."""
        return self.state.files / version

    def check(self, bucket: Row, key: str, size: int, kind: str, *, upsert: bool) -> None:
        """Whether an object may come to lie there.

        Raises:
            Refused: it may not.
        """
        if not upsert and self.state.row("objects", bucket=bucket["id"], key=key) is not None:
            raise refusals.exists()
        self.check_size(bucket, size)
        kinds = bucket["allowed_mime_types"]
        if kinds and kind.partition(";")[0] not in kinds.split():
            raise refusals.wrong_kind(kind)

    def check_size(self, bucket: Row, size: int) -> None:
        """Whether a file may be so large; the bucket's limit cannot be above the project's."""
        limit = self.settings.size_limit
        if size > min(limit, bucket["file_size_limit"] or limit):
            raise refusals.too_large()

    def keep(self, bucket: str, key: str, version: str, **facts: Any) -> str:
        """Make a written version the object's content; the object's id."""
        content = self.file(version).read_bytes()
        old = self.state.row("objects", bucket=bucket, key=key)
        own = old["id"] if old else str(uuid.uuid4())
        self.state.put(
            "objects", bucket=bucket, key=key, id=own, version=version, size=len(content),
            md5=hashlib.md5(content).hexdigest(), created_at=now(), **facts,
        )  # fmt: skip
        return own


def now() -> str:
    """This moment."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
