"""Where a file elsewhere lies. An address may be signed, and then it opens the file to anybody who
reads it; so it is never shown whole."""

from __future__ import annotations

import base64
import binascii
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from lipsync_core.errors import InputError
from lipsync_core.stores.public import is_content_name

WEB = ("https", "http")
# Parts of a query that sign an address, and so may change while the file stays the same.
_SIGNING = re.compile(
    r"x-(amz|goog)-.*|awsaccesskeyid|googleaccessid|signature|sig|s[eprvt]|skoid|sktid|sk[ts]|"
    r"expires|policy|key-pair-id|token",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_MEANT = re.compile(r"\W*(https?|s3|supabase):/", re.IGNORECASE)
_PASSWORD = re.compile(r"(//)[^/?#]*@")
_KNOWN = (*WEB, "s3", "supabase")


class Address:
    """A file on the web (``https://…``) or in a store of ours (``s3://…``, ``supabase://…``).

    As text, and wherever it is recorded, it lacks its query, in which signatures stand.

    Raises:
        InputError: nothing of the kind, or with a password in it.
    """

    __slots__ = ("whole",)

    def __init__(self, text: str) -> None:
        scheme = _SCHEME.match(text)
        kind = scheme[1].lower() if scheme else ""
        try:
            parts = urlsplit(text)
            has_place = bool(parts.hostname) and parts.path.strip("/") != ""
        except ValueError:
            has_place = False
        if _PASSWORD.search(text):
            raise InputError(f"{_bare(text)} has a password in it: leave it out")
        if kind not in _KNOWN or not has_place or any(char.isspace() for char in text):
            raise InputError(
                f"{_bare(text)} is no address of a file: write https://…, s3://… or supabase://…"
            )
        self.whole = text

    @property
    def scheme(self) -> str:
        """In small letters."""
        return self.whole.partition(":")[0].lower()

    @property
    def name(self) -> str:
        """The file's name."""
        return PurePosixPath(unquote(urlsplit(self.whole).path)).name

    @property
    def lasting(self) -> str:
        """What stays the same however often the file is signed anew; told to nobody."""
        named = [part for part in self._query.split("&") if part]
        kept = [part for part in named if not _SIGNING.fullmatch(part.partition("=")[0])]
        return "?".join([str(self), *(["&".join(kept)] if kept else [])])

    @property
    def is_signed(self) -> bool:
        """Whether it is more than its lasting part."""
        return self.lasting != self.whole

    @property
    def sha256(self) -> str | None:
        """The hash of the file, where its name is made of it."""
        name = "/".join(urlsplit(self.whole).path.split("/")[-2:])
        return PurePosixPath(name).stem if is_content_name(name) else None

    @property
    def expires(self) -> datetime | None:
        """When it stops opening the file, where it says so: as S3, Google and Azure sign, and as
        Supabase does."""
        said = {key.lower(): values[0] for key, values in parse_qs(self._query).items()}
        try:
            for vendor in ("x-amz", "x-goog"):
                if f"{vendor}-expires" in said:
                    signed = datetime.strptime(said[f"{vendor}-date"], "%Y%m%dT%H%M%SZ")
                    life = timedelta(seconds=int(said[f"{vendor}-expires"]))
                    return signed.replace(tzinfo=UTC) + life
            if "se" in said and "sig" in said:
                return datetime.fromisoformat(said["se"]).astimezone(UTC)
            moment = said.get("expires") or _claim(said.get("token", ""), "exp")
            return datetime.fromtimestamp(int(moment), UTC) if moment else None
        except (KeyError, ValueError, OverflowError, OSError):
            return None

    @property
    def _query(self) -> str:
        return urlsplit(self.whole).query

    def __str__(self) -> str:
        return _bare(self.whole)

    def __repr__(self) -> str:
        return f"Address({self})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Address) and other.whole == self.whole

    def __hash__(self) -> int:
        return hash(self.whole)

    @classmethod
    def __get_pydantic_core_schema__(cls, kind: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.is_instance_schema(
            cls, serialization=core_schema.to_string_ser_schema(when_used="json")
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "string"}


def is_remote(text: str) -> bool:
    """Whether a text names something elsewhere and no file of this machine, or means to."""
    return bool(_SCHEME.match(text) or _MEANT.match(text))


def _bare(text: str) -> str:
    """An address without what may open it: query, user and password."""
    return _PASSWORD.sub(r"\1", re.split(r"[?#]", text, maxsplit=1)[0])


def _claim(token: str, name: str) -> str:
    """What an unverified JSON web token says under a name; nothing if it is none."""
    body = token.split(".")[1] if token.count(".") == 2 else ""
    try:
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (binascii.Error, ValueError):
        return ""
    return str(claims.get(name, "")) if isinstance(claims, dict) else ""
