"""Files from elsewhere in the store: fetched once, asked about ever after."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from lipsync_core.errors import InputError, StorageError
from lipsync_core.stores import MediaRef
from lipsync_core.stores.address import Address
from lipsync_core.stores.fetched import fetched
from lipsync_core.stores.local import LocalStore
from tests.web_server import WebServer, serving


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebServer]:
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "talk.mp4").write_bytes(b"a film" * 1000)
    with serving(folder) as server:
        yield server


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


def fetch(web: WebServer, store: LocalStore, name: str = "talk.mp4") -> MediaRef:
    return asyncio.run(fetched(Address(web.url(name)), store))


def test_a_file_lies_in_the_store_under_its_content(web: WebServer, store: LocalStore) -> None:
    file = fetch(web, store)
    assert store.path(file).read_bytes() == b"a film" * 1000
    assert file.sha256 == hashlib.sha256(b"a film" * 1000).hexdigest()
    assert store.path(file).suffix == ".mp4"


def test_an_unchanged_file_is_not_fetched_again_however_it_was_signed(
    web: WebServer, store: LocalStore
) -> None:
    web.secret = "one"
    file = fetch(web, store)
    sent, web.secret = web.sent_bytes, "two"
    assert fetch(web, store) == file
    assert web.sent_bytes == sent
    assert web.asked[-1][2] == 304


def test_files_told_apart_by_their_query_alone_are_told_apart(
    web: WebServer, store: LocalStore
) -> None:
    web.has_tags = True
    one = asyncio.run(fetched(Address(f"{web.address}/talk.mp4?id=1"), store))
    (web.folder / "talk.mp4").write_bytes(b"another film")
    two = asyncio.run(fetched(Address(f"{web.address}/talk.mp4?id=2"), store))
    assert one.sha256 != two.sha256
    assert len(list((store.root / "fetched").iterdir())) == 2


def test_a_changed_file_is_fetched_again(web: WebServer, store: LocalStore) -> None:
    file = fetch(web, store)
    (web.folder / "talk.mp4").write_bytes(b"a longer film" * 1000)
    assert fetch(web, store).sha256 != file.sha256


def test_a_file_that_somebody_deleted_is_fetched_again(web: WebServer, store: LocalStore) -> None:
    store.path(fetch(web, store)).unlink()
    assert store.path(fetch(web, store)).is_file()


def test_no_signature_is_written_down(web: WebServer, store: LocalStore) -> None:
    web.secret = "do-not-tell"
    fetch(web, store)
    written = [path for path in store.root.rglob("*") if path.is_file()]
    assert len(written) == 2
    assert not any(b"do-not-tell" in path.read_bytes() for path in written)


def test_a_web_page_is_no_film(web: WebServer, store: LocalStore) -> None:
    web.kinds["talk.mp4"] = "text/html; charset=utf-8"
    with pytest.raises(InputError, match="is a web page and no film"):
        fetch(web, store)
    assert not any((store.root / "objects").rglob("*.mp4"))


def test_a_dead_signature_is_told_in_one_line_without_it(web: WebServer, store: LocalStore) -> None:
    web.secret = "fresh"
    with pytest.raises(InputError) as refused:
        asyncio.run(fetched(Address(f"{web.address}/talk.mp4?signature=stale"), store))
    assert "its signature has died: give a fresh address" in str(refused.value)
    assert "stale" not in str(refused.value)


def test_a_file_that_is_not_what_its_name_stands_for_is_not_kept(
    web: WebServer, store: LocalStore
) -> None:
    name = f"ab/ab{'0' * 62}.mp4"
    (web.folder / "ab").mkdir()
    (web.folder / name).write_bytes(b"another film")
    with pytest.raises(StorageError, match="is not the content its name stands for"):
        fetch(web, store, name)
    assert not any((store.root / "objects").rglob("*.mp4"))
