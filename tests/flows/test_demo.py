"""``flows.demo``: one command shows what the product does, and a second one is quick."""

from __future__ import annotations

import time
from pathlib import Path

from real_command import Command

from flows.demo import DemoResult
from lipsync_core.demo.film import CUT_FRAME, FRAMES
from lipsync_core.report.summary import Verdict
from lipsync_core.timeline import SpanKind


def test_the_demo_dubs_its_film_and_says_where_to_look(
    command: Command, command_alone: Command, tmp_path: Path
) -> None:
    started = time.monotonic()
    ran = command_alone("--out", tmp_path / "demo", module="flows.demo")
    first_s = time.monotonic() - started
    assert ran.code == 0, ran.out + ran.err
    for name in ("film.mp4", "speech.wav", "film/final.mp4", "report.html"):
        assert (tmp_path / "demo" / name).stat().st_size > 10_000
        assert str(tmp_path / "demo" / name) in ran.out
    drawn = (tmp_path / "demo" / "film.mp4").stat().st_mtime_ns

    started = time.monotonic()
    again = command("--out", tmp_path / "demo", "--json", module="flows.demo")
    assert again.code == 0, again.err
    assert time.monotonic() - started < first_s
    assert (tmp_path / "demo" / "film.mp4").stat().st_mtime_ns == drawn
    result = DemoResult.model_validate_json(again.out)
    [film] = result.run.films
    spoken, rocket = film.segments[0], film.segments[-1]
    assert (spoken.kind, spoken.verdict, spoken.reused) == (SpanKind.LIPSYNC, Verdict.PASS, True)
    assert (rocket.kind, rocket.first_frame) == (SpanKind.PASSTHROUGH, CUT_FRAME)
    assert film.frames == FRAMES
    assert film.film_score is not None
    offset = film.film_score["offset_frames"]
    assert isinstance(offset, float)
    assert abs(offset) <= 1
    assert film.checks is not None
    assert film.checks.frames_equal
    assert film.checks.max_boundary_lag_ms < 1
