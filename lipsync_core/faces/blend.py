"""A new face or mouth over a film's own picture: where it goes over, and the going over itself.

A mask is 1 where the new picture counts alone and 0 where the film's own does; between them lies a
seam with a smooth course. A pixel whose mask is 0 stays the film's own, bit for bit.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lipsync_core.faces.landmarks import FACE_OVAL, LOWER_FACE, FaceTrack
from lipsync_core.faces.mouth import eye_distance
from lipsync_core.faces.warp import smooth_step
from lipsync_core.media.clip import Box
from lipsync_core.media.frames import Plane, chroma_steps
from lipsync_core.media.probe import FilmInfo

Mask = NDArray[np.float32]
_EYES = [33, 263]
# In eye distances: how far beyond the landmarks a new jaw may reach, and the width of the seam.
FACE_ROOM, MOUTH_ROOM = 0.25, 0.12
FACE_SEAM = MOUTH_SEAM = 0.2


def box_round(faces: FaceTrack, info: FilmInfo, room: float) -> Box:
    """The part of a film's picture that holds a face in every frame of its track, with ``room``
    (in eye distances) on all sides."""
    points = faces.points[faces.present]
    border = room * float(np.median(eye_distance(points)))
    oval = points[:, FACE_OVAL]
    (left, top), (right, bottom) = oval.min((0, 1)) - border, oval.max((0, 1)) + border
    return Box.around(left, top, right, bottom, info)


def face_mask(face: NDArray[np.float32], width: int, height: int) -> Mask:
    """1 on the face and a little round it, (height, width); ``face``: its (468, 2) landmarks."""
    return _round_outline(face, FACE_OVAL, width, height, FACE_ROOM, FACE_SEAM)


def mouth_mask(face: NDArray[np.float32], width: int, height: int) -> Mask:
    """1 from the nose's base to a little below the chin, (height, width); ``face``: its (468, 2)
    landmarks."""
    return _round_outline(face, LOWER_FACE, width, height, MOUTH_ROOM, MOUTH_SEAM)


def mixed(own: list[Plane], new: list[Plane], mask: Mask, pixel_format: str) -> list[NDArray[Any]]:
    """Planes of a YUV picture with another's where the mask says so; the mask is of luma's size."""
    masks = masks_of(mask, pixel_format)
    return [_mixed(*planes) for planes in zip(own, new, masks, strict=True)]


def masks_of(mask: Mask, pixel_format: str) -> list[Mask]:
    """The mask in the size of each of the three planes."""
    across, down = chroma_steps(pixel_format)
    if (across, down) == (1, 1):
        return [mask] * 3
    size = mask.shape[1] // across, mask.shape[0] // down
    small = cv2.resize(mask, size, interpolation=cv2.INTER_AREA)
    return [mask, small, small]


def _mixed(own: Plane, new: Plane, mask: Mask) -> NDArray[Any]:
    blended = own + mask * (new.astype(np.float32) - own)
    return np.rint(blended, out=blended).astype(own.dtype)


def _round_outline(
    face: NDArray[np.float32], outline: NDArray[np.int64], width: int, height: int,
    room: float, seam: float,
) -> Mask:  # fmt: skip
    eyes = float(np.linalg.norm(face[_EYES[0]] - face[_EYES[1]]))
    hull = cv2.convexHull(np.rint(face[outline]).astype(np.int32))
    drawn = np.full((height, width), 255, np.uint8)
    cv2.fillConvexPoly(drawn, hull, 0)
    outside = cv2.distanceTransform(drawn, cv2.DIST_L2, 3)
    ramp = smooth_step((eyes * (room + seam) - outside - 1) / (eyes * seam))
    return (ramp * fading_edge(width, height, eyes * seam)).astype(np.float32)


def fading_edge(width: int, height: int, seam: float) -> Mask:
    """0 at the edges of a part, 1 a seam's width inside: no line where the part ends."""
    x = np.minimum(np.arange(width), np.arange(width)[::-1])
    y = np.minimum(np.arange(height), np.arange(height)[::-1])
    edge: Mask = np.clip(np.minimum(x[None], y[:, None]) / max(1.0, seam), 0, 1)
    return edge
