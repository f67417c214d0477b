"""The pictures SyncNet sees: one face, cut out as its training cut it out, 25 times a second.

The published pipeline puts a square round the face, s = half of its detector's box, cuts out
2.8 s across and down with the face in the upper part (1.4 s to either side, s above the centre,
1.8 s below) and scales that to 224 × 224; beyond the picture lies grey. Its detector's box is not
our mesh, so the square was fitted to the published example, in which s is 80 px and the centre
lies at (112, 80): over its 317 frames the mesh is 155.7 px high (median) with its middle at
(112.1, 84.5).

Two things differ on purpose. The picture shown at a moment is the one nearest to it in time, and
is not re-encoded; and the boxes are smoothed over 13 pictures without being pulled to zero at the
ends of a track.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from lipsync_core.faces.landmarks import FaceTrack
from lipsync_core.media.frames import bgr_square, read_frames
from lipsync_core.media.probe import FilmInfo
from lipsync_core.sync.syncnet.network import FACE_SIDE

RATE = 25
_HALF_OF_HEIGHT = 0.514  # 80 of 155.7
_UP_OF_HEIGHT = 0.029  # from 84.5 to 80
_SIDE, _ABOVE = 2.8, 1.0  # in s
_SMOOTHING = 13
_GREY = 110


def grid(first: int, last: int, frame_rate: Fraction) -> NDArray[np.int64]:
    """The pictures at n/25 s that frames [first, last) of a film show: (moments, 2) of n and of
    the frame nearest to it."""
    moments = range(-(-first * RATE // frame_rate), -(-last * RATE // frame_rate))
    frames = [min(last - 1, max(first, round(n * frame_rate / RATE))) for n in moments]
    return np.array([list(moments), frames], np.int64).T.reshape(-1, 2)


def face_squares(faces: FaceTrack) -> NDArray[np.float64]:
    """What is cut out of every picture of a track: (pictures, 3) of left, top and side in pixels.

    A picture without a face gets what lies between its neighbours.
    """
    seen = np.flatnonzero(faces.present)
    # nothing is made of all landmarks that is as large as they are: a track may be a whole film
    low, high = (limit(faces.points, axis=1)[seen].astype(np.float64) for limit in (np.min, np.max))
    height = high[:, 1] - low[:, 1]
    middle = (low + high) / 2
    boxes = np.column_stack([
        middle[:, 0], middle[:, 1] - _UP_OF_HEIGHT * height, _HALF_OF_HEIGHT * height
    ])  # fmt: skip
    every = np.arange(len(faces.points))
    bridged = np.stack([np.interp(every, seen, column) for column in boxes.T], 1)
    x, y, s = median_filter(bridged, (_SMOOTHING, 1), mode="nearest").T
    return np.stack([x - _SIDE / 2 * s, y - _ABOVE * s, _SIDE * s], 1)


def face_pictures(
    info: FilmInfo, frames: NDArray[np.int64], squares: NDArray[np.float64]
) -> Iterator[NDArray[np.uint8]]:
    """The squares of the frames named, in rising order: (224, 224, 3) blue, green, red each."""
    if not len(frames):
        return
    wanted = iter(zip(frames.tolist(), squares, strict=True))
    number, square = next(wanted)
    for frame_number, frame in enumerate(
        read_frames(info, int(frames[0]), int(frames[-1]) + 1), int(frames[0])
    ):
        while frame_number == number:
            left, top, side = square
            yield bgr_square(frame, left, top, side, FACE_SIDE, beyond=_GREY)
            number, square = next(wanted, (-1, square))
