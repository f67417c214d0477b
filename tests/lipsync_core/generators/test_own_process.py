"""An engine in a process of its own: what it answers, what it prints, and that it can be ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lipsync_core.errors import EngineHung, InputError, LipsyncError, OutOfMemory, RenderFailed
from lipsync_core.generators.own_process import (
    Job,
    OwnProcess,
    process_for,
    start_anew,
    stop_all,
)

WORKS = """
import os, subprocess, sys, time
from pathlib import Path
from lipsync_core.errors import InputError

def add(a, b, *, beat):
    return a + b, os.getpid()

def complain(*, beat):
    print("said by Python")
    os.system("echo said by a program >&2")
    raise InputError("this face is too beautiful")

def fall_over(*, beat):
    return 1 / 0

def hang(started, *, beat):
    child = subprocess.Popen(["sleep", "300"])
    started.write_text(f"{os.getpid()} {child.pid}")
    print("reading frame 7", flush=True)
    time.sleep(300)

def leave_one(*, beat):
    subprocess.Popen(["sleep", "300"], close_fds=False)
    os.kill(os.getpid(), 9)

def take_long(seconds, *, beat):
    for _ in range(int(seconds / 0.2)):
        time.sleep(0.2)
        beat()
    return "done at last"

def die(how, *, beat):
    print("a last word", flush=True)
    os._exit(how) if how > 0 else os.kill(os.getpid(), -how)
"""


@pytest.fixture(scope="module")
def works(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[str], Callable[..., object]]]:
    """Work for a child, by name, in a module that both sides can import."""
    site = tmp_path_factory.mktemp("site")
    (site / "trial_works.py").write_text(WORKS)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        patch.setenv("PYTHONPATH", f"{site}{os.pathsep}{Path.cwd()}")
        import trial_works  # type: ignore[import-not-found]

        yield lambda name: getattr(trial_works, name)


@pytest.fixture(scope="module")
def engine(works: object) -> Iterator[OwnProcess]:
    process = OwnProcess("trial")
    yield process
    process.stop()


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone(pids: list[int], within_s: float = 10) -> bool:
    deadline = time.monotonic() + within_s
    while any(lives(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(lives(pid) for pid in pids)


def test_one_child_does_one_job_after_the_other(
    engine: OwnProcess, works: Callable[[str], object], tmp_path: Path
) -> None:
    (first, one), (second, other) = (
        engine(Job(works("add"), (n, 1), tmp_path / "words"), 60) for n in (1, 2)
    )
    assert (first, second) == (2, 3)
    assert one == other == engine.pid
    assert one != os.getpid()


def test_what_it_prints_is_kept_and_its_error_is_told(
    engine: OwnProcess, works: Callable[[str], object], tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    with pytest.raises(InputError, match="this face is too beautiful"):
        engine(Job(works("complain"), (), tmp_path / "words"), 60)
    said = (tmp_path / "words").read_text().splitlines()
    assert sorted(said) == ["said by Python", "said by a program"]
    with pytest.raises(RenderFailed, match="unexpected ZeroDivisionError: division by zero"):
        engine(Job(works("fall_over"), (), tmp_path / "more"), 60)
    assert "Traceback" in (tmp_path / "more").read_text()
    assert capfd.readouterr() == ("", "")


def test_what_hangs_is_killed_with_all_it_started(
    engine: OwnProcess, works: Callable[[str], object], tmp_path: Path
) -> None:
    engine(Job(works("add"), (1, 1), tmp_path / "words"), 60)  # it has started
    started = tmp_path / "started"
    with pytest.raises(EngineHung) as told:
        engine(Job(works("hang"), (started,), tmp_path / "words"), 2)
    assert str(told.value) == (
        "trial showed no sign of work for 2 s and was stopped (its last words: reading frame 7); "
        "raise limit_s if the machine is slow"
    )
    pids = list(map(int, started.read_text().split()))
    assert len(pids) == 2
    assert gone(pids)
    assert engine.pid is None
    answer, _ = engine(Job(works("add"), (1, 1), tmp_path / "words"), 60)
    assert answer == 2


def test_who_shows_signs_of_work_may_take_longer(
    engine: OwnProcess, works: Callable[[str], object], tmp_path: Path
) -> None:
    engine(Job(works("add"), (1, 1), tmp_path / "words"), 60)
    assert engine(Job(works("take_long"), (3,), tmp_path / "words"), 2) == "done at last"


def test_a_child_that_dies_is_told_and_replaced(
    engine: OwnProcess, works: Callable[[str], object], tmp_path: Path
) -> None:
    with pytest.raises(RenderFailed, match=r"trial ended with code 7 \(its last words: a last wor"):
        engine(Job(works("die"), (7,), tmp_path / "words"), 60)
    with pytest.raises(OutOfMemory, match="trial was killed by the system, which does so when mem"):
        engine(Job(works("die"), (-signal.SIGKILL,), tmp_path / "words"), 60)
    assert engine(Job(works("add"), (1, 1), tmp_path / "words"), 60)[0] == 2


def test_what_a_dead_child_left_running_holds_nobody_up(
    engine: OwnProcess, works: Callable[[str], object], tmp_path: Path
) -> None:
    engine(Job(works("add"), (1, 1), tmp_path / "words"), 60)
    began = time.monotonic()
    with pytest.raises(OutOfMemory):
        engine(Job(works("leave_one"), (), tmp_path / "words"), 60)
    assert time.monotonic() - began < 10


def test_a_job_too_large_for_a_child_that_does_not_read_ends_in_time(
    works: Callable[[str], object], tmp_path: Path
) -> None:
    engine = OwnProcess("trial")
    engine(Job(works("add"), (1, 1), tmp_path / "words"), 60)
    assert engine.pid is not None
    os.kill(engine.pid, signal.SIGSTOP)
    began = time.monotonic()
    with pytest.raises(LipsyncError):
        engine(Job(works("add"), (b"0" * (1 << 23), b""), tmp_path / "words"), 2)
    assert time.monotonic() - began < 20
    assert engine.pid is None


def test_all_of_them_are_stopped_until_somebody_begins_anew(
    works: Callable[[str], object], tmp_path: Path
) -> None:
    job = Job(works("add"), (1, 1), tmp_path / "words")
    engine = process_for("trial of all")
    _, pid = engine(job, 60)
    stop_all()
    assert gone([pid])
    with pytest.raises(LipsyncError, match="trial of all was stopped"):
        process_for("trial of all")(job, 60)
    start_anew()
    assert process_for("trial of all")(job, 60)[0] == 2
    stop_all()
    start_anew()


def test_stopped_it_gives_up_its_job_and_begins_no_other(
    works: Callable[[str], object], tmp_path: Path
) -> None:
    engine, started = OwnProcess("trial"), tmp_path / "started"
    troubles: list[BaseException] = []

    def wait() -> None:
        try:
            engine(Job(works("hang"), (started,), tmp_path / "words"), 300)
        except LipsyncError as error:
            troubles.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    while not (started.exists() and len(started.read_text().split()) == 2):
        assert waiting.is_alive()
        time.sleep(0.05)
    engine.stop()
    waiting.join(20)
    assert [str(error) for error in troubles] == ["trial was stopped"]
    assert not troubles[0].retryable  # type: ignore[attr-defined]
    assert gone(list(map(int, started.read_text().split())))
    with pytest.raises(LipsyncError, match="trial was stopped"):
        engine(Job(works("add"), (1, 1), tmp_path / "words"), 60)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_with_its_parent(how: signal.Signals, works: object, tmp_path: Path) -> None:
    """However that ends, even in the middle of a job."""
    started = tmp_path / "started"
    program = (
        "import trial_works, sys; from pathlib import Path\n"
        "from lipsync_core.generators.own_process import Job, OwnProcess\n"
        "place = Path(sys.argv[1])\n"
        "OwnProcess('trial')(Job(trial_works.hang, (place / 'started',), place / 'words'), 300)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)])
    try:
        deadline = time.monotonic() + 60
        while not (started.exists() and len(started.read_text().split()) == 2):
            assert parent.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        parent.send_signal(how)
        parent.wait(30)
        assert gone(list(map(int, started.read_text().split())))
    finally:
        parent.kill()
        parent.wait()
