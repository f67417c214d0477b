"""A request to Sync.so for one generation, refused here where the service would refuse it."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from lipsync_core.services.sync_so.options import Model, SyncOptions

ASSET = "asset:"
"""How an address of a file that the service keeps begins; the asset's id follows."""


class _Camel(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, frozen=True, extra="forbid"
    )


class _File(_Camel):
    url: str | None = None
    asset_id: str | None = None
    ref_id: str | None = None

    @model_validator(mode="after")
    def _lies_somewhere(self) -> Self:
        if (self.url is None) == (self.asset_id is None):
            raise ValueError("a file is named by its url or by its asset id, one of them")
        if self.url is not None and not self.url.startswith(("https://", "http://")):
            raise ValueError(f"not an address the service can fetch: {self.url}")
        return self

    @classmethod
    def at(cls, address: str, **more: Any) -> Self:
        """The file at an address, or an asset (``asset:…``)."""
        if address.startswith(ASSET):
            return cls(asset_id=address.removeprefix(ASSET), **more)
        return cls(url=address, **more)


class VideoInput(_File):
    """A film."""

    type: Literal["video"] = "video"


class ImageInput(_File):
    """A still picture (JPEG, PNG, WebP); ``sync-3`` alone brings it to life."""

    type: Literal["image"] = "image"


class AudioInput(_File):
    """Speech. ``ref_id`` names it for segments."""

    type: Literal["audio"] = "audio"


class Voice(_Camel):
    """A voice that reads a script of up to 5,000 characters."""

    name: Literal["elevenlabs"] = "elevenlabs"
    voice_id: str
    script: str = Field(min_length=1, max_length=5000)
    stability: float | None = Field(None, ge=0, le=1)
    similarity_boost: float | None = Field(None, ge=0, le=1)


class TextInput(_Camel):
    """Speech that is to be made from a text."""

    type: Literal["text"] = "text"
    provider: Voice
    ref_id: str | None = None


Input = Annotated[
    VideoInput | ImageInput | AudioInput | TextInput, Field(discriminator="type")
]  # fmt: skip


class SegmentAudio(_Camel):
    """The part of a named speech that a segment gets, in seconds."""

    ref_id: str
    start_time: float | None = Field(None, ge=0)
    end_time: float | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _both_ends(self) -> Self:
        if (self.start_time is None) != (self.end_time is None):
            raise ValueError("a crop has a start and an end")
        return self


class RequestSegment(_Camel):
    """A part of the film, in seconds, and its speech."""

    start_time: float = Field(ge=0)
    end_time: float = Field(ge=0)
    audio_input: SegmentAudio

    @model_validator(mode="after")
    def _forwards(self) -> Self:
        if self.end_time < self.start_time:
            raise ValueError("a segment ends after it starts")
        return self


class GenerationRequest(_Camel):
    """One generation: exactly one picture, one voice (or several with ``segments``)."""

    model: Model
    input: tuple[Input, ...]
    options: SyncOptions | None = None
    segments: tuple[RequestSegment, ...] | None = None
    webhook_url: str | None = None
    output_file_name: str | None = Field(None, pattern=r"^[A-Za-z0-9_-]{1,255}$")
    project_id: str | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        pictures = [i for i in self.input if isinstance(i, VideoInput | ImageInput)]
        voices = [i for i in self.input if isinstance(i, AudioInput | TextInput)]
        if len(pictures) != 1:
            raise ValueError(f"one video or image is needed, not {len(pictures)}")
        if not voices:
            raise ValueError("speech is needed: audio, or text for a voice")
        if len(voices) > 1 and not self.segments:
            raise ValueError("several speeches need segments that say which goes where")
        if isinstance(pictures[0], ImageInput) and self.model != "sync-3":
            raise ValueError(f"{self.model} takes no image; sync-3 does")
        if self.options is not None and self.options.model != self.model:
            raise ValueError(f"these options are for {self.options.model}")
        self._check_segments([voice.ref_id for voice in voices])
        return self

    def _check_segments(self, names: list[str | None]) -> None:
        segments = self.segments or ()
        if not segments:
            return
        if None in names or len(set(names)) < len(names):
            raise ValueError("with segments every speech needs a refId of its own")
        end = 0.0
        for segment in sorted(segments, key=lambda s: s.start_time):
            if segment.audio_input.ref_id not in names:
                raise ValueError(f"no speech is called {segment.audio_input.ref_id}")
            if segment.start_time < end:
                raise ValueError("segments overlap")
            end = segment.end_time

    def body(self) -> dict[str, Any]:
        """The request as the JSON that is sent."""
        body = self.model_dump(
            mode="json", by_alias=True, exclude_none=True, exclude={"options"}
        )  # fmt: skip
        if self.options is not None:
            body["options"] = self.options.sent()
        return body
