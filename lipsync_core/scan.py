"""One look at a whole film: cuts, faces and thumbnails from a single decode.

The film is decoded once, frame by frame; two threads work behind it, one looking for cuts and one
for faces, each with a short queue, so memory does not depend on the film's length and both cores
are busy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any, Literal

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from lipsync_core.errors import writing
from lipsync_core.faces.crowd import OTHER
from lipsync_core.faces.landmarks import POINTS, FaceMesh
from lipsync_core.media.frames import read_frames, rgb_of
from lipsync_core.media.probe import FilmInfo
from lipsync_core.media.scenes import CutFinder
from lipsync_core.timeline import Cut

VERSION = 3
FACE_SIDE = 640  # px of the longer side the face mesh sees; more costs time and finds no more
CUT_WIDTH = 256
THUMBNAILS = 24
THUMBNAIL_WIDTH = 160
_QUEUE = 8


@dataclass(frozen=True)
class Scan:
    """What one look found. ``faces`` is a ``.npy`` of (frames, 468, 2) float32 pixels, NaN where
    there is no face: the largest one, or who was chosen since. ``others`` holds the rest, see
    :class:`lipsync_core.faces.crowd.Crowd`, if there are any; ``thumbnails`` is a ``.npz`` of JPEG
    bytes by frame number."""

    cuts: tuple[Cut, ...]
    faces: Path
    thumbnails: Path
    others: Path | None = None


def scan_film(
    info: FilmInfo,
    folder: Path,
    *,
    detector: str = "adaptive",
    on_frame: Callable[[int], None] | None = None,
) -> Scan:
    """Decode the film once; find its cuts and faces; keep thumbnails. Files go to ``folder``.

    Raises:
        InputError: the film is damaged or holds fewer frames than it says.
    """
    face_size = _fitted(info, FACE_SIDE / max(info.width, info.height))
    cut_size = _fitted(info, CUT_WIDTH / info.width)
    thumbnail_size = _fitted(info, THUMBNAIL_WIDTH / info.width)
    every = max(1, info.frames // THUMBNAILS)
    cut_finder = CutFinder(info.frame_rate, detector=detector)  # type: ignore[arg-type]
    faces_path, others_path = folder / "faces.npy", folder / "others.npy"
    thumbnails_path = folder / "thumbnails.npz"
    thumbnails: dict[str, NDArray[np.uint8]] = {}
    size = np.array([info.width, info.height], np.float32)

    nobody = np.full((1, POINTS, 2), np.nan, np.float32)

    with (
        FaceMesh() as mesh,
        _rows(faces_path, np.dtype("<f4"), (POINTS, 2)) as add_face,
        _rows(others_path, OTHER) as add_others,
    ):

        def find_face(index: int, rgb: NDArray[np.uint8]) -> None:
            found = mesh.find(rgb) * size
            add_face(found[:1] if len(found) else nobody)
            add_others(np.array([(index, points) for points in found[1:]], OTHER))

        def find_cut(index: int, frame: av.VideoFrame) -> None:
            cut_finder.feed(index, rgb_of(frame, *cut_size, order="bgr24"))

        with _worker(find_face) as look_for_face, _worker(find_cut) as look_for_cut:
            for index, frame in enumerate(read_frames(info)):
                look_for_face(index, rgb_of(frame, *face_size))
                look_for_cut(index, frame)
                if index % every == 0:
                    picture = rgb_of(frame, *thumbnail_size, order="bgr24")
                    thumbnails[str(index)] = cv2.imencode(".jpg", picture)[1].ravel()
                if on_frame is not None:
                    on_frame(index)
    with writing(thumbnails_path):
        np.savez(thumbnails_path, **thumbnails)
    is_crowd = len(np.load(others_path, mmap_mode="r")) > 0
    return Scan(
        tuple(cut_finder.finish()), faces_path, thumbnails_path, others_path if is_crowd else None
    )


def find_cuts(
    info: FilmInfo,
    *,
    detector: Literal["adaptive", "content"] = "adaptive",
    minimum_s: float = 0.6,
    on_frame: Callable[[int], None] | None = None,
) -> list[Cut]:
    """Decode the film once, looking for its cuts alone.

    Raises:
        InputError: the film is damaged or holds fewer frames than it says.
    """
    size = _fitted(info, CUT_WIDTH / info.width)
    finder = CutFinder(info.frame_rate, detector, minimum_s)

    def find_cut(index: int, frame: av.VideoFrame) -> None:
        finder.feed(index, rgb_of(frame, *size, order="bgr24"))

    with _worker(find_cut) as look_for_cut:
        for index, frame in enumerate(read_frames(info)):
            look_for_cut(index, frame)
            if on_frame is not None:
                on_frame(index)
    return finder.finish()


@contextmanager
def _rows(
    path: Path, kind: np.dtype[Any], shape: tuple[int, ...] = ()
) -> Iterator[Callable[[NDArray[Any]], None]]:
    """A ``.npy`` that is written row by row, never held whole; its head leaves room for a count of
    any length."""
    count = 0

    def add(rows: NDArray[Any]) -> None:
        nonlocal count
        file.write(rows.tobytes())
        count += len(rows)

    def head() -> None:
        described = np.lib.format.dtype_to_descr(kind)
        np.lib.format.write_array_header_1_0(
            file, {"descr": described, "fortran_order": False, "shape": (count, *shape)}
        )

    with writing(path), path.open("wb") as file:
        head()
        yield add
        file.seek(0)
        head()


def load_thumbnails(path: Path) -> list[tuple[int, bytes]]:
    """(frame, JPEG bytes) in order."""
    with np.load(path) as stored:
        return sorted((int(name), stored[name].tobytes()) for name in stored.files)


def _fitted(info: FilmInfo, scale: float) -> tuple[int, int]:
    scale = min(1.0, scale)
    return max(2, round(info.width * scale)), max(2, round(info.height * scale))


@contextmanager
def _worker(work: Callable[[int, Any], None]) -> Iterator[Callable[[int, Any], None]]:
    """A thread that does ``work`` on what it is handed, in order; its error reaches the caller."""
    queue: Queue[tuple[int, Any] | None] = Queue(_QUEUE)
    failures: list[BaseException] = []

    def run() -> None:
        while (item := queue.get()) is not None:
            if not failures:
                try:
                    work(*item)
                except BaseException as error:
                    failures.append(error)

    def hand_over(index: int, picture: Any) -> None:
        if failures:
            raise failures[0]
        queue.put((index, picture))

    thread = Thread(target=run, daemon=True)
    thread.start()
    try:
        yield hand_over
    finally:
        queue.put(None)
        thread.join()
    if failures:
        raise failures[0]
