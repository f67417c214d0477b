"""What a person may choose about a Sync.so job, checked before a request is made.

The service ignores an option that its model does not know; here it is refused, since somebody who
asks for an occlusion check and pays for none should hear of it.
"""

from __future__ import annotations

import json
from typing import Any, Literal, Self, get_args

from pydantic import BaseModel, Field, field_validator, model_validator

Model = Literal["sync-3", "lipsync-2", "lipsync-2-pro", "lipsync-1.9.0-beta", "react-1"]
MODELS: tuple[str, ...] = get_args(Model)
SyncMode = Literal["bounce", "loop", "cut_off", "silence", "remap"]

_TWO = frozenset({"lipsync-2", "lipsync-2-pro"})
_KNOWN_BY = {
    "temperature": _TWO,
    "active_speaker_detection": _TWO | {"sync-3"},
    "occlusion_detection_enabled": _TWO | {"lipsync-1.9.0-beta"},
    "model_mode": frozenset({"react-1"}),
    "prompt": frozenset({"react-1"}),
    "reasoning_enabled": frozenset({"lipsync-2-pro"}),
}

Box = tuple[float, float, float, float]


class SpeakerDetection(BaseModel, extra="forbid", frozen=True):
    """Which face speaks: found by the service, or shown to it.

    ``coordinates`` are pixels of the film in frame ``frame_number``; ``bounding_boxes`` hold one
    box (left, top, right, bottom) or ``None`` for every frame.
    """

    auto_detect: bool | None = None
    frame_number: int | None = Field(None, ge=0)
    coordinates: tuple[float, float] | None = None
    bounding_boxes: tuple[Box | None, ...] | None = None
    bounding_boxes_url: str | None = None
    v3: bool | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = (
            bool(self.auto_detect), self.coordinates is not None,
            self.bounding_boxes is not None, self.bounding_boxes_url is not None,
        )  # fmt: skip
        if sum(ways) > 1:
            raise ValueError("name the speaker in one way: auto_detect, coordinates or boxes")
        if (self.coordinates is None) != (self.frame_number is None):
            raise ValueError("coordinates and frame_number go together")
        return self


class SyncOptions(BaseModel, extra="forbid", frozen=True):
    """The options of a job, named as in the service's own documentation.

    ``sync_mode`` says what happens where speech and picture differ in length. A segment's never
    do by more than a sample; ``silence`` is the one mode that would not shorten the picture.
    """

    model: Model = "lipsync-2"
    sync_mode: SyncMode = "silence"
    temperature: float | None = Field(None, ge=0, le=1)
    active_speaker_detection: SpeakerDetection | None = None
    occlusion_detection_enabled: bool | None = None
    model_mode: Literal["lips", "face", "head"] | None = None
    prompt: Literal["happy", "sad", "angry", "disgusted", "surprised", "neutral"] | None = None
    reasoning_enabled: bool | None = None

    @field_validator("active_speaker_detection", mode="before")
    @classmethod
    def _auto_in_one_word(cls, given: Any) -> Any:
        if given in ("auto", "true", True):
            return {"auto_detect": True}
        if isinstance(given, str):
            try:
                return json.loads(given)
            except json.JSONDecodeError as error:
                raise ValueError("write auto, or a JSON object") from error
        return given

    @model_validator(mode="after")
    def _known_by_the_model(self) -> Self:
        for option, models in _KNOWN_BY.items():
            if getattr(self, option) is not None and self.model not in models:
                known = ", ".join(sorted(models))
                raise ValueError(f"{self.model} does not know {option}; these do: {known}")
        return self

    def sent(self) -> dict[str, Any]:
        """The ``options`` object of a request."""
        return self.model_dump(mode="json", exclude={"model"}, exclude_none=True)
