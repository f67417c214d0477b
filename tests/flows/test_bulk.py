"""The main job, end to end, as a person runs it."""

from __future__ import annotations

import csv
import json
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from in_process import Here
from media_factory import bursts, make_film, number_of, write_sound
from real_command import Command, Ran, all_end, children, end

from lipsync_core.demo.film import DemoFilm
from lipsync_core.media.clip import Box, Clip, joined_frames
from lipsync_core.media.frames import planes_of, read_frames
from lipsync_core.media.probe import probe, probe_audio
from lipsync_core.report.summary import FilmSummary, RunSummary, Verdict
from lipsync_core.timeline import SpanKind

FRAMES, CUT_FRAME = 190, 150  # of the short film: all of them, and the first without a face
reads_proc = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")


@dataclass(frozen=True)
class Dubbed:
    """A film that was dubbed, and where."""

    film: DemoFilm
    out: Path
    ran: Ran

    @property
    def folder(self) -> Path:
        """The film's own folder."""
        return self.out / self.film.video.stem

    @property
    def given(self) -> dict[str, Path]:
        """What it was dubbed of."""
        return {"video": self.film.video, "audio": self.film.speech}


@pytest.fixture(scope="module")
def dubbed(
    command: Command, short_film: DemoFilm, tmp_path_factory: pytest.TempPathFactory
) -> Dubbed:
    """The short film with its new speech."""
    out = tmp_path_factory.mktemp("dubbed") / "out"
    given = ["--video", short_film.video, "--audio", short_film.speech, "--out", out]
    return Dubbed(short_film, out, command(*given, "--json"))


def clips_in(store: Path) -> list[Clip]:
    """The clips that the tasks of a store have rendered."""
    clips = []
    for record in store.glob("results/generate/*"):
        value = json.loads(json.loads(record.read_text())["result"])["data"]
        place = store / value["file"]["uri"]
        clips.append(Clip(place, value["first_frame"], value["last_frame"], Box(*value["box"])))
    return clips


def psnr(one: av.VideoFrame, other: av.VideoFrame) -> float:
    """Of two 8-bit frames' luma, in dB."""
    a, b = (planes_of(frame)[0].astype(float) for frame in (one, other))
    return float(10 * np.log10(255**2 / max(1e-9, np.mean((a - b) ** 2))))


def frames(path: Path, first: int, last: int) -> Iterator[av.VideoFrame]:
    return read_frames(probe(path), first, last)


def remembered(store: Path) -> dict[Path, bytes]:
    """Everything the tasks of a store have come to, with what was made and when."""
    return {path: path.read_bytes() for path in store.glob("results/*/*")}


def nothing_left_over(out: Path) -> None:
    assert [path for path in out.rglob("*.part")] == []
    assert [path for path in out.rglob("*unchecked*")] == []
    assert [path for path in out.rglob("work/*")] == []


class TestADubbedFilm:
    def test_ends_well_and_answers_with_one_json_object(self, dubbed: Dubbed) -> None:
        assert dubbed.ran.code == 0, dubbed.ran.err
        answer = json.loads(dubbed.ran.out)
        assert {"run_dir", "cost_usd", "films", "failed", "next_command"} <= set(answer)
        [film] = answer["films"]
        assert {"name", "output", "report", "frame_rate", "frames", "checks", "segments"} <= set(
            film
        )
        assert set(film["checks"]) == {
            "frames_equal", "max_boundary_lag_ms", "colour_tags_equal", "psnr_outside_db",
            "timestamps_monotonic",
        }  # fmt: skip
        for segment in film["segments"]:
            assert {
                "index", "first_frame", "last_frame", "kind", "generator", "verdict", "attempts",
                "reused", "offset_frames", "confidence", "source_confidence", "seconds",
                "cost_usd", "reason",
            } <= set(segment)  # fmt: skip

    def test_tells_its_stages_on_stderr_and_nothing_else(self, dubbed: Dubbed) -> None:
        lines = dubbed.ran.err.splitlines()
        assert all(line.startswith("short: ") for line in lines), dubbed.ran.err
        assert len(lines) < 12

    def test_keeps_the_promises_of_the_timeline(self, dubbed: Dubbed) -> None:
        film = dubbed.ran.film
        assert probe(Path(film.output)).frames == film.frames == FRAMES
        assert film.checks is not None
        assert film.checks.frames_equal
        assert film.checks.max_boundary_lag_ms < 1
        assert film.checks.psnr_outside_db >= 40

    def test_gets_a_new_mouth_where_a_face_talks_and_keeps_the_rest(self, dubbed: Dubbed) -> None:
        *talking, landscape = dubbed.ran.film.segments
        assert all(s.kind is SpanKind.LIPSYNC and s.last_frame <= CUT_FRAME for s in talking)
        assert all(s.verdict is Verdict.PASS and not s.reused for s in talking)
        assert (landscape.kind, landscape.first_frame) == (SpanKind.PASSTHROUGH, CUT_FRAME)
        assert landscape.reason

    def test_passes_the_kept_pictures_on_bit_for_bit(self, dubbed: Dubbed) -> None:
        info = probe(dubbed.film.video)
        given_to_encoder = islice(
            joined_frames(info, clips_in(dubbed.out / ".lipsync")), CUT_FRAME, None
        )
        kept = list(zip(given_to_encoder, read_frames(info, CUT_FRAME), strict=True))
        assert len(kept) == FRAMES - CUT_FRAME
        for joined, source in kept:
            for plane, original in zip(planes_of(joined), planes_of(source), strict=True):
                assert np.array_equal(plane, original)

    def test_shows_the_kept_pictures_at_40_db_and_more(self, dubbed: Dubbed) -> None:
        final = frames(dubbed.folder / "final.mp4", CUT_FRAME, FRAMES)
        source = frames(dubbed.film.video, CUT_FRAME, FRAMES)
        assert min(psnr(a, b) for a, b in zip(final, source, strict=True)) >= 40

    def test_really_moves_the_mouth(self, dubbed: Dubbed) -> None:
        [clip] = clips_in(dubbed.out / ".lipsync")[:1]
        final = frames(dubbed.folder / "final.mp4", clip.first_frame, clip.last_frame)
        source = frames(dubbed.film.video, clip.first_frame, clip.last_frame)
        assert min(psnr(a, b) for a, b in zip(final, source, strict=True)) < 36

    def test_leaves_its_report_its_plan_and_its_facts(self, dubbed: Dubbed) -> None:
        assert "<html" in (dubbed.out / "report.html").read_text()
        facts = RunSummary.model_validate_json((dubbed.out / "run.json").read_text())
        assert facts == dubbed.ran.summary
        assert (dubbed.folder / "run.json").is_file()
        rows = list(csv.DictReader((dubbed.folder / "segments.csv").read_text().splitlines()))
        assert [row["kind"] for row in rows] == [s.kind for s in facts.films[0].segments]
        nothing_left_over(dubbed.out)


class TestTheSameCommandAgain:
    def test_finds_everything_done(self, here: Here, dubbed: Dubbed) -> None:
        before, final = remembered(dubbed.out / ".lipsync"), dubbed.folder / "final.mp4"
        written = final.stat().st_mtime_ns
        film = here(**dubbed.given, out=dubbed.out).film
        rendered = [s for s in film.segments if s.kind is SpanKind.LIPSYNC]
        assert rendered
        assert all(s.reused and s.seconds == 0 for s in rendered)
        assert remembered(dubbed.out / ".lipsync") == before
        assert final.stat().st_mtime_ns == written

    def test_finds_it_also_where_film_and_folder_have_moved(
        self, here: Here, dubbed: Dubbed, tmp_path: Path
    ) -> None:
        """Work is found again by content: neither key nor result knows a place."""
        shutil.copytree(dubbed.out, tmp_path / "moved")
        video = Path(shutil.copy(dubbed.film.video, tmp_path / "short.mp4"))
        before = set(remembered(tmp_path / "moved" / ".lipsync"))
        film = here(video=video, audio=dubbed.film.speech, out=tmp_path / "moved").film
        assert all(s.reused for s in film.segments if s.kind is SpanKind.LIPSYNC)
        assert set(remembered(tmp_path / "moved" / ".lipsync")) == before
        assert Path(film.output) == tmp_path / "moved" / "short" / "final.mp4"

    def test_makes_anew_what_somebody_deleted_or_damaged(
        self, here: Here, dubbed: Dubbed, tmp_path: Path
    ) -> None:
        out = Path(shutil.copytree(dubbed.out, tmp_path / "out"))
        store = out / ".lipsync"
        clips_in(store)[0].path.unlink()
        (out / "short" / "final.mp4").unlink()
        for record in store.glob("results/plan*/*"):
            record.write_bytes(record.read_bytes()[:100])  # killed while writing
        ran = here(**dubbed.given, out=out)
        assert ran.code == 0, ran.err
        assert [s.reused for s in ran.film.segments if s.kind is SpanKind.LIPSYNC].count(False) == 1
        assert probe(out / "short" / "final.mp4").frames == FRAMES


class TestThePlan:
    def test_is_all_a_dry_run_makes(self, here: Here, dubbed: Dubbed, tmp_path: Path) -> None:
        store = str(dubbed.out / ".lipsync")
        ran = here(**dubbed.given, out=tmp_path, store=store, dry_run=True)
        assert ran.code == 0, ran.err
        assert ran.film.checks is None
        assert [s.kind for s in ran.film.segments] == [s.kind for s in dubbed.ran.film.segments]
        assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"segments.csv"}

    def test_may_be_edited_and_given_back(self, here: Here, dubbed: Dubbed, tmp_path: Path) -> None:
        """A person divides the talking shot at frame 50 and keeps the picture before it."""
        edited = tmp_path / "edited.csv"
        edited.write_text(
            "First_Frame;Kind\n0;passthrough\n50;lipsync\n150;passthrough\n", encoding="utf-8-sig"
        )
        store = str(dubbed.out / ".lipsync")
        ran = here(**dubbed.given, out=tmp_path / "out", store=store, cuts=edited)
        first, second, third = ran.film.segments
        assert (first.first_frame, first.last_frame) == (0, 50)
        assert (first.kind, first.reason) == (SpanKind.PASSTHROUGH, "chosen by hand")
        assert (second.first_frame, second.last_frame) == (50, CUT_FRAME)
        assert second.kind is SpanKind.LIPSYNC
        assert third.kind is SpanKind.PASSTHROUGH
        final = frames(Path(ran.film.output), 0, 50)
        source = frames(dubbed.film.video, 0, 50)
        assert min(psnr(a, b) for a, b in zip(final, source, strict=True)) >= 40


def test_a_segment_that_cannot_be_rendered_keeps_its_picture_and_the_others_are_finished(
    command: Command, here: Here, short_film: DemoFilm, plugin: Path, tmp_path: Path
) -> None:
    """The engine comes from another installed package."""
    here.know(short_film, tmp_path / "out")
    cuts = tmp_path / "cuts.csv"
    cuts.write_text("0\n60\n120\n150\n")
    diary = tmp_path / "diary"
    ran = command.with_package(plugin).given(TRIAL_DIARY=str(diary))(
        "--video", short_film.video, "--audio", short_film.speech, "--out", tmp_path / "out",
        "--cuts", cuts, "--generator", "stumbling", "--json",
    )  # fmt: skip
    assert ran.code == 1
    [failed] = [s for s in ran.film.segments if s.first_frame == 60]
    assert failed.verdict is Verdict.REVIEW
    assert "the source picture was kept: this mouth is too beautiful" in failed.reason
    assert sorted(diary.read_text().split()) == ["0", "120", "60"]  # a bad input is tried once
    clips = clips_in(tmp_path / "out" / ".lipsync")
    assert sorted(clip.first_frame for clip in clips) == [0, 120]
    final = frames(Path(ran.film.output), 60, 120)
    source = frames(short_film.video, 60, 120)
    assert min(psnr(a, b) for a, b in zip(final, source, strict=True)) >= 40
    assert "Traceback" not in ran.err


QUOTED = 'it\'s a "film" 🎬, really'
FORMS: dict[str, dict[str, Any]] = {
    "23.976 fps": {"rate": Fraction(24000, 1001), "frames": 60},
    "29.97 fps": {"rate": Fraction(30000, 1001), "frames": 75},
    "30 fps": {"rate": 30, "frames": 61},
    "50 fps": {"rate": 50, "frames": 101},
    "variable rate": {"places": [0, 1, 2, 3, 5, 8, 9, 13, 14, 15, *range(20, 60)]},
    "turned by 90 degrees": {"rotation": 90, "size": (108, 192)},
    "upright": {"size": (108, 192)},
    "late start": {"start_s": Fraction(1, 2)},
    "4:2:2 in 10 bits": {"pixel_format": "yuv422p10le"},
    "a single frame": {"frames": 1},
    QUOTED: {},
}
VOICES = {"variable rate": (44_100, 2), "upright": (48_000, 6), QUOTED: (8_000, 1)}
LENGTHS = {"turned by 90 degrees": 1.2, "4:2:2 in 10 bits": 3.5}  # seconds of the speech


@pytest.fixture(scope="module")
def night(
    here: Here, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Path, FilmSummary]]:
    """Films and speech of every form in one run; nobody is in them, so all pictures are kept."""
    folder = tmp_path_factory.mktemp("all the films")
    rows = [("video", "audio", "name")]
    for number, (name, form) in enumerate(FORMS.items()):
        file = folder / (f"{name}.mp4" if name == QUOTED else f"form {number}.mp4")
        rate, channels = VOICES.get(name, (16_000, 1))
        sound = bursts(LENGTHS.get(name, 2.5), rate, channels)
        speech = write_sound(folder / f"speech {number}.wav", sound, rate)
        rows.append((make_film(file, **form).name, speech.name, name))
    with (folder / "night.csv").open("w", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    ran = here(manifest=folder / "night.csv", out=folder / "out")
    assert ran.code == 0, ran.err
    assert ran.summary.failed == []
    given = [(name, folder / video) for video, _, name in rows[1:]]
    return {n: (v, film) for (n, v), film in zip(given, ran.summary.films, strict=True)}


@pytest.mark.parametrize("form", FORMS)
def test_a_film_of_any_form_is_finished_frame_for_frame(
    form: str, night: dict[str, tuple[Path, FilmSummary]]
) -> None:
    video, film = night[form]
    source, final = probe(video), probe(Path(film.output))
    assert (final.frames, final.frame_rate) == (source.frames, source.frame_rate)
    assert (final.width, final.height) == (source.width, source.height)
    assert final.pixel_format == source.pixel_format
    assert [number_of(f) for f in read_frames(final)] == [number_of(f) for f in read_frames(source)]
    assert film.checks is not None
    assert film.checks.frames_equal
    assert film.checks.timestamps_monotonic
    assert film.checks.max_boundary_lag_ms < 1
    assert film.notes or not source.conformed  # whatever was conformed is told


@pytest.mark.parametrize("form", VOICES)
def test_a_speech_of_any_form_keeps_its_form(
    form: str, night: dict[str, tuple[Path, FilmSummary]]
) -> None:
    _, film = night[form]
    sound = probe_audio(Path(film.output))
    assert (sound.sample_rate, sound.channels) == VOICES[form]
    assert film.checks is not None
    assert film.checks.max_boundary_lag_ms < 1


def test_a_speech_of_another_length_is_told(night: dict[str, tuple[Path, FilmSummary]]) -> None:
    assert (
        "the speech is 0.80 s shorter than the film: silence follows it"
        in night["turned by 90 degrees"][1].notes
    )
    assert (
        "the speech is 1.50 s longer than the film: it ends with the picture"
        in night["4:2:2 in 10 bits"][1].notes
    )


def test_one_bad_film_does_not_stop_the_night(
    here: Here, command: Command, faceless_film: DemoFilm, tmp_path: Path
) -> None:
    cut_off = tmp_path / "cut off.mp4"
    cut_off.write_bytes(faceless_film.video.read_bytes()[:20_000])
    films = tmp_path / "films.csv"
    films.write_text(
        f"video,audio,name\n{cut_off},{faceless_film.speech},bad\n"
        f"{faceless_film.video},{faceless_film.speech},good\n"
    )
    ran = here(manifest=films, out=tmp_path / "o ut")
    assert ran.code == 1
    assert [film.name for film in ran.summary.films] == ["good"]
    [failed] = ran.summary.failed
    assert failed.name == "bad"
    assert "cut off.mp4" in failed.error
    assert (
        RunSummary.model_validate_json((tmp_path / "o ut" / "run.json").read_text()) == ran.summary
    )

    shutil.copy(faceless_film.video, cut_off)  # the person mends it and types what was told
    assert ran.summary.next_command is not None
    python, dash_m, module, *words = shlex.split(ran.summary.next_command)
    assert (python, dash_m) == ("python", "-m")
    healed = command.on_terminal(*words, "--json", module=module)
    assert healed.code == 0, healed.err
    assert [film.name for film in healed.summary.films] == ["bad", "good"]
    for drawn in ("bad: joining the film", "50/50 frames", "bad: finished", "good: finished"):
        assert drawn in healed.err


def test_a_night_of_bad_films_still_leaves_its_facts(
    here: Here, faceless_film: DemoFilm, tmp_path: Path
) -> None:
    films = tmp_path / "films.csv"
    films.write_text(
        "video,audio\n"
        + f"{faceless_film.speech},{faceless_film.speech}\n"
        + f"{faceless_film.video},{faceless_film.video}\n"
    )
    ran = here(manifest=films, out=tmp_path / "out")
    assert ran.code == 1
    assert "numbers: failed: no audio stream" in ran.summary.as_text()
    facts = RunSummary.model_validate_json((tmp_path / "out" / "run.json").read_text())
    assert len(facts.failed) == 2
    assert (tmp_path / "out" / "report.html").is_file()


@reads_proc
def test_without_a_server_the_command_starts_and_stops_one_of_its_own(
    command_alone: Command, faceless_film: DemoFilm, tmp_path: Path
) -> None:
    process = command_alone.start(
        "--video", faceless_film.video, "--audio", faceless_film.speech, "--out", tmp_path, "--json"
    )  # fmt: skip
    try:
        assert process.stderr is not None
        first = process.stderr.readline()
        started = children(process.pid)
        out, err = process.communicate(timeout=600)
    finally:
        end(process)
    assert process.returncode == 0, err
    assert RunSummary.model_validate_json(out).films[0].checks is not None
    assert all(line.startswith("numbers: ") for line in (first + err).splitlines()), err
    assert started
    assert all_end(started, within_s=0)


@reads_proc
@pytest.mark.parametrize("how", ["Ctrl-C", "kill"])
def test_a_stopped_run_says_so_and_leaves_no_child_and_no_half_file(
    how: str, here: Here, command_alone: Command, short_film: DemoFilm, tmp_path: Path
) -> None:
    here.know(short_film, tmp_path)
    process = command_alone.start(
        "--video", short_film.video, "--audio", short_film.speech, "--out", tmp_path
    )
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if "rendering" in line:
                break
        started = children(process.pid)
        if how == "Ctrl-C":
            os.killpg(process.pid, signal.SIGINT)  # a terminal tells the whole group
        else:
            process.terminate()
        out, err = process.communicate(timeout=300)
    finally:
        end(process)
    assert process.returncode == 130
    assert (out, err) == ("", "error: stopped; run the same command again to go on\n")
    assert started
    assert all_end(started, within_s=0)
    nothing_left_over(tmp_path)


def test_an_error_nobody_foresaw_costs_one_line_and_its_story_is_in_the_log(
    command: Command, faceless_film: DemoFilm, tmp_path: Path
) -> None:
    ran = command.given(PREFECT_API_URL="http://127.0.0.1:9/api")(
        "--video", faceless_film.video, "--audio", faceless_film.speech, "--out", tmp_path
    )
    log = tmp_path / ".lipsync" / "run.log"
    assert ran.code == 1
    assert ran.err.startswith("error: unexpected ")
    assert ran.err.count("\n") == 1
    assert str(log) in ran.err
    assert "Traceback" in log.read_text()
