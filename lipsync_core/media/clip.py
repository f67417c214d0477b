"""A rendered segment: the part of the picture an engine changed, and where it belongs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, floor
from pathlib import Path

import av
import cv2

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
    in ``box`` (the whole picture where ``box`` covers it). ``seam_frames`` is how many frames at
    either end it may share with a neighbour; there one picture passes over into the other.
    ``remarks`` are what the engine has to say about it.
    """

    path: Path
    first_frame: int
    last_frame: int
    box: Box
    remarks: tuple[str, ...] = ()
    seam_frames: int = 0


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

    Where two clips share a seam, the share of the later one rises evenly from frame to frame.

    Raises:
        TimelineBroken: a clip does not hold exactly the frames of its segment, is not of the size
            of its box, or lies over another one beyond their seam.
    """
    places = _in_order(info, clips)
    waiting = [_Place(clip, seam, _frames_of(clip, info)) for clip, seam in places]
    here: list[_Place] = []
    for index, frame in enumerate(read_frames(info)):
        while waiting and waiting[0].clip.first_frame <= index:
            here.append(waiting.pop(0))
        whole = frame
        for place in here:
            part = pasted(frame, next(place.frames), place.clip.box)
            whole = part if whole is frame else faded(whole, part, place.share(index))
        yield whole
        here = [place for place in here if place.clip.last_frame > index + 1]


@dataclass(frozen=True)
class _Place:
    """A clip on its way into the film; its first ``seam`` frames lie over the clip before it."""

    clip: Clip
    seam: int
    frames: Iterator[av.VideoFrame]

    def share(self, frame: int) -> float:
        """How much of the picture is this clip's where it begins over another one."""
        return (frame - self.clip.first_frame + 1) / (self.seam + 1)


def faded(one: av.VideoFrame, other: av.VideoFrame, share: float) -> av.VideoFrame:
    """One picture passing over into another: ``share`` of the latter."""
    mixed = [
        cv2.addWeighted(a, 1 - share, b, share, 0)
        for a, b in zip(planes_of(one), planes_of(other), strict=True)
    ]
    return frame_of(mixed, one.format.name, tags_of=one)


def _in_order(info: FilmInfo, clips: Sequence[Clip]) -> Iterator[tuple[Clip, int]]:
    """Every clip with the number of frames it shares with the one before."""
    free_from = taken_from = last_seam = 0
    for clip in sorted(clips, key=lambda clip: clip.first_frame):
        seam = max(0, free_from - clip.first_frame)
        is_shared = seam <= clip.seam_frames + last_seam and clip.first_frame >= taken_from
        if not (is_shared and clip.first_frame <= clip.last_frame <= info.frames):
            raise TimelineBroken(
                f"{clip.path.name} claims frames [{clip.first_frame}, {clip.last_frame}) of a film "
                f"of {info.frames} that is taken up to {free_from}"
            )
        yield clip, seam
        # the next one may not reach back over the seam: at most two pictures pass into each other
        taken_from, free_from, last_seam = (
            clip.first_frame + seam,
            clip.last_frame,
            clip.seam_frames,
        )


def _frames_of(clip: Clip, info: FilmInfo) -> Iterator[av.VideoFrame]:
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
    yield from read_frames(clip_info)
