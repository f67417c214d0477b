"""A box of a form that takes a file, the address of one, or the file itself as a ``data:`` URI."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from lipsync_core.errors import writing
from lipsync_core.jobs.manifest import Source, source_of
from lipsync_core.stores.address import Address
from lipsync_core.stores.inline import is_inline, read_inline
from lipsync_core.whole import bytes_whole

_FOLDER = "inline"


class Inline(str):
    """A file that came inside the request; it is far too long to be shown."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Inline({self[:16]!r}…)"

    def kept(self, store: Path, kinds: Collection[str]) -> Path:
        """The file in a folder of the store, called by its content.

        Raises:
            InputError: it is broken, or of another kind (``image``, ``audio``).
            StorageError: it cannot be written.
        """
        content, suffix = read_inline(self, kinds)
        path = store / _FOLDER / (hashlib.sha256(content).hexdigest() + suffix)
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        bytes_whole(path, content)
        return path


def _placed(given: Any) -> Source | Inline:
    if isinstance(given, (Path, Address, Inline)):
        return given
    if not isinstance(given, str):
        raise ValueError("give a file or an address")
    return Inline(given) if is_inline(given) else source_of(given)


Place = Annotated[
    Source | Inline,
    PlainValidator(_placed),
    PlainSerializer(str, when_used="json"),
    WithJsonSchema({"type": "string"}),
]
