"""What the command of every emulator does: listen, say where, and end at the first SIGTERM."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Protocol

import uvicorn
from starlette.applications import Starlette


class Settings(Protocol):
    """What is asked of an emulator's settings here; a temporary ``data`` goes with the process."""

    @property
    def port(self) -> int: ...
    @property
    def data(self) -> Path: ...
    @property
    def is_temporary(self) -> bool: ...


class _Announced(uvicorn.Server):
    """A server that says in one line where it listens, once it does."""

    line = ""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(self.line, flush=True)


def _ended(_number: int, _frame: FrameType | None) -> None:
    """The server has closed by then; a signal that asked for it is no failure."""


def listen(name: str, settings: Settings, made_app: Callable[[str], Starlette]) -> None:
    """Serve the app made for an address until a signal comes; ends the process."""
    try:
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", settings.port))
            address = f"http://127.0.0.1:{listener.getsockname()[1]}"
            # keep-alive outlives the pauses of any poller, which would find its connection closed
            server = _Announced(
                uvicorn.Config(
                    made_app(address), http="h11", ws="none", log_level="critical",
                    timeout_keep_alive=120, timeout_graceful_shutdown=1, backlog=1024,
                )
            )  # fmt: skip
            server.line = f"{name} emulator listening on {address}"
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, _ended)
            server.run(sockets=[listener])
    finally:
        if settings.is_temporary:
            shutil.rmtree(settings.data, ignore_errors=True)
    sys.stdout.flush()
    # a render under way or an answer kept back would hold the process up
    os._exit(0 if server.started else 1)
