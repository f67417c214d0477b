"""A rendered segment: the part of the picture an engine changed, and where it belongs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, floor
from pathlib import Path

import av

from lipsync_core.errors import TimelineBroken
from lipsync_core.media.frames import Plane, chroma_steps, frame_of, planes_of, read_frames
from lipsync_core.media.probe import FilmInfo, probe


@dataclass(frozen=True)
class Box:
    """A rectangle of the picture in luma pixels; all four numbers are even, so that it lies on
    the chroma grid of every pixel format."""

    x: int
    y: int
    width: int
    height: int

    @classmethod
    def around(cls, left: float, top: float, right: float, bottom: float, info: FilmInfo) -> Box:
        """The smallest even box that holds a region, kept inside the picture."""
        x, end_x = _even_span(left, right, info.width)
        y, end_y = _even_span(top, bottom, info.height)
        return cls(x, y, end_x - x, end_y - y)


def _even_span(first: float, last: float, limit: int) -> tuple[int, int]:
    start = min(max(0, floor(first / 2) * 2), limit - 2)
    return start, min(max(start + 2, ceil(last / 2) * 2), limit)


@dataclass(frozen=True)
class Clip:
    """Frames [first_frame, last_frame) of a film as an engine rendered them.

    ``path`` is a video of exactly those frames in the film's pixel format, holding only what lies
    in ``box`` (the whole picture where ``box`` covers it). ``remarks`` are what the engine has to
    say about it.
    """

    path: Path
    first_frame: int
    last_frame: int
    box: Box
    remarks: tuple[str, ...] = ()


def cropped(frame: av.VideoFrame, box: Box) -> av.VideoFrame:
    """What lies in the box, as a frame of its own."""
    part = planes_in(planes_of(frame), box, frame.format.name)
    return frame_of(part, frame.format.name, tags_of=frame)


def planes_in(planes: Sequence[Plane], box: Box, pixel_format: str) -> list[Plane]:
    """What of each of the three planes lies in the box, as a view."""
    steps = [(1, 1), *2 * (chroma_steps(pixel_format),)]
    return [
        plane[
            box.y // down : (box.y + box.height) // down,
            box.x // across : (box.x + box.width) // across,
        ]
        for plane, (across, down) in zip(planes, steps, strict=True)
    ]


def pasted(frame: av.VideoFrame, part: av.VideoFrame, box: Box) -> av.VideoFrame:
    """A copy of ``frame`` with ``part`` in the box; every pixel outside is untouched."""
    form = frame.format.name
    whole = frame_of(planes_of(frame), form, tags_of=frame)
    for target, source in zip(planes_in(planes_of(whole), box, form), planes_of(part), strict=True):
        target[:] = source
    return whole


def joined_frames(info: FilmInfo, clips: Sequence[Clip]) -> Iterator[av.VideoFrame]:
    """The film's picture with every clip in its place: what the one final encode is given.

    Raises:
        TimelineBroken: a clip does not hold exactly the frames of its segment, is not of the size
            of its box, or lies over another one.
    """
    rendered = _rendered(info, clips)
    at_frame, part, box = next(rendered, _NO_MORE)
    for index, frame in enumerate(read_frames(info)):
        if index == at_frame and part is not None and box is not None:
            yield pasted(frame, part, box)
            at_frame, part, box = next(rendered, _NO_MORE)
        else:
            yield frame


_NO_MORE: tuple[int, None, None] = (-1, None, None)


def _rendered(info: FilmInfo, clips: Sequence[Clip]) -> Iterator[tuple[int, av.VideoFrame, Box]]:
    free_from = 0
    for clip in sorted(clips, key=lambda clip: clip.first_frame):
        if not free_from <= clip.first_frame <= clip.last_frame <= info.frames:
            raise TimelineBroken(
                f"{clip.path.name} claims frames [{clip.first_frame}, {clip.last_frame}) of a film "
                f"of {info.frames} that is taken up to {free_from}"
            )
        free_from = clip.last_frame
        yield from _frames_of(clip, info)


def _frames_of(clip: Clip, info: FilmInfo) -> Iterator[tuple[int, av.VideoFrame, Box]]:
    clip_info = probe(clip.path)
    length = clip.last_frame - clip.first_frame
    if clip_info.frames != length:
        raise TimelineBroken(
            f"{clip.path.name} holds {clip_info.frames} frames, its segment {length}: "
            "render it again"
        )
    form = (clip_info.width, clip_info.height, clip_info.pixel_format)
    if form != (clip.box.width, clip.box.height, info.pixel_format):
        raise TimelineBroken(
            f"{clip.path.name} is {form[0]}x{form[1]} {form[2]}, its place in the film "
            f"{clip.box.width}x{clip.box.height} {info.pixel_format}: render it again"
        )
    for offset, part in enumerate(read_frames(clip_info)):
        yield clip.first_frame + offset, part, clip.box
