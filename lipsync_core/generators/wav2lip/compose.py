"""The mouth that the network made, back in the film's own picture.

The network makes the whole lower half of a face at 48 × 96 pixels. Of it only the mouth and what
speech moves round it is taken, blended over a seam; everything else stays the film's own picture.
"""

from __future__ import annotations

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from lipsync_core.faces.blend import Mask, fading_edge, mixed, mouth_mask
from lipsync_core.media.clip import Box, planes_in
from lipsync_core.media.frames import (
    Plane,
    chroma_steps,
    frame_of,
    planes_of,
    uncoloured,
)

_SEAM_OF_WIDTH = 0.12  # where no landmarks say how large the face is
_LEAST = 4  # pixels to a side of what may be changed


def lower_half(box: NDArray[np.float64]) -> NDArray[np.float64]:
    """Left, top, right and bottom of the lower half of a box."""
    left, top, right, bottom = box
    return np.array([left, (top + bottom) / 2, right, bottom])


def spoken(
    part: av.VideoFrame,
    lower: NDArray[np.uint8],
    place: NDArray[np.float64],
    face: NDArray[np.float32],
) -> av.VideoFrame:
    """A part of a frame with the mouth that was made for it.

    ``lower``: (48, 96, 3) blue, green, red, which belongs to ``place`` (left, top, right, bottom).
    ``face``: (468, 2) landmarks, NaN where only the box is known. All in pixels of the part.
    """
    form = part.format.name
    inside = _inside(place, part)
    if min(inside.width, inside.height) < _LEAST:
        return part
    mask = _mask(face - np.array([inside.x, inside.y], np.float32), inside)
    frame = frame_of(planes_of(part), form, tags_of=part)
    own = planes_in(planes_of(frame), inside, form)
    new = _enlarged(uncoloured(lower, part), place, inside, form)
    for plane, done in zip(own, mixed(own, new, mask, form), strict=True):
        plane[:] = done
    return frame


def _inside(place: NDArray[np.float64], part: av.VideoFrame) -> Box:
    """The even rectangle that lies wholly in ``place`` and in the part."""
    left, top = np.ceil(np.maximum(place[:2], 0) / 2).astype(int) * 2
    right, bottom = np.floor(np.minimum(place[2:], [part.width, part.height]) / 2).astype(int) * 2
    return Box(int(left), int(top), max(0, int(right - left)), max(0, int(bottom - top)))


def _mask(face: NDArray[np.float32], box: Box) -> Mask:
    if np.isfinite(face[0, 0]):
        return mouth_mask(face, box.width, box.height)
    return fading_edge(box.width, box.height, _SEAM_OF_WIDTH * box.width)


def _enlarged(
    planes: list[NDArray[np.float32]], place: NDArray[np.float64], box: Box, pixel_format: str
) -> list[Plane]:
    """The network's planes, each at the size and place of the film's plane in the box."""
    across, down = chroma_steps(pixel_format)
    most = 1023 if "10le" in pixel_format else 255
    height, width = planes[0].shape
    pixel = (place[2:] - place[:2]) / [width, height]
    found: list[Plane] = []
    for plane in planes:
        steps = np.array([across, down]) if found else np.ones(2)
        scale = steps / pixel
        corner = np.array([box.x, box.y])
        # the middle of the film's pixel ↔ its place among the network's
        start = (corner + steps / 2 - place[:2]) / pixel - 0.5
        size = (box.width // int(steps[0]), box.height // int(steps[1]))
        large = cv2.warpAffine(
            plane, np.array([[scale[0], 0, start[0]], [0, scale[1], start[1]]]), size,
            flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        found.append(np.clip(large, 0, most))
    return found
