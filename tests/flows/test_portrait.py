"""A picture speaks: on this machine, and through RunPod, which is the emulator here."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from face_factory import recorded_words
from in_process import Here
from media_factory import bursts, decoded_sound, lag_ms, make_film, picture_packets, write_sound
from numpy.typing import NDArray
from real_command import LIMIT_S, Command, end
from runpod_service import RunPodService
from skimage.data import astronaut
from swift_server import running_swift
from web_server import serving

from flows.portrait import portrait
from flows.portrait_request import PortraitRequest
from flows.resubmit import ResubmitRequest, resubmit
from lipsync_core.errors import BudgetExceeded, InputError
from lipsync_core.generators.infinitetalk import InfiniteTalkJobs
from lipsync_core.jobs.ledger import JobStatus
from lipsync_core.media.frames import read_frames, rgb_of
from lipsync_core.media.probe import probe
from lipsync_core.report.summary import FilmSummary, RunSummary, Verdict
from tasks.values import has_ledger, ledger_of

SIDE = 256
RATE = 16_000


@pytest.fixture(autouse=True)
def _soon_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """An order whose answer was lost is looked for for a while; RunPod may hide it for minutes,
    the emulator does so for seconds."""
    monkeypatch.setattr(InfiniteTalkJobs, "search_s", 3.0)


def write_picture(path: Path, rgb: NDArray[np.uint8]) -> Path:
    cv2.imwrite(str(path), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    return path


def head(side: int = SIDE) -> NDArray[np.uint8]:
    """The head of the astronaut, square."""
    return cv2.resize(astronaut()[0:280, 85:365], (side, side)).astype(np.uint8)


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_picture(tmp_path_factory.mktemp("face") / "it's a face.png", head())


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six seconds of speech."""
    path = tmp_path_factory.mktemp("words") / "words.wav"
    return write_sound(path, recorded_words("speech_a", 6.02), RATE)


@pytest.fixture(scope="module")
def long_words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seventeen seconds of it, with pauses."""
    pause = np.zeros(RATE // 2, np.float32)
    sound = np.concatenate(
        [recorded_words("speech_a", 8.0), pause, recorded_words("speech_b", 8.5), pause]
    )
    return write_sound(tmp_path_factory.mktemp("words") / "long.wav", sound, RATE)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunPodService]:
    """It renders with the project's own puppet."""
    service = RunPodService(
        tmp_path_factory.mktemp("runpod"), "--queue-s", "0.05", "--render-s", "0.1",
        "--rate-share", "0",
    )  # fmt: skip
    yield service
    service.stop()


@pytest.fixture
def quick_service(tmp_path: Path) -> Iterator[RunPodService]:
    """It shows the picture and moves no mouth: good enough where jobs are counted."""
    service = RunPodService(
        tmp_path / "runpod", "--queue-s", "0.05", "--render-s", "0.1", "--fast", "--rate-share", "0"
    )
    yield service
    service.stop()


def spoken(here: Here, **fields: Any) -> RunSummary:
    return here.run(lambda asked: portrait(asked.checked()), PortraitRequest.model_validate(fields))


def elsewhere(here: Here, service: RunPodService, **fields: Any) -> RunSummary:
    with_account = here.given(**service.environment)
    fields = {"generator": "infinitetalk", "segment_seconds": 6, "max_failure_rate": 1} | fields
    return with_account.run(portrait, PortraitRequest.model_validate(fields))


def only(run: RunSummary) -> FilmSummary:
    [film] = run.films
    return film


@dataclass(frozen=True)
class Made:
    """A run on this machine, and its film."""

    run: RunSummary
    out: Path


@pytest.fixture(scope="module")
def made(here: Here, face: Path, words: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    out = tmp_path_factory.mktemp("made") / "talk.mp4"
    return Made(spoken(here, image=face, audio=words, out=out, segment_seconds=3), out)


class TestOnThisMachine:
    def test_the_film_is_as_long_as_the_speech_and_the_lips_match(
        self, made: Made, words: Path
    ) -> None:
        run, out = made.run, made.out
        film = only(run)
        info = probe(out)
        assert (info.width, info.height, info.frame_rate) == (SIDE, SIDE, 25)
        assert info.frames == film.frames == 151  # 6.02 s are 150.5 frames
        assert run.exit_code == 0, film.segments
        assert {segment.verdict for segment in film.segments} == {Verdict.PASS}
        assert abs(float(str((film.film_score or {})["offset_frames"]))) <= 1
        assert film.checks is not None
        assert film.checks.max_boundary_lag_ms < 1
        heard = decoded_sound(out, 1)[:, 0]
        assert abs(lag_ms(heard, recorded_words("speech_a", 6.02), RATE)) < 1

    def test_segments_meet_without_a_seam(self, made: Made) -> None:
        run, out = made.run, made.out
        seams = [segment.first_frame for segment in only(run).segments[1:]]
        assert seams
        luma = [
            rgb_of(frame, SIDE, SIDE).astype(float).mean(2) for frame in read_frames(probe(out))
        ]
        steps = [float(np.abs(b - a).mean()) for a, b in pairwise(luma)]
        for seam in seams:
            assert steps[seam - 1] <= max(steps[: seam - 1] + steps[seam:])

    def test_what_was_found_lies_beside_the_film(self, made: Made) -> None:
        out = made.out
        beside = {path.name for path in out.with_suffix(".lipsync").iterdir()}
        assert {"report.html", "run.json", "segments.csv", "request.json"} <= beside
        assert [path.name for path in out.parent.iterdir() if path.suffix == ".part"] == []

    def test_the_same_again_does_nothing_anew(
        self, here: Here, made: Made, face: Path, words: Path
    ) -> None:
        out = made.out
        before = out.stat().st_mtime_ns
        again = spoken(here, image=face, audio=words, out=out, segment_seconds=3)
        assert all(segment.reused for segment in only(again).segments)
        assert out.stat().st_mtime_ns == before

    def test_words_added_at_the_end_leave_what_was_said_before(
        self, here: Here, face: Path, tmp_path: Path
    ) -> None:
        """Beyond the fourteen seconds that a mouth's movement may depend on."""
        said = np.concatenate([recorded_words("speech_a"), recorded_words("speech_b")] * 2)
        asked = {"image": face, "out": tmp_path / "talk.mp4", "width": 128, "segment_seconds": 6}
        spoken(here, audio=write_sound(tmp_path / "a.wav", said[: 24 * RATE], RATE), **asked)
        run = spoken(here, audio=write_sound(tmp_path / "b.wav", said[: 36 * RATE], RATE), **asked)
        first, *others = only(run).segments
        assert first.reused
        assert not others[-1].reused

    def test_a_picture_and_a_speech_may_lie_elsewhere(
        self, here: Here, face: Path, words: Path, tmp_path: Path
    ) -> None:
        place = tmp_path / "web"
        place.mkdir()
        shutil.copy(face, place / "face.png")
        shutil.copy(words, place / "words.wav")
        with serving(place) as web:
            run = spoken(
                here, image=f"{web.address}/face.png?token=secret", out=tmp_path / "talk.mp4",
                audio=f"{web.address}/words.wav", width=128,
            )  # fmt: skip
        assert only(run).frames == 151
        assert "secret" not in (tmp_path / "talk.lipsync" / "request.json").read_text()

    def test_a_list_of_portraits_is_worked_through_past_a_bad_one(
        self, here: Here, face: Path, words: Path, tmp_path: Path
    ) -> None:
        grey = write_picture(tmp_path / "grey.png", np.full((SIDE, SIDE, 3), 128, np.uint8))
        listed = tmp_path / "portraits.csv"
        listed.write_text(f'image,audio,name\n{grey},{words},grey\n"{face}",{words},face\n')
        run = spoken(here, manifest=listed, out=tmp_path / "films", width=128)
        assert [(film.name, "no face found" in film.error) for film in run.failed] == [
            ("grey", True)
        ]
        assert probe(tmp_path / "films" / "face.mp4").width == 128
        assert (tmp_path / "films" / "report.html").exists()

    @pytest.mark.parametrize(
        ("fit", "told", "corners"),
        [("crop", "cropped from 256x256 to 256x192", 30), ("letterbox", "padded with black", 0)],
    )
    def test_another_shape_is_cropped_or_letterboxed_and_never_silently(
        self, here: Here, face: Path, words: Path, tmp_path: Path, fit: str, told: str, corners: int
    ) -> None:
        run = spoken(
            here, image=face, audio=words, out=tmp_path / "wide.mp4", width=256, height=192, fit=fit
        )
        assert any(told in note for note in only(run).notes), only(run).notes
        first = rgb_of(next(read_frames(probe(tmp_path / "wide.mp4"))), 256, 192)
        assert (float(first[:, :8].mean()) > corners) == (fit == "crop")

    def test_of_two_faces_the_chosen_one_speaks(
        self, here: Here, words: Path, tmp_path: Path
    ) -> None:
        two = write_picture(tmp_path / "two.png", np.hstack([head(), head()[:, ::-1]]))
        out = tmp_path / "talk.mp4"
        with pytest.raises(InputError, match=r"2 faces in .* say which .* --face"):
            spoken(here, image=two, audio=words, out=out)
        run = spoken(here, image=two, audio=words, out=out, face=2, options="sway=0 blinks=0")
        assert run.exit_code == 0
        assert "face 2 of 2 from the left speaks" in only(run).notes
        frames = [rgb_of(frame, 2 * SIDE, SIDE) for frame in read_frames(probe(out), 20, 60)]
        moved = np.std(np.array(frames, np.float32).mean(-1), axis=0)
        assert moved[:, SIDE:].max() > 10
        assert moved[:, :SIDE].max() < 5  # what the encoder makes of it

    def test_a_dry_run_divides_and_quotes_and_renders_nothing(
        self, here: Here, quick_service: RunPodService, face: Path, long_words: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "talk.mp4"
        run = elsewhere(here, quick_service, image=face, audio=long_words, out=out, dry_run=True)
        assert run.cost_usd > 0
        rows = (tmp_path / "talk.lipsync" / "segments.csv").read_text().splitlines()
        assert len(rows) == 1 + len(only(run).segments) > 3
        assert not out.exists()
        assert quick_service.every_job == []


class TestThroughRunPod:
    def test_a_long_speech_is_divided_rendered_and_joined_without_a_seam(
        self, here: Here, service: RunPodService, face: Path, long_words: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "talk.mp4"
        run = elsewhere(here, service, image=face, audio=long_words, out=out, prompt="a talk")
        film = only(run)
        assert run.exit_code == 0, film.segments
        assert len(service.bill) == len(film.segments) == 3
        assert {job["input"]["prompt"] for job in service.bill} == {"a talk"}
        assert sum(job["samples"] for job in service.bill) == 0
        assert film.frames == probe(out).frames == 438  # 17.5 s are 437.5 frames
        assert film.checks is not None
        assert film.checks.max_boundary_lag_ms < 1
        grey = [rgb_of(f, SIDE, SIDE).astype(float).mean(2) for f in read_frames(probe(out))]
        steps = [float(np.abs(b - a).mean()) for a, b in pairwise(grey)]
        met = [segment.first_frame for segment in film.segments[1:]]
        seams = {frame for first in met for frame in range(first - 8, first + 8)}
        usual = max(step for frame, step in enumerate(steps) if frame not in seams)
        # each job sways otherwise: where they met without passing over, the head would jump
        assert max(steps[frame] for frame in seams) <= 1.2 * usual

        out.unlink()
        again = elsewhere(here, service, image=face, audio=long_words, out=out, prompt="a talk")
        assert all(segment.reused for segment in only(again).segments)
        assert len(service.bill) == 3

    def test_one_that_fails_is_ordered_again_alone(
        self, here: Here, quick_service: RunPodService, face: Path, long_words: Path, tmp_path: Path
    ) -> None:
        quick_service.next("failed_empty_output")
        run = elsewhere(
            here, quick_service, image=face, audio=long_words, out=tmp_path / "talk.mp4"
        )
        assert [bool(segment.cost_usd) for segment in only(run).segments] == [True] * 3
        assert len(quick_service.every_job) == 4

    def test_what_goes_wrong_on_the_way_is_put_right(
        self, here: Here, quick_service: RunPodService, face: Path, long_words: Path, tmp_path: Path
    ) -> None:
        for fault in ("lost_response", "unseen_at_first", "too_many", "bad_gateway"):
            quick_service.next(fault)
        run = elsewhere(
            here, quick_service, image=face, audio=long_words, out=tmp_path / "talk.mp4"
        )
        assert [segment.attempts for segment in only(run).segments] == [1] * 3
        assert len(quick_service.every_job) == 3

    @pytest.mark.parametrize("fault", ["wrong_size", "short_video"])
    def test_what_came_back_wrong_is_named_and_never_stretched(
        self, here: Here, quick_service: RunPodService, face: Path, words: Path, tmp_path: Path,
        fault: str,
    ) -> None:  # fmt: skip
        quick_service.next(fault)
        run = elsewhere(here, quick_service, image=face, audio=words, out=tmp_path / "talk.mp4")
        [segment] = only(run).segments
        assert segment.verdict is Verdict.REVIEW
        assert "came back for" in segment.reason

    def test_over_the_budget_nothing_is_ordered(
        self, here: Here, quick_service: RunPodService, face: Path, words: Path, tmp_path: Path
    ) -> None:
        with pytest.raises(BudgetExceeded):
            elsewhere(
                here, quick_service, image=face, audio=words, out=tmp_path / "a.mp4", budget=0.001
            )
        assert quick_service.every_job == []

    @pytest.mark.parametrize(
        "point",
        # the other moments of an order's life: tests/lipsync_core/jobs/test_dispatch.py
        ["during the request", "after it was accepted", "while it is fetched",
         "while it is verified", "while a film is written"],
    )  # fmt: skip
    def test_a_run_killed_at_any_step_pays_every_segment_once(
        self, command: Command, here: Here, quick_service: RunPodService, face: Path,
        long_words: Path, tmp_path: Path, point: str,
    ) -> None:  # fmt: skip
        out = tmp_path / "talk.mp4"
        killed = command.given(**quick_service.environment)(
            "flows.portrait", point, "--image", face, "--audio", long_words, "--out", out,
            "--generator", "infinitetalk", "--segment-seconds", "6", "--max-failure-rate", "1",
            module="tests.flows.dying",
        )  # fmt: skip
        assert killed.code == -signal.SIGKILL, killed.err
        again = elsewhere(here, quick_service, image=face, audio=long_words, out=out)
        assert [bool(s.cost_usd) for s in only(again).segments] == [True] * 3, only(again).segments
        assert len(quick_service.bill) == len(quick_service.every_job) == 3
        assert probe(out).frames == 438

    def test_what_failed_is_ordered_again_when_somebody_says_so(
        self, here: Here, quick_service: RunPodService, face: Path, words: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "talk.mp4"
        quick_service.next("oversize")
        run = elsewhere(here, quick_service, image=face, audio=words, out=out)
        assert (
            "no_output" in only(run).segments[0].reason or "result" in only(run).segments[0].reason
        )
        assert run.next_command == f"python -m flows.resubmit {tmp_path / 'talk.lipsync'}"
        with_account = here.given(**quick_service.environment)
        asked = ResubmitRequest(run_dir=tmp_path / "talk.lipsync")
        again = with_account.run(lambda one: resubmit(one.as_before()), asked)
        assert [bool(segment.cost_usd) for segment in only(again).segments] == [True]
        assert len(quick_service.every_job) == 2


@pytest.mark.parametrize(("count", "generator"), [(2, "puppet"), (8, "infinitetalk")])
def test_portraits_that_are_made_at_the_same_time_keep_apart(
    command: Command, service: RunPodService, tmp_path: Path, count: int, generator: str
) -> None:
    """One store and one ledger, so that nothing but content keeps them apart."""
    before = len(service.bill)
    tints = [np.array([1 - 0.5 * bool(n & 1), 1 - 0.5 * bool(n & 2), 1 - 0.5 * bool(n & 4)])
             for n in range(count)]  # fmt: skip
    sounds = [recorded_words("speech_a", 9.0)[RATE * n // 2 :][: RATE * 3] for n in range(count)]
    started = []
    for n, (tint, sound) in enumerate(zip(tints, sounds, strict=True)):
        image = write_picture(tmp_path / f"{n}.png", (head(192) * tint).astype(np.uint8))
        audio = write_sound(tmp_path / f"{n}.wav", sound, RATE)
        given: list[str | Path] = [
            "--image", image, "--audio", audio, "--out", tmp_path / f"{n}.mp4",
            "--store", tmp_path / "store", "--generator", generator, "--json",
        ]  # fmt: skip
        at_work = command.given(**service.environment)
        started.append(at_work.start(*given, module="flows.portrait"))
    for n, process in enumerate(started):
        said, complaint = process.communicate(timeout=LIMIT_S)
        assert said, complaint
        film = RunSummary.model_validate_json(said).films[0]
        assert film.frames == 75
        shown = rgb_of(next(read_frames(probe(tmp_path / f"{n}.mp4"))), 192, 192)
        assert float(np.abs(shown - head(192) * tints[n]).mean()) < 12
        heard = decoded_sound(tmp_path / f"{n}.mp4", 1)[:, 0]
        assert abs(lag_ms(heard, sounds[n], RATE)) < 1
    films = {b"".join(picture_packets(tmp_path / f"{n}.mp4")) for n in range(count)}
    assert len(films) == count
    assert len(service.bill) - before == (count if generator == "infinitetalk" else 0)


def test_a_finished_film_is_pushed_to_a_bucket_that_was_looked_at_first(
    here: Here, face: Path, words: Path, tmp_path: Path
) -> None:
    swift = running_swift()
    bucket = swift.new_bucket()
    aws = here.given(
        AWS_ACCESS_KEY_ID=swift.access_key, AWS_SECRET_ACCESS_KEY=swift.secret_key,
        AWS_ENDPOINT_URL=swift.endpoint_url, AWS_DEFAULT_REGION=swift.region,
    )  # fmt: skip
    asked = {"image": face, "audio": words, "out": tmp_path / "talk.mp4", "width": 128}
    with pytest.raises(InputError, match="no-such-bucket-here"):
        spoken(aws, **asked, push_to_s3="s3://no-such-bucket-here/films")
    assert not (tmp_path / "talk.lipsync").exists()
    run = spoken(aws, **asked, push_to_s3=f"s3://{bucket}/films")
    import httpx

    url = only(run).url
    assert url is not None
    assert url.startswith(f"{swift.endpoint_url}/{bucket}/films/")
    answer = httpx.get(url)
    assert answer.content == (tmp_path / "talk.mp4").read_bytes()
    assert answer.headers["content-type"] == "video/mp4"
    kept = (tmp_path / "talk.lipsync" / "run.json").read_text()
    assert "Signature" not in kept


def test_what_was_given_is_never_written_over(
    here: Here, face: Path, words: Path, tmp_path: Path
) -> None:
    voice = make_film(tmp_path / "voice.mp4", frames=50, sound=bursts(2, 48_000))
    before = voice.read_bytes()
    with pytest.raises(InputError, match="is what was given"):
        spoken(here, image=face, audio=voice, out=voice)
    assert voice.read_bytes() == before
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        spoken(here, image=face, audio=words, out=tmp_path / "folder.mp4")


def test_the_same_choice_said_otherwise_is_the_same_order(
    here: Here, quick_service: RunPodService, face: Path, words: Path, tmp_path: Path
) -> None:
    asked = {"image": face, "audio": words, "out": tmp_path / "talk.mp4", "width": 128}
    for more in ({}, {"face": 1}, {"height": 128}, {"fit": "letterbox"}):
        elsewhere(here, quick_service, **asked, **more)
    assert len(quick_service.every_job) == 1


def test_segments_of_many_films_are_not_rendered_anew_at_once(
    here: Here, quick_service: RunPodService, face: Path, words: Path, tmp_path: Path
) -> None:
    listed = tmp_path / "two.csv"
    other = write_picture(tmp_path / "other.png", head(192))
    listed.write_text(f'image,audio\n"{face}",{words}\n{other},{words}\n')
    with pytest.raises(InputError, match="--redo goes with one film"):
        elsewhere(here, quick_service, manifest=listed, out=tmp_path / "films", redo="0")
    assert quick_service.every_job == []


BAD: dict[str, Callable[[Path, Path, Path], tuple[dict[str, Any], str]]] = {
    "a text for a picture": lambda folder, _face, _words: (
        {"image": _text(folder / "face.png")},
        "not a picture but text: .*",
    ),
    "a film for a picture": lambda folder, _face, _words: (
        {"image": make_film(folder / "film.mp4", frames=3)},
        "not a picture but a film.*",
    ),
    "nothing for a picture": lambda folder, _face, _words: (
        {"image": folder / "nothing.png"},
        "no such file: .*nothing.png",
    ),
    "no face": lambda folder, _face, _words: (
        {"image": write_picture(folder / "wall.png", np.full((200, 300, 3), 99, np.uint8))},
        "no face found in .*wall.png: give a picture of one clearly visible face",
    ),
    "a face that is not there": lambda _folder, _face, _words: (
        {"face": 3},
        "there is no face 3 in .*: 1 can be seen.*",
    ),
    "a picture of 20,000 pixels a side": lambda folder, _face, _words: (
        {"image": _huge(folder / "huge.png")},
        "picture of 20000x20000 pixels: .*make it smaller.*",
    ),
    "a face too small in the film": lambda _folder, _face, _words: (
        {"width": 64},
        "the face in .* is too small, .*",
    ),
    "a width between two pixels": lambda _folder, _face, _words: (
        {"width": 255},
        "width 255 is no multiple of 2: say 254 or 256",
    ),
    "an empty speech": lambda folder, _face, _words: (
        {"audio": write_sound(folder / "empty.wav", np.zeros(0, np.float32), RATE)},
        "zero-length sound in .*",
    ),
    "a silent speech": lambda folder, _face, _words: (
        {"audio": write_sound(folder / "silent.wav", np.zeros(RATE, np.float32), RATE)},
        ".*silent.wav is silent: give a recording of somebody who speaks",
    ),
    "a speech of three hours": lambda folder, _face, _words: (
        {"audio": write_sound(folder / "opera.wav", np.zeros(3 * 3600 * 8000, np.float32), 8000)},
        ".*opera.wav is 180 minutes long: a portrait speaks for 60 at most, divide the speech",
    ),
    "an option of no engine": lambda _folder, _face, _words: (
        {"prompt": "smile"},
        "puppet takes no --prompt: leave it out",
    ),
    "a picture in its own address, badly written": lambda _folder, _face, _words: (
        {"image": "data:image/png;base64,AAAA*"},
        ".*base64.*",
    ),
}


def _text(path: Path) -> Path:
    path.write_text("this is no picture")
    return path


def _huge(path: Path) -> Path:
    """A PNG that says it is huge."""
    import struct
    import zlib

    said = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(100))
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in ((b"IHDR", said), (b"IDAT", rows), (b"IEND", b""))
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    return path


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_told_in_one_line_and_leaves_no_film(
    here: Here, face: Path, words: Path, tmp_path: Path, case: str
) -> None:
    changed, message = BAD[case](tmp_path, face, words)
    out = tmp_path / "talk.mp4"
    with pytest.raises(InputError, match=message) as caught:
        spoken(here, **{"image": face, "audio": words, "out": out} | changed)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("talk*.mp4"))
    assert not list(tmp_path.rglob("*.part"))


def test_a_picture_may_be_given_in_its_own_address(
    here: Here, face: Path, words: Path, tmp_path: Path
) -> None:
    import base64

    inline = "data:image/png;base64," + base64.b64encode(face.read_bytes()).decode()
    run = spoken(here, image=inline, audio=words, out=tmp_path / "talk.mp4", width=128)
    assert only(run).frames == 151
    kept = json.loads((tmp_path / "talk.lipsync" / "request.json").read_text())
    assert "base64" not in json.dumps(kept)


def test_a_stop_tells_of_paid_jobs_that_go_on(
    command: Command, face: Path, words: Path, tmp_path: Path
) -> None:
    service = RunPodService(tmp_path / "slow", "--queue-s", "0", "--render-s", "60", "--fast")
    given: list[str | Path] = [
        "--image", face, "--audio", words, "--out", tmp_path / "talk.mp4",
        "--generator", "infinitetalk",
    ]  # fmt: skip
    process = command.given(**service.environment).start(*given, module="flows.portrait")
    ledger = tmp_path / "talk.lipsync" / ".lipsync"
    deadline = time.monotonic() + LIMIT_S
    try:
        while not (has_ledger(str(ledger)) and _submitted(ledger)):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=LIMIT_S)
    finally:
        end(process)
        service.stop()
    assert process.returncode == 130
    assert "1 paid job goes on elsewhere" in complaint
    assert not (tmp_path / "talk.mp4").exists()


def _submitted(store: Path) -> bool:
    with ledger_of(str(store)) as ledger:
        return bool(ledger.entries([JobStatus.SUBMITTED]))
