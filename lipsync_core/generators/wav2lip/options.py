"""What a person may choose about Wav2Lip, named as in the published program."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from lipsync_core.generators.device import DeviceName


def _four_numbers(given: Any) -> Any:
    return given.replace(",", " ").split() if isinstance(given, str) else given


Sides = Annotated[tuple[int, int, int, int], BeforeValidator(_four_numbers)]
"""Top, bottom, left and right in pixels of the film."""


RESOURCES = frozenset({"device", "batch", "limit_s"})
"""The options that say how a picture is made and not what it shows."""


class Wav2LipOptions(BaseModel, extra="forbid", frozen=True):
    """The options of a rendering.

    ``pads`` enlarges the box round the face; ``nosmooth`` leaves the boxes of neighbouring frames
    as they are; ``box`` is one box for all frames, with or without a face in them; ``static``
    keeps the box of the first face. ``resize_factor`` makes the face so many times smaller by
    averaging before the network's own 96 pixels; the film keeps its size. ``device`` and
    ``batch`` say where and how many faces at a time; ``precision`` is ``full``, or ``mixed`` for
    16-bit numbers on a CUDA card. ``limit_s`` is how long the engine may show no sign of work.
    """

    pads: Sides = (0, 10, 0, 0)
    nosmooth: bool = False
    box: Sides | None = None
    static: bool = False
    resize_factor: int = Field(1, ge=1, le=16)
    device: DeviceName = "auto"
    batch: int | None = Field(None, ge=1, le=1024)
    precision: Literal["full", "mixed"] = "full"
    limit_s: float = Field(600, gt=0, le=86_400)

    @model_validator(mode="after")
    def _box_is_one(self) -> Self:
        if self.box is not None:
            top, bottom, left, right = self.box
            if not (0 <= top < bottom and 0 <= left < right):
                raise ValueError("box is top,bottom,left,right in pixels, each pair rising")
        return self
