"""Frames parked on disk, readable in any order, so that memory stays constant."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import numpy as np

from lipsync_core.errors import writing
from lipsync_core.media.frames import Plane, planes_of


class FrameSpool:
    """Raw planes of equally large frames in one file, which is removed at the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with writing(path):
            self._file = path.open("w+b", buffering=0)
        self._shapes: list[tuple[int, ...]] = []
        self._dtype: np.dtype[Any] = np.dtype(np.uint8)
        self._frame_bytes = 0
        self.frames = 0

    def append(self, frame: av.VideoFrame) -> None:
        """Park one frame.

        Raises:
            StorageError: the disk is full or the folder refuses writes.
        """
        planes = planes_of(frame)
        if not self._shapes:
            self._shapes = [plane.shape for plane in planes]
            self._dtype = planes[0].dtype
            self._frame_bytes = sum(plane.size for plane in planes) * self._dtype.itemsize
        rest = memoryview(b"".join(plane.tobytes() for plane in planes))
        with writing(self._path):
            self._file.seek(self.frames * self._frame_bytes)
            while rest:  # a disk that is nearly full takes only a part
                rest = rest[self._file.write(rest) :]
        self.frames += 1

    def read(self, index: int) -> list[Plane]:
        """The planes of a parked frame, free to be changed."""
        self._file.seek(index * self._frame_bytes)
        flat = np.frombuffer(bytearray(self._file.read(self._frame_bytes)), self._dtype)
        planes, start = [], 0
        for height, width in self._shapes:
            planes.append(flat[start : start + height * width].reshape(height, width))
            start += height * width
        return planes

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)
