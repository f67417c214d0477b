"""Frames in and out, one at a time, in constant memory.

A film is read on its own frame grid (see :mod:`lipsync_core.media.probe`): upright, in planar YUV,
each frame exactly once per grid position. Pictures stay in YUV from the decoder to the encoder, so
a pixel nobody touched reaches the final encode bit for bit.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import av
import av.error
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from lipsync_core.errors import InputError, TimelineBroken, writing
from lipsync_core.media.probe import ColourTags, FilmInfo, opened

Plane = NDArray[Any]  # uint8, or uint16 holding 10 bits


def read_frames(info: FilmInfo, first: int = 0, last: int | None = None) -> Iterator[av.VideoFrame]:
    """Yield frames [first, last) of a film on its grid, upright, in ``info.pixel_format``.

    Frames must be copied before they are changed: a held frame is yielded more than once.

    Raises:
        InputError: the film is damaged inside the range.
    """
    last = info.frames if last is None else last
    if not 0 <= first <= last <= info.frames:
        raise TimelineBroken(f"frames [{first}, {last}) asked of a film of {info.frames}")
    wanted = first
    for index, stored in _stored_frames(info, info.stored_index(first) if first < last else 0):
        if wanted >= last:
            return
        if index < info.stored_index(wanted):
            continue
        if index > info.stored_index(wanted):
            raise InputError(f"frame {wanted} cannot be decoded: {info.path}; copy the film again")
        frame = _conformed(stored, info)
        while wanted < last and info.stored_index(wanted) == index:
            yield frame
            wanted += 1
    if wanted < last:
        raise InputError(
            f"truncated film: {info.path} decodes to {wanted} of {info.frames} frames; "
            "copy it again"
        )


def _stored_frames(info: FilmInfo, start: int) -> Iterator[tuple[int, av.VideoFrame]]:
    """Decoded frames with their place in display order, from ``start`` or a little before."""
    if info.seekable and start > 0:
        decoded = _decoded(info, seek_to=info.stored_pts[start])
        head = next(decoded, None)
        if head is not None and head[0] <= start:
            yield head
            yield from decoded
            return
        # Containers without an index (MPEG program streams) land late: read from the beginning.
    yield from _decoded(info, seek_to=None)


def _decoded(info: FilmInfo, seek_to: int | None) -> Iterator[tuple[int, av.VideoFrame]]:
    places: dict[int | None, int] = {stamp: index for index, stamp in enumerate(info.stored_pts)}
    with opened(info.path) as container:
        video = next(s for s in container.streams.video if s.codec_context.name == info.codec)
        video.thread_type = "AUTO"
        if seek_to is not None:
            container.seek(seek_to, stream=video, backward=True, any_frame=False)
        try:
            for counted, frame in enumerate(container.decode(video)):
                place = places.get(frame.pts) if info.seekable else counted
                if place is not None:
                    yield place, frame
        except av.error.FFmpegError as error:
            raise InputError(
                f"damaged film: {info.path} ({error.strerror}); copy it again"
            ) from error


def _conformed(frame: av.VideoFrame, info: FilmInfo) -> av.VideoFrame:
    if frame.format.name.replace("yuvj", "yuv") != info.pixel_format:
        frame = frame.reformat(
            format=info.pixel_format,
            dst_colorspace=info.colour.matrix,
            dst_color_range=info.colour.range,
        )
    upright = (info.height, info.width) if info.rotation in (90, 270) else (info.width, info.height)
    if (frame.width // 2 * 2, frame.height // 2 * 2) != upright:
        raise InputError(
            f"the picture of {info.path} changes its size midway to {frame.width}x{frame.height}: "
            "cut the film there"
        )
    if not info.rotation and (
        (frame.format.name, frame.width, frame.height)
        == (info.pixel_format, info.width, info.height)
    ):
        return frame
    # cut before turning, so that every chroma sample stays with its luma
    planes = list(_cut(planes_of(frame), *upright, info.pixel_format))
    if info.rotation:
        planes = [np.rot90(plane, info.rotation // 90) for plane in planes]
    return frame_of(planes, info.pixel_format, tags_of=frame)


def _cut(planes: list[Plane], width: int, height: int, pixel_format: str) -> Iterator[Plane]:
    across, down = chroma_steps(pixel_format)
    yield planes[0][:height, :width]
    for plane in planes[1:]:
        yield plane[: height // down, : width // across]


def chroma_steps(pixel_format: str) -> tuple[int, int]:
    """How many luma pixels one chroma pixel covers, across and down."""
    if "420" in pixel_format:
        return 2, 2
    return (2, 1) if "422" in pixel_format else (1, 1)


def planes_of(frame: av.VideoFrame) -> list[Plane]:
    """The Y, U and V planes of a planar YUV frame as arrays (views of the frame's memory)."""
    deep = "10le" in frame.format.name
    arrays: list[Plane] = []
    for plane in frame.planes[:3]:
        rows = np.frombuffer(cast(bytes, plane), np.uint8).reshape(plane.height, plane.line_size)
        samples = rows.view(np.uint16) if deep else rows
        arrays.append(samples[:, : plane.width])
    return arrays


def frame_of(
    planes: list[Plane], pixel_format: str, tags_of: av.VideoFrame | None = None
) -> av.VideoFrame:
    """A new frame holding copies of the Y, U and V planes.

    ``tags_of`` is a frame whose matrix and range it takes over, without which a conversion to RGB
    has to guess them.
    """
    height, width = planes[0].shape
    frame = av.VideoFrame(width, height, pixel_format)
    for target, source in zip(planes_of(frame), planes, strict=True):
        target[:] = source
    if tags_of is not None:
        frame.colorspace, frame.color_range = tags_of.colorspace, tags_of.color_range
    return frame


def rgb_of(
    frame: av.VideoFrame, width: int, height: int, order: str = "rgb24"
) -> NDArray[np.uint8]:
    """The frame scaled to (height, width, 3) in ``rgb24`` or ``bgr24``.

    Several threads may ask the same frame, which its own ``reformat`` does not survive.
    """
    if width >= frame.width:
        scaled = _reformatter().reformat(frame, width, height, order, interpolation="AREA")
        return cast("NDArray[np.uint8]", scaled.to_ndarray())
    # made small first and coloured then, which takes half the time of doing both for every pixel
    return _coloured([_shrunk(plane, width, height) for plane in planes_of(frame)], frame, order)


def bgr_square(
    frame: av.VideoFrame, left: float, top: float, side: float, size: int, *, beyond: int
) -> NDArray[np.uint8]:
    """A square of the frame scaled to (size, size, 3); see :func:`bgr_part`."""
    return bgr_part(frame, (left, top, side, side), (size, size), beyond=beyond)


def bgr_part(
    frame: av.VideoFrame, box: tuple[float, float, float, float], size: tuple[int, int], *,
    beyond: int = 0,
) -> NDArray[np.uint8]:  # fmt: skip
    """A part of the frame scaled by linear interpolation: (rows, columns, 3), blue, green, red.

    ``box`` is left, top, width and height in pixels, which need not be whole, ``size`` columns and
    rows. What lies beyond the picture is grey of the value ``beyond``.
    """
    across, down = chroma_steps(frame.format.name)
    is_full = frame.color_range == _FULL_RANGE
    deep = "10le" in frame.format.name
    grey = (beyond if is_full else 16 + beyond * 219 / 255, 128, 128)
    corner, pixel = np.array(box[:2]), np.array(box[2:]) / size
    planes: list[Plane] = []
    for plane, level in zip(planes_of(frame), grey, strict=True):
        steps = np.array([across, down]) if planes else np.ones(2)
        scale = pixel / steps
        # the middle of a pixel of the part ↔ the middle of the place it covers in the plane
        start = (corner + pixel / 2) / steps - 0.5
        planes.append(cv2.warpAffine(
            plane, np.array([[scale[0], 0, start[0]], [0, scale[1], start[1]]]), size,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderValue=level * (4 if deep else 1),
        ))  # fmt: skip
    return _coloured(planes, frame, "bgr24")


def uncoloured(bgr: NDArray[Any], like: av.VideoFrame) -> list[NDArray[np.float32]]:
    """The Y, U and V planes of a picture, (rows, columns, 3) of blue, green and red in 0…255, by
    the matrix, range and depth of another frame; all of its size, not yet whole numbers."""
    is_full = like.color_range == _FULL_RANGE
    coloured = _rgb_matrix(like.colorspace, is_full, 2 if "10le" in like.format.name else 0)
    back = np.linalg.inv(coloured[::-1, :3])
    matrix = np.column_stack([back, -back @ coloured[::-1, 3]])
    return list(cv2.split(cv2.transform(bgr.astype(np.float32), matrix)))


def _coloured(planes: list[Plane], frame: av.VideoFrame, order: str) -> NDArray[np.uint8]:
    """Y, U and V planes of one size as RGB or BGR, by the matrix and range of their frame."""
    is_full = frame.color_range == _FULL_RANGE
    deep = planes[0].dtype == np.uint16
    matrix = _rgb_matrix(frame.colorspace, is_full, 2 if deep else 0)
    coloured = cv2.transform(cv2.merge(planes), matrix if order == "rgb24" else matrix[::-1])
    return np.minimum(coloured, 255).astype(np.uint8, copy=False)


_of_this_thread = threading.local()


def _reformatter() -> VideoReformatter:
    if not hasattr(_of_this_thread, "reformatter"):
        _of_this_thread.reformatter = VideoReformatter()
    return cast(VideoReformatter, _of_this_thread.reformatter)


_FULL_RANGE = 2  # H.273
# The weights of red and blue in luma, by H.273's number of the matrix; films that do not say are
# read like BT.601, as FFmpeg does.
_BT601 = (0.299, 0.114)
_WEIGHTS = {1: (0.2126, 0.0722), 7: (0.212, 0.087), 9: (0.2627, 0.0593), 10: (0.2627, 0.0593)}


@lru_cache
def _rgb_matrix(colorspace: int, is_full: bool, spare_bits: int) -> NDArray[np.float64]:
    """The (3, 4) matrix that makes 8-bit RGB of Y, U, V and 1: ITU-T H.273, section 8.3."""
    red, blue = _WEIGHTS.get(colorspace, _BT601)
    green = 1 - red - blue
    luma, chroma = (1.0, 1.0) if is_full else (255 / 219, 255 / 224)
    from_u = np.array([0, -2 * blue * (1 - blue) / green, 2 * (1 - blue)]) * chroma
    from_v = np.array([2 * (1 - red), -2 * red * (1 - red) / green, 0]) * chroma
    colours = np.column_stack([np.full(3, luma), from_u, from_v])
    offset = -colours @ np.array([0 if is_full else 16, 128, 128])
    return np.column_stack([colours / 2**spare_bits, offset])


def _shrunk(plane: Plane, width: int, height: int) -> Plane:
    """The plane made smaller: halved by averaging as long as that goes, since halving is cheap.

    What is left is less than a half, where linear interpolation skips no pixel and takes a third of
    the time of averaging.
    """
    while plane.shape[1] >= 2 * width and not (plane.shape[0] % 2 or plane.shape[1] % 2):
        size = plane.shape[1] // 2, plane.shape[0] // 2
        plane = cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
    if plane.shape == (height, width):
        return plane
    way = cv2.INTER_AREA if plane.shape[1] >= 2 * width else cv2.INTER_LINEAR
    return cv2.resize(plane, (width, height), interpolation=way)


class FrameWriter:
    """Encodes frames to ``path`` at an exact constant rate; the file appears only when whole.

    Use as a context manager: on success the file is closed, then renamed from ``*.part``; on any
    error the part is removed.
    """

    def __init__(
        self,
        path: Path,
        *,
        width: int,
        height: int,
        frame_rate: Fraction,
        pixel_format: str,
        codec: str,
        options: dict[str, str] | None = None,
        colour: ColourTags | None = None,
        sample_aspect: Fraction = Fraction(1),
        container_format: str | None = None,
        container_options: dict[str, str] | None = None,
    ) -> None:
        self.path = path
        self.part = path.with_name(path.name + ".part")
        self.written = 0
        with writing(path):
            self._container = av.open(
                str(self.part.absolute()),
                "w",
                format=container_format or _muxer(path),
                container_options=container_options,
            )
            video = self._container.add_stream(codec, rate=frame_rate)
        assert isinstance(video, av.VideoStream)
        video.width, video.height, video.pix_fmt = width, height, pixel_format
        video.options = dict(options or {})
        context: Any = video.codec_context
        context.time_base = 1 / frame_rate
        context.sample_aspect_ratio = sample_aspect
        context.thread_type = "AUTO"
        if colour is not None:
            context.color_primaries = colour.primaries
            context.color_trc = colour.transfer
            context.colorspace = colour.matrix
            context.color_range = colour.range
        self._video = video
        self._time_base = 1 / frame_rate

    @property
    def container(self) -> av.container.OutputContainer:
        """The container being written, for a second stream."""
        return self._container

    def write(self, frame: av.VideoFrame) -> None:
        """Append one frame."""
        frame.pts, frame.time_base = self.written, self._time_base
        frame.pict_type = av.video.frame.PictureType.NONE  # the encoder decides, not the source
        with writing(self.path):
            self._container.mux(self._video.encode(frame))
        self.written += 1

    def flush(self) -> None:
        """Write what the encoder still holds of the picture."""
        with writing(self.path):
            self._container.mux(self._video.encode(None))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            try:
                self.flush()
                with writing(self.path):
                    self._container.close()
                    self.part.replace(self.path)
            except BaseException:
                self._abandon()
                raise
        else:
            self._abandon()

    def _abandon(self) -> None:
        with suppress(OSError, av.error.FFmpegError):
            self._container.close()
        with suppress(OSError):  # the error that brought us here is the one to tell
            self.part.unlink(missing_ok=True)


def _muxer(path: Path) -> str:
    return {".mp4": "mp4", ".mkv": "matroska", ".mov": "mov", ".avi": "avi"}[path.suffix]


def free_bytes(folder: Path) -> int:
    """How many bytes a person may still write below ``folder``."""
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize
