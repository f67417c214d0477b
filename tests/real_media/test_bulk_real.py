"""The main job on real films: a person's command in, measured films out."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from math import log10
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from media_factory import ffmpeg
from numpy.typing import NDArray
from prefect_server import ROOT, running_server

from lipsync_core.media.audio import ANALYSIS_RATE, Track, lay_track
from lipsync_core.media.clip import Clip, joined_frames
from lipsync_core.media.encode import write_film
from lipsync_core.media.frames import frame_of, planes_of, read_frames
from lipsync_core.media.probe import probe
from lipsync_core.report.summary import FilmSummary, RunSummary, Verdict
from lipsync_core.stores.local import LocalStore
from lipsync_core.timeline import SpanKind

LIMIT_S = 900.0
EXCERPT_S = 6


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    summary: RunSummary
    folder: Path

    def film(self, name: str) -> FilmSummary:
        """One film of the run."""
        return next(film for film in self.summary.films if film.name == name)


def bulk(out: Path, *arguments: str | Path, **environment: str) -> Ran:
    """``python -m flows.bulk ARGUMENTS --json``, in a process of its own."""
    ran = subprocess.run(
        [sys.executable, "-m", "flows.bulk", *map(str, arguments), "--out", out, "--json"],
        cwd=ROOT, env=running_server().environment | environment, timeout=LIMIT_S,
        capture_output=True, text=True,
    )  # fmt: skip
    assert ran.stdout, ran.stderr
    return Ran(ran.returncode, RunSummary.model_validate_json(ran.stdout), out)


def manifest(path: Path, pairs: Iterable[tuple[Path, Path]]) -> Path:
    """A list of films and speeches."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["video", "audio"])
        rows.writerows(pairs)
    return path


def excerpt(clip: Path, folder: Path, seconds: float = EXCERPT_S) -> Path:
    """The first seconds of a clip, its packets as they are."""
    ffmpeg("-i", clip, "-t", str(seconds), "-c", "copy", folder / clip.name)
    return folder / clip.name


def keeps_the_timeline(film: FilmSummary, source: Path) -> bool:
    """Whether the finished film has every frame of its source and the sound lies under them."""
    before, after = probe(source), probe(Path(film.output))
    assert film.checks is not None
    assert (after.frames, after.frame_rate) == (before.frames, before.frame_rate)
    assert (after.width, after.height) == (before.width, before.height)
    assert film.frames == before.frames
    assert film.checks.max_boundary_lag_ms < 1
    return (
        film.checks.frames_equal
        and film.checks.colour_tags_equal
        and film.checks.timestamps_monotonic
        and film.checks.psnr_outside_db >= 40
    )


def figures(film: FilmSummary) -> tuple[float, float, float]:
    """Offset in frames and confidence of the finished film, and the source's own confidence."""
    after: Any = film.film_score
    before: Any = film.source_score
    assert after["evidence"] == before["evidence"] == "ok"
    return after["offset_frames"], after["confidence"], before["confidence"]


PAIRS = [
    ("hdtf_menendez.mp4", "en_eng.wav"),
    ("hdtf_aoc.mp4", "de_deyu.wav"),
    ("retalking_face2.mp4", "de_deyu.wav"),
    ("retalking_face3.mp4", "zh_yongen.wav"),
    ("syncnet_example.avi", "silero_test.wav"),
    ("latentsync_demo1.mp4", "en_eng.wav"),  # 9:16
]


@pytest.fixture(scope="module")
def dubbed(real_media: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Six speakers with somebody else's words, some seconds of each."""
    folder = tmp_path_factory.mktemp("pairs")
    pairs = [(excerpt(real_media / video, folder), real_media / audio) for video, audio in PAIRS]
    return bulk(folder / "out", "--manifest", manifest(folder / "pairs.csv", pairs))


def test_six_speakers_with_other_words_need_no_review(dubbed: Ran) -> None:
    assert dubbed.code == 0
    assert dubbed.summary.failed == []
    assert len(dubbed.summary.films) == len(PAIRS)


@pytest.mark.parametrize("video", [video for video, _ in PAIRS])
def test_lips_follow_the_other_words_as_they_followed_their_own(dubbed: Ran, video: str) -> None:
    film = dubbed.film(Path(video).stem)
    assert keeps_the_timeline(film, dubbed.folder.parent / video)
    offset, confidence, own = figures(film)
    assert abs(offset) <= 1
    assert confidence >= 0.85 * own


def test_a_part_of_a_speaker_who_turns_away(
    real_media: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("officer")
    source = excerpt(real_media / "threequarter_officer.mp4", folder, 18)
    ran = bulk(
        folder / "out", "--video", source,
        "--audio", real_media / "en_eng.wav", "--start", "5.6", "--end", "15.6",
    )  # fmt: skip
    [film] = ran.summary.films
    assert ran.code == 0
    assert [(s.first_frame, s.last_frame, s.kind) for s in film.segments] == [
        (0, 140, SpanKind.PASSTHROUGH),
        (140, 390, SpanKind.LIPSYNC),
        (390, 454, SpanKind.PASSTHROUGH),
    ]
    assert keeps_the_timeline(film, source)
    offset, confidence, own = figures(film)
    assert abs(offset) <= 1
    assert confidence >= 0.85 * own


# file, frames, and what the plan should say of the shot
SHOTS = [
    ("hdtf_aoc.mp4", 100, ""),
    ("noface_room.mp4", 175, "no face"),
    ("hdtf_menendez.mp4", 100, ""),
    ("musetalk_sun_silent.mp4", 75, "nobody speaks"),
    ("retalking_face3.mp4", 100, ""),
]
SIDE, FRAMES = 512, sum(frames for _, frames, _ in SHOTS)
EDGES = np.cumsum([0, *(frames for _, frames, _ in SHOTS)]).tolist()


@dataclass(frozen=True)
class Edited:
    """A film put together from clips, dubbed."""

    source: Path
    ran: Ran
    film: FilmSummary


@pytest.fixture(scope="module")
def edited(real_media: Path, tmp_path_factory: pytest.TempPathFactory) -> Edited:
    """Five shots with hard cuts; the new speech is silent during the fourth."""
    folder = tmp_path_factory.mktemp("edited")
    sound = np.concatenate([own_sound(real_media / name, n, folder) for name, n, _ in SHOTS])
    soundfile.write(folder / "own.wav", sound, ANALYSIS_RATE, subtype="FLOAT")
    own = Track(folder / "own.wav", ANALYSIS_RATE, 1, len(sound), len(sound) / ANALYSIS_RATE)
    form = replace(probe(real_media / "hdtf_aoc.mp4"), path=folder / "edited.mp4", frames=FRAMES)
    pictures = (f for name, n, _ in SHOTS for f in square_frames(real_media / name, n))
    write_film(pictures, form, own, form.path, crf=8, preset="ultrafast")
    words, rate = soundfile.read(real_media / "en_eng.wav", dtype="float32")
    first, last = (rate * EDGES[shot] // 25 for shot in (3, 4))
    speech = words[: rate * FRAMES // 25].copy()
    speech[first:last] = 0
    soundfile.write(folder / "speech.wav", speech, rate)
    ran = bulk(folder / "out", "--video", form.path, "--audio", folder / "speech.wav")
    [film] = ran.summary.films
    return Edited(form.path, ran, film)


def own_sound(path: Path, frames: int, folder: Path) -> NDArray[np.float32]:
    info = probe(path)
    if info.sound is None:
        return np.zeros(frames * ANALYSIS_RATE // 25, np.float32)
    track = lay_track(
        path, folder / "part.wav", frames=frames, frame_rate=info.frame_rate,
        sample_rate=ANALYSIS_RATE, mono=True, start_s=info.sound.start_s,
    )  # fmt: skip
    return track.read()[:, 0]


def square_frames(path: Path, frames: int) -> Iterator[av.VideoFrame]:
    """The first frames of a clip, cut square from the top third and brought to one size."""
    info = probe(path)
    side = min(info.width, info.height)
    top = max(0, info.height - side) // 4 // 2 * 2
    for frame in read_frames(info, 0, frames):
        cut = [
            plane[top // step : (top + side) // step, : side // step]
            for plane, step in zip(planes_of(frame), (1, 2, 2), strict=True)
        ]
        yield frame_of(cut, "yuv420p", tags_of=frame).reformat(SIDE, SIDE)


def test_an_edited_film_is_cut_at_the_very_frames(edited: Edited) -> None:
    assert edited.ran.code == 0
    assert [(s.first_frame, s.last_frame) for s in edited.film.segments] == list(pairwise(EDGES))
    assert keeps_the_timeline(edited.film, edited.source)


def test_faceless_and_silent_shots_are_left_alone(edited: Edited) -> None:
    kept = {s.index: s.reason for s in edited.film.segments if s.kind is SpanKind.PASSTHROUGH}
    assert kept == {index: reason for index, (*_, reason) in enumerate(SHOTS) if reason}


def test_the_lips_of_every_other_shot_follow(edited: Edited) -> None:
    for segment in edited.film.segments:
        if segment.kind is SpanKind.LIPSYNC:
            assert segment.verdict is Verdict.PASS
            assert segment.offset_frames is not None
            assert abs(segment.offset_frames) <= 1
    assert edited.film.film_score is not None
    assert edited.film.film_score["in_sync"]


def test_kept_shots_reach_the_final_encode_bit_for_bit(edited: Edited) -> None:
    info = probe(edited.source)
    pairs = zip(read_frames(info), joined_frames(info, clips(edited.ran)), strict=True)
    same = np.array([pixels(one) == pixels(other) for one, other in pairs])
    for segment in edited.film.segments:
        kept = segment.kind is SpanKind.PASSTHROUGH
        assert same[segment.first_frame : segment.last_frame].mean() == (1 if kept else 0)


def test_kept_shots_stay_close_to_the_source_after_it(edited: Edited) -> None:
    before, after = probe(edited.source), probe(Path(edited.film.output))
    for segment in edited.film.segments:
        if segment.kind is SpanKind.PASSTHROUGH:
            span = segment.first_frame, segment.last_frame
            pairs = zip(read_frames(before, *span), read_frames(after, *span), strict=True)
            assert min(psnr(one, other) for one, other in pairs) >= 40


def clips(ran: Ran) -> list[Clip]:
    """The rendered segments, out of the run's own records."""
    from tasks.values import Rendered

    store = LocalStore(ran.folder / ".lipsync")
    found = []
    for record in (store.root / "results" / "generate").iterdir():
        stored = json.loads(json.loads(record.read_text())["result"])
        found.append(Rendered.model_validate(stored["data"]).clip(store))
    return found


def pixels(frame: av.VideoFrame) -> bytes:
    return b"".join(plane.tobytes() for plane in planes_of(frame))


def psnr(one: av.VideoFrame, other: av.VideoFrame) -> float:
    """Of the luma, in dB."""
    a, b = (planes_of(frame)[0].astype(np.float64) for frame in (one, other))
    return 10 * log10(255**2 / max(float(((a - b) ** 2).mean()), 1e-9))


ODD = {
    "goldeneye_vfr": "en_eng.wav",  # variable frame rate, no sound
    "goldeneye_rotated": "de_deyu.wav",  # lies on its side in the file
    "hamilton_cuts": "en_eng.wav",  # the picture begins 0.85 s after the file
}


@pytest.fixture(scope="module")
def odd(real_media: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("odd")
    pairs = [(real_media / f"{name}.mp4", real_media / speech) for name, speech in ODD.items()]
    return bulk(folder / "out", "--manifest", manifest(folder / "odd.csv", pairs))


def test_odd_films_are_finished_and_at_most_want_a_look(odd: Ran) -> None:
    assert odd.summary.failed == []
    assert odd.code == int(any(film.needs_review for film in odd.summary.films))


@pytest.mark.parametrize(
    ("name", "frames", "cuts", "note"),
    [
        ("goldeneye_vfr", 240, [90, 210], "variable frame rate: 160 stored frames"),
        ("goldeneye_rotated", 240, [90, 210], "rotation flag of 270 degrees"),
        ("hamilton_cuts", 275, [20, 82, 211], "picture starts at 0.852 s in the file"),
    ],
)
def test_odd_films_keep_every_frame_and_say_what_was_odd(
    odd: Ran, real_media: Path, name: str, frames: int, cuts: list[int], note: str
) -> None:
    film = odd.film(name)
    assert keeps_the_timeline(film, real_media / f"{name}.mp4")
    assert film.frames == frames
    assert [s.first_frame for s in film.segments] == [0, *cuts]
    assert any(told.startswith(note) for told in film.notes)


def test_whatever_is_rendered_of_an_odd_film_is_in_sync_or_reviewed(odd: Ran) -> None:
    rendered = [
        s for film in odd.summary.films for s in film.segments if s.kind is SpanKind.LIPSYNC
    ]
    assert rendered
    for segment in rendered:
        if segment.verdict is Verdict.REVIEW:
            assert segment.reason
        else:
            assert segment.offset_frames is not None
            assert abs(segment.offset_frames) <= 1
