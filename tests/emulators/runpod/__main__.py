"""The command: listen, say where, and end at the first SIGTERM."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
from types import FrameType

import uvicorn

from tests.emulators.runpod.app import made_app
from tests.emulators.runpod.settings import parsed


class _Announced(uvicorn.Server):
    """A server that says in one line where it listens, once it does."""

    address = ""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(f"RunPod emulator listening on {self.address}", flush=True)


def _ended(_number: int, _frame: FrameType | None) -> None:
    """The server has closed by then; a signal that asked for it is no failure."""


def main(arguments: list[str] | None = None) -> None:
    """Serve until a signal comes."""
    settings = parsed(arguments)
    try:
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", settings.port))
            # keep-alive outlives the pauses of any poller, which would find its connection closed
            server = _Announced(
                uvicorn.Config(
                    made_app(settings), http="h11", ws="none", log_level="critical",
                    timeout_keep_alive=120, timeout_graceful_shutdown=1, backlog=1024,
                )
            )  # fmt: skip
            server.address = f"http://127.0.0.1:{listener.getsockname()[1]}"
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, _ended)
            server.run(sockets=[listener])
    finally:
        if settings.is_temporary:
            shutil.rmtree(settings.data, ignore_errors=True)
    sys.stdout.flush()
    # a render under way would hold the process up; it is begun anew after a restart
    os._exit(0 if server.started else 1)


if __name__ == "__main__":
    main()
