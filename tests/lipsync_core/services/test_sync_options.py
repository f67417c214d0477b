"""Options of a Sync.so job: what the service would ignore is refused before it is asked."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from lipsync_core.errors import in_one_line
from lipsync_core.services.sync_so.options import MODELS, SyncOptions


@pytest.mark.parametrize("model", MODELS)
def test_every_model_keeps_the_length_of_a_segment_by_itself(model: str) -> None:
    assert SyncOptions(model=model).sent() == {"sync_mode": "silence"}


@pytest.mark.parametrize(
    ("option", "value", "model"),
    [
        ("temperature", 0.3, "lipsync-2"),
        ("temperature", "0.3", "lipsync-2-pro"),
        ("active_speaker_detection", {"auto_detect": True}, "sync-3"),
        ("occlusion_detection_enabled", "true", "lipsync-1.9.0-beta"),
        ("model_mode", "head", "react-1"),
        ("prompt", "happy", "react-1"),
        ("reasoning_enabled", True, "lipsync-2-pro"),
        ("sync_mode", "cut_off", "lipsync-2"),
    ],
)
def test_an_option_its_model_knows_is_sent(option: str, value: Any, model: str) -> None:
    assert option in SyncOptions.model_validate({"model": model, option: value}).sent()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"model": "sync-3", "temperature": 0.5}, "sync-3 does not know temperature"),
        ({"model": "react-1", "active_speaker_detection": "auto"}, "react-1 does not know active"),
        ({"model": "lipsync-2", "reasoning_enabled": True}, "these do: lipsync-2-pro"),
        ({"model": "lipsync-2", "model_mode": "head"}, "these do: react-1"),
        ({"model": "lipsync-9"}, "model input should be 'sync-3'"),
        ({"temperature": 1.5}, "temperature input should be less than or equal to 1"),
        ({"sync_mode": "stretch"}, "sync_mode input should be 'bounce'"),
        ({"fps": 25}, "fps extra inputs are not permitted"),
    ],
)
def test_any_other_is_refused_in_one_line(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as error:
        SyncOptions.model_validate(options)
    assert said in in_one_line(error.value)


class TestTheSpeaker:
    @pytest.mark.parametrize(
        "given", ["auto", True, {"auto_detect": True}, '{"auto_detect": true}']
    )
    def test_may_be_found_by_the_service(self, given: Any) -> None:
        options = SyncOptions(active_speaker_detection=given)
        assert options.sent()["active_speaker_detection"] == {"auto_detect": True}

    def test_may_be_shown_by_a_box_in_every_frame(self) -> None:
        boxes = [[1, 2, 3, 4], None, [5, 6, 7, 8]]
        options = SyncOptions.model_validate(
            {"active_speaker_detection": {"bounding_boxes": boxes}}
        )
        assert options.sent()["active_speaker_detection"] == {"bounding_boxes": boxes}

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"auto_detect": True, "bounding_boxes_url": "https://a/b"}, "in one way"),
            ({"coordinates": [1, 2]}, "go together"),
            ({"frame_number": 3}, "go together"),
            ("the left one", "write auto, or a JSON object"),
        ],
    )
    def test_is_named_in_one_way(self, given: Any, said: str) -> None:
        with pytest.raises(ValidationError, match=said):
            SyncOptions(active_speaker_detection=given)
