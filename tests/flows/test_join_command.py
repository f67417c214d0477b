"""``flows.join``: what ``flows.split`` took apart becomes the same film again."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from in_process import Here
from media_factory import bursts, decoded_sound, lag_ms, make_film, number_of
from real_command import Command

from flows.join import JoinRequest, JoinResult, join
from flows.split import SplitRequest, split
from lipsync_core.demo.film import DemoFilm
from lipsync_core.errors import InputError
from lipsync_core.media.checks import psnr_outside_db
from lipsync_core.media.frames import read_frames
from lipsync_core.media.probe import probe

FRAMES, CUT_FRAME = 190, 150  # of the short film: all of them, and the first of its second shot


@pytest.fixture(scope="module")
def parts(short_film: DemoFilm, here: Here, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The short film in its two shots."""
    folder = tmp_path_factory.mktemp("parts")
    here.run(split, SplitRequest(video=short_film.video, out=folder))
    return folder


def test_the_command_joins_a_film_as_it_was(
    command: Command, parts: Path, short_film: DemoFilm, tmp_path: Path
) -> None:
    final = tmp_path / "joined.mp4"
    ran = command(parts, "--out", final, "--json", module="flows.join")
    assert ran.code == 0, ran.err
    result = JoinResult.model_validate_json(ran.out)
    assert (result.output, result.frames, result.notes) == (str(final), FRAMES, [])
    assert result.max_boundary_lag_ms is not None
    assert result.max_boundary_lag_ms < 0.05
    assert psnr_outside_db(probe(short_film.video), probe(final), []) > 40
    heard, own = decoded_sound(final, 1), decoded_sound(short_film.video, 1)
    talking = slice(0, CUT_FRAME * 640)
    assert abs(lag_ms(heard[talking], own[talking], 16_000)) < 0.05


def test_the_command_names_the_parts_that_are_missing(
    command: Command, parts: Path, tmp_path: Path
) -> None:
    assert "flows.join DIR --audio SPEECH" in command("--help", module="flows.join").out
    for path in parts.iterdir():
        if path.name != "vid_02.mp4":
            (tmp_path / path.name).symlink_to(path)
    ran = command(tmp_path, "--out", tmp_path / "joined.mp4", module="flows.join")
    assert (ran.code, ran.out) == (2, "")
    assert f"error: vid_02 missing in {tmp_path}: 2 parts make the film" in ran.err


@pytest.mark.usefixtures("with_server")
def test_the_new_speech_lies_under_the_whole_film(
    parts: Path, short_film: DemoFilm, tmp_path: Path
) -> None:
    final = tmp_path / "joined.mp4"
    result = join(JoinRequest(folder=parts, audio=short_film.speech, out=final))
    heard, speech = decoded_sound(final, 1), decoded_sound(short_film.speech, 1)
    assert abs(lag_ms(heard, speech, 16_000)) < 0.05
    assert (result.sound, result.frames) == ("speech.wav", FRAMES)


@pytest.mark.usefixtures("with_server")
def test_a_part_of_a_film_at_an_odd_rate_comes_back_frame_by_frame(tmp_path: Path) -> None:
    """The parts know from their table where in the speech they begin."""
    rate = Fraction(30000, 1001)
    film = make_film(tmp_path / "film.mp4", frames=90, rate=rate, sound=bursts(3.1, 44_100))
    cuts = tmp_path / "cuts.csv"
    cuts.write_text("25\n26\n70\n")
    split(SplitRequest(video=film, cuts=cuts, start=0.5, end=2.5, out=tmp_path / "parts"))
    final = tmp_path / "joined.mp4"
    pieces = join(JoinRequest(folder=tmp_path / "parts", out=final))
    assert [number_of(frame) for frame in read_frames(probe(final))] == list(range(15, 75))
    from_pieces = decoded_sound(final, 1)
    whole = join(JoinRequest(folder=tmp_path / "parts", audio=film, out=final))
    assert abs(lag_ms(from_pieces, decoded_sound(final, 1), 44_100)) < 0.05
    assert (pieces.sound, whole.sound) == ("the aud_NN.wav", "film.mp4 from 0.500 s on")


@pytest.mark.usefixtures("with_server")
def test_a_folder_without_parts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no vid_01, vid_02, … in"):
        join(JoinRequest(folder=tmp_path, out=tmp_path / "joined.mp4"))
