"""The Sync.so emulator keeps the contract, over real HTTP on loopback, with real films."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import queue
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import cv2
import httpx
import numpy as np
import pytest
from media_factory import bursts, decoded_sound, ffmpeg, lag_ms, make_film, number_of, write_sound

from lipsync_core.demo.film import DemoFilm
from lipsync_core.media.frames import read_frames
from lipsync_core.media.probe import probe
from tests.emulators.sync_so.faults import Fault, FaultPlan
from tests.emulators.sync_so.state import opened

ROOT = Path(__file__).parents[2]
JOB_S, LIMIT_S = 0.6, 30.0
LANES = 4
FRAMES = 25  # of the film most tests send, one second
UUID = "00000000-0000-0000-0000-000000000000"
_numbers = count()


class Emulator:
    """A running command, and a client of an organisation of its own for every test."""

    def __init__(self, data: Path, *options: str) -> None:
        self.data = data
        command = [sys.executable, "-m", "tests.emulators.sync_so", "--data", str(data)]
        self.process = subprocess.Popen(
            [*command, "--job-seconds", str(JOB_S), "--concurrency", str(LANES), *options],
            cwd=ROOT, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert "listening on http://127.0.0.1:" in line
        self.address = line.split()[-1]

    def __enter__(self) -> Emulator:
        return self

    def __exit__(self, *_error: object) -> None:
        """Leave no process behind, whatever became of the test."""
        if self.process.poll() is None:
            self.stop(signal.SIGKILL)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it; its exit code."""
        self.process.send_signal(number)
        code = self.process.wait(LIMIT_S)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    def client(self, api_key: str | None = None) -> Client:
        return Client(self, api_key or f"key-{next(_numbers)}")


class Client(httpx.Client):
    """What a test says to the emulator under one API key."""

    def __init__(self, emulator: Emulator, api_key: str) -> None:
        super().__init__(
            base_url=emulator.address, headers={"x-api-key": api_key}, trust_env=False, timeout=20
        )
        self.api_key = api_key

    def create(self, body: dict[str, Any], key: str | None = None) -> httpx.Response:
        headers = {"Idempotency-Key": key} if key else {}
        return self.post("/v2/generate", json=body, headers=headers)

    def created(self, body: dict[str, Any], key: str | None = None) -> str:
        """The id of a job that was accepted."""
        answer = self.create(body, key)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def generation(self, job_id: str) -> dict[str, Any]:
        return dict(self.get(f"/v2/generate/{job_id}").raise_for_status().json())

    def ended(self, job_id: str) -> dict[str, Any]:
        """The generation once it has a terminal status."""
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline:
            found = self.generation(job_id)
            if found["status"] not in ("PENDING", "PROCESSING"):
                return found
            time.sleep(0.05)
        raise AssertionError(f"{job_id} did not end: {found}")

    def next_has(self, fault: Fault, times: int = 1) -> None:
        body = {"fault": fault.value, "count": times}
        self.post("/_next", json=body).raise_for_status()

    def billed(self, job_id: str) -> dict[str, Any]:
        """The line of the bill for a job."""
        return next(job for job in self.get("/_bill").json()["jobs"] if job["id"] == job_id)


@dataclass(frozen=True)
class Place:
    """A web server with films to fetch, which also takes webhooks; ``calls`` holds those."""

    folder: Path
    address: str
    calls: queue.Queue[tuple[str, bytes]]

    def url(self, name: str) -> str:
        return f"{self.address}/{quote(name)}"

    def body(self, video: str = "film.mp4", audio: str = "speech.wav", **more: Any) -> Any:
        """A create body over addresses."""
        given = [
            {"type": "video", "url": self.url(video)},
            {"type": "audio", "url": self.url(audio)},
        ]
        return {"model": "lipsync-2", "input": given, "options": {"sync_mode": "cut_off"}} | more


class _Handler(SimpleHTTPRequestHandler):
    calls: queue.Queue[tuple[str, bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.calls.put((self.headers["Sync-Signature"], body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments: Any) -> None:
        pass


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A film of one second, its new speech, and a few odd files, on loopback."""
    folder = tmp_path_factory.mktemp("place")
    make_film(folder / "film.mp4", frames=FRAMES)
    write_sound(folder / "speech.wav", bursts(1, 48_000), 48_000)
    write_sound(folder / "short.wav", bursts(0.6, 48_000), 48_000)
    write_sound(folder / "long.wav", bursts(1.8, 48_000), 48_000)
    cv2.imwrite(str(folder / "face.png"), np.full((90, 121, 3), 90, np.uint8))
    (folder / "page.mp4").write_text("<html>not a film</html>")
    calls: queue.Queue[tuple[str, bytes]] = queue.Queue()
    handler = type("Handler", (_Handler,), {"calls": calls})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Place(folder, f"http://127.0.0.1:{server.server_port}", calls)
    server.shutdown()
    thread.join()
    server.server_close()


def running(folder: Path, *options: str) -> Iterator[Emulator]:
    with Emulator(folder, *options) as emulator:
        yield emulator
        assert emulator.stop() == 0


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    yield from running(tmp_path_factory.mktemp("emulator"))


@pytest.fixture(scope="module")
def brief(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """One whose addresses die after a second, that takes three calls a minute."""
    options = ("--url-seconds", "1", "--rate-per-minute", "3", "--cost-object")
    yield from running(tmp_path_factory.mktemp("brief"), *options)


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """One that speaks as the vendor did before it knew idempotency."""
    yield from running(tmp_path_factory.mktemp("old"), "--era", "B")


@pytest.fixture
def client(emulator: Emulator) -> Iterator[Client]:
    with emulator.client() as client:
        yield client


@pytest.fixture
def old_client(old: Emulator) -> Iterator[Client]:
    with old.client() as client:
        yield client


def fetched(url: str, out: Path) -> Path:
    out.write_bytes(httpx.get(url, trust_env=False).raise_for_status().content)
    return out


def numbers(path: Path) -> list[int]:
    return [number_of(frame) for frame in read_frames(probe(path))]


# --- a job, from its creation to its output


def test_a_job_waits_is_processed_and_completes(client: Client, place: Place) -> None:
    body = place.body(outputFileName="shot_0001")
    answer = client.create(body)
    made = answer.json()
    assert answer.status_code == 201
    assert (made["status"], made["outputUrl"], made["outputDuration"]) == ("PENDING", None, None)
    assert made["input"] == body["input"]
    assert made["options"] == body["options"]
    assert made["outputFileName"] == "shot_0001"
    seen = [made["status"]]
    while seen[-1] not in ("COMPLETED", "FAILED"):
        seen.append(client.generation(made["id"])["status"])
        time.sleep(0.02)
    assert list(dict.fromkeys(seen)) == ["PENDING", "PROCESSING", "COMPLETED"]
    assert client.generation(made["id"])["outputDuration"] == 1.0


def test_the_output_is_the_film_under_its_new_speech(
    client: Client, place: Place, tmp_path: Path
) -> None:
    ended = client.ended(client.created(place.body()))
    output = fetched(ended["outputUrl"], tmp_path / "output.mp4")
    assert numbers(output) == list(range(FRAMES))
    speech = bursts(1, 48_000)
    assert abs(lag_ms(decoded_sound(output, 1), speech, 48_000)) < 0.1


@pytest.mark.parametrize(
    ("mode", "sound", "shown"),
    [
        ("cut_off", "short.wav", [*range(15)]),
        ("cut_off", "long.wav", [*range(25)]),
        ("bounce", "short.wav", [*range(15)]),
        ("bounce", "long.wav", [*range(25), *range(23, 3, -1)]),
        ("loop", "long.wav", [*range(25), *range(20)]),
        ("silence", "short.wav", [*range(25)]),
        ("silence", "long.wav", [*range(25), *[24] * 20]),
        ("remap", "short.wav", [n * 25 // 15 for n in range(15)]),
    ],
)
def test_lengths_are_brought_together_as_the_mode_says(
    client: Client, place: Place, tmp_path: Path, mode: str, sound: str, shown: list[int]
) -> None:
    body = place.body(audio=sound, options={"sync_mode": mode})
    ended = client.ended(client.created(body))
    assert numbers(fetched(ended["outputUrl"], tmp_path / "output.mp4")) == shown


def test_an_image_and_a_text_make_a_film(client: Client, place: Place, tmp_path: Path) -> None:
    voice = {"name": "elevenlabs", "voiceId": "anna", "script": "Hello there, lips."}
    given = [{"type": "image", "url": place.url("face.png")}, {"type": "text", "provider": voice}]
    ended = client.ended(client.created({"model": "sync-3", "input": given}))
    info = probe(fetched(ended["outputUrl"], tmp_path / "output.mp4"))
    assert (info.width, info.height, info.frames) == (120, 90, 30)
    assert info.sound is not None


def test_segments_lay_each_voice_in_its_place(client: Client, place: Place, tmp_path: Path) -> None:
    sound = {"type": "audio", "url": place.url("speech.wav"), "refId": "a"}
    crop = {"refId": "a", "startTime": 0.3, "endTime": 0.6}
    body = place.body(
        input=[{"type": "video", "url": place.url("film.mp4")}, sound],
        segments=[{"startTime": 0.4, "endTime": 0.8, "audioInput": crop}],
    )
    ended = client.ended(client.created(body))
    assert ended["segmentOutputUrl"] == ended["outputUrl"]
    heard = decoded_sound(fetched(ended["outputUrl"], tmp_path / "output.mp4"), 1)
    expected = np.zeros((48_000, 1), np.float32)
    expected[19_200:33_600] = bursts(1, 48_000)[14_400:28_800]
    assert abs(lag_ms(heard, expected, 48_000)) < 0.1
    assert np.abs(heard[:18_000]).max() < 0.01
    assert np.abs(heard[35_000:]).max() < 0.01


def test_files_come_in_a_form_and_win_over_addresses(client: Client, place: Place) -> None:
    fields = {
        "model": "lipsync-2",
        "input": json.dumps([{"type": "audio", "url": place.url("nowhere.wav")}]),
        "options": json.dumps({"sync_mode": "loop"}),
    }
    with (
        (place.folder / "film.mp4").open("rb") as film,
        (place.folder / "short.wav").open("rb") as sound,
    ):
        answer = client.post("/v2/generate", data=fields, files={"video": film, "audio": sound})
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert [sorted(item) for item in made["input"]] == [["assetId", "type"], ["assetId", "type"]]
    assert client.ended(made["id"])["outputDuration"] == 0.6


def test_a_field_of_a_form_that_is_no_json_is_refused(client: Client) -> None:
    answer = client.post(
        "/v2/generate", data={"model": "lipsync-2", "input": "["}, files={"video": b"x"}
    )
    assert (answer.status_code, answer.json()["field"]) == (400, "input")


# --- who may ask, and what


def test_a_missing_and_a_wrong_key_are_answered_differently(emulator: Emulator) -> None:
    def answer(headers: dict[str, str]) -> httpx.Response:
        return httpx.get(f"{emulator.address}/v2/models", headers=headers, trust_env=False)

    assert answer({}).status_code == answer({"x-api-key": "bad one"}).status_code == 401
    assert answer({}).json() == {
        "message": "Either Cookie or x-api-key header must be provided",
        "error": "Unauthorized",
        "statusCode": 401,
    }
    assert answer({"x-api-key": "bad one"}).json() == {"message": "Unauthorized", "statusCode": 401}


def test_the_catalogue_of_errors_needs_no_key(emulator: Emulator) -> None:
    listed = httpx.get(f"{emulator.address}/v2/errors", trust_env=False).json()
    assert {"code", "message", "suggestion"} == set(listed[0])
    assert {"concurrency_limit_reached", "generation_not_found"} <= {e["code"] for e in listed}


VIDEO = {"type": "video", "url": "http://127.0.0.1:1/v.mp4"}
AUDIO = {"type": "audio", "url": "http://127.0.0.1:1/a.wav"}
TEXT = {"type": "text", "provider": {"name": "elevenlabs", "voiceId": "v", "script": "x" * 5001}}
LONG = {"startTime": 0, "endTime": 2, "audioInput": {"refId": "a"}}
INVALID = "generation_input_validation_failed"
SEGMENTS = "generation_input_segments_invalid"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"model": None}, INVALID),
        ({"model": "lipsync-9"}, "generation_unsupported_model"),
        ({"input": None}, INVALID),
        ({"input": [VIDEO]}, INVALID),
        ({"input": [AUDIO]}, INVALID),
        ({"input": [VIDEO, VIDEO, AUDIO]}, "generation_input_too_many_visual"),
        ({"input": [VIDEO, AUDIO, AUDIO]}, INVALID),
        ({"input": [{"type": "video"}, AUDIO]}, INVALID),
        ({"input": [{"type": "video", "url": "file:///v.mp4"}, AUDIO]}, INVALID),
        ({"input": [VIDEO, TEXT]}, INVALID),
        ({"input": [{"type": "image", "url": VIDEO["url"]}, AUDIO]}, INVALID),
        ({"options": {"sync_mode": "stretch"}}, INVALID),
        ({"options": {"temperature": 1.5}}, INVALID),
        ({"segments": [LONG]}, SEGMENTS),
        ({"input": [VIDEO, AUDIO | {"refId": "a"}], "segments": [LONG, LONG]}, SEGMENTS),
        ({"input": [VIDEO, AUDIO | {"refId": "b"}], "segments": [LONG]}, SEGMENTS),
        ({"webhookUrl": "http://example.org/hook"}, INVALID),
    ],
)
def test_a_body_that_cannot_be_is_refused_before_anything_is_fetched(
    client: Client, change: dict[str, Any], code: str
) -> None:
    answer = client.create({"model": "lipsync-2", "input": [VIDEO, AUDIO]} | change)
    refusal = answer.json()
    assert (answer.status_code, refusal["statusCode"], refusal["errorCode"]) == (400, 400, code)
    assert refusal["error"] == "Bad Request"
    assert refusal["message"]
    assert refusal["suggestion"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"video": "gone.mp4"}, "generation_input_video_inaccessible"),
        ({"audio": "gone.wav"}, "generation_input_audio_inaccessible"),
        ({"video": "page.mp4"}, "generation_input_video_invalid"),
        ({"audio": "face.png"}, "generation_input_audio_invalid"),
        (
            {"options": {"active_speaker_detection": {"bounding_boxes": [[0, 0, 9, 9]] * 24}}},
            "generation_input_face_selection_invalid",
        ),
        (
            {"options": {"active_speaker_detection": {"frame_number": 0, "coordinates": [300, 5]}}},
            "generation_input_face_selection_invalid",
        ),
    ],
)
def test_inputs_are_looked_at_when_the_job_is_created(
    client: Client, place: Place, change: dict[str, Any], code: str
) -> None:
    answer = client.create(place.body(**change))
    assert (answer.status_code, answer.json()["errorCode"]) == (422, code)


def test_an_option_the_model_does_not_know_is_ignored(client: Client, place: Place) -> None:
    options = {"active_speaker": True, "output_format": "mp4", "prompt": "happy"}
    assert client.create(place.body(options=options)).json()["options"] == options


def test_the_name_of_the_output_is_sanitised(client: Client, place: Place) -> None:
    made = client.create(place.body(outputFileName="it's shot 1.mp4")).json()
    assert made["outputFileName"] == "it_s_shot_1"
    url = client.ended(made["id"])["outputUrl"]
    assert url.split("?")[0].endswith("/it_s_shot_1.mp4")


def test_other_organisations_see_nothing_of_it(
    client: Client, place: Place, emulator: Emulator
) -> None:
    job = client.created(place.body())
    with emulator.client() as other:
        answer = other.get(f"/v2/generate/{job}")
        assert (answer.status_code, answer.json()["errorCode"]) == (404, "generation_not_found")
        assert other.get("/v2/generations").json() == []


# --- idempotency


def test_the_same_key_with_the_same_inputs_makes_no_second_job(
    client: Client, place: Place
) -> None:
    first = client.create(place.body(), "one.key~1")
    client.ended(first.json()["id"])
    again = client.create(place.body(), "one.key~1")
    assert (again.status_code, again.json()) == (201, first.json())
    assert client.billed(first.json()["id"])["key"] == "one.key~1"
    assert client.get("/v2/generations/count").json() == {"count": 1}


def test_calls_at_once_under_one_key_make_one_job(client: Client, place: Place) -> None:
    with ThreadPoolExecutor(6) as pool:
        ids = set(pool.map(lambda _: client.created(place.body(), "twice"), range(6)))
    assert len(ids) == 1


def test_the_same_key_with_other_inputs_is_a_conflict(client: Client, place: Place) -> None:
    client.created(place.body(), "k")
    answer = client.create(place.body(audio="short.wav"), "k")
    assert (answer.status_code, answer.json()["errorCode"]) == (409, "IDEMPOTENCY_KEY_CONFLICT")


@pytest.mark.parametrize("keys", [[""], ["a b"], ["x" * 129], ["ä"], ["a", "a"]])
def test_a_malformed_key_is_refused(client: Client, place: Place, keys: list[str]) -> None:
    headers = [("Idempotency-Key", key.encode()) for key in keys]
    answer = client.post("/v2/generate", json=place.body(), headers=headers)
    assert (answer.status_code, answer.json()["errorCode"]) == (400, "INVALID_IDEMPOTENCY_KEY")


def test_a_refused_call_does_not_use_up_its_key(client: Client, place: Place) -> None:
    assert client.create(place.body(video="gone.mp4"), "k").status_code == 422
    assert client.create(place.body(), "k").status_code == 201


# --- limits


def test_more_jobs_than_lanes_are_refused_with_the_account_s_numbers(
    client: Client, place: Place
) -> None:
    jobs = [client.created(place.body()) for _ in range(LANES)]
    answer = client.create(place.body())
    refusal = answer.json()
    assert answer.status_code == 429
    assert refusal["errorCode"] == "concurrency_limit_reached"
    assert (refusal["activeGenerations"], refusal["concurrencyLimit"]) == (LANES, LANES)
    assert refusal["retryAfterSeconds"] == 1
    assert refusal["upgradeUrl"].startswith("https://")
    client.ended(jobs[0])
    assert client.create(place.body()).status_code == 201


def test_more_calls_than_the_minute_holds_are_refused(brief: Emulator) -> None:
    with brief.client() as client:
        answers = [client.create({}) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [400, 400, 400, 429]
    assert answers[-1].json() == {
        "statusCode": 429,
        "errorCode": "rate_limit_exceeded",
        "message": "Rate limit exceeded. Please try again later.",
        "error": "Too Many Requests",
    }


# --- reading


def test_a_read_can_wait_for_the_end(client: Client, place: Place) -> None:
    job = client.created(place.body())
    answer = client.get(f"/v2/generate/{job}", params={"wait": "true", "timeout": 10})
    assert answer.json()["status"] == "COMPLETED"
    assert answer.headers["Retry-After"] == "2"
    assert answer.headers["X-Sync-Wait-Mode"] == "long_poll"
    assert answer.headers["X-Sync-Wait-Timeout-Seconds"] == "10"


def test_a_wait_ends_with_its_patience(client: Client, place: Place) -> None:
    client.next_has(Fault.STUCK)
    job = client.created(place.body())
    before = time.monotonic()
    answer = client.get(f"/v2/generate/{job}", params={"wait": "true", "timeout": 1})
    assert answer.json()["status"] == "PROCESSING"
    assert 0.9 < time.monotonic() - before < 3


@pytest.mark.parametrize(
    "query",
    [
        {"wait": "true", "timeout": "0"},
        {"wait": "true", "timeout": "11"},
        {"wait": "true", "include": "progress"},
        {"wait": "perhaps"},
    ],
)
def test_a_wait_that_cannot_be_is_refused(
    client: Client, place: Place, query: dict[str, str]
) -> None:
    job = client.created(place.body())
    assert client.get(f"/v2/generate/{job}", params=query).status_code == 400


def test_progress_is_told_on_request(client: Client, place: Place) -> None:
    job = client.created(place.body())
    assert "progress_percent" not in client.generation(job)
    told = client.get(f"/v2/generations/{job}", params={"include": "progress"}).json()
    assert 0 <= told["progress_percent"] <= 99


def test_lists_are_filtered_by_ids_and_status_in_both_spellings(
    client: Client, place: Place
) -> None:
    jobs = [client.created(place.body()) for _ in range(3)]
    client.ended(jobs[2])

    def ids(*query: tuple[str, str]) -> set[str]:
        return {job["id"] for job in client.get("/v2/generations", params=query).json()}

    assert ids() == set(jobs)
    assert ids(("ids", ",".join(jobs[:2]))) == ids(("ids", jobs[0]), ("ids", jobs[1]))
    assert ids(("ids", ",".join(jobs[:2]))) == set(jobs[:2])
    assert ids(("status", "COMPLETED,FAILED")) == ids(("status", "COMPLETED"), ("status", "FAILED"))
    assert ids(("status", "PENDING")) == set()
    assert client.get("/v2/generations", params={"status": "DONE"}).status_code == 400


def test_pages_go_from_the_newest_to_the_oldest(client: Client, place: Place) -> None:
    jobs = [client.created(place.body()) for _ in range(3)]
    page = client.get("/v2/generations", params={"limit": 2}).json()
    assert [job["id"] for job in page] == jobs[:0:-1]
    rest = client.get("/v2/generations", params={"limit": 2, "cursor": page[-1]["id"]}).json()
    assert [job["id"] for job in rest] == jobs[:1]
    for query in ({"limit": 0}, {"limit": 101}, {"cursor": jobs[0]}):
        assert client.get("/v2/generations", params=query).status_code == 400


def test_only_what_has_ended_can_be_deleted(client: Client, place: Place) -> None:
    job = client.created(place.body())
    answer = client.delete(f"/v2/generations/{job}")
    assert answer.status_code == 409
    assert answer.json()["errorCode"] == "generation_not_deletable_while_processing"
    client.ended(job)
    assert client.delete(f"/v2/generations/{job}").json()["id"] == job
    assert client.get(f"/v2/generate/{job}").status_code == 404
    assert client.billed(job)["billed_usd"] > 0


# --- outputs


def test_an_address_expires_and_download_signs_a_new_one(
    brief: Emulator, place: Place, tmp_path: Path
) -> None:
    with brief.client() as client:
        job = client.created(place.body())
        url = client.ended(job)["outputUrl"]
        time.sleep(2.1)  # addresses live in whole seconds
        late = httpx.get(url, trust_env=False)
        assert (late.status_code, late.headers["content-type"]) == (403, "application/xml")
        assert "<Message>Request has expired</Message>" in late.text
        fresh = client.get(f"/v2/generations/{job}/download")
    assert fresh.headers["content-type"].startswith("text/plain")
    assert probe(fetched(fresh.text, tmp_path / "output.mp4")).frames == FRAMES


def test_a_changed_address_is_refused(client: Client, place: Place) -> None:
    url = client.ended(client.created(place.body()))["outputUrl"]
    assert httpx.get(url, trust_env=False).status_code == 200
    wrong = httpx.get(url.replace("Expires=", "Expires=9"), trust_env=False)
    assert (wrong.status_code, "SignatureDoesNotMatch" in wrong.text) == (403, True)
    assert httpx.head(url, trust_env=False).status_code == 403


def test_a_download_can_be_continued(client: Client, place: Place) -> None:
    url = client.ended(client.created(place.body()))["outputUrl"]
    whole = httpx.get(url, trust_env=False).content
    rest = httpx.get(url, headers={"Range": "bytes=100-"}, trust_env=False)
    assert (rest.status_code, rest.content) == (206, whole[100:])


def test_an_output_that_is_not_there_yet_cannot_be_downloaded(client: Client, place: Place) -> None:
    job = client.created(place.body())
    assert client.get(f"/v2/generations/{job}/download").status_code == 409


def test_an_api_key_that_reaches_the_bucket_stands_on_the_bill(
    client: Client, place: Place
) -> None:
    url = client.ended(client.created(place.body()))["outputUrl"]
    before = client.get("/_bill").json()["leaked_keys"]
    httpx.get(url, trust_env=False)
    assert client.get("/_bill").json()["leaked_keys"] == before
    client.get(url)
    assert client.get("/_bill").json()["leaked_keys"] == before + 1


# --- prices


def test_frames_are_billed_at_the_price_of_their_model(client: Client, place: Place) -> None:
    job = client.created(place.body(model="lipsync-2-pro", outputFileName="shot"), "k")
    assert client.billed(job)["billed_usd"] == 0
    pending = client.get(f"/v2/generate/{job}/costs").json()
    assert (pending["availability"], pending["totalCostUsd"]) == ("pending", None)
    client.ended(job)
    assert client.billed(job) == {
        "id": job,
        "key": "k",
        "status": "COMPLETED",
        "billed_usd": 0.083,
        "output_file_name": "shot",
        "fault": None,
    }
    assert client.get(f"/v2/generate/{job}/costs").json()["totalCostUsd"] == "0.083000"


def test_a_cost_is_estimated_from_a_body_as_array_or_bare_object(
    client: Client, brief: Emulator, place: Place
) -> None:
    expected = {"estimatedFrameCount": 15, "estimatedGenerationCost": 0.03}
    body = place.body(audio="short.wav")
    assert client.post("/v2/analyze/cost", json=body).json() == [expected]
    with brief.client() as other:
        assert other.post("/v2/analyze/cost", json=body).json() == expected
    assert client.get("/v2/generations/count").json() == {"count": 0}


def test_a_cost_is_estimated_from_a_length(client: Client) -> None:
    given = {"model": "lipsync-2", "duration": 2, "fps": 25}
    told = client.post("/v2/generations/estimate", json=given).json()
    assert told == {
        "estimatedFrameCount": 50,
        "estimatedGenerationCost": 0.1,
        "estimatedCredits": None,
    }
    assert client.post("/v2/generations/estimate", json=given | {"fps": 0}).status_code == 400


def test_every_model_is_listed(client: Client) -> None:
    names = {model["name"]: model["type"] for model in client.get("/v2/models").json()}
    assert names == {
        "sync-3": "lipsync",
        "lipsync-2-pro": "lipsync",
        "lipsync-2": "lipsync",
        "lipsync-1.9.0-beta": "lipsync",
        "react-1": "react",
    }


# --- assets


def uploaded(client: Client, path: Path, content_type: str) -> dict[str, Any]:
    """What the three steps end with."""
    size = path.stat().st_size
    asked = {"fileName": path.name, "contentType": content_type, "size": size}
    told = client.post("/v2/assets/upload", json=asked)
    assert told.status_code == 201, told.text
    put = httpx.put(
        told.json()["uploadUrl"], content=path.read_bytes(),
        headers={"Content-Type": content_type}, trust_env=False,
    )  # fmt: skip
    assert put.status_code == 200, put.text
    registered = client.post("/v2/assets", json={"url": told.json()["url"]})
    assert registered.status_code == 201, registered.text
    return dict(registered.json())


def test_an_uploaded_film_is_an_asset_and_an_input(
    client: Client, place: Place, tmp_path: Path
) -> None:
    film = place.folder / "film.mp4"
    video = uploaded(client, film, "video/mp4")
    assert (video["type"], video["name"], video["format"]) == ("VIDEO", "film.mp4", "mp4")
    assert (video["width"], video["height"], video["durationSeconds"]) == (192, 108, 1.0)
    audio = uploaded(client, place.folder / "speech.wav", "audio/wav")
    given = [
        {"type": "video", "assetId": video["id"]},
        {"type": "audio", "assetId": audio["id"]},
    ]
    ended = client.ended(client.created({"model": "lipsync-2", "input": given}))
    assert ended["outputDuration"] == 1.0
    address = client.get(f"/v2/assets/{video['id']}/download").text
    assert fetched(address, tmp_path / "asset.mp4").read_bytes() == film.read_bytes()


def test_the_address_of_an_upload_is_an_input_without_registering(
    client: Client, place: Place
) -> None:
    film = place.folder / "film.mp4"
    asked = {"fileName": "my film.mp4", "contentType": "video/mp4", "size": film.stat().st_size}
    told = client.post("/v2/assets/upload", json=asked).json()
    put = {"content": film.read_bytes(), "headers": {"Content-Type": "video/mp4"}}
    assert httpx.put(told["uploadUrl"], trust_env=False, **put).status_code == 200
    given = [{"type": "video", "url": told["url"]}, place.body()["input"][1]]
    assert client.create({"model": "lipsync-2", "input": given}).status_code == 201


def test_an_upload_of_another_content_type_is_refused(client: Client) -> None:
    asked = {"fileName": "a.wav", "contentType": "audio/wav", "size": 4}
    told = client.post("/v2/assets/upload", json=asked).json()
    headers = {"Content-Type": "audio/mpeg"}
    put = httpx.put(told["uploadUrl"], content=b"RIFF", headers=headers, trust_env=False)
    assert (put.status_code, "SignatureDoesNotMatch" in put.text) == (403, True)
    answer = client.post("/v2/assets", json={"url": told["url"]})
    assert (answer.status_code, answer.json()["errorCode"]) == (422, "uploaded_file_not_found")


def test_assets_are_listed_in_pages_changed_and_deleted(client: Client, place: Place) -> None:
    sounds = [
        uploaded(client, place.folder / name, "audio/wav")["id"]
        for name in ("speech.wav", "short.wav", "long.wav")
    ]
    page = client.get("/v2/assets", params={"limit": 2, "types": "AUDIO"}).json()
    assert [item["id"] for item in page["items"]] == sounds[:0:-1]
    assert page["totalCount"] == 3
    cursor = {"limit": 2, "cursor": page["nextCursor"]}
    rest = client.get("/v2/assets", params=cursor).json()
    assert [item["id"] for item in rest["items"]] == sounds[:1]
    assert "nextCursor" not in rest
    found = client.get("/v2/assets", params={"searchQuery": "SHORT"}).json()["items"]
    assert [item["name"] for item in found] == ["short.wav"]
    renamed = client.patch(f"/v2/assets/{sounds[0]}", json={"name": "new.wav"}).json()
    assert renamed["name"] == "new.wav"
    assert client.delete(f"/v2/assets/{sounds[0]}").status_code == 200
    assert client.get(f"/v2/assets/{sounds[0]}").json()["errorCode"] == "asset_not_found"
    several = client.post("/v2/assets/batch", json={"ids": sounds}).json()
    assert [item["id"] for item in several] == sounds[1:]


def test_an_asset_is_refused_as_what_it_is_not_or_to_whom_it_is_not(
    client: Client, place: Place, emulator: Emulator
) -> None:
    sound = uploaded(client, place.folder / "speech.wav", "audio/wav")["id"]
    given = [{"type": "video", "assetId": sound}, {"type": "audio", "assetId": sound}]
    answer = client.create({"model": "lipsync-2", "input": given})
    assert answer.json()["errorCode"] == "generation_input_asset_type_mismatch"
    with emulator.client() as other:
        assert other.get(f"/v2/assets/{sound}").json()["errorCode"] == "asset_forbidden"


# --- batches


def batch(lines: list[Any]) -> dict[str, Any]:
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    return {"input": ("batch.jsonl", text.encode(), "application/jsonl")}


def lines(place: Place, number: int = 20) -> list[dict[str, Any]]:
    return [
        {"request_id": f"r{n}", "endpoint": "/v2/generate", "payload": place.body()}
        for n in range(number)
    ]


def test_a_batch_runs_beside_the_lanes_and_tells_what_came_of_each_line(
    client: Client, place: Place, tmp_path: Path
) -> None:
    asked = lines(place)
    asked[7]["payload"] = place.body(video="gone.mp4")
    hook = {"webhook_url": place.url("hook")}
    answer = client.post("/v2/batch", files=batch(asked), data=hook)
    made = answer.json()
    assert (answer.status_code, made["status"], made["outputUrl"]) == (201, "PENDING", "")
    again = client.post("/v2/batch", files=batch(asked))
    assert (again.status_code, "Batch concurrency limit" in again.json()["message"]) == (429, True)
    assert client.create(place.body()).status_code == 201

    deadline, found = time.monotonic() + LIMIT_S, made
    while found["status"] != "COMPLETED" and time.monotonic() < deadline:
        time.sleep(0.1)
        found = client.get(f"/v2/batch/{made['id']}").json()
    assert found["metrics"] == {
        "total_generations": 20,
        "success_count": 19,
        "failed_count": 1,
        "pending_count": 0,
    }
    told = client.get(found["outputUrl"])
    assert told.status_code == 302
    results = httpx.get(told.headers["location"], trust_env=False).text.splitlines()
    by_name = {line["requestId"]: line for line in map(json.loads, results)}
    assert by_name["r7"]["errorCode"] == "generation_input_video_inaccessible"
    assert probe(fetched(by_name["r3"]["outputUrl"], tmp_path / "r3.mp4")).frames == FRAMES
    assert [each["id"] for each in client.get("/v2/batch").json()] == [made["id"]]
    assert client.get("/v2/batch", params={"status": "FAILED"}).json() == []
    _, called = place.calls.get(timeout=LIMIT_S)
    assert json.loads(called)["id"] == made["id"]


def test_a_batch_can_be_tried_without_running_it(client: Client, place: Place) -> None:
    answer = client.post("/v2/batch", files=batch(lines(place)), data={"dry_run": "true"})
    assert answer.json() == {"status": "VALIDATED"}
    assert client.get("/v2/generations").json() == []


@pytest.mark.parametrize("number", [19, 501])
def test_a_batch_of_too_few_or_too_many_lines_is_refused(
    client: Client, place: Place, number: int
) -> None:
    answer = client.post("/v2/batch", files=batch(lines(place, number)))
    assert (answer.status_code, str(number) in answer.json()["message"]) == (400, True)


def test_a_batch_that_is_too_large_is_refused(client: Client, place: Place) -> None:
    padded = [{**line, "note": "x" * 260_000} for line in lines(place)]
    assert client.post("/v2/batch", files=batch(padded)).status_code == 413


def test_every_wrong_line_of_a_batch_is_named(client: Client, place: Place) -> None:
    asked: list[Any] = lines(place)
    asked[1] = asked[1] | {"request_id": "r0"}
    asked[2] = asked[2] | {"endpoint": "/v2/tts"}
    asked[3] = asked[3] | {"payload": {}}
    asked[4] = "no object"
    told = client.post("/v2/batch", files=batch(asked)).json()["message"]
    assert [line.split(":")[0] for line in told] == ["line 2", "line 3", "line 4", "line 5"]


# --- webhooks


def call(place: Place) -> tuple[str, bytes]:
    return place.calls.get(timeout=LIMIT_S)


def no_call(place: Place, seconds: float) -> bool:
    try:
        place.calls.get(timeout=seconds)
    except queue.Empty:
        return True
    return False


def test_a_webhook_is_signed_over_its_raw_body(client: Client, place: Place) -> None:
    job = client.created(place.body(webhookUrl=place.url("hook")))
    header, body = call(place)
    secret = client.get("/v2/organizations/webhook/secret").json()["secret"]
    assert secret.startswith("whsec_")
    moment, signature = (part.split("=", 1)[1] for part in header.split(","))
    expected = hmac.new(secret.encode(), moment.encode() + b"." + body, hashlib.sha256)
    assert hmac.compare_digest(signature, expected.hexdigest())
    assert abs(int(moment) - time.time()) < LIMIT_S
    told = json.loads(body)
    assert (told["id"], told["status"], told["outputDuration"]) == (job, "COMPLETED", 1.0)
    assert json.dumps(told, separators=(",", ":")).encode() == body
    assert "outputFileName" not in told


def test_a_failure_is_told_with_the_older_spelling_of_its_code(
    client: Client, place: Place
) -> None:
    client.next_has(Fault.FAILED_TRANSIENT)
    client.created(place.body(webhookUrl=place.url("hook")))
    told = json.loads(call(place)[1])
    assert (told["status"], told["error_code"]) == (
        "FAILED",
        "generation_infra_resource_exhausted",
    )


def test_a_webhook_may_come_twice_late_or_never(client: Client, place: Place) -> None:
    body = place.body(webhookUrl=place.url("hook"))
    client.next_has(Fault.WEBHOOK_DUPLICATE)
    client.created(body)
    assert call(place)[1] == call(place)[1]
    client.next_has(Fault.WEBHOOK_LATE)
    client.ended(client.created(body))
    assert no_call(place, 2)
    assert call(place)
    client.next_has(Fault.WEBHOOK_MISSING)
    client.ended(client.created(body))
    assert no_call(place, 1)


# --- faults


def test_a_lost_answer_leaves_a_paid_job_that_its_key_finds_again(
    client: Client, place: Place
) -> None:
    client.next_has(Fault.LOST_RESPONSE)
    with pytest.raises(httpx.RemoteProtocolError):
        client.create(place.body(), "lost")
    assert client.get("/v2/generations/count").json() == {"count": 1}
    assert client.billed(client.created(place.body(), "lost"))["fault"] == "lost_response"
    assert client.get("/v2/generations/count").json() == {"count": 1}


@pytest.mark.parametrize("fault", [Fault.OUTCOME_UNKNOWN, Fault.OUTCOME_UNKNOWN_WITH_ID])
def test_an_unknown_outcome_is_a_job_that_its_key_finds_again(
    client: Client, place: Place, fault: Fault
) -> None:
    client.next_has(fault)
    answer = client.create(place.body(), "unknown")
    told = answer.json()
    assert (answer.status_code, told["errorCode"]) == (503, "IDEMPOTENCY_OUTCOME_UNKNOWN")
    job = client.created(place.body(), "unknown")
    assert told.get("generationId") == (job if fault is Fault.OUTCOME_UNKNOWN_WITH_ID else None)
    assert client.get("/v2/generations/count").json() == {"count": 1}


def test_a_server_error_accepts_nothing(client: Client, place: Place) -> None:
    client.next_has(Fault.SERVER_ERROR)
    answer = client.create(place.body(), "k")
    assert (answer.status_code, answer.json()["errorCode"]) == (500, "internal_error")
    assert answer.json()["requestId"]
    assert client.get("/v2/generations").json() == []
    assert client.create(place.body(), "k").status_code == 201


def test_a_slow_answer_is_given_up_by_an_impatient_client(client: Client, place: Place) -> None:
    client.next_has(Fault.SLOW_ACCEPT)
    with pytest.raises(httpx.ReadTimeout):
        client.post("/v2/generate", json=place.body(), timeout=1)
    assert client.get("/v2/generations/count").json() == {"count": 1}


@pytest.mark.parametrize(
    ("fault", "status", "error", "code"),
    [
        (Fault.FAILED_EMPTY, "FAILED", "", None),
        (Fault.FAILED_OPAQUE, "FAILED", "An unknown error occurred.", None),
        (
            Fault.FAILED_TRANSIENT, "FAILED", "No capacity was left for this job.",
            "generation_infra_resource_exhausted",
        ),
        (
            Fault.REJECTED, "REJECTED", "The input was refused by the content policy.",
            "generation_input_validation_failed",
        ),
    ],
)  # fmt: skip
def test_a_job_that_comes_to_nothing_is_not_paid(
    client: Client, place: Place, fault: Fault, status: str, error: str, code: str | None
) -> None:
    paid = client.get("/_bill").json()["paid"]
    client.next_has(fault)
    job = client.created(place.body())
    ended = client.ended(job)
    assert (ended["status"], ended["error"], ended.get("errorCode")) == (status, error, code)
    assert ended["outputUrl"] is None
    assert client.billed(job)["billed_usd"] == 0
    assert client.get("/_bill").json()["paid"] == paid


def test_a_stuck_job_holds_its_lane_and_counts_as_paid(client: Client, place: Place) -> None:
    paid = client.get("/_bill").json()["paid"]
    client.next_has(Fault.STUCK)
    job = client.created(place.body())
    time.sleep(2 * JOB_S)
    assert client.generation(job)["status"] == "PROCESSING"
    assert client.get("/_bill").json()["paid"] == paid + 1


def test_an_output_may_lack_its_last_fifth(client: Client, place: Place, tmp_path: Path) -> None:
    client.next_has(Fault.WRONG_LENGTH)
    ended = client.ended(client.created(place.body()))
    assert numbers(fetched(ended["outputUrl"], tmp_path / "output.mp4")) == list(range(20))


def test_the_first_download_may_break_off_in_the_middle(
    client: Client, place: Place, tmp_path: Path
) -> None:
    client.next_has(Fault.TRUNCATED_DOWNLOAD)
    url = client.ended(client.created(place.body()))["outputUrl"]
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(url, trust_env=False)
    assert probe(fetched(url, tmp_path / "output.mp4")).frames == FRAMES


def test_the_first_address_may_be_dead_already(
    client: Client, place: Place, tmp_path: Path
) -> None:
    client.next_has(Fault.EXPIRED_URL)
    job = client.created(place.body())
    assert httpx.get(client.ended(job)["outputUrl"], trust_env=False).status_code == 403
    fresh = client.get(f"/v2/generations/{job}/download").text
    assert probe(fetched(fresh, tmp_path / "output.mp4")).frames == FRAMES


def test_a_no_op_is_the_source_s_picture(client: Client, place: Place, tmp_path: Path) -> None:
    client.next_has(Fault.NO_OP)
    job = client.created(place.body())
    output = fetched(client.ended(job)["outputUrl"], tmp_path / "output.mp4")
    assert numbers(output) == list(range(FRAMES))
    assert client.billed(job)["fault"] == "no_op"


def test_faults_are_counted_and_unknown_ones_refused(client: Client, place: Place) -> None:
    before = client.get("/_faults").json()
    assert set(before) == {fault.value for fault in Fault}
    client.next_has(Fault.REJECTED, times=2)
    for _ in range(3):
        client.created(place.body())
    assert client.get("/_faults").json() == before | {"rejected": before["rejected"] + 2}
    assert client.post("/_next", json={"fault": "earthquake"}).status_code == 400


def drawn(folder: Path, number: int, *, seed: int, is_old: bool = False) -> list[Fault | None]:
    database = opened(folder)
    plan = FaultPlan(database, rate=0.25, seed=seed, is_old=is_old)
    found = [plan.strike()[1] for _ in range(number)]
    database.close()
    return found


def test_drawn_faults_are_of_every_kind_and_come_again_with_their_seed(tmp_path: Path) -> None:
    one = drawn(tmp_path / "one", 1200, seed=5)
    parts = drawn(tmp_path / "two", 600, seed=5) + drawn(tmp_path / "two", 600, seed=5)
    assert one == parts
    assert one != drawn(tmp_path / "three", 1200, seed=6)
    kinds = Counter(one)
    assert set(kinds) == {None, *Fault}
    assert kinds[None] == pytest.approx(900, rel=0.06)


def test_the_older_api_has_no_faults_of_what_it_does_not_know(tmp_path: Path) -> None:
    kinds = set(drawn(tmp_path, 1200, seed=5, is_old=True))
    assert set(Fault) - kinds == {
        Fault.OUTCOME_UNKNOWN,
        Fault.OUTCOME_UNKNOWN_WITH_ID,
        Fault.EXPIRED_URL,
    }


# --- the older edition


def test_the_older_api_takes_no_notice_of_keys(old_client: Client, place: Place) -> None:
    jobs = {old_client.created(place.body(), "k") for _ in range(2)}
    assert len(jobs) == 2


def test_the_older_api_spells_error_codes_the_older_way(old_client: Client, place: Place) -> None:
    old_client.next_has(Fault.FAILED_TRANSIENT)
    ended = old_client.ended(old_client.created(place.body()))
    assert ended["error_code"] == "generation_infra_resource_exhausted"
    refusal = old_client.create(place.body(video="gone.mp4")).json()
    assert refusal["error_code"] == "generation_input_video_inaccessible"
    assert "errorCode" not in ended.keys() | refusal.keys()


def test_the_older_api_cannot_wait_choose_by_id_or_sign_anew(
    old_client: Client, place: Place
) -> None:
    made = old_client.create(place.body()).json()
    assert made["outputUrl"] == ""
    assert "outputFileName" not in made
    answer = old_client.get(f"/v2/generate/{made['id']}", params={"wait": "true"})
    assert answer.json()["status"] in ("PENDING", "PROCESSING")
    assert "X-Sync-Wait-Mode" not in answer.headers
    assert len(old_client.get("/v2/generations", params={"ids": UUID}).json()) == 1
    missing = old_client.get(f"/v2/generations/{made['id']}/download")
    assert (missing.status_code, missing.json()["statusCode"]) == (404, 404)


def test_the_older_api_takes_files_under_twenty_megabytes(old_client: Client, place: Place) -> None:
    film, sound = ((place.folder / name).read_bytes() for name in ("film.mp4", "speech.wav"))
    fields = {"model": "lipsync-2"}
    small = old_client.post("/v2/generate", data=fields, files={"video": film, "audio": sound})
    assert small.status_code == 201
    assert old_client.ended(small.json()["id"])["status"] == "COMPLETED"
    large = {"video": film, "audio": bytes(20 * 10**6 + 1)}
    assert old_client.post("/v2/generate", data=fields, files=large).status_code == 413


# --- the process


def test_nothing_is_forgotten_when_it_is_killed(place: Place, tmp_path: Path) -> None:
    with Emulator(tmp_path, "--job-seconds", "2") as emulator, emulator.client("one") as client:
        done = client.created(place.body(outputFileName="a"), "key-a")
        client.ended(done)
        client.next_has(Fault.LOST_RESPONSE)
        with pytest.raises(httpx.RemoteProtocolError):
            client.create(place.body(outputFileName="b"), "key-b")
        client.next_has(Fault.FAILED_OPAQUE)
        before = client.get("/_bill").json()
        emulator.stop(signal.SIGKILL)
    again = ("--job-seconds", "2", "--port", emulator.address.rsplit(":", 1)[1])
    with Emulator(tmp_path, *again) as emulator, emulator.client("one") as client:
        after = client.get("/_bill").json()
        assert after["paid"] == before["paid"] == 2
        assert [job["id"] for job in after["jobs"]] == [job["id"] for job in before["jobs"]]
        assert client.created(place.body(outputFileName="a"), "key-a") == done
        lost = client.created(place.body(outputFileName="b"), "key-b")
        assert lost == before["jobs"][1]["id"]
        assert client.ended(lost)["status"] == "COMPLETED"
        fetched(client.ended(done)["outputUrl"], tmp_path / "output.mp4")
        assert client.ended(client.created(place.body()))["status"] == "FAILED"


def test_it_ends_quickly_while_somebody_waits(place: Place, tmp_path: Path) -> None:
    with (
        Emulator(tmp_path, "--job-seconds", "60") as emulator,
        emulator.client() as client,
        ThreadPoolExecutor(1) as pool,
    ):
        job = client.created(place.body())
        waiting = pool.submit(
            client.get, f"/v2/generate/{job}", params={"wait": "true", "timeout": 9}
        )
        time.sleep(0.3)
        before = time.monotonic()
        assert emulator.stop() == 0
        assert time.monotonic() - before < 4
        assert waiting.exception() is not None or waiting.result().status_code == 500


def test_without_a_folder_it_leaves_nothing_behind(tmp_path: Path) -> None:
    ran = subprocess.Popen(
        [sys.executable, "-m", "tests.emulators.sync_so"],
        cwd=ROOT, stdout=subprocess.PIPE, env=os.environ | {"TMPDIR": str(tmp_path)},
    )  # fmt: skip
    with ran:
        assert ran.stdout is not None
        assert ran.stdout.readline()
        assert list(tmp_path.iterdir())
        ran.terminate()
    assert ran.returncode == 0
    assert not list(tmp_path.iterdir())


def test_no_api_key_is_kept(place: Place, tmp_path: Path) -> None:
    with Emulator(tmp_path) as emulator, emulator.client("sk-not-to-be-written") as client:
        client.created(place.body())
        assert emulator.stop() == 0
    with sqlite3.connect(tmp_path / "state.db") as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"jobs" in kept
    assert b"sk-not-to-be-written" not in kept


# --- the official client, and the project's own engine


@pytest.fixture
def official(emulator: Emulator) -> Iterator[Callable[[str], Any]]:
    """The official client of an API key."""
    sync = pytest.importorskip("sync", reason="the official client, syncsdk, is not installed")
    with httpx.Client(trust_env=False, timeout=20) as connection:
        yield lambda key: sync.Sync(base_url=emulator.address, api_key=key, httpx_client=connection)


@pytest.fixture
def sdk(official: Callable[[str], Any]) -> Any:
    return official(f"sdk-{next(_numbers)}")


def test_the_official_client_creates_reads_and_lists(sdk: Any, place: Place) -> None:
    from sync.common import Audio, GenerationOptions, Video

    made = sdk.generations.create(
        model="lipsync-2",
        input=[Video(url=place.url("film.mp4")), Audio(url=place.url("speech.wav"))],
        options=GenerationOptions(sync_mode="cut_off"), output_file_name="shot_1",
        request_options={"additional_headers": {"Idempotency-Key": "sdk-key"}},
    )  # fmt: skip
    waiting = {"additional_query_parameters": {"wait": "true", "timeout": "10"}}
    found = sdk.generations.get(made.id, request_options=waiting)
    assert (found.status, found.output_duration, found.outputFileName) == (
        "COMPLETED",
        1.0,
        "shot_1",
    )
    assert found.options.sync_mode == "cut_off"
    assert found.output_url.startswith("http://127.0.0.1")
    listed = sdk.generations.list(status=["COMPLETED", "FAILED"], ids=[made.id])
    assert [job.id for job in listed] == [made.id]


def test_the_official_client_sends_files_and_asks_for_prices(sdk: Any, place: Place) -> None:
    from sync.common import Audio, Video

    with (
        (place.folder / "film.mp4").open("rb") as film,
        (place.folder / "speech.wav").open("rb") as sound,
    ):
        made = sdk.generations.create_with_files(
            model="lipsync-2", video=film, audio=sound, options=json.dumps({"sync_mode": "loop"})
        )
    assert made.options.sync_mode == "loop"
    (cost,) = sdk.generations.estimate_cost(
        model="lipsync-2",
        input=[Video(url=place.url("film.mp4")), Audio(url=place.url("speech.wav"))],
    )
    assert (cost.estimated_frame_count, cost.estimated_generation_cost) == (FRAMES, 0.05)
    assert "react-1" in {model.name for model in sdk.models.list()}


def test_the_official_client_knows_the_refusals(sdk: Any, place: Place) -> None:
    from sync.core.api_error import ApiError

    for video, status, code in (
        ("gone.mp4", 422, "generation_input_video_inaccessible"),
        (None, 400, "generation_input_validation_failed"),
    ):
        given = place.body(video=video)["input"] if video else []
        with pytest.raises(ApiError) as caught:
            sdk.generations.create(model="lipsync-2", input=given)
        assert caught.value.status_code == status
        body = caught.value.body
        assert (body if isinstance(body, dict) else dict(body))["errorCode"] == code
    with pytest.raises(ApiError) as caught:
        sdk.generations.get(UUID)
    assert caught.value.status_code == 404


def test_the_official_client_runs_batches_and_lists_assets(
    official: Callable[[str], Any], emulator: Emulator, place: Place
) -> None:
    sdk = official("sdk-batches")
    made = sdk.batch.create(input=batch(lines(place))["input"])
    found, deadline = sdk.batch.get(made.id), time.monotonic() + LIMIT_S
    while found.status != "COMPLETED" and time.monotonic() < deadline:
        time.sleep(0.1)
        found = sdk.batch.get(made.id)
    assert (found.metrics.success_count, found.metrics.failed_count) == (20, 0)
    assert [each.id for each in sdk.batch.list()] == [made.id]
    assert sdk.batch.create(input=batch(lines(place))["input"], dry_run=True).status == "VALIDATED"
    with emulator.client("sdk-assets") as client:
        asset = uploaded(client, place.folder / "speech.wav", "audio/wav")
    own = official("sdk-assets")
    assert own.assets.get(asset["id"]).duration_seconds == pytest.approx(1)
    assert [item.id for item in own.assets.list(types=["AUDIO"], limit=5).items] == [asset["id"]]


def test_the_project_s_own_engine_rewrites_the_mouth(
    demo_film: DemoFilm, place: Place, tmp_path: Path
) -> None:
    cut = place.folder / "talk.mp4"
    ffmpeg(
        "-ss", "4", "-i", demo_film.video, "-frames:v", "25", "-t", "1", "-c:v", "libx264",
        "-crf", "14", "-preset", "veryfast", cut,
    )  # fmt: skip
    ffmpeg("-i", demo_film.speech, "-t", "1", place.folder / "words.wav")
    with (
        Emulator(tmp_path / "data", "--render", "rewrite") as emulator,
        emulator.client() as client,
    ):
        wanted = client.created(place.body(video="talk.mp4", audio="words.wav"))
        faceless = client.created(place.body())
        ended, refused = client.ended(wanted), client.ended(faceless)
        assert (ended["status"], ended["error"]) == ("COMPLETED", None)
        output = fetched(ended["outputUrl"], tmp_path / "output.mp4")
    assert (refused["status"], refused["errorCode"]) == ("FAILED", "generation_pipeline_failed")
    assert "no usable face" in refused["error"]
    source, made = probe(cut), probe(output)
    assert (made.frames, made.width, made.height) == (25, source.width, source.height)
    pairs = zip(read_frames(source), read_frames(made), strict=True)
    changes = [
        np.abs(old.to_ndarray()[:512].astype(int) - new.to_ndarray()[:512]).max(initial=0)
        for old, new in pairs
    ]
    assert max(changes) > 40
