"""A run that is stopped while an engine hangs in a process of its own."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from in_process import Here
from real_command import Command, all_end, children, end

from lipsync_core.demo.film import DemoFilm


@pytest.mark.parametrize("how", ["Ctrl-C", "kill"])
def test_a_hanging_engine_holds_no_run_up(
    how: str, here: Here, command: Command, short_film: DemoFilm, plugin: Path, tmp_path: Path
) -> None:
    """Nobody waits for the ten minutes that it may hang, let alone for a second try, and none of
    the segments that wait for their turn takes it."""
    out, diary, cuts = tmp_path / "out", tmp_path / "diary", tmp_path / "cuts.csv"
    cuts.write_text("0\n30\n60\n90\n120\n150\n")
    here.know(short_film, out)
    given = command.with_package(plugin).given(TRIAL_DIARY=str(diary))
    process = given.start(
        "--video", short_film.video, "--audio", short_film.speech, "--out", out, "--generator",
        "hanging", "--cuts", cuts, "--max-workers", "2",
    )  # fmt: skip
    try:
        while not (diary.exists() and diary.read_text().strip()):
            assert process.poll() is None
        started = children(process.pid)
        assert int(diary.read_text()) in started
        if how == "Ctrl-C":
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.terminate()
        out_text, err = process.communicate(timeout=60)
    finally:
        end(process)
    assert process.returncode == 130
    assert out_text == ""
    assert err.endswith("error: stopped; run the same command again to go on\n")
    assert all_end(started, within_s=10)
