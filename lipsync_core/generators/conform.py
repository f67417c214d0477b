"""A segment as it came back from elsewhere, made into a clip of the film it belongs to.

What comes back was scaled, encoded and timed by others. Only the face is taken from it: the frames
are brought to the film's own grid, size and pixel format, and the face is blended over the film's
own picture, so that every pixel round it stays the source's.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from lipsync_core.errors import RenderFailed
from lipsync_core.faces.landmarks import FACE_OVAL
from lipsync_core.faces.mouth import eye_distance
from lipsync_core.material import Material
from lipsync_core.media.clip import Box, Clip, cropped
from lipsync_core.media.frames import (
    FrameWriter,
    Plane,
    chroma_steps,
    frame_of,
    planes_of,
    read_frames,
)
from lipsync_core.media.probe import FilmInfo, probe
from lipsync_core.timeline import Segment

MOST_FRAMES_OFF = 1
# In eye distances: how far beyond the oval of the face a new jaw may reach, and the width of the
# seam in which the picture goes over into the film's own.
_ROOM, _SEAM = 0.25, 0.2


def conformed(material: Material, segment: Segment, returned: Path, out: Path) -> Clip:
    """The clip of a segment from what an engine returned for it, written to ``out``.

    Raises:
        RenderFailed: it is more than a frame too long or too short, of another shape, or no film.
    """
    info, theirs = material.info, _accepted(returned, material.info, segment)
    faces = material.faces(segment.first_frame, segment.last_frame)
    room = (_ROOM + _SEAM) * float(np.median(eye_distance(faces.points[faces.present])))
    oval = faces.points[faces.present][:, FACE_OVAL]
    (left, top), (right, bottom) = oval.min((0, 1)) - room, oval.max((0, 1)) + room
    box = Box.around(left, top, right, bottom, info)
    own = read_frames(info, segment.first_frame, segment.last_frame)
    new = _on_the_grid(theirs, info, segment.frames)
    with FrameWriter(
        out, width=box.width, height=box.height, frame_rate=info.frame_rate,
        pixel_format=info.pixel_format, codec="ffv1", colour=info.colour,
    ) as writer:  # fmt: skip
        for frame, other, face in zip(own, new, faces.points, strict=True):
            part = cropped(frame, box)
            if np.isfinite(face[0, 0]):
                part = _blended(part, cropped(other, box), face - [box.x, box.y])
            writer.write(part)
    return Clip(out, segment.first_frame, segment.last_frame, box)


def _accepted(returned: Path, info: FilmInfo, segment: Segment) -> FilmInfo:
    theirs = probe(returned)
    frames = theirs.frames * info.frame_rate / theirs.frame_rate
    if abs(frames - segment.frames) > MOST_FRAMES_OFF:
        raise RenderFailed(
            f"{float(frames):.0f} frames came back for a segment of {segment.frames}: a job that "
            "changes the length is not stretched"
        )
    if abs(theirs.width * info.height - theirs.height * info.width) > 4 * info.height:
        raise RenderFailed(
            f"a picture of {theirs.width}x{theirs.height} came back for one of "
            f"{info.width}x{info.height}"
        )
    return theirs


def _on_the_grid(theirs: FilmInfo, info: FilmInfo, frames: int) -> Iterator[av.VideoFrame]:
    """For each of the segment's frames the returned one shown at its middle, in the film's form."""
    stored = enumerate(read_frames(theirs))
    index, frame = next(stored)
    for wanted in range(frames):
        place = (wanted + 0.5) * float(theirs.frame_rate / info.frame_rate)
        while index < min(int(place), theirs.frames - 1):
            index, frame = next(stored)
        yield frame.reformat(
            info.width, info.height, info.pixel_format,
            dst_colorspace=info.colour.matrix, dst_color_range=info.colour.range,
            interpolation="BICUBIC",
        )  # fmt: skip


def _blended(own: av.VideoFrame, other: av.VideoFrame, face: NDArray[np.float32]) -> av.VideoFrame:
    """``own`` with the face of ``other``; ``face`` are the landmarks in this part's pixels."""
    format_name = own.format.name
    mask = _mask(face, own.width, own.height)
    dx, dy = chroma_steps(format_name)
    small = cv2.resize(mask, (own.width // dx, own.height // dy), interpolation=cv2.INTER_AREA)
    planes = [
        _mixed(a, b, m)
        for a, b, m in zip(planes_of(own), planes_of(other), (mask, small, small), strict=True)
    ]
    return frame_of(planes, format_name, tags_of=own)


def _mixed(own: Plane, other: Plane, mask: NDArray[np.float32]) -> Plane:
    mixed = own + mask * (other.astype(np.float32) - own)
    return np.rint(mixed).astype(own.dtype)


def _mask(face: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    """1 on the face and a little below it, 0 from a seam's width away on."""
    eyes = float(np.linalg.norm(face[33] - face[263]))
    hull = cv2.convexHull(np.rint(face[FACE_OVAL]).astype(np.int32))
    drawn = np.full((height, width), 255, np.uint8)
    cv2.fillConvexPoly(drawn, hull, 0)
    outside = cv2.distanceTransform(drawn, cv2.DIST_L2, 3)
    ramp = np.clip((eyes * (_ROOM + _SEAM) - outside - 1) / (eyes * _SEAM), 0, 1)
    edge = _fading_edge(width, height, eyes * _SEAM)
    smooth: NDArray[np.float32] = (ramp * ramp * (3 - 2 * ramp) * edge).astype(np.float32)
    return smooth


def _fading_edge(width: int, height: int, seam: float) -> NDArray[np.float32]:
    """0 at the edges of the part, 1 a seam's width inside: no line where the part ends."""
    x = np.minimum(np.arange(width), np.arange(width)[::-1])
    y = np.minimum(np.arange(height), np.arange(height)[::-1])
    edge: NDArray[np.float32] = np.clip(np.minimum(x[None], y[:, None]) / max(1.0, seam), 0, 1)
    return edge
