"""Files on the web: looked up without being fetched, or fetched whole, going on after a break.

Addresses may carry a signature, so errors name a file only by what the caller calls it.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from lipsync_core.errors import RemoteRefused, RemoteUnavailable, writing

logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs every address whole

_TIMEOUT = httpx.Timeout(60, connect=15)
_BLOCK_BYTES = 1 << 18
_MOST_REDIRECTS = 5
_BREAKS = 5  # of one download, each of which brought something
_LONGEST_WAIT_S = 300.0  # however long a server asks to wait
_LATER = frozenset({408, 425, 429})
_AS_THEY_LIE = {"Accept-Encoding": "identity"}  # so that sizes and ranges count the file's bytes


@dataclass(frozen=True)
class WebFile:
    """What a server tells of a file: ``size`` in bytes where it is known, ``kind`` its content
    type, ``tag`` what changes when the file does (``ETag``, else ``Last-Modified``)."""

    size: int | None
    kind: str
    tag: str

    @classmethod
    def of(cls, answer: httpx.Response) -> WebFile:
        """The file an answer speaks of, whole or in part."""
        whole = answer.headers.get("Content-Range", "").rpartition("/")[2]
        told = whole if answer.status_code == 206 else answer.headers.get("Content-Length", "")
        return cls(
            size=int(told) if told.isdecimal() else None,
            kind=answer.headers.get("Content-Type", "").partition(";")[0].strip().lower(),
            tag=answer.headers.get("ETag") or answer.headers.get("Last-Modified", ""),
        )

    @property
    def may_be_resumed(self) -> bool:
        """Whether the tag stands for the very bytes (RFC 9110, section 13.1.5)."""
        return self.tag.startswith('"')


def open_web() -> httpx.AsyncClient:
    """A connection that follows a few redirects and carries no secrets of its own."""
    return httpx.AsyncClient(
        timeout=_TIMEOUT, follow_redirects=True, max_redirects=_MOST_REDIRECTS, headers=_AS_THEY_LIE
    )


async def look_up(web: httpx.AsyncClient, url: str, called: str) -> WebFile:
    """What lies at an address, by a HEAD; where that is refused, by asking for the first byte.

    (A signature for GET does not hold for HEAD, so stores refuse it.)

    Raises:
        RemoteRefused: nothing, or nothing that may be read.
        RemoteUnavailable: no answer now.
    """
    async with _asking(called):
        answer = await web.head(url)
        if answer.status_code in (400, 401, 403, 405, 501):
            async with web.stream("GET", url, headers={"Range": "bytes=0-0"}) as answer:
                pass
    _expect_success(answer, called)
    return WebFile.of(answer)


async def download(
    web: httpx.AsyncClient,
    url: str,
    out: Path,
    called: str,
    known_tag: str = "",
    on_bytes: Callable[[int, int | None], None] | None = None,
) -> WebFile | None:
    """Bring a file to ``out``, where it appears whole or not at all; ``None`` where the server
    says that it is still the one with the ``known_tag``, and nothing was fetched.

    ``on_bytes`` is told how many bytes are here and how many there are.

    Raises:
        RemoteRefused: nothing lies there, or nothing that may be read.
        RemoteUnavailable: the server does not answer now, or the connection keeps breaking off.
        StorageError: it cannot be written.
    """
    part = _Part(out.with_name(out.name + ".part"), known_tag, on_bytes=on_bytes)
    try:
        return part.seen if await part.bring(web, url, called, out) else None
    finally:
        part.path.unlink(missing_ok=True)


async def download_in_steps(
    web: httpx.AsyncClient,
    url: str,
    out: Path,
    called: str,
    on_bytes: Callable[[int, int | None], None] | None = None,
) -> None:
    """Bring a large file to ``out``; what an earlier try left unfinished beside it is gone on with,
    if the file is still the same.

    Raises: what :func:`download` does.
    """
    seen = await look_up(web, url, called)
    version = hashlib.sha256(seen.tag.encode()).hexdigest()[:12]
    part = _Part(out.with_name(f"{out.name}.{version}.part"), "", seen, on_bytes)
    if not seen.may_be_resumed:
        part.path.unlink(missing_ok=True)
    await part.bring(web, url, called, out)


@dataclass
class _Part:
    """A download under way."""

    path: Path
    known_tag: str
    seen: WebFile | None = None
    on_bytes: Callable[[int, int | None], None] | None = None

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    async def bring(self, web: httpx.AsyncClient, url: str, called: str, out: Path) -> bool:
        """Fetch it to ``out``, going on after a break; whether it is another than the known one."""
        for left in range(_BREAKS, -1, -1):
            came = self.size
            try:
                with writing(out):
                    is_new = await self.fetch(web, url, called)
                break
            except RemoteUnavailable:
                if not left or self.size <= came:
                    raise
        if is_new:
            with writing(out):
                self.path.replace(out)
        return is_new

    async def fetch(self, web: httpx.AsyncClient, url: str, called: str) -> bool:
        """Fetch what is missing, or all of it where it cannot be gone on with; whether the file is
        another than the known one."""
        headers: dict[str, str] = {}
        if self.seen is not None and self.seen.may_be_resumed:
            headers = {"Range": f"bytes={self.size}-", "If-Range": self.seen.tag}
        elif self.known_tag:
            name = "If-None-Match" if '"' in self.known_tag else "If-Modified-Since"
            headers = {name: self.known_tag}
        async with _asking(called), web.stream("GET", url, headers=headers) as answer:
            if answer.status_code == 304:
                return False
            _expect_success(answer, called)
            self.seen = WebFile.of(answer)
            with self.path.open("ab" if answer.status_code == 206 else "wb") as file:
                async for block in answer.aiter_raw(_BLOCK_BYTES):
                    file.write(block)
                    if self.on_bytes is not None:
                        self.on_bytes(file.tell(), self.seen.size)
        if self.seen.size not in (None, self.size):
            raise RemoteUnavailable(f"{called}: {self.size} of {self.seen.size} bytes came")
        return True


@asynccontextmanager
async def _asking(called: str) -> AsyncIterator[None]:
    try:
        yield
    except httpx.TooManyRedirects as error:
        raise RemoteRefused(f"{called} leads round in circles: check the address") from error
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise RemoteRefused(f"{called} cannot be an address on the web: correct it") from error
    except httpx.HTTPError as error:
        raise RemoteUnavailable(f"{called}: no answer ({type(error).__name__})") from error


def _expect_success(answer: httpx.Response, called: str) -> None:
    status = answer.status_code
    if answer.is_success:
        return
    if status in _LATER or status >= 500:
        told = answer.headers.get("Retry-After", "")
        wait_s = min(_LONGEST_WAIT_S, float(told)) if told.isdecimal() else None
        raise RemoteUnavailable(f"{called} cannot be had now ({status})", wait_s)
    if status in (401, 403, 400):
        what = "may not be read, or its signature has died: give a fresh address"
    else:
        what = "is not there: check the address"
    raise RemoteRefused(f"{called} {what} ({status})", str(status))
