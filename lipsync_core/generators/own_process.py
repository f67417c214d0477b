"""An engine in a process of its own, which can be stopped whatever it hangs in.

A network, a driver or a decoder that hangs inside this process could not be ended without ending
the run. So an engine with a checkpoint works in a child: one job at a time, what it prints is kept
in a file beside the result, and a child that shows no sign of work for too long is killed with
everything it started. It stays for the next job, since loading takes longer than a short segment,
and ends when this process does, however that ends.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

from lipsync_core.errors import LipsyncError, OutOfMemory, RenderFailed, told

Beat = Callable[[], None]
"""Called by the work of a child as a sign of life."""

_ENDS_IN_S = 5.0


@dataclass(frozen=True)
class Job:
    """What a child is to do: ``work(*arguments, beat=…)``, both importable and picklable.

    What it prints, and what its imports print, goes to the file ``words``.
    """

    work: Callable[..., Any]
    arguments: tuple[Any, ...]
    words: Path


@cache
def process_for(engine: str) -> OwnProcess:
    """The process of an engine, shared by all who ask for it by the same name."""
    return OwnProcess(engine)


class OwnProcess:
    """One child that does one job at a time, started when there is the first."""

    def __init__(self, engine: str) -> None:
        self._engine = engine
        self._turn = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._channel: Connection | None = None
        atexit.register(self.stop)

    def __call__(self, job: Job, limit_s: float) -> Any:
        """Have a job done and wait for it.

        Raises:
            RenderFailed: no sign of work for ``limit_s`` seconds, or the child died.
            OutOfMemory: the system killed the child.
            LipsyncError: whatever the work itself raised.
        """
        with self._turn:
            channel = self._started()
            try:
                channel.send(job.words)
                channel.send(job)
                while channel.poll(limit_s):
                    kind, value = channel.recv()
                    if kind == "done":
                        return value
                    if kind == "failed":
                        raise value
                raise RenderFailed(
                    f"{self._engine} showed no sign of work for {limit_s:.0f} s and was stopped"
                    f"{_last_words(job.words)}; raise limit_s if the machine is slow"
                )
            except LipsyncError as error:
                if isinstance(error, RenderFailed):
                    self.stop()
                raise
            except (EOFError, ConnectionError) as error:
                code = self._ended()
                if code == -signal.SIGKILL:
                    raise OutOfMemory(
                        f"{self._engine} was killed by the system, which does so when memory runs "
                        "out: close other programs or give batch=1"
                    ) from error
                raise RenderFailed(
                    f"{self._engine} ended with code {code}{_last_words(job.words)}"
                ) from error
            except BaseException:  # nobody waits for the answer any more
                self.stop()
                raise

    @property
    def pid(self) -> int | None:
        """The child's process id, while it lives."""
        return None if self._child is None or self._child.poll() is not None else self._child.pid

    def stop(self) -> None:
        """End the child and everything it started."""
        if self._child is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._child.pid, signal.SIGKILL)
            self._ended()

    def _ended(self) -> int | None:
        child, channel, self._child, self._channel = self._child, self._channel, None, None
        if child is None:
            return None
        if channel is not None:
            channel.close()
        if child.stdin is not None:
            child.stdin.close()
        try:
            return child.wait(_ENDS_IN_S)
        except subprocess.TimeoutExpired:
            child.kill()
            return child.wait()

    def _started(self) -> Connection:
        if self.pid is not None and self._channel is not None:
            return self._channel
        self.stop()
        ours, theirs = Pipe()
        self._child = subprocess.Popen(
            [sys.executable, "-m", __name__, str(theirs.fileno())],
            stdin=subprocess.PIPE,  # never written to: it closes when this process ends
            stdout=subprocess.DEVNULL,  # until a job says where its words go
            stderr=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
        theirs.close()
        self._channel = ours
        return ours


def _last_words(words: Path) -> str:
    """The last line a child printed, as part of a sentence."""
    try:
        lines = words.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return ""
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f" (its last words: {last[:200]})" if last else ""


def _serve(channel: Connection) -> None:
    """What the child does: job after job, until nobody is there to give one."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            words: Path = channel.recv()
        except EOFError:
            return
        with _printed_to(words):
            answer = _answer(channel)
        channel.send(answer)


def _answer(channel: Connection) -> tuple[str, Any]:
    try:
        job: Job = channel.recv()  # which imports what it names
        return "done", job.work(*job.arguments, beat=lambda: channel.send(("alive", None)))
    except LipsyncError as error:
        return "failed", error
    except Exception as error:
        import traceback

        traceback.print_exc()
        return "failed", RenderFailed(told(error))


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os.killpg(os.getpid(), signal.SIGKILL)


@contextlib.contextmanager
def _printed_to(path: Path) -> Iterator[None]:
    """Let everything this process prints, in Python or beneath it, go to a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    before = [os.dup(1), os.dup(2)]
    with path.open("ab", buffering=0) as file:
        try:
            for number in (1, 2):
                os.dup2(file.fileno(), number)
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for saved, number in zip(before, (1, 2), strict=True):
                os.dup2(saved, number)
                os.close(saved)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # the functions of jobs name this module by its own name, not by "__main__"
    from lipsync_core.generators import own_process

    own_process._serve(Connection(int(sys.argv[1])))
