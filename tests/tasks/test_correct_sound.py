"""Films put back in sync, in every container and at every rate, from the file to the file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from media_factory import bursts, decoded_sound, ffmpeg, make_film, picture_packets, write_sound
from numpy.typing import NDArray

from lipsync_core.demo.film import DemoFilm
from lipsync_core.material import Material, own_sound
from lipsync_core.media.probe import probe
from lipsync_core.media.shift import shift_sound
from lipsync_core.scan import scan_film
from lipsync_core.sync.correct import Correction, correct
from lipsync_core.sync.delay import Answer, delayed, find_delay
from lipsync_core.sync.landmark import LandmarkScorer
from lipsync_core.sync.score import Span, SyncScore
from lipsync_core.sync.tracks import score_tracks
from tasks.correct import correct_sound

# container, frame rate, codecs of picture and sound
FORMS = [
    ("mp4", "24000/1001", "libx264", "aac"),
    ("mov", "25", "libx264", "pcm_s16le"),
    ("mkv", "30000/1001", "libx264", "flac"),
    ("avi", "30", "mpeg4", "pcm_s16le"),
    ("webm", "50", "libvpx", "libopus"),
    ("mp4", "60", "libx264", "aac"),
]
QUICK = {"libx264": ["-preset", "veryfast"], "libvpx": ["-deadline", "realtime", "-cpu-used", "8"]}
Make = Callable[[str, str, str, str], "Talking"]


@dataclass(frozen=True)
class Talking:
    """A film in sync, its faces, and what the scorer says of it: frames of 1/25 s."""

    path: Path
    material: Material
    offset: float

    def measured(self, path: Path, folder: Path) -> float:
        """The offset of the same picture with the sound of ``path``."""
        sound = own_sound(probe(path), folder / "sound.wav")
        assert sound is not None
        offset = score_tracks(self.material, sound, LandmarkScorer()).offset_frames
        assert offset is not None
        return offset


@pytest.fixture(scope="module")
def talking(demo_film: DemoFilm, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """The talking shot of the demo film in another form, made once."""

    @cache
    def make(kind: str, rate: str, picture: str, sound: str) -> Talking:
        folder = tmp_path_factory.mktemp("talking")
        path = folder / f"film.{kind}"
        ffmpeg(
            "-i", demo_film.video, "-t", "10", "-vf", f"scale=256:-2,fps={rate}", "-c:v", picture,
            *QUICK.get(picture, []), "-b:v", "2M", "-c:a", sound, "-ar", "48000", path,
        )  # fmt: skip
        info = probe(path)
        assert info.frame_rate == Fraction(rate)
        material = Material(info, scan_film(info, folder), own_sound(info, folder / "own.wav"))
        assert material.sound is not None
        offset = score_tracks(material, material.sound, LandmarkScorer()).offset_frames
        assert offset is not None
        return Talking(path, material, offset)

    return make


def corrected(video: Path, out: Path, *, repair_drift: bool = False) -> Correction:
    return correct_sound.fn(video, out, "landmark", 5, repair_drift)


@pytest.mark.parametrize(("kind", "rate", "picture", "sound"), FORMS)
def test_sound_moved_by_frames_is_measured_so_and_put_back(
    kind: str, rate: str, picture: str, sound: str, talking: Make, tmp_path: Path
) -> None:
    film, moved = talking(kind, rate, picture, sound), tmp_path / f"moved.{kind}"
    assert abs(film.offset) < 0.5
    for early in (-12, 1, 12):
        shift_sound(film.path, moved, -0.04 * early)
        found = film.measured(moved, tmp_path)
        assert found - film.offset == pytest.approx(early, abs=0.25), early

    out = tmp_path / f"corrected.{kind}"  # of the last one, twelve frames early
    heard = own_sound(probe(moved), tmp_path / "heard.wav")
    assert heard is not None
    done = find_delay(
        lambda delay_ms: score_tracks(film.material, delayed(heard, delay_ms), LandmarkScorer())
    )
    assert (done.answer, done.measurements) == (Answer.CORRECTED, 2)
    assert done.delay_ms == pytest.approx(480, abs=20)
    shift_sound(moved, out, done.delay_ms / 1000)
    assert abs(film.measured(out, tmp_path)) < 0.5
    assert picture_packets(out) == picture_packets(film.path)
    if sound.startswith("pcm"):
        before, after = decoded_sound(moved, 1), decoded_sound(out, 1)
        samples = round(done.delay_ms * 48)
        assert np.array_equal(after[samples + 24 :], before[24 : len(after) - samples])


def test_a_film_in_sync_is_copied(talking: Make, tmp_path: Path) -> None:
    film = talking("mkv", "25", "libx264", "flac")
    done = corrected(film.path, tmp_path / "out.mkv")
    assert (done.answer, done.delay_ms, done.after) == (Answer.ALREADY_IN_SYNC, 0, None)
    assert (tmp_path / "out.mkv").read_bytes() == film.path.read_bytes()


def test_sound_seconds_away_is_found_and_put_back(talking: Make, tmp_path: Path) -> None:
    film, moved = talking("mkv", "25", "libx264", "flac"), tmp_path / "moved.mkv"
    shift_sound(film.path, moved, 2.1)
    done = corrected(moved, tmp_path / "out.mkv")
    assert done.answer is Answer.CORRECTED
    assert done.delay_ms == pytest.approx(-2100, abs=20)
    assert done.after is not None
    assert done.after.offset_frames == pytest.approx(0, abs=0.5)
    assert picture_packets(tmp_path / "out.mkv") == picture_packets(film.path)


def music(seconds: float) -> NDArray[np.float32]:
    """Two chords in turn, a plucked melody over them and a beat, (samples, 1) at 48 kHz."""
    time = np.arange(round(seconds * 48_000)) / 48_000
    chord = np.where((time // 2) % 2 == 0, 220.0, 174.6)
    pad = sum(np.sin(2 * np.pi * np.cumsum(chord * ratio) / 48_000) for ratio in (1, 1.26, 1.5))
    tune = 440 * 2 ** (np.array([0, 4, 7, 12, 11, 7, 4, 2])[(time // 0.25).astype(int) % 8] / 12)
    plucked = np.sin(2 * np.pi * np.cumsum(tune) / 48_000) * np.exp(-8 * (time % 0.25))
    beat = np.random.default_rng(2).standard_normal(len(time)) * np.exp(-40 * (time % 0.5))
    return (0.1 * pad + 0.3 * plucked + 0.2 * beat).astype(np.float32)[:, None]


@pytest.mark.parametrize("heard", ["nothing", "noise", "music", "other words", "a face is missing"])
def test_without_evidence_nothing_is_written(
    heard: str, talking: Make, demo_film: DemoFilm, tmp_path: Path
) -> None:
    if heard == "a face is missing":
        film = make_film(tmp_path / "film.mkv", frames=100, sound=bursts(4, 48_000))
    else:
        sound = demo_film.speech
        if heard != "other words":
            made = music(6) if heard == "music" else bursts(6, 48_000) * (heard == "noise")
            sound = write_sound(tmp_path / "s.wav", made, 48_000)
        film = tmp_path / "film.mkv"
        ffmpeg(
            "-i", talking("mkv", "25", "libx264", "flac").path, "-i", sound, "-map", "0:v",
            "-map", "1:a", "-t", "6", "-c:v", "copy", "-c:a", "flac", film,
        )  # fmt: skip
    done = corrected(film, tmp_path / "out.mkv")
    assert done.answer is Answer.NO_EVIDENCE
    assert done.why
    assert not (tmp_path / "out.mkv").exists()


def test_a_drift_is_told_and_repaired_when_asked(demo_film: DemoFilm, tmp_path: Path) -> None:
    """Half a minute whose sound runs 1 % fast: 300 ms by the end."""
    short, source, fast = (tmp_path / name for name in ("short.mkv", "film.mkv", "fast.mkv"))
    ffmpeg(
        "-i", demo_film.video, "-t", "10", "-vf", "scale=256:-2", "-preset", "veryfast",
        "-c:a", "flac", short,
    )  # fmt: skip
    ffmpeg("-stream_loop", "2", "-i", short, "-c", "copy", source)
    shift_sound(source, fast, 0.0, speed=1.01)
    told = corrected(fast, tmp_path / "out.mkv")
    assert told.answer is Answer.DRIFT
    assert "the sound drifts" in told.why
    assert not (tmp_path / "out.mkv").exists()
    done = corrected(fast, tmp_path / "out.mkv", repair_drift=True)
    assert done.answer is Answer.CORRECTED
    assert done.speed == pytest.approx(1 / 1.01, abs=0.002)
    assert done.after is not None
    assert done.after.in_sync


class AlwaysDrifting:
    """A scorer whose answer is the time of the window, whatever is heard."""

    name, version, remark = "always drifting", 1, ""

    def measure(self, span: Span, windows: Sequence[tuple[int, int]]) -> list[dict[str, Any]]:
        return [{"offset": float((a + b) / 2 / span.info.frame_rate)} for a, b in windows]

    def score(self, measurements: Sequence[dict[str, Any]]) -> SyncScore:
        offset = float(np.mean([measured["offset"] for measured in measurements]))
        return SyncScore(offset, 1.0, 1.0, abs(offset) <= 1, "ok")


def test_a_drift_that_stays_whatever_is_tried_is_told_as_it_is(
    talking: Make, tmp_path: Path
) -> None:
    film = talking("mkv", "25", "libx264", "flac")
    done = correct(film.path, tmp_path / "out.mkv", AlwaysDrifting(), repair_drift=True)
    assert (done.answer, done.speed, done.measurements) == (Answer.DRIFT, 1.0, 2)
    assert done.why.count("the sound drifts from") == 2
    assert "; that taken out, the sound drifts from" in done.why
    assert not (tmp_path / "out.mkv").exists()
