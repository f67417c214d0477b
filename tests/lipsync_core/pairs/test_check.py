"""Is a pair fit for a run: real films and speech, and what servers say of those elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lipsync_core.errors import RemoteRefused
from lipsync_core.jobs.manifest import Pair, Source
from lipsync_core.pairs.check import PairCheck
from lipsync_core.services.web import WebFile
from lipsync_core.stores.address import Address
from tests.media_factory import bursts, make_film, write_sound

FILM = WebFile(size=1000, kind="video/mp4", tag="")
SPEECH = WebFile(size=1000, kind="audio/wav", tag="")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    make_film(folder / "talk.mp4", frames=50, size=(160, 120))
    for name, seconds in (("same", 2.0), ("nearly", 2.3), ("long", 4.0)):
        write_sound(folder / f"{name}.wav", bursts(seconds, 16_000), 16_000)
    (folder / "text.mp4").write_text("no film")
    return folder


def checked(
    video: Source, audio: Source, elsewhere: dict[Source, object] | None = None
) -> PairCheck:
    check = PairCheck(Pair(video, audio, "talk", 1))
    check.look(elsewhere or {}, tolerance_s=0.5)  # type: ignore[arg-type]
    return check


def test_a_good_pair_has_no_problems_and_known_lengths(folder: Path) -> None:
    check = checked(folder / "talk.mp4", folder / "same.wav")
    assert check.problems == check.notes == []
    assert (check.video_s, check.audio_s) == (2.0, 2.0)


def test_a_speech_that_differs_a_little_is_noted(folder: Path) -> None:
    check = checked(folder / "talk.mp4", folder / "nearly.wav")
    assert check.problems == []
    assert check.notes == ["the speech is 0.30 s longer than the film: it ends with the picture"]


def test_a_speech_of_another_length_is_a_problem(folder: Path) -> None:
    check = checked(folder / "talk.mp4", folder / "long.wav")
    assert check.problems == ["the speech is 2.00 s longer than the film: it ends with the picture"]


def test_every_bad_file_of_a_pair_is_named(folder: Path) -> None:
    check = checked(folder / "text.mp4", folder / "gone.wav")
    assert [problem.split(":")[0] for problem in check.problems] == [
        "not a media file, or cut off before its index", "no such file",
    ]  # fmt: skip


def _signed(hours: float) -> Address:
    dies = int((datetime.now(UTC) + timedelta(hours=hours)).timestamp())
    return Address(f"https://films.example/a.mp4?Expires={dies}&Signature=hidden")


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        (RemoteRefused("https://films.example/a.mp4 is not there"), "is not there"),
        (WebFile(0, "video/mp4", ""), "empty file: https://films.example/a.mp4"),
        (WebFile(9, "text/html", ""), "is text/html and no video"),
    ],
)
def test_what_lies_elsewhere_and_is_no_film_is_a_problem(found: object, problem: str) -> None:
    film, speech = Address("https://films.example/a.mp4"), Address("https://films.example/a.wav")
    check = checked(film, speech, {film: found, speech: SPEECH})
    assert len(check.problems) == 1
    assert problem in check.problems[0]


def test_a_signature_that_died_is_a_problem_and_a_dying_one_a_note() -> None:
    speech = Address("https://films.example/a.wav")
    for hours, problems, notes in ((-1, 1, 0), (3, 0, 1), (100, 0, 0)):
        film = _signed(hours)
        check = checked(film, speech, {film: FILM, speech: SPEECH})
        assert (len(check.problems), len(check.notes)) == (problems, notes), hours
        assert "hidden" not in "".join(check.problems + check.notes)


def test_a_film_that_is_served_as_a_sound_is_noted() -> None:
    film, speech = Address("https://films.example/a.mp4"), Address("https://films.example/a.wav")
    check = checked(film, speech, {film: SPEECH, speech: WebFile(1, "binary/octet-stream", "")})
    assert check.problems == []
    assert check.notes == ["https://films.example/a.mp4 is served as audio/wav, not as video"]
