"""``flows.verify``: says in numbers, in a sentence and in its exit code whether lips and sound
agree."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from media_factory import write_sound
from prefect_server import PrefectServer
from real_command import Command

from flows.verify import VerifyRequest, VerifyResult, verify
from lipsync_core.demo.film import CUT_FRAME, FRAMES, DemoFilm
from lipsync_core.material import Material
from lipsync_core.media.audio import Track

SAMPLES_A_FRAME = 640


def moved(own_words: Track | None, early_frames: int, out: Path) -> Path:
    """A sound so many frames of 1/25 s earlier, or later where that is negative."""
    assert own_words is not None
    sound = own_words.read()
    shift = early_frames * SAMPLES_A_FRAME
    shifted = sound[shift:] if shift >= 0 else np.pad(sound, ((-shift, 0), (0, 0)))
    return write_sound(out, shifted, own_words.sample_rate)


def test_the_command_finds_a_film_in_sync_with_its_own_sound(
    command: Command, demo_film: DemoFilm
) -> None:
    ran = command(demo_film.video, "--json", module="flows.verify")
    assert ran.code == 0, ran.err
    result = VerifyResult.model_validate_json(ran.out)
    assert (result.in_sync, result.evidence, result.frame_rate) == (True, "ok", "25")
    assert abs(result.offset_frames or 9) < 0.5
    assert [(track.first_frame, track.last_frame) for track in result.tracks] == [(0, CUT_FRAME)]
    assert result.last_frame == FRAMES


def test_the_command_says_how_to_repair_a_shift(
    command: Command, demo_film: DemoFilm, demo_material: Material, tmp_path: Path
) -> None:
    late = moved(demo_material.sound, -4, tmp_path / "late.wav")
    ran = command(demo_film.video, "--audio", late, module="flows.verify")
    assert ran.code == 1
    table, verdict = ran.out.rstrip().splitlines()[1:]
    span, offset_ms = table.split()[:2]
    assert span == f"0-{CUT_FRAME}"
    assert int(offset_ms) == pytest.approx(-160, abs=20)
    assert "ms late: advance it by 1" in verdict


@pytest.mark.usefixtures("with_server")
@pytest.mark.parametrize("early_frames", [3, -4])
def test_a_known_shift_is_measured_and_told_in_the_ui(
    server: PrefectServer,
    demo_film: DemoFilm,
    demo_material: Material,
    tmp_path: Path,
    early_frames: int,
) -> None:
    audio = moved(demo_material.sound, early_frames, tmp_path / "moved.wav")
    result = verify(VerifyRequest(video=demo_film.video, audio=audio))
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
