"""The finish by a network for restoring faces that a person names: GFPGAN, CodeFormer and the like.

Such a network knows faces in one place only: eyes, nose and mouth where the pictures of FFHQ have
them. The face is brought there, restored, brought back, and only its mouth is taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from lipsync_core.faces.blend import fading_edge
from lipsync_core.finish.model import GivenModel, load_model
from lipsync_core.finish.mouths import Mouth, mouths, over, written
from lipsync_core.material import Material
from lipsync_core.media.clip import Box, Clip, pasted
from lipsync_core.media.frames import bgr_part, chroma_steps, uncoloured
from lipsync_core.media.probe import FilmInfo

SIDE = 512
# Where the two eyes, the tip of the nose and the corners of the mouth are in an FFHQ picture of 512
# pixels: the mean of its landmarks, as facexlib has it, on which those networks were trained.
TEMPLATE = np.array([
    [192.98138, 239.94708], [318.90277, 240.1936], [256.63416, 314.01935],
    [201.26117, 371.41043], [313.08905, 371.15118],
])  # fmt: skip
# The landmarks whose mean each of these places is.
_PLACES = ((33, 133, 159, 145), (362, 263, 386, 374), (1,), (61,), (291,))
_SEAM = 0.06  # of the side: how softly the restored square ends
_STEADY_FRAMES = 1.0  # a face that trembles by parts of a pixel is restored to another one
_BEYOND = 133  # the grey that facexlib puts where the picture has ended


class Restore:
    """The finish by an ONNX model.

    Raises:
        InputError: the file is no such model, or its device cannot be had.
        MissingWeights: ``onnxruntime`` is not installed.
    """

    name = "restore"
    version = 1

    def __init__(self, given: GivenModel) -> None:
        self._model = load_model(given, may_have_strength=True)

    def finished(self, clip: Clip, material: Material, out: Path) -> Clip:
        """The clip with restored mouths; see :class:`lipsync_core.finish.Finish`."""
        faces = material.faces(clip.first_frame, clip.last_frame).points
        return written(clip, material, out, self._restored(clip, material, steady(places(faces))))

    def _restored(
        self, clip: Clip, material: Material, found: NDArray[np.float64]
    ) -> Iterator[av.VideoFrame]:
        for mouth, points in zip(mouths(clip, material), found, strict=True):
            yield (
                mouth.new
                if mouth.mask is None
                else self._mouth(mouth, clip.box, points, material.info)
            )

    def _mouth(
        self, mouth: Mouth, box: Box, points: NDArray[np.float64], info: FilmInfo
    ) -> av.VideoFrame:
        assert mouth.mask is not None
        rows, columns = self._model.size or (SIDE, SIDE)
        to_square = similarity(points, TEMPLATE * [columns / SIDE, rows / SIDE])
        square = _square(pasted(mouth.whole, mouth.new, box), to_square, (columns, rows), info)
        restored = self._model(square[..., ::-1].transpose(2, 0, 1).astype(np.float32))
        made = np.ascontiguousarray(restored.transpose(1, 2, 0)[..., ::-1])
        if made.shape[:2] != (rows, columns):  # some give more pixels than they take
            made = cv2.resize(made, (columns, rows), interpolation=cv2.INTER_AREA)
        back = cv2.invertAffineTransform(to_square)
        back[:, 2] -= box.x, box.y
        size = box.width, box.height
        planes = [
            cv2.warpAffine(
                plane, back, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
            )
            for plane in uncoloured(made, mouth.new)
        ]
        form = mouth.new.format.name
        across, down = chroma_steps(form)
        small = box.width // across, box.height // down
        planes[1:] = [cv2.resize(p, small, interpolation=cv2.INTER_AREA) for p in planes[1:]]
        known = fading_edge(columns, rows, columns * _SEAM)
        reached = cv2.warpAffine(known, back, size, flags=cv2.INTER_LINEAR)
        depth = 4 if "10le" in form else 1
        return over(mouth, [plane / depth for plane in planes], mouth.mask * reached)


def places(faces: NDArray[np.float32]) -> NDArray[np.float64]:
    """Eyes, nose and corners of the mouth: (frames, 468, 2) → (frames, 5, 2)."""
    return np.stack([faces[:, list(some)].mean(1) for some in _PLACES], 1).astype(np.float64)


def steady(found: NDArray[np.float64]) -> NDArray[np.float64]:
    """Places smoothed over a frame or two, within each run of frames that show a face."""
    calm = found.copy()
    there = np.flatnonzero(np.isfinite(found[:, 0, 0]))
    for run in np.split(there, np.flatnonzero(np.diff(there) > 1) + 1):
        if len(run):
            calm[run] = gaussian_filter1d(found[run], _STEADY_FRAMES, axis=0, mode="nearest")
    return calm


def similarity(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """The turn, scale and move, (2, 3), that brings points nearest to others by least squares
    (Umeyama 1991, without reflection: one complex factor in the plane)."""
    one, other = (points @ np.array([1, 1j]) for points in (source, target))
    centre, aim = one.mean(), other.mean()
    factor = np.vdot(one - centre, other - aim) / np.vdot(one - centre, one - centre)
    move = aim - factor * centre
    return np.array([
        [factor.real, -factor.imag, move.real], [factor.imag, factor.real, move.imag]
    ])  # fmt: skip


def _square(
    frame: av.VideoFrame, to_square: NDArray[np.float64], size: tuple[int, int], info: FilmInfo
) -> NDArray[np.uint8]:
    """The face in its place in a picture of that size, blue, green, red."""
    corners = np.array([[0, 0], [size[0], 0], [0, size[1]], size], np.float64)
    back = cv2.invertAffineTransform(to_square)
    seen = corners @ back[:, :2].T + back[:, 2]
    (left, top), (right, bottom) = seen.min(0) - 2, seen.max(0) + 2
    box = Box.around(left, top, right, bottom, info)
    part = bgr_part(frame, (box.x, box.y, box.width, box.height), (box.width, box.height))
    shrink = 1 / float(np.hypot(*to_square[:, 0]))
    if shrink > 1:  # of many pixels that fall on one, each has its share
        part = cv2.GaussianBlur(part, (0, 0), 0.5 * np.sqrt(shrink**2 - 1) + 1e-3)
    move = to_square.copy()
    move[:, 2] += to_square[:, :2] @ (box.x, box.y)
    grey = (_BEYOND,) * 3
    square: NDArray[np.uint8] = cv2.warpAffine(
        part, move, size, flags=cv2.INTER_LINEAR, borderValue=grey
    )
    return square
