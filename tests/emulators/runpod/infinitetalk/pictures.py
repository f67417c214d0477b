"""The pictures of a film: cropped to its size, and moved so that every job differs a little."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from lipsync_core.errors import InputError
from lipsync_core.media.frames import frame_of, planes_of, read_frames, rgb_of
from lipsync_core.media.probe import FilmInfo

Picture = NDArray[np.uint8]

_BT709 = 1  # H.273's number of the matrix
_LIMITED = 1
_BAR_LUMA = 210


def read_picture(path: Path) -> Picture:
    """A picture file as RGB, whatever its name ends with.

    Raises:
        InputError: it is none.
    """
    read = cv2.imdecode(np.frombuffer(path.read_bytes() or b"-", np.uint8), cv2.IMREAD_COLOR)
    if read is None:
        raise InputError(f"no picture: {path}")
    return cv2.cvtColor(read, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)


def cropped(picture: Picture, width: int, height: int) -> Picture:
    """The picture scaled until it covers the size, and its middle cut out."""
    rows, columns = picture.shape[:2]
    scale = max(width / columns, height / rows)
    across, down = max(width, round(columns * scale)), max(height, round(rows * scale))
    if (down, across) != (rows, columns):
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LANCZOS4
        picture = cv2.resize(picture, (across, down), interpolation=way).astype(np.uint8)
    left, top = (across - width) // 2, (down - height) // 2
    return np.ascontiguousarray(picture[top : top + height, left : left + width])


def with_moving_bar(picture: Picture, seed: int) -> Iterator[av.VideoFrame]:
    """The picture for ever, with a bar going across that begins elsewhere for every seed."""
    still = _frame(picture)
    planes = planes_of(still)
    width = planes[0].shape[1]
    bar = max(2, width // 32)
    first = int(np.random.default_rng(seed).integers(width))
    for number in count():
        luma = planes[0].copy()
        left = (first + number * bar // 2) % max(1, width - bar)
        luma[:, left : left + bar] = _BAR_LUMA
        yield frame_of([luma, *planes[1:]], "yuv420p", tags_of=still)


def of_film(film: FilmInfo, width: int, height: int) -> Iterator[av.VideoFrame]:
    """The pictures of a film at that size; the last one for ever."""
    frame = None
    for stored in read_frames(film):
        frame = _frame(cropped(rgb_of(stored, film.width, film.height), width, height))
        yield frame
    while frame is not None:
        yield frame


def _frame(picture: Picture) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(
        format="yuv420p", dst_colorspace=_BT709, dst_color_range=_LIMITED
    )
    frame.colorspace, frame.color_range = _BT709, _LIMITED
    return frame
