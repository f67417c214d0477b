"""The rectangle of each frame that the network sees, from the landmarks of its face.

The network was trained on the boxes of another detector. They were fitted on the published SyncNet
example, whose detector was trained on the same faces: half a box is 0.514 of the mesh's height, its
middle lies 0.029 of it above the mesh's. The width is that of the mesh, enlarged by as much.

The published program averages each box with the four that follow, so that a moving head is seen
two frames too early; here each is averaged with its neighbours on both sides.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipsync_core.faces.landmarks import OUTER_LIPS, FaceTrack
from lipsync_core.generators.wav2lip.options import Wav2LipOptions
from lipsync_core.media.probe import FilmInfo

_HALF, _UP = 0.514, 0.029  # of the mesh's height
_SMOOTHING = 5  # frames
_LEAST = 8  # pixels to a side


def face_boxes(faces: FaceTrack, info: FilmInfo, options: Wav2LipOptions) -> NDArray[np.float64]:
    """Left, top, right and bottom of what the network sees of every frame: (frames, 4), whole
    pixels inside the picture; NaN where there is nothing to see."""
    if options.box is not None:
        top, bottom, left, right = options.box
        found = np.tile([left, top, right, bottom], (len(faces.points), 1)).astype(np.float64)
    else:
        found = _round_faces(faces)
        if options.static:
            found[faces.present] = found[faces.present][:1]
        elif not options.nosmooth:
            found = _steadied(found, faces.present)
        top, bottom, left, right = options.pads
        found += [-left, -top, right, bottom]
    limits = [info.width, info.height, info.width, info.height]
    found = np.floor(np.clip(found, 0, limits))
    found[~(np.minimum(*(found[:, 2:] - found[:, :2]).T) >= _LEAST)] = np.nan
    return found


def faces_in(faces: FaceTrack, boxes: NDArray[np.float64]) -> FaceTrack:
    """The landmarks of those frames whose mouth lies in the frame's box; NaN elsewhere."""
    mouth = faces.points[:, OUTER_LIPS].mean(1)
    inside = np.all((mouth > boxes[:, :2]) & (mouth < boxes[:, 2:]), axis=1)
    points = np.where(inside[:, None, None], faces.points, np.float32(np.nan))
    return FaceTrack(points, faces.first_frame)


def _round_faces(faces: FaceTrack) -> NDArray[np.float64]:
    low, high = (limit(faces.points, axis=1).astype(np.float64) for limit in (np.min, np.max))
    (width, height), middle = (high - low).T, (low + high) / 2
    middle[:, 1] -= _UP * height
    half = _HALF * np.stack([width, height], 1)
    return np.concatenate([middle - half, middle + half], axis=1)


def _steadied(boxes: NDArray[np.float64], present: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Every box averaged with two on either side, as far as a face is there without a break."""
    steady = boxes.copy()
    edges = np.flatnonzero(np.diff(present.astype(int))) + 1
    for run in np.split(np.arange(len(boxes)), edges):
        if present[run[0]]:
            reach = np.minimum(np.minimum(run - run[0], run[-1] - run), _SMOOTHING // 2)
            for frame, far in zip(run, reach, strict=True):
                steady[frame] = boxes[frame - far : frame + far + 1].mean(0)
    return steady
