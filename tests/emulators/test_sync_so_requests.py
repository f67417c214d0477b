"""What the emulator is asked: who may ask, which bodies it refuses, which it has seen before."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from tests.emulators.conftest import Client, Emulator, Place

# --- who may ask, and what


def test_a_missing_and_a_wrong_key_are_answered_differently(
    emulator: Emulator, anyone: httpx.Client
) -> None:
    def answer(headers: dict[str, str]) -> httpx.Response:
        return anyone.get(f"{emulator.address}/v2/models", headers=headers)

    assert answer({}).status_code == answer({"x-api-key": "bad one"}).status_code == 401
    assert answer({}).json() == {
        "message": "Either Cookie or x-api-key header must be provided",
        "error": "Unauthorized",
        "statusCode": 401,
    }
    assert answer({"x-api-key": "bad one"}).json() == {"message": "Unauthorized", "statusCode": 401}


def test_the_catalogue_of_errors_needs_no_key(emulator: Emulator, anyone: httpx.Client) -> None:
    listed = anyone.get(f"{emulator.address}/v2/errors").json()
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
    headers = [(b"Idempotency-Key", key.encode()) for key in keys]
    answer = client.post("/v2/generate", json=place.body(), headers=headers)
    assert (answer.status_code, answer.json()["errorCode"]) == (400, "INVALID_IDEMPOTENCY_KEY")


def test_a_refused_call_does_not_use_up_its_key(client: Client, place: Place) -> None:
    assert client.create(place.body(video="gone.mp4"), "k").status_code == 422
    assert client.create(place.body(), "k").status_code == 201
