"""A job of the emulator, from its creation to its output, and how it is read."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from media_factory import bursts, decoded_sound, ffmpeg, lag_ms

from lipsync_core.demo.film import DemoFilm
from lipsync_core.media.frames import read_frames
from lipsync_core.media.probe import probe
from tests.emulators.sync_so.faults import Fault

if TYPE_CHECKING:
    from tests.emulators.conftest import Client, Fetched, Numbers, Place, Started

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
    client: Client, place: Place, fetched: Fetched, numbers: Numbers
) -> None:
    ended = client.ended(client.created(place.body()))
    output = fetched(ended["outputUrl"])
    assert numbers(output) == list(range(place.frames))
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
    client: Client, place: Place, fetched: Fetched, numbers: Numbers,
    mode: str, sound: str, shown: list[int],
) -> None:  # fmt: skip
    body = place.body(audio=sound, options={"sync_mode": mode})
    ended = client.ended(client.created(body))
    assert numbers(fetched(ended["outputUrl"])) == shown


def test_an_image_and_a_text_make_a_film(client: Client, place: Place, fetched: Fetched) -> None:
    voice = {"name": "elevenlabs", "voiceId": "anna", "script": "Hello there, lips."}
    given = [{"type": "image", "url": place.url("face.png")}, {"type": "text", "provider": voice}]
    ended = client.ended(client.created({"model": "sync-3", "input": given}))
    info = probe(fetched(ended["outputUrl"]))
    assert (info.width, info.height, info.frames) == (120, 90, 30)
    assert info.sound is not None


def test_segments_lay_each_voice_in_its_place(
    client: Client, place: Place, fetched: Fetched
) -> None:
    sound = {"type": "audio", "url": place.url("speech.wav"), "refId": "a"}
    crop = {"refId": "a", "startTime": 0.3, "endTime": 0.6}
    body = place.body(
        input=[{"type": "video", "url": place.url("film.mp4")}, sound],
        segments=[{"startTime": 0.4, "endTime": 0.8, "audioInput": crop}],
    )
    ended = client.ended(client.created(body))
    assert ended["segmentOutputUrl"] == ended["outputUrl"]
    heard = decoded_sound(fetched(ended["outputUrl"]), 1)
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


# --- the project's own engine


def test_the_project_s_own_engine_rewrites_the_mouth(
    demo_film: DemoFilm, place: Place, tmp_path: Path, fetched: Fetched, started: Started
) -> None:
    cut = place.folder / "talk.mp4"
    ffmpeg(
        "-ss", "4", "-i", demo_film.video, "-frames:v", "25", "-t", "1", "-c:v", "libx264",
        "-crf", "14", "-preset", "veryfast", cut,
    )  # fmt: skip
    ffmpeg("-i", demo_film.speech, "-t", "1", place.folder / "words.wav")
    with started(tmp_path / "data", "--render", "rewrite").client() as client:
        wanted = client.created(place.body(video="talk.mp4", audio="words.wav"))
        faceless = client.created(place.body())
        ended, refused = client.ended(wanted), client.ended(faceless)
        assert (ended["status"], ended["error"]) == ("COMPLETED", None)
        output = fetched(ended["outputUrl"])
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
