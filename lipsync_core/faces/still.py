"""The faces of a still picture, settled, and whether one of them can be brought to life.

A mesh made for films finds its place over several frames, and on a large picture it sees the face
at a few pixels only. So every face is cut out large and shown again and again until its landmarks
rest. Where the faces are, two detectors say: one for near faces and one for those farther away.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lipsync_core.errors import InputError
from lipsync_core.faces.landmarks import FaceMesh, _silenced_stderr
from lipsync_core.faces.mouth import eye_distance, yaw

LEAST_EYE_DISTANCE_PX = 24
GREATEST_YAW = 0.8

Picture = NDArray[np.uint8]
Faces = NDArray[np.float32]

_LEAST_CERTAINTY = 0.5
_FINDING_LOOKS = 3  # the first frame of a mesh is its worst
_SETTLING_LOOKS = 16
_SETTLED_PX = 0.15  # of the cut-out
_AVERAGED = 4  # the mesh trembles a little for ever
_SIDE = 512  # px of the cut-out
_ROOM = 1.7  # sides of the cut-out in sizes of the face
_ROOM_AT_FIRST = 2.4  # in sizes of what a detector calls a face, which has no forehead
_SAME = 0.5  # eye distances between two findings of one face


def settled_landmarks(image: Picture, name: str = "the picture") -> Faces:
    """The landmarks of all faces of a picture, the largest first: (faces, 468, 2) in pixels.

    ``image`` is (height, width, 3) uint8 RGB; ``name`` is what messages call it.

    Raises:
        InputError: it shows no face.
    """
    found: list[NDArray[np.float32]] = []
    for middle, side in _places(image):
        face = _looked_at(image, middle, _ROOM_AT_FIRST * side, _FINDING_LOOKS)
        if face is not None:
            low, high = face.min(0), face.max(0)
            side = _ROOM * float((high - low).max())
            face = _looked_at(image, (low + high) / 2, side, _SETTLING_LOOKS)
        if face is not None and not any(_same(face, other) for other in found):
            found.append(face)
    if not found:
        raise InputError(f"no face found in {name}: give a picture of one clearly visible face")
    found.sort(key=lambda face: -float(np.ptp(face[:, 0])))
    return np.array(found)


def check_face(points: NDArray[np.float32], name: str = "the picture") -> None:
    """Refuse a face that cannot be brought to life; ``points`` are its (468, 2) landmarks.

    Raises:
        InputError: it is too small, or turned too far.
    """
    distance = float(eye_distance(points[None])[0])
    if distance < LEAST_EYE_DISTANCE_PX:
        raise InputError(
            f"the face in {name} is too small, {distance:.0f} px from eye to eye: "
            f"give a picture with at least {LEAST_EYE_DISTANCE_PX}"
        )
    if abs(float(yaw(points[None])[0])) > GREATEST_YAW:
        raise InputError(f"the face in {name} is turned too far: give one that looks at the camera")


def _places(image: Picture) -> list[tuple[NDArray[np.float32], float]]:
    """The middle (2,) and the size of what either detector takes for a face, in pixels."""
    height, width = image.shape[:2]
    longer = max(height, width)
    square = np.zeros((longer, longer, 3), np.uint8)
    square[:height, :width] = image
    places = []
    for detector in _detectors():
        with detector:
            for found in detector.process(square).detections or []:
                box = found.location_data.relative_bounding_box
                middle = (box.xmin + box.width / 2, box.ymin + box.height / 2)
                size = longer * max(box.width, box.height)
                places.append((np.array(middle, np.float32) * longer, size))
    return places


def _detectors() -> list[Any]:
    with _silenced_stderr():
        from mediapipe.python.solutions.face_detection import FaceDetection

        detectors = [FaceDetection(_LEAST_CERTAINTY, model) for model in (0, 1)]
        for detector in detectors:
            detector.process(np.zeros((128, 128, 3), np.uint8))
    return detectors


def _looked_at(
    image: Picture, middle: NDArray[np.float32], side: float, looks: int
) -> NDArray[np.float32] | None:
    """The landmarks of the face nearest to the middle of a square, or ``None`` without one."""
    scale = _SIDE / side
    cut_out = np.column_stack([scale * np.eye(2), _SIDE / 2 - scale * middle])
    close = cv2.warpAffine(image, cut_out, (_SIDE, _SIDE), flags=cv2.INTER_LINEAR)
    seen: list[NDArray[np.float32]] = []
    with FaceMesh() as mesh:
        for _ in range(looks):
            found = mesh.find(close.astype(np.uint8, copy=False)) * _SIDE
            if not len(found):
                continue
            away = np.linalg.norm(found.mean(1) - _SIDE / 2, axis=1)
            seen.append(found[int(away.argmin())])
            if len(seen) > 1 and np.abs(seen[-1] - seen[-2]).max() < _SETTLED_PX:
                break
    if not seen:
        return None
    rests = seen[-_AVERAGED:] if len(seen) == _SETTLING_LOOKS else seen[-1:]
    settled: NDArray[np.float32] = np.mean(rests, 0)
    return ((settled - _SIDE / 2) / scale + middle).astype(np.float32)


def _same(face: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    apart = float(np.linalg.norm(face.mean(0) - other.mean(0)))
    return apart < _SAME * float(eye_distance(other[None])[0])
