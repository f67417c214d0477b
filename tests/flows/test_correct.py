"""``flows.correct``: the command, its words and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from real_command import Command

from flows.correct import CorrectRequest, correct
from lipsync_core.demo.film import DemoFilm
from lipsync_core.errors import InputError
from lipsync_core.media.shift import shift_sound


def test_the_command_puts_a_film_right_and_says_what_it_did(
    command: Command, short_film: DemoFilm, tmp_path: Path
) -> None:
    late, out = tmp_path / "it's late.mp4", tmp_path / "right" / "film.mp4"
    shift_sound(short_film.video, late, 0.2)
    ran = command(late, "--out", out, "--json", module="flows.correct")
    assert ran.code == 0, ran.err
    told = json.loads(ran.out)
    assert (told["answer"], told["output"]) == ("corrected", str(out))
    assert told["delay_ms"] == pytest.approx(-200, abs=20)


@pytest.mark.usefixtures("with_server")
def test_a_film_in_sync_is_told_so(short_film: DemoFilm, tmp_path: Path) -> None:
    found = correct(CorrectRequest(video=short_film.video, out=tmp_path / "same.mp4"))
    assert found.exit_code == 0
    assert found.as_text().startswith("short.mp4: already in sync\n  before: in sync (")
    assert (tmp_path / "same.mp4").read_bytes() == short_film.video.read_bytes()


def test_a_film_without_sound_is_refused(faceless_film: DemoFilm, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no sound to correct"):
        CorrectRequest(video=faceless_film.video, out=tmp_path / "o.mp4").check()


@pytest.mark.parametrize(
    ("out", "said"),
    [("film.mkv", r"the container is kept: give --out a name that ends in \.mp4"),
     ("", "is the film itself")],
)  # fmt: skip
def test_an_output_that_cannot_be_is_told_before_anything_is_done(
    out: str, said: str, short_film: DemoFilm, tmp_path: Path
) -> None:
    path = tmp_path / out if out else short_film.video
    with pytest.raises(InputError, match=said):
        CorrectRequest(video=short_film.video, out=path).check()
