"""A web server on loopback that serves the files of a folder, and can be told to misbehave."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit


@dataclass
class WebServer:
    """``cuts`` are the bytes after which the next answers break off, ``on_cut`` is called before;
    ``asked`` are the requests that came: method, range and the status of the answer."""

    folder: Path
    address: str = ""
    refuses_head: bool = False
    has_tags: bool = True
    kinds: dict[str, str] = field(default_factory=dict)
    status: int = 0
    secret: str = ""
    cuts: list[int] = field(default_factory=list)
    on_cut: Callable[[], object] = lambda: None
    asked: list[tuple[str, str, int]] = field(default_factory=list)
    sent_bytes: int = 0

    def url(self, name: str) -> str:
        """Where a file of the folder lies."""
        query = f"?signature={self.secret}" if self.secret else ""
        return f"{self.address}/{name}{query}"


@contextmanager
def serving(folder: Path) -> Iterator[WebServer]:
    """The server, for as long as it is needed."""
    web = WebServer(folder)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def log_message(self, *arguments: object) -> None:
            pass

        def _answer(self, with_body: bool) -> None:
            parts = urlsplit(self.path)
            path = web.folder / unquote(parts.path).lstrip("/")
            status = web.status
            is_signed = f"signature={web.secret}" in parts.query or not web.secret
            if not is_signed or (web.refuses_head and not with_body):
                status = 403
            elif not status and not path.is_file():
                status = 404
            if status:
                web.asked.append((self.command, self.headers.get("Range", ""), status))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self._file(path.read_bytes(), web.kinds.get(path.name, "video/mp4"), with_body)

        def _file(self, body: bytes, kind: str, with_body: bool) -> None:
            tag = f'"{hashlib.md5(body).hexdigest()}"'
            wanted = self.headers.get("Range", "")
            if wanted and self.headers.get("If-Range", tag) == tag:
                first, _, last = wanted.removeprefix("bytes=").partition("-")
                end = int(last) + 1 if last else len(body)
                status, part = 206, body[int(first) : end]
            else:
                status, part = 200, body
            if web.has_tags and self.headers.get("If-None-Match") == tag:
                status, part = 304, b""
            web.asked.append((self.command, wanted, status))
            self.send_response(status)
            if web.has_tags:
                self.send_header("ETag", tag)
            self.send_header("Content-Type", kind)
            if status == 206:
                whole = f"bytes {first}-{int(first) + len(part) - 1}/{len(body)}"
                self.send_header("Content-Range", whole)
            if status != 304:
                self.send_header("Content-Length", str(len(part)))
            self.end_headers()
            if with_body and status != 304:
                if web.cuts:
                    part, self.close_connection = part[: web.cuts.pop(0)], True
                    web.on_cut()
                web.sent_bytes += len(part)  # first, since whoever asked may look at once
                self.wfile.write(part)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    web.address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
