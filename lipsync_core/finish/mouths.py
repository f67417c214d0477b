"""A rendered clip beside the film it belongs to, mouth by mouth, and the clip made of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from lipsync_core.faces.blend import Mask, masks_of, mixed, mouth_mask
from lipsync_core.material import Material
from lipsync_core.media.clip import Clip, cropped
from lipsync_core.media.frames import (
    FrameWriter,
    Plane,
    frame_of,
    planes_of,
    read_frames,
)
from lipsync_core.media.probe import probe

# Plane values are worked on as if they had 8 bits.
_LEVELS_OF_10_BITS = 4


@dataclass(frozen=True)
class Mouth:
    """One frame of a clip: ``whole`` is the film's own, ``own`` what of it lies in the clip's box,
    ``new`` the rendered one there.

    ``face``: (468, 2) landmarks in pixels of the box; ``mask``: (height, width), 1 on the mouth;
    both ``None`` where there is nothing to be done, since nobody is seen or nothing was rendered.
    """

    number: int
    whole: av.VideoFrame
    own: av.VideoFrame
    new: av.VideoFrame
    face: NDArray[np.float32] | None = None
    mask: Mask | None = None


def mouths(clip: Clip, material: Material) -> Iterator[Mouth]:
    """The frames of a clip in order; two are held at a time."""
    first, last, box = clip.first_frame, clip.last_frame, clip.box
    faces = material.faces(first, last).points - np.array([box.x, box.y], np.float32)
    frames = read_frames(material.info, first, last), read_frames(probe(clip.path))
    for number, (face, whole, new) in enumerate(zip(faces, *frames, strict=True), first):
        mouth = Mouth(number, whole, cropped(whole, box), new)
        if np.isfinite(face).all():
            mask = mouth_mask(face, box.width, box.height)
            if _is_touched(mouth, mask):
                mouth = Mouth(number, whole, mouth.own, new, face, mask)
        yield mouth


def _is_touched(mouth: Mouth, mask: Mask) -> bool:
    """Whether the rendered picture is another one anywhere in the mask."""
    own, new, form = planes_of(mouth.own), planes_of(mouth.new), mouth.own.format.name
    masks = masks_of(mask, form)
    return any(bool(((a != b) & (m > 0)).any()) for a, b, m in zip(own, new, masks, strict=True))


def levels(frame: av.VideoFrame) -> list[NDArray[np.float32]]:
    """The planes of a frame as numbers in 0…255 whatever its depth."""
    step = _LEVELS_OF_10_BITS if "10le" in frame.format.name else 1
    return [plane.astype(np.float32) / step for plane in planes_of(frame)]


def over(mouth: Mouth, planes: list[NDArray[np.float32]], mask: Mask) -> av.VideoFrame:
    """The rendered frame with other planes, in 0…255, where the mask says so."""
    form = mouth.new.format.name
    step, most = (_LEVELS_OF_10_BITS, 1023) if "10le" in form else (1, 255)
    stored: list[Plane] = [np.clip(plane * step, 0, most) for plane in planes]
    return frame_of(mixed(planes_of(mouth.new), stored, mask, form), form, tags_of=mouth.new)


def written(clip: Clip, material: Material, out: Path, frames: Iterator[Any]) -> Clip:
    """Write frames as a clip like ``clip``."""
    info, box = material.info, clip.box
    with FrameWriter(
        out, width=box.width, height=box.height, frame_rate=info.frame_rate,
        pixel_format=info.pixel_format, codec="ffv1", colour=info.colour,
    ) as writer:  # fmt: skip
        for frame in frames:
            writer.write(frame)
    return Clip(out, clip.first_frame, clip.last_frame, box)
