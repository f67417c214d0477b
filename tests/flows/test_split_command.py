"""``flows.split``: a film becomes numbered parts that hold every frame and sample once."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
from media_factory import bursts, make_film, number_of, write_sound
from real_command import Command

from flows.split import SplitRequest, SplitResult, split
from lipsync_core.demo.film import DemoFilm
from lipsync_core.errors import InputError
from lipsync_core.media.frames import read_frames
from lipsync_core.media.probe import probe

FRAMES, CUT_FRAME = 190, 150  # of the short film: all of them, and the first of its second shot


def test_the_command_splits_a_film_at_its_cut(
    command: Command, short_film: DemoFilm, tmp_path: Path
) -> None:
    ran = command(short_film.video, "--out", tmp_path / "parts", "--json", module="flows.split")
    assert ran.code == 0, ran.err
    result = SplitResult.model_validate_json(ran.out)
    assert [(p.number, p.first_frame, p.last_frame) for p in result.parts] == [
        (1, 0, CUT_FRAME), (2, CUT_FRAME, FRAMES),
    ]  # fmt: skip
    assert sorted(path.name for path in (tmp_path / "parts").iterdir()) == [
        "aud_01.wav", "aud_02.wav", "scene_cuts.csv", "vid_01.mp4", "vid_02.mp4",
    ]  # fmt: skip
    assert sum(probe(Path(part.video)).frames for part in result.parts) == FRAMES == result.frames


def test_the_command_says_what_it_needs_and_refuses_to_mix_two_films(
    command: Command, faceless_film: DemoFilm, tmp_path: Path
) -> None:
    explained = command("--help", module="flows.split")
    assert explained.code == 0
    for words in ("flows.split FILM --out DIR", "--minimum-seconds", "scene_cuts.csv"):
        assert words in explained.out
    (tmp_path / "vid_07.mp4").write_bytes(b"of another film")
    ran = command(faceless_film.video, "--out", tmp_path, module="flows.split")
    assert (ran.code, ran.out) == (2, "")
    assert "already holds vid_07.mp4: give another folder, or --overwrite" in ran.err
    assert (tmp_path / "vid_07.mp4").read_bytes() == b"of another film"


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Numbered frames with a sound that begins with them."""
    return make_film(
        tmp_path / "film.mp4", frames=75, rate=Fraction(24000, 1001), sound=bursts(3.2, 48_000)
    )


def numbers(part: str) -> list[int]:
    return [number_of(frame) for frame in read_frames(probe(Path(part)))]


@pytest.mark.usefixtures("with_server")
def test_a_cut_list_takes_the_place_of_the_detector(film: Path, tmp_path: Path) -> None:
    cuts = tmp_path / "cuts.csv"
    cuts.write_text("first_frame\n0\n10\n11\n40\n")
    result = split(SplitRequest(video=film, cuts=cuts, out=tmp_path / "parts"))
    assert [numbers(part.video) for part in result.parts] == [
        [*range(10)], [10], [*range(11, 40)], [*range(40, 75)],
    ]  # fmt: skip


@pytest.mark.usefixtures("with_server")
def test_only_what_lies_between_two_moments_is_written(film: Path, tmp_path: Path) -> None:
    cuts = tmp_path / "cuts.csv"
    cuts.write_text("20\n50\n")
    result = split(SplitRequest(video=film, cuts=cuts, out=tmp_path / "parts", start=1.0, end=2.5))
    assert [numbers(part.video) for part in result.parts] == [[*range(24, 50)], [*range(50, 60)]]
    table = Path(result.table).read_text().splitlines()
    assert [row.split(",")[1:3] for row in table[1:]] == [["24", "50"], ["50", "60"]]


@pytest.mark.usefixtures("with_server")
def test_a_given_speech_is_cut_in_place_of_the_film_s_own_sound(film: Path, tmp_path: Path) -> None:
    speech = bursts(2.0, 16_000, seed=9)
    audio = write_sound(tmp_path / "speech.wav", speech, 16_000)
    cuts = tmp_path / "cuts.csv"
    cuts.write_text("30\n")
    result = split(SplitRequest(video=film, audio=audio, cuts=cuts, out=tmp_path / "parts"))
    pieces = [soundfile.read(part.audio, always_2d=True)[0] for part in result.parts if part.audio]
    laid = np.concatenate(pieces)
    assert np.abs(laid[: len(speech)] - speech).max() <= 1 / 32768
    assert not laid[len(speech) :].any()
    assert result.notes == ["the speech is 1.13 s shorter than the film: silence follows it"]


@pytest.mark.usefixtures("with_server")
def test_a_silent_film_becomes_silent_parts_and_says_so(tmp_path: Path) -> None:
    film = make_film(tmp_path / "film.mp4", frames=1)
    result = split(SplitRequest(video=film, out=tmp_path / "parts"))
    assert [part.audio for part in result.parts] == [None]
    assert "no sound" in result.as_text()


@pytest.mark.usefixtures("with_server")
def test_splitting_again_replaces_the_parts_only_when_told(film: Path, tmp_path: Path) -> None:
    out, cuts, no_cuts = tmp_path / "parts", tmp_path / "cuts.csv", tmp_path / "none.csv"
    cuts.write_text("30\n60\n")
    no_cuts.write_text("first_frame\n0\n")
    split(SplitRequest(video=film, cuts=cuts, out=out))
    with pytest.raises(InputError, match=r"already holds aud_01\.wav"):
        split(SplitRequest(video=film, cuts=no_cuts, out=out))
    split(SplitRequest(video=film, cuts=no_cuts, out=out, overwrite=True))
    assert sorted(path.name for path in out.iterdir()) == [
        "aud_01.wav", "scene_cuts.csv", "vid_01.mp4",
    ]  # fmt: skip
