"""A film that shows one picture and nothing else: what a portrait is before it speaks.

So a portrait is a film like any other: every engine, scorer and check takes it as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import repeat
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from lipsync_core.errors import InputError, StorageError, writing
from lipsync_core.faces.still import check_face, settled_landmarks
from lipsync_core.generators.puppet import COLOUR, PIXEL_FORMAT, still_frame
from lipsync_core.media.encode import write_film
from lipsync_core.media.picture import Picture, fitted, size_for
from lipsync_core.media.probe import planned
from lipsync_core.scan import THUMBNAIL_WIDTH, THUMBNAILS

FRAME_RATE = Fraction(25)
# Every frame after the first costs next to nothing, so the first may be as good as it gets.
_CRF, _PRESET = 4, "ultrafast"


class Framing(BaseModel, frozen=True):
    """How a picture becomes a film's: its size, what happens where shapes differ, and who speaks.

    ``face`` counts faces from the left, from 1; ``grid`` is what width and height are multiples of.
    A size that is not given follows from the picture's own.
    """

    width: int | None = None
    height: int | None = None
    fit: Literal["crop", "letterbox"] = "crop"
    face: int | None = None
    grid: int = 2

    def size(self, width: int, height: int) -> tuple[int, int]:
        """The size of the film for a picture of this size.

        Raises:
            InputError: what was asked for is not on the grid, or too large.
        """
        return size_for(width, height, self.width, self.height, self.grid)


@dataclass(frozen=True)
class Framed:
    """A picture of the film's size, (height, width, 3) uint8 RGB; the landmarks (468, 2) of the
    face that is to speak; what was done, in sentences; and the same in numbers, which are equal
    where the picture and the face are."""

    rgb: NDArray[np.uint8]
    face: NDArray[np.float32]
    notes: tuple[str, ...]
    how: str


def framed(picture: Picture, framing: Framing, name: str) -> Framed:
    """Bring a picture to its film's size; ``name`` is what messages call it.

    Raises:
        InputError: no face, or several of which none was chosen, or one that cannot speak.
    """
    faces = settled_landmarks(picture.rgb, name)
    number, face = _chosen(faces[np.argsort(faces[..., 0].mean(1))], framing.face, name)
    width, height = framing.size(picture.width, picture.height)
    made = fitted(picture.rgb, width, height, framing.fit, face.mean(0))
    placed = made.placed(face)
    check_face(placed, name)
    told = f"face {number} of {len(faces)} from the left speaks" if len(faces) > 1 else ""
    how = f"{width}x{height} from {made.corner} times {made.scale} at {made.padding}, face {number}"
    return Framed(made.rgb, placed, tuple(filter(None, (*picture.notes, made.words, told))), how)


def _chosen(
    faces: NDArray[np.float32], number: int | None, name: str
) -> tuple[int, NDArray[np.float32]]:
    """Of faces in order from the left the one that is to speak, and its number."""
    if number is None and len(faces) > 1:
        places = ", ".join(
            f"{n} at ({x:.0f}, {y:.0f})" for n, (x, y) in enumerate(faces.mean(1), start=1)
        )
        raise InputError(
            f"{len(faces)} faces in {name}: say which is to speak with --face, counted from the "
            f"left ({places})"
        )
    number = number or 1
    if number > len(faces):
        raise InputError(
            f"there is no face {number} in {name}: {len(faces)} can be seen, leave --face out or "
            f"give 1 to {len(faces)}"
        )
    return number, faces[number - 1]


@dataclass(frozen=True)
class StillFilm:
    """What was written: the film, its picture as a PNG, and what one look at it would find (see
    :class:`lipsync_core.scan.Scan`), of the landmarks only one row for all frames."""

    film: Path
    image: Path
    faces: Path
    thumbnails: Path


def write_still_film(
    rgb: NDArray[np.uint8], face: NDArray[np.float32], frames: int, folder: Path
) -> StillFilm:
    """Write a film of ``frames`` times the same picture, 25 a second, to ``folder``.

    ``rgb`` is (height, width, 3) uint8 of even size, ``face`` the (468, 2) landmarks of whoever is
    to speak.

    Raises:
        StorageError: the disk is full or the folder refuses writes.
    """
    made = StillFilm(
        folder / "still.mp4", folder / "still.png", folder / "faces.npy", folder / "thumbnails.npz"
    )
    height, width = rgb.shape[:2]
    form = planned(
        made.film, width=width, height=height, frame_rate=FRAME_RATE, frames=frames,
        pixel_format=PIXEL_FORMAT, colour=COLOUR,
    )  # fmt: skip
    write_film(repeat(still_frame(rgb), frames), form, None, made.film, crf=_CRF, preset=_PRESET)
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    with writing(made.image):
        if not cv2.imwrite(str(made.image), bgr):
            raise StorageError(f"cannot write {made.image}: free some space and rerun")
    with writing(made.faces):
        np.save(made.faces, face[None].astype(np.float32))
    small = cv2.resize(
        bgr, (THUMBNAIL_WIDTH, max(2, round(height * THUMBNAIL_WIDTH / width))),
        interpolation=cv2.INTER_AREA,
    )  # fmt: skip
    jpeg = cv2.imencode(".jpg", small)[1].ravel()
    every = max(1, frames // THUMBNAILS)
    with writing(made.thumbnails):
        np.savez(made.thumbnails, **{str(frame): jpeg for frame in range(0, frames, every)})
    return made
