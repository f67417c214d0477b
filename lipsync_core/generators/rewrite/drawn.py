"""Mouths for a shot that shows none: drawn like a portrait's, from one frame of the shot itself.

Where a face keeps its mouth still there is no open mouth to choose. So the mouth of the shot's
sharpest frontal frame is opened and shut as the engine ``puppet`` does it, and what is drawn goes
onto the moving face by the same way as a mouth of the shot's own.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from lipsync_core.faces.landmarks import FaceTrack
from lipsync_core.faces.mouth import eye_distance, mouth_shapes, yaw
from lipsync_core.faces.mouth_warp import MouthWarp
from lipsync_core.faces.planes import Planes
from lipsync_core.generators.rewrite.articulate import Points
from lipsync_core.generators.rewrite.spool import FrameSpool
from lipsync_core.generators.rewrite.units import Units
from lipsync_core.media.frames import Plane

# Eye distances between a wide and a narrow opening of the lips: 0.016 to 0.02 where a real mouth
# keeps still, 0.038 and more where one talks.
_STILL = 0.03
_FRONTAL = 0.15  # of yaw from the most frontal frame there is
_AROUND = 0.45  # eye distances round the mouth that must be sharp


def never_opens(units: Units) -> bool:
    """Whether the mouths of a shot are all one."""
    narrow, wide = np.percentile(units.shapes[units.usable, 0], (5, 95))
    return bool(wide - narrow < _STILL)


def best_frame(spool: FrameSpool, faces: FaceTrack, points: Points, units: Units) -> int:
    """Of the usable frames that look nearly straight ahead, the one with the sharpest mouth."""
    turned = np.where(units.usable, np.abs(yaw(faces.points)), np.inf)
    frontal = np.flatnonzero(turned <= turned.min() + _FRONTAL)
    eyes = eye_distance(faces.points)
    sharpness = [_sharpness(spool.read(int(f))[0], points[f], float(eyes[f])) for f in frontal]
    return int(frontal[int(np.argmax(sharpness))])


def _sharpness(luma: Plane, points: Points, eyes: float) -> float:
    """The mean square of the edges round a mouth, free of the picture's depth."""
    x, y = points[[61, 291]].mean(0)
    room = _AROUND * eyes
    part = luma[max(0, int(y - room)) : int(y + room), max(0, int(x - room)) : int(x + room)]
    if part.size == 0:
        return 0.0
    part = part.astype(np.float32)
    return float(cv2.Laplacian(part, cv2.CV_32F).var() / (part.var() + 1.0))


class DrawnMouths:
    """The face of one frame with its mouth in any shape.

    ``frame`` are its planes, ``points`` its landmarks (468, 2) in pixels of them.
    """

    def __init__(self, frame: list[Plane], points: Points) -> None:
        self._like, self._points = frame, points
        deep = frame[0].dtype == np.uint16
        luma, *chroma = [
            np.minimum((plane + 2) >> 2, 255).astype(np.uint8) if deep else plane for plane in frame
        ]
        height, width = luma.shape
        half = [
            cv2.resize(plane, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
            for plane in chroma
        ]
        self._picture = Planes(luma, cv2.merge(half).astype(np.uint8, copy=False))
        self._mouth = MouthWarp(self._picture, points.astype(np.float32))

    def drawn(self, shape: NDArray[np.float64]) -> tuple[list[Plane], Points]:
        """The planes with the mouth in a shape (4,), and the landmarks (468, 2) that go with it.

        Shapes are as :class:`lipsync_core.generators.mouth_motion.MouthMotion` makes them.
        """
        picture = self._picture.copy()
        self._mouth.draw(picture, shape)
        planes: list[Plane] = [picture.luma, *cv2.split(picture.chroma)]
        shown = []
        for plane, like in zip(planes, self._like, strict=True):
            if plane.shape != like.shape:
                size = (like.shape[1], like.shape[0])
                plane = cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR)
            shown.append(plane.astype(np.uint16) << 2 if like.dtype == np.uint16 else plane)
        return shown, self._mouth.landmarks(self._points, shape)


def shape_of(points: Points) -> NDArray[np.float64]:
    """The nine numbers of a drawn mouth."""
    shape: NDArray[np.float64] = mouth_shapes(points[None].astype(np.float32))[0].astype(np.float64)
    return shape
