"""A mistake costs one clear line and exit code 2, and leaves nothing half done behind."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from in_process import Here
from media_factory import make_film, write_sound
from real_command import Command, Ran

from lipsync_core.demo.film import DemoFilm

Arguments = list[str | Path]


def refused(ran: Ran, *words: str, code: int = 2) -> str:
    """The one line of complaint of a run that was refused."""
    complaints = [line for line in ran.err.splitlines() if line.startswith("error: ")]
    assert ran.code == code, ran.err
    assert len(complaints) == 1, ran.err
    assert ran.err.rstrip().endswith(complaints[0]), ran.err
    assert "Traceback" not in ran.err
    assert ran.out == ""
    for word in words:
        assert word in complaints[0]
    return complaints[0]


def nothing_half_done(folder: Path) -> None:
    left = [path for path in folder.rglob("*") if path.name.endswith((".part", ".mp4", ".html"))]
    assert left == []
    assert [path for path in folder.rglob("work/*")] == []


@pytest.fixture
def film(faceless_film: DemoFilm, tmp_path: Path) -> DemoFilm:
    """A good film and its speech in a folder where a test may spoil them."""
    folder = tmp_path / "given"
    folder.mkdir()
    return DemoFilm(
        Path(shutil.copy(faceless_film.video, folder)),
        Path(shutil.copy(faceless_film.speech, folder)),
    )


def truncated(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def pair(film: DemoFilm, video: Path | None = None, audio: Path | None = None) -> Arguments:
    return ["--video", video or film.video, "--audio", audio or film.speech]


MISTAKES: dict[str, tuple[Callable[[DemoFilm], Arguments], str]] = {
    "a missing film": (
        lambda film: pair(film, video=film.video.with_name("gone.mp4")),
        "no such file",
    ),
    "a text instead of a film": (
        lambda film: pair(film, video=written(film.video, "not a film")),
        "not a media file",
    ),
    "a film cut off by a broken download": (
        lambda film: pair(film, video=truncated(film.video)),
        "cut off",
    ),
    "a sound instead of a film": (lambda film: pair(film, video=film.speech), "no video stream"),
    "a film instead of a speech": (lambda film: pair(film, audio=film.video), "no audio stream"),
    "an unknown engine": (
        lambda film: [*pair(film), "--generator", "magic"],
        "no generator called 'magic': choose one of",
    ),
    "an unknown scorer": (
        lambda film: [*pair(film), "--scorer", "hearsay"],
        "no scorer called 'hearsay'",
    ),
    "an unknown option": (lambda film: [*pair(film), "--colour", "blue"], "--colour"),
    "a word for a number": (lambda film: [*pair(film), "--max-workers", "many"], "--max-workers"),
    "an end before the start": (
        lambda film: [*pair(film), "--start", "5", "--end", "2"],
        "--end must lie after --start",
    ),
    "a film and a manifest at once": (
        lambda film: [*pair(film), "--manifest", "films.csv"],
        "--manifest",
    ),
    "a manifest row that names no file": (
        lambda film: [
            "--manifest",
            written(
                film.video.with_name("films.csv"),
                "video,audio\nnumbers.mp4,noise.wav\ngone.mp4,noise.wav\n",
            ),
        ],
        "films.csv line 3: no such video file: gone.mp4",
    ),
    "a cut list of words": (
        lambda film: [
            *pair(film),
            "--cuts",
            written(film.video.with_name("cuts.csv"), "first_frame\n0\nten\n"),
        ],
        "cuts.csv line 3",
    ),
    "a kind that is none": (
        lambda film: [
            *pair(film),
            "--cuts",
            written(film.video.with_name("cuts.csv"), "first_frame,kind\n0,lipsink\n"),
        ],
        "cuts.csv line 2: kind 'lipsink'",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_in_one_line(
    mistake: str, typed: Callable[..., Ran], film: DemoFilm, tmp_path: Path
) -> None:
    arguments, words = MISTAKES[mistake]
    refused(typed(*arguments(film), "--out", tmp_path / "out"), words)
    nothing_half_done(tmp_path / "out")


@pytest.mark.parametrize(
    "mistake",  # found by the parser, by the model, and in the file
    ["an unknown option", "an end before the start", "a film cut off by a broken download"],
)
def test_a_process_ends_with_that_line(
    mistake: str, command: Command, film: DemoFilm, tmp_path: Path
) -> None:
    arguments, words = MISTAKES[mistake]
    refused(command(*arguments(film), "--out", tmp_path / "out"), words)
    nothing_half_done(tmp_path / "out")


def test_a_speech_without_a_single_sample_is_told_when_it_is_laid(
    here: Here, film: DemoFilm, tmp_path: Path
) -> None:
    empty = write_sound(film.speech, np.zeros((0, 1)), 16_000)
    ran = here(video=film.video, audio=empty, out=tmp_path / "out")
    assert ran.code == 2
    assert "zero-length sound" in ran.err
    nothing_half_done(tmp_path / "out")


def test_damage_in_the_middle_of_a_film_is_told_when_it_is_met(
    command: Command, film: DemoFilm, tmp_path: Path
) -> None:
    whole = make_film(film.video.with_name("long.mp4"), frames=100)
    spoiled = bytearray(whole.read_bytes())
    middle = len(spoiled) // 2
    spoiled[middle : middle + 20_000] = os.urandom(20_000)
    whole.write_bytes(spoiled)
    refused(
        command(*pair(film, video=whole), "--out", tmp_path / "out"), "damaged film", "long.mp4"
    )
    nothing_half_done(tmp_path / "out")


def test_a_file_in_the_place_of_the_output_folder_is_told(
    typed: Callable[..., Ran], film: DemoFilm, tmp_path: Path
) -> None:
    place = written(tmp_path / "notes.txt", "do not lose me")
    refused(typed(*pair(film), "--out", place), "notes.txt", "choose another one")
    refused(typed(*pair(film), "--out", place / "below"), "notes.txt/below")
    assert place.read_text() == "do not lose me"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_to_is_told(
    typed: Callable[..., Ran], film: DemoFilm, tmp_path: Path
) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    refused(typed(*pair(film), "--out", locked / "out"), "cannot write", "choose another one")


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film whose faces and whose pictures take much room."""
    return make_film(tmp_path_factory.mktemp("large") / "noisy.mp4", frames=60, size=(1280, 720))


@pytest.mark.parametrize(
    ("limit_kb", "file"), [(100, "faces.npy"), (1000, "final")], ids=["in a scan", "in a join"]
)
def test_a_full_disk_ends_the_run_and_leaves_no_half_file(
    limit_kb: int, file: str, command: Command, film: DemoFilm, noisy: Path, tmp_path: Path
) -> None:
    """The limit on file sizes gives the same answer as a used-up quota, and needs no rights."""
    ran = command.within(limit_kb * 1024)(*pair(film, video=noisy), "--out", tmp_path / "out")
    refused(ran, "disk full while writing", file, "free some space", code=1)
    nothing_half_done(tmp_path / "out")


def test_the_help_explains_the_command(command: Command) -> None:
    ran = command("--help")
    assert ran.code == 0
    for words in ("--video FILM --audio SPEECH --out DIR", "--dry-run", "exit codes: 0 done"):
        assert words in ran.out
