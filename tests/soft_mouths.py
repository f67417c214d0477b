"""Clips as an engine of small mouths leaves them: soft, smooth, and a little off in colour."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lipsync_core.faces.blend import mixed, mouth_mask
from lipsync_core.faces.landmarks import FACE_OVAL
from lipsync_core.material import Material
from lipsync_core.media.clip import Box, Clip, cropped
from lipsync_core.media.frames import FrameWriter, frame_of, planes_of, read_frames

FIRST, LAST = 100, 116
TINT = (7, -5, 6)
Planes = list[NDArray[Any]]


def softened(planes: Planes, across: float, tint: tuple[float, ...] = TINT) -> Planes:
    """Planes as if their face had been ``across`` luma pixels smaller by that factor, in another
    light."""
    made = []
    for plane, off in zip(planes, tint, strict=True):
        rows, columns = plane.shape
        size = round(columns / across), round(rows / across)
        small = cv2.resize(plane.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        large = cv2.resize(small, (columns, rows), interpolation=cv2.INTER_CUBIC)
        made.append(np.clip(large + off, 0, 255))
    return made


def rendered(
    material: Material, out: Path, mouth: Callable[[int, Planes], Planes], last: int = LAST
) -> Clip:
    """A clip whose mouth is what ``mouth`` makes of each frame's number and planes in the box."""
    info, faces = material.info, material.faces(FIRST, last).points
    seen = faces[np.isfinite(faces[:, 0, 0])]
    oval, room = seen[:, FACE_OVAL], 40
    (left, top), (right, bottom) = oval.min((0, 1)) - room, oval.max((0, 1)) + room
    box = Box.around(left, top, right, bottom, info)
    with FrameWriter(
        out, width=box.width, height=box.height, frame_rate=info.frame_rate,
        pixel_format=info.pixel_format, codec="ffv1", colour=info.colour,
    ) as writer:  # fmt: skip
        frames = read_frames(info, FIRST, last)
        for number, (frame, face) in enumerate(zip(frames, faces, strict=True), FIRST):
            part = cropped(frame, box)
            if np.isfinite(face[0, 0]):
                mask = mouth_mask(face - [box.x, box.y], box.width, box.height)
                planes = planes_of(part)
                made = mixed(planes, mouth(number, planes), mask, info.pixel_format)
                part = frame_of(made, info.pixel_format, tags_of=part)
            writer.write(part)
    return Clip(out, FIRST, last, box)
