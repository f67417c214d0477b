"""The Prefect server of a command that was given none: it lives exactly as long as the command.

Prefect would start one by itself, but as a member of the command's own process group: there Ctrl-C
stops it first, and the run then waits for minutes to tell it that it was stopped. And it would
outlive a command that is killed.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial

import httpx
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    get_current_settings,
    temporary_settings,
)

START_LIMIT_S = 120.0
_STOP_LIMIT_S = 10.0
_OPTIONS = (
    "--no-ui",
    "--no-scheduler",
    "--no-late-runs",
    "--analytics-off",
    "--log-level",
    "ERROR",
)
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


@contextmanager
def server_for_the_run() -> Iterator[None]:
    """Have a server to talk to: the one the settings name, else one of our own."""
    if get_current_settings().api.url is not None:
        yield
        return
    # at its end a flow waits up to a second for its heartbeat, which nobody listens to here
    settings = {PREFECT_API_URL: _started(), PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}
    with temporary_settings(settings):
        yield


def _started() -> str:
    """The address of a server that now runs."""
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        port = place.getsockname()[1]
    where = ("--host", "127.0.0.1", "--port", str(port))
    process = subprocess.Popen(
        [sys.executable, "-m", "prefect", "server", "start", *where, *_OPTIONS],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=partial(_end_with, os.getpid()),
    )
    # at the very end: until then Prefect's own threads hand over what they still hold
    atexit.register(_stop, process)
    address = f"http://127.0.0.1:{port}/api"
    deadline = time.monotonic() + START_LIMIT_S
    with httpx.Client(verify=False, timeout=START_LIMIT_S) as http:  # loading certificates is slow
        while time.monotonic() < deadline and process.poll() is None:
            with suppress(httpx.TransportError):
                if http.get(f"{address}/health").is_success:
                    return address
            time.sleep(0.1)
    raise RuntimeError("the embedded Prefect server does not start")


def _end_with(parent: int) -> None:
    """Runs in the child: however its parent ends, the server gets a SIGTERM (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it ended before it could be watched
            os._exit(1)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
