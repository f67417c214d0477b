"""Files from elsewhere, kept in a store by content: an unchanged one is not fetched twice."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import BaseModel, ValidationError

from lipsync_core.errors import InputError, RemoteRefused, StorageError, writing
from lipsync_core.services.web import download, open_web
from lipsync_core.stores import MediaRef, ref_of
from lipsync_core.stores.address import WEB, Address
from lipsync_core.stores.local import LocalStore
from lipsync_core.whole import write_whole


class _Record(BaseModel):
    """What was fetched from an address the last time."""

    tag: str
    file: MediaRef


async def fetched(address: Address, store: LocalStore, called: Address | None = None) -> MediaRef:
    """The file at an address on the web, in the store.

    Whether it is still the one that was fetched before is asked of its server, by its tag; where
    there is none, it is fetched again. ``called`` is the lasting name of a file that was signed
    under this address.

    Raises:
        InputError: nothing lies there, or nothing that may be read, or it is a web page.
        RemoteUnavailable: its server does not answer now.
        StorageError: it is not the content its name stands for, or cannot be written.
    """
    assert address.scheme in WEB
    name = called or address
    record_path = _record_path(store, name)
    known = _known(record_path, store)
    with store.workspace() as folder:
        out = folder / f"fetched{_suffix(name)}"
        try:
            async with open_web() as web:
                found = await download(
                    web, address.whole, out, str(name), known.tag if known else ""
                )
        except RemoteRefused as error:
            raise InputError(str(error)) from error
        if found is None:
            assert known is not None
            return known.file
        if found.kind == "text/html":
            raise InputError(f"{name} is a web page and no film or speech: give the file's address")
        if name.sha256 not in (None, ref_of(out).sha256):
            raise StorageError(f"{name} is not the content its name stands for: publish it again")
        file = store.add(out)
    _write(record_path, _Record(tag=found.tag, file=file))
    return file


def _record_path(store: LocalStore, name: Address) -> Path:
    """One record for an address, whoever signed it when."""
    return store.root / "fetched" / f"{hashlib.sha256(name.lasting.encode()).hexdigest()}.json"


def _known(record_path: Path, store: LocalStore) -> _Record | None:
    try:
        record = _Record.model_validate_json(record_path.read_bytes())
        store.path(record.file)
    except (OSError, ValidationError, StorageError):  # never fetched, or deleted since
        return None
    return record if record.tag else None


def _write(record_path: Path, record: _Record) -> None:
    with writing(record_path):
        record_path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(record_path, record.model_dump_json())


def _suffix(name: Address) -> str:
    """The file's own suffix, if it is a plain one: containers are told by content anyway."""
    suffix = Path(name.name).suffix.lower()
    return suffix if suffix[1:].isalnum() and suffix.isascii() and len(suffix) <= 9 else ""
