"""A request to Sync.so: its JSON, and what is refused before it is sent."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from lipsync_core.services.sync_so.options import SyncOptions
from lipsync_core.services.sync_so.request import AudioInput, GenerationRequest, VideoInput

FILM = {"type": "video", "url": "https://films/a.mp4"}
WORDS = {"type": "audio", "url": "https://films/a.wav"}
SCRIPT = {"type": "text", "provider": {"voiceId": "v", "script": "Good evening."}}


def request(**fields: Any) -> GenerationRequest:
    return GenerationRequest.model_validate({"model": "lipsync-2", "input": [FILM, WORDS]} | fields)


def test_the_json_is_named_as_the_contract_names_it() -> None:
    made = GenerationRequest(
        model="lipsync-2",
        input=(VideoInput.at("asset:4711"), AudioInput.at("https://films/a.wav", ref_id="one")),
        options=SyncOptions(temperature=0.3),
        segments=({"startTime": 0, "endTime": 2, "audioInput": {"refId": "one"}},),  # type: ignore[arg-type]
        webhook_url="https://house/hook",
        output_file_name="shot_0001",
    )
    assert made.body() == {
        "model": "lipsync-2",
        "input": [
            {"type": "video", "assetId": "4711"},
            {"type": "audio", "url": "https://films/a.wav", "refId": "one"},
        ],
        "options": {"sync_mode": "silence", "temperature": 0.3},
        "segments": [{"startTime": 0.0, "endTime": 2.0, "audioInput": {"refId": "one"}}],
        "webhookUrl": "https://house/hook",
        "outputFileName": "shot_0001",
    }


def test_a_text_may_speak_and_a_picture_may_move() -> None:
    assert request(input=[FILM, SCRIPT]).body()["input"][1]["provider"] == {
        "name": "elevenlabs", "voiceId": "v", "script": "Good evening.",
    }  # fmt: skip
    still = {"type": "image", "url": "https://films/face.png"}
    assert request(model="sync-3", input=[still, WORDS]).body()["input"][0]["type"] == "image"
    with pytest.raises(ValidationError, match="lipsync-2 takes no image; sync-3 does"):
        request(input=[still, WORDS])


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ([WORDS], "one video or image is needed, not 0"),
        ([FILM, FILM, WORDS], "one video or image is needed, not 2"),
        ([FILM], "speech is needed"),
        ([FILM, WORDS, WORDS], "several speeches need segments"),
        ([{"type": "video"}, WORDS], "by its url or by its asset id"),
        ([FILM | {"assetId": "1"}, WORDS], "by its url or by its asset id"),
        ([{"type": "video", "url": "/films/a.mp4"}, WORDS], "not an address the service can fetch"),
        ([FILM, SCRIPT | {"provider": {"voiceId": "v", "script": "a" * 5001}}], "at most 5000"),
    ],
)
def test_what_makes_no_sense_is_refused(inputs: list[Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        request(input=inputs)


@pytest.mark.parametrize(
    ("segments", "said"),
    [
        ([(2, 1, {"refId": "one"})], "ends after it starts"),
        ([(0, 2, {"refId": "one"}), (1, 3, {"refId": "two"})], "overlap"),
        ([(0, 2, {"refId": "three"})], "no speech is called three"),
        ([(0, 2, {"refId": "one", "startTime": 1})], "a start and an end"),
    ],
)
def test_segments_must_fit(segments: list[Any], said: str) -> None:
    named = [WORDS | {"refId": "one"}, WORDS | {"refId": "two"}]
    given = [{"startTime": a, "endTime": b, "audioInput": audio} for a, b, audio in segments]
    with pytest.raises(ValidationError, match=said):
        request(input=[FILM, *named], segments=given)


@pytest.mark.parametrize("name", ["", "a b", "shot.mp4", "ä", "x" * 256])
def test_the_name_of_the_result_is_plain(name: str) -> None:
    with pytest.raises(ValidationError, match="outputFileName"):
        request(outputFileName=name)
