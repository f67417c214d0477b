"""A segment as it came back from elsewhere, made into a clip of the film it belongs to.

What comes back was scaled, encoded and timed by others. Only the face is taken from it: the frames
are brought to the film's own grid, size and pixel format, and the face is blended over the film's
own picture, so that every pixel round it stays the source's.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from lipsync_core.errors import RenderFailed
from lipsync_core.faces.blend import FACE_ROOM, FACE_SEAM, box_round, face_mask, mixed
from lipsync_core.material import Material
from lipsync_core.media.clip import Box, Clip, cropped
from lipsync_core.media.frames import FrameWriter, frame_of, planes_of, read_frames
from lipsync_core.media.probe import FilmInfo, probe
from lipsync_core.timeline import Segment

MOST_FRAMES_OFF = 1


def conformed(material: Material, segment: Segment, returned: Path, out: Path) -> Clip:
    """The clip of a segment from what an engine returned for it, written to ``out``.

    Of a portrait, which has no picture of its own but one, the whole of what came back is taken.

    Raises:
        RenderFailed: it is more than a frame too long or too short, of another shape, or no film.
    """
    info, theirs = material.info, _accepted(returned, material.info, segment)
    new = _on_the_grid(theirs, info, segment.frames)
    if material.is_still:
        return _taken_whole(new, info, segment, out)
    faces = material.faces(segment.first_frame, segment.last_frame)
    box = box_round(faces, info, FACE_ROOM + FACE_SEAM)
    own = read_frames(info, segment.first_frame, segment.last_frame)
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


def _taken_whole(new: Iterator[av.VideoFrame], info: FilmInfo, segment: Segment, out: Path) -> Clip:
    with FrameWriter(
        out, width=info.width, height=info.height, frame_rate=info.frame_rate,
        pixel_format=info.pixel_format, codec="ffv1", colour=info.colour,
    ) as writer:  # fmt: skip
        for frame in new:
            writer.write(frame)
    box = Box(0, 0, info.width, info.height)
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
    mask, form = face_mask(face, own.width, own.height), own.format.name
    return frame_of(mixed(planes_of(own), planes_of(other), mask, form), form, tags_of=own)
