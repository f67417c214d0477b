"""``flows.verify``: says in numbers, in a sentence and in its exit code whether lips and sound
agree."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from media_factory import decoded_sound, write_sound
from prefect_server import PrefectServer
from pydantic import ValidationError
from real_command import Command

from flows.verify import FolderResult, VerifyRequest, VerifyResult, verify
from lipsync_core.demo.film import DemoFilm
from lipsync_core.errors import InputError

RATE = 16_000  # of the film's own sound
FRAMES, CUT_FRAME = 190, 150  # of the short film: all of them, and the first without a face


def moved(film: DemoFilm, early_frames: int, out: Path) -> Path:
    """The film's own sound so many frames of 1/25 s earlier, or later where that is negative."""
    sound = decoded_sound(film.video, 1)
    shift = early_frames * RATE // 25
    shifted = sound[shift:] if shift >= 0 else np.pad(sound, ((-shift, 0), (0, 0)))
    return write_sound(out, shifted, RATE)


def test_the_command_finds_a_film_in_sync_with_its_own_sound(
    command: Command, short_film: DemoFilm
) -> None:
    ran = command(short_film.video, "--json", module="flows.verify")
    assert ran.code == 0, ran.err
    result = VerifyResult.model_validate_json(ran.out)
    assert (result.in_sync, result.evidence, result.frame_rate) == (True, "ok", "25")
    assert result.offset_frames == pytest.approx(0, abs=0.5)
    assert [(track.first_frame, track.last_frame) for track in result.tracks] == [(0, CUT_FRAME)]
    assert result.last_frame == FRAMES


def test_the_command_says_how_to_repair_a_shift(
    command: Command, short_film: DemoFilm, tmp_path: Path
) -> None:
    late = moved(short_film, -4, tmp_path / "late.wav")
    ran = command(short_film.video, "--audio", late, module="flows.verify")
    assert ran.code == 1
    table, verdict = ran.out.rstrip().splitlines()[1:]
    span, speaks, offset_ms = table.split()[:3]
    assert (span, speaks) == (f"0-{CUT_FRAME}", "yes")
    assert int(offset_ms) == pytest.approx(-160, abs=20)
    assert "ms late: advance it by 1" in verdict


@pytest.mark.usefixtures("with_server")
@pytest.mark.parametrize("early_frames", [3, -4])
def test_a_known_shift_is_measured_and_told_in_the_ui(
    server: PrefectServer, short_film: DemoFilm, tmp_path: Path, early_frames: int
) -> None:
    audio = moved(short_film, early_frames, tmp_path / "moved.wav")
    result = verify(VerifyRequest(video=short_film.video, audio=audio))
    assert isinstance(result, VerifyResult)
    assert result.offset_frames == pytest.approx(early_frames, abs=0.5)
    assert (result.in_sync, result.exit_code) == (False, 1)
    told = server.get("artifacts/verify/latest")
    assert result.verdict in told["data"]


def test_a_film_without_a_face_gives_no_evidence(command: Command, faceless_film: DemoFilm) -> None:
    arguments = (faceless_film.video, "--audio", faceless_film.speech)
    ran = command(*arguments, module="flows.verify")
    assert ran.code == 1
    assert ran.out.rstrip().endswith("numbers.mp4: no evidence: no face in the film")


def test_a_film_without_sound_is_refused_before_anything_is_decoded(
    command: Command, faceless_film: DemoFilm
) -> None:
    assert "--audio SPEECH --json" in command("--help", module="flows.verify").out
    ran = command(faceless_film.video, module="flows.verify")
    assert (ran.code, ran.out) == (2, "")
    assert "has no sound: give the speech with --audio" in ran.err


def test_of_two_faces_the_one_who_speaks_counts(command: Command, dialogue: Path) -> None:
    ran = command(dialogue, module="flows.verify")
    assert ran.code == 0, ran.err
    *tracks, verdict = [line.split() for line in ran.out.rstrip().splitlines()[1:]]
    assert sorted(track[1] for track in tracks) == ["no", "no", "yes", "yes"]
    assert verdict[1:3] == ["in", "sync"]


@pytest.mark.usefixtures("with_server")
def test_a_folder_gives_a_table_and_names_what_it_drops(
    short_film: DemoFilm, faceless_film: DemoFilm, tmp_path: Path
) -> None:
    clips = tmp_path / "it's a folder"
    (clips / "more").mkdir(parents=True)
    shutil.copy(short_film.video, clips / "demo.mp4")
    shutil.copy(faceless_film.video, clips / "more" / "silent.mp4")
    (clips / "broken.mov").write_bytes(b"moov")
    (clips / "notes.txt").write_text("not a film")
    request = VerifyRequest(folder=clips, csv=tmp_path / "tables" / "scores.csv")
    found = verify(request)
    assert isinstance(found, FolderResult)
    assert list(found.clips) == ["demo.mp4"]
    assert found.mean_confidence == pytest.approx(found.clips["demo.mp4"].confidence, abs=1e-3)
    assert set(found.dropped) == {"broken.mov", "more/silent.mp4"}
    assert "has no sound" in found.dropped["more/silent.mp4"]
    assert found.exit_code == 1
    assert "1 clips by landmark, 2 dropped" in found.as_text()
    text = (tmp_path / "tables" / "scores.csv").read_text()
    assert text.count("\n") == 1 + 2 + 2 + 1
    assert "dropped: " in text


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "give one film or, with --folder, a folder of clips"),
        ({"video": "a.mp4", "folder": "b"}, "give one film or"),
        ({"folder": "b", "audio": "a.wav"}, "--audio goes with one film"),
        ({"video": "a.mp4", "csv": "b.csv"}, "--csv goes with --folder"),
    ],
)
def test_one_film_or_a_folder_is_asked_for(fields: dict[str, str], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        VerifyRequest.model_validate(fields)


def test_a_folder_without_films_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no films in"):
        VerifyRequest(folder=tmp_path).check()
    with pytest.raises(InputError, match="no such folder"):
        VerifyRequest(folder=tmp_path / "gone").check()
