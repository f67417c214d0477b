"""A run may be killed at any moment; the same command goes on where it stopped."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from in_process import Here
from media_factory import decoded_sound
from real_command import Command, all_end, children, end

from lipsync_core.demo.film import DemoFilm
from lipsync_core.media.frames import planes_of, read_frames
from lipsync_core.media.probe import probe
from lipsync_core.report.summary import SegmentSummary
from lipsync_core.timeline import SpanKind

CUTS = (0, 30, 60, 90, 120, 150)  # the last one begins the shot without a face
# Where in the run it is killed: after this stage has begun, and up to so many seconds later.
MOMENTS = (
    ("", 2.0),
    ("looking for scenes", 0.5),
    ("looking for scenes", 2.0),
    ("planning", 0.3),
    ("rendering", 0.5),
    ("rendering", 1.0),
    ("rendering", 1.5),
    ("rendering", 2.0),
    ("joining", 0.7),
    ("checking", 0.3),
)


def wait_for_stage(process: subprocess.Popen[str], stage: str) -> None:
    """Read what the command says until it speaks of a stage; "" is begun at once."""
    assert process.stderr is not None
    said = ""
    while stage not in said:
        line = process.stderr.readline()
        assert line, f"the run ended before this stage: {said}"
        said += line


def run_and_kill(command: Command, arguments: list[str | Path], stage: str, delay_s: float) -> bool:
    """Start the command and kill all of it in the given moment; whether it was still at work."""
    process = command.start(*arguments)
    try:
        wait_for_stage(process, stage)
        time.sleep(delay_s)
        at_work = process.poll() is None
        if at_work:
            os.killpg(process.pid, signal.SIGKILL)
    finally:
        end(process)
    return at_work


def finished_in(store: Path) -> set[int]:
    """The first frames of the segments whose rendering is in the books."""
    found = set()
    for record in store.glob("results/generate/*"):
        try:
            found.add(json.loads(json.loads(record.read_text())["result"])["data"]["first_frame"])
        except ValueError:  # the kill fell into the writing of it: it does not count
            continue
    return found


def same_film(one: Path, other: Path) -> bool:
    frames = zip(read_frames(probe(one)), read_frames(probe(other)), strict=True)
    pictures = all(
        np.array_equal(a, b)
        for left, right in frames
        for a, b in zip(planes_of(left), planes_of(right), strict=True)
    )
    return pictures and np.array_equal(decoded_sound(one, 1), decoded_sound(other, 1))


def facts(segment: SegmentSummary) -> dict[str, object]:
    return segment.model_dump(exclude={"seconds", "reused"})


def test_a_run_killed_ten_times_ends_as_one_that_was_not(
    command: Command, short_film: DemoFilm, plugin: Path, tmp_path: Path
) -> None:
    cuts = tmp_path / "cuts.csv"
    cuts.write_text("\n".join(map(str, CUTS)))
    given: list[str | Path] = [
        "--video", short_film.video, "--audio", short_film.speech, "--cuts", cuts,
        "--generator", "counted", "--max-workers", "2", "--json", "--out",
    ]  # fmt: skip
    diary, store = tmp_path / "diary", tmp_path / "killed" / ".lipsync"
    diary.touch()
    counted = command.with_package(plugin).given(TRIAL_DIARY=str(diary))
    moments = random.Random(20)

    kills, renderings = 0, 0
    for stage, longest_s in MOMENTS:
        finished, begun = finished_in(store), len(diary.read_text().split())
        delay_s = moments.uniform(0, longest_s)
        kills += run_and_kill(counted, [*given, tmp_path / "killed"], stage, delay_s)
        renderings = len(diary.read_text().split())
        again = set(map(int, diary.read_text().split()[begun:])) & finished
        assert not again, f"rendered once more: {again}"
    assert kills >= 8

    finished = finished_in(store)
    last = counted(*given, tmp_path / "killed")
    wanted = {s.first_frame for s in last.film.segments if s.kind is SpanKind.LIPSYNC}
    assert len(wanted) >= 4
    assert set(map(int, diary.read_text().split()[renderings:])) == wanted - finished
    assert {s.first_frame for s in last.film.segments if s.reused} == finished

    never_killed = counted(*given, tmp_path / "never killed")
    assert last.code == never_killed.code
    assert same_film(Path(last.film.output), Path(never_killed.film.output))
    assert [facts(s) for s in last.film.segments] == [facts(s) for s in never_killed.film.segments]
    assert last.film.checks == never_killed.film.checks

    assert [path for path in tmp_path.rglob("*") if path.name.endswith(".part")] == []
    assert [path for path in tmp_path.rglob("*unchecked*")] == []
    assert [path for path in store.glob("work/*")] == []
    assert {path.name for path in store.iterdir()} <= {"objects", "results", "work", "run.log"}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of this")
def test_a_killed_run_takes_its_embedded_server_along(
    command_alone: Command, faceless_film: DemoFilm, tmp_path: Path
) -> None:
    process = command_alone.start(
        "--video", faceless_film.video, "--audio", faceless_film.speech, "--out", tmp_path
    )  # fmt: skip
    try:
        wait_for_stage(process, "looking")
        started = children(process.pid)
        assert started
        process.kill()
    finally:
        end(process)
    assert all_end(started)


def test_what_another_living_run_is_making_is_left_alone(
    here: Here, command: Command, short_film: DemoFilm, tmp_path: Path
) -> None:
    """Two runs share a store: the second tidies up, and the first must not notice."""
    store = tmp_path / "store"
    (store / "work" / "left by a killed run").mkdir(parents=True)
    first = command.start(
        "--video", short_film.video, "--audio", short_film.speech, "--store", store,
        "--out", tmp_path / "first", "--json",
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 300
        while not list(store.glob("work/tmp*")):
            assert first.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        second = here(
            video=short_film.video, audio=short_film.speech, store=str(store),
            out=tmp_path / "second", dry_run=True,
        )  # fmt: skip
        out, err = first.communicate(timeout=600)
    finally:
        end(first)
    assert second.code == 0, second.err
    assert first.returncode in (0, 1), err
    assert json.loads(out)["failed"] == []
    assert list(store.glob("work/*")) == []
