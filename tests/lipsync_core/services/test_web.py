"""Files on the web: looked up, fetched whole, gone on with after a break."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from lipsync_core.errors import RemoteRefused, RemoteUnavailable
from lipsync_core.services.web import WebFile, download, look_up, open_web
from tests.web_server import WebServer, serving

BODY = bytes(range(256)) * 4096  # a megabyte


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebServer]:
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "talk.mp4").write_bytes(BODY)
    with serving(folder) as server:
        yield server


def fetched(web: WebServer, out: Path, known_tag: str = "") -> WebFile | None:
    async def fetch() -> WebFile | None:
        async with open_web() as client:
            return await download(client, web.url("talk.mp4"), out, "the film", known_tag)

    return asyncio.run(fetch())


def looked_up(web: WebServer, name: str = "talk.mp4") -> WebFile:
    async def look() -> WebFile:
        async with open_web() as client:
            return await look_up(client, web.url(name), "the film")

    return asyncio.run(look())


def test_a_file_comes_whole(web: WebServer, tmp_path: Path) -> None:
    found = fetched(web, tmp_path / "talk.mp4")
    assert (tmp_path / "talk.mp4").read_bytes() == BODY
    assert found is not None
    assert (found.size, found.kind) == (len(BODY), "video/mp4")


def test_after_a_break_only_what_is_missing_is_asked_for(web: WebServer, tmp_path: Path) -> None:
    web.cuts = [600_000, 300_000]
    fetched(web, tmp_path / "talk.mp4")
    assert (tmp_path / "talk.mp4").read_bytes() == BODY
    assert [asked[2] for asked in web.asked] == [200, 206, 206]
    assert web.sent_bytes < len(BODY) + 300_000  # what lay between two systems' buffers came twice


def test_a_file_that_changed_during_a_break_is_fetched_anew(web: WebServer, tmp_path: Path) -> None:
    other = BODY[::-1]
    web.cuts = [600_000]
    web.on_cut = lambda: (web.folder / "talk.mp4").write_bytes(other)
    fetched(web, tmp_path / "talk.mp4")
    assert (tmp_path / "talk.mp4").read_bytes() == other


def test_without_a_tag_a_broken_download_begins_again(web: WebServer, tmp_path: Path) -> None:
    web.has_tags, web.cuts = False, [600_000]
    fetched(web, tmp_path / "talk.mp4")
    assert (tmp_path / "talk.mp4").read_bytes() == BODY
    assert [asked[1] for asked in web.asked] == ["", ""]


def test_a_connection_that_brings_nothing_is_given_up_and_leaves_nothing(
    web: WebServer, tmp_path: Path
) -> None:
    web.cuts = [0] * 20
    with pytest.raises(RemoteUnavailable, match="the film"):
        fetched(web, tmp_path / "talk.mp4")
    assert list(tmp_path.iterdir()) == [web.folder]


def test_a_file_that_is_known_and_unchanged_is_not_fetched(web: WebServer, tmp_path: Path) -> None:
    first = fetched(web, tmp_path / "talk.mp4")
    assert first is not None
    sent = web.sent_bytes
    assert fetched(web, tmp_path / "again.mp4", first.tag) is None
    assert web.sent_bytes == sent
    assert not (tmp_path / "again.mp4").exists()


@pytest.mark.parametrize(("status", "said"), [(404, "is not there"), (403, "may not be read")])
def test_what_can_never_be_read_is_refused(
    web: WebServer, tmp_path: Path, status: int, said: str
) -> None:
    web.status = status
    with pytest.raises(RemoteRefused, match=said):
        fetched(web, tmp_path / "talk.mp4")
    with pytest.raises(RemoteRefused, match=said):
        looked_up(web)


def test_a_server_in_trouble_is_worth_another_try(web: WebServer) -> None:
    web.status = 503
    with pytest.raises(RemoteUnavailable, match="cannot be had now"):
        looked_up(web)


def test_looking_up_fetches_nothing(web: WebServer) -> None:
    assert looked_up(web).size == len(BODY)
    assert web.sent_bytes == 0


def test_where_head_is_refused_the_first_byte_is_asked_for(web: WebServer) -> None:
    web.refuses_head = True
    assert looked_up(web).size == len(BODY)
    assert web.asked[-1] == ("GET", "bytes=0-0", 206)
