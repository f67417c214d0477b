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
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

from lipsync_core.errors import EngineHung, LipsyncError, OutOfMemory, RenderFailed, told, writing

Beat = Callable[[], None]
"""Called by the work of a child as a sign of life."""

_ENDS_IN_S = 5.0
_LOOKS_S = 0.5  # how often it is looked whether the child still lives


@dataclass(frozen=True)
class Job:
    """What a child is to do: ``work(*arguments, beat=…)``, both importable and picklable.

    What it prints, and what its imports print, goes to the file ``words``.
    """

    work: Callable[..., Any]
    arguments: tuple[Any, ...]
    words: Path


_processes: dict[str, OwnProcess] = {}
_guard = threading.Lock()


def process_for(engine: str) -> OwnProcess:
    """The process of an engine, shared by all who ask for it by the same name."""
    with _guard:
        return _processes.setdefault(engine, OwnProcess(engine))


@atexit.register
def stop_all() -> None:
    """End all children, also in the middle of a job. What waits for them gets an error, and so
    does what asks for them, until :func:`start_anew`."""
    with _guard:
        for process in _processes.values():
            process.stop()


def start_anew() -> None:
    """Let engines that were stopped be used again."""
    with _guard:
        for engine in [name for name, process in _processes.items() if process.is_stopped]:
            del _processes[engine]


class OwnProcess:
    """One child that does one job at a time, started when there is the first."""

    def __init__(self, engine: str) -> None:
        self._engine = engine
        self._turn = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._channel: Connection | None = None
        self.is_stopped = False

    def __call__(self, job: Job, limit_s: float) -> Any:
        """Have a job done and wait for it.

        Raises:
            EngineHung: no sign of work for ``limit_s`` seconds.
            RenderFailed: the child died.
            OutOfMemory: the system killed the child.
            LipsyncError: whatever the work itself raised, or somebody stops the run.
        """
        with self._turn:
            try:
                kind, value = self._answer(job, limit_s)
            except (EOFError, OSError) as error:
                raise self._why_it_died(job) from error
            except BaseException:  # it hangs, or nobody waits for its answer any more
                self._end()
                raise
        if kind == "failed":
            raise value
        return value

    @property
    def pid(self) -> int | None:
        """The child's process id, while it lives."""
        return None if self._child is None or self._child.poll() is not None else self._child.pid

    def stop(self) -> None:
        """End the child, whatever it does; a job that is waited for ends with an error, and no
        later one is begun."""
        self.is_stopped = True
        self._kill()
        with self._turn:
            self._end()

    def _answer(self, job: Job, limit_s: float) -> tuple[str, Any]:
        channel = self._started()
        # sending may block, too: a child that hangs does not read
        guard = threading.Timer(limit_s, self._kill)
        guard.start()
        try:
            channel.send(job.words)
            channel.send(job)
        finally:
            guard.cancel()
        alive_at = time.monotonic()
        while time.monotonic() - alive_at < limit_s:
            if not channel.poll(_LOOKS_S):
                if self.pid is None:  # a process it started may hold the channel open
                    raise EOFError
                continue
            kind, value = channel.recv()
            if kind != "alive":
                return kind, value
            alive_at = time.monotonic()
        raise EngineHung(
            f"{self._engine} showed no sign of work for {limit_s:.0f} s and was stopped"
            f"{_last_words(job.words)}; raise limit_s if the machine is slow"
        )

    def _why_it_died(self, job: Job) -> LipsyncError:
        code = self._end()
        if self.is_stopped:
            return LipsyncError(f"{self._engine} was stopped")
        if code == -signal.SIGKILL:
            return OutOfMemory(
                f"{self._engine} was killed by the system, which does so when memory runs out: "
                "close other programs or give batch=1"
            )
        return RenderFailed(f"{self._engine} ended with code {code}{_last_words(job.words)}")

    def _kill(self) -> None:
        child = self._child
        if child is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)

    def _end(self) -> int | None:
        """See the child off, and what it started; its exit code."""
        child, channel, self._child, self._channel = self._child, self._channel, None, None
        if child is None:
            return None
        with contextlib.suppress(subprocess.TimeoutExpired):  # one that dies says how by itself
            child.wait(_LOOKS_S if child.poll() is None else 0)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        if channel is not None:
            channel.close()
        if child.stdin is not None:
            child.stdin.close()
        return child.wait(_ENDS_IN_S)

    def _started(self) -> Connection:
        if self.is_stopped:
            raise LipsyncError(f"{self._engine} was stopped")
        if self.pid is not None and self._channel is not None:
            return self._channel
        self._end()
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
    os.set_inheritable(channel.fileno(), False)  # nothing it starts may hold the channel open
    while True:
        try:
            words: Path = channel.recv()
        except EOFError:
            return
        try:
            with _printed_to(words):
                answer = _answered(channel)
        except LipsyncError as error:  # the words cannot be written
            answer = "failed", error
        channel.send(answer)
        del answer


def _answered(channel: Connection) -> tuple[str, Any]:
    try:
        job: Job = channel.recv()  # which imports what it names
        return "done", job.work(*job.arguments, beat=lambda: channel.send(("alive", None)))
    except LipsyncError as error:
        # without what stood on the stack, which may be gigabytes
        error.__cause__ = error.__context__ = None
        return "failed", error.with_traceback(None)
    except Exception as error:
        traceback.print_exc()
        return "failed", RenderFailed(told(error))


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os.killpg(os.getpid(), signal.SIGKILL)


@contextlib.contextmanager
def _printed_to(path: Path) -> Iterator[None]:
    """Let everything this process prints, in Python or beneath it, go to a file."""
    before = [os.dup(1), os.dup(2)]
    with writing(path), path.open("ab", buffering=0) as file:
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
