"""Face-mesh landmarks of every frame, and the file that keeps them.

The mesh is MediaPipe's (468 points, model inside its wheel). Points are kept in pixels of the
upright film, x to the right and y down, whatever size the mesh was run at.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

POINTS = 468

# Eye corners, nose and temples: what does not move when somebody speaks.
STABLE = np.array([33, 133, 362, 263, 1, 4, 168, 6, 197, 195, 127, 356, 234, 454, 93, 323])
# The outline of the part of the face that speech moves, from nose base round the chin.
LOWER_FACE = np.array([
    2, 326, 327, 358, 371, 266, 425, 427, 434, 364, 394, 395, 369, 396, 175,
    171, 140, 170, 169, 135, 214, 207, 205, 36, 142, 129, 98, 97,
])  # fmt: skip
FACE_OVAL = np.array([
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
])  # fmt: skip
OUTER_LIPS = np.array([
    61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185
])  # fmt: skip
INNER_LIPS = np.array([
    78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191
])  # fmt: skip

MOST_FACES = 4
_LEAST_CERTAINTY = 0.5
_COUNTED_EVERY, _COUNTS_KEPT = 6, 5

_QUIET_ENVIRONMENT = {"GLOG_minloglevel": "3", "TF_CPP_MIN_LOG_LEVEL": "3"}


class FaceMesh:
    """The landmarks of all faces of consecutive frames, the largest first.

    A mesh that follows one face is twice as fast as one that keeps looking for a second. So a
    detector counts the faces in every sixth frame, and the mesh for just so many follows them.

    Frames must come in order. Use as a context manager.
    """

    _complained = False

    def __init__(self) -> None:
        for name, value in _QUIET_ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        with _silenced_stderr():
            from mediapipe.python.solutions.face_detection import FaceDetection

            self._detector = FaceDetection(min_detection_confidence=_LEAST_CERTAINTY)
            self._detector.process(np.zeros((128, 128, 3), np.uint8))
            self._meshes = {1: _mesh(1)}
        self._seen = 0
        self._counts: deque[int] = deque(maxlen=_COUNTS_KEPT)
        self._most = 1

    def find(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The landmarks in units of the picture (0..1 across and down): (faces, 468, 2)."""
        height, width = rgb.shape[:2]
        side = max(height, width)
        square = np.zeros((side, side, 3), np.uint8)  # the mesh is only exact on a square picture
        square[:height, :width] = rgb
        # MediaPipe's one complaint, about the first face of a process, means nothing here
        with nullcontext() if FaceMesh._complained else _silenced_stderr():
            found = self._following(square).process(square).multi_face_landmarks or []
        FaceMesh._complained |= bool(found)
        faces = np.array(
            [[(point.x, point.y) for point in face.landmark[:POINTS]] for face in found], np.float32
        ).reshape(-1, POINTS, 2)
        widths = np.ptp(faces[:, :, 0], axis=1)
        scale = np.array([side / width, side / height], np.float32)
        sorted_faces: NDArray[np.float32] = faces[np.argsort(-widths, kind="stable")] * scale
        return sorted_faces

    def _following(self, square: NDArray[np.uint8]) -> Any:
        """The mesh for as many faces as were counted lately."""
        if self._seen % _COUNTED_EVERY == 0:
            self._counts.append(len(self._detector.process(square).detections or []))
        self._seen += 1
        most = min(MOST_FACES, max(1, *self._counts))
        if most not in self._meshes:
            self._meshes[most] = _mesh(most)
        elif most != self._most:
            self._meshes[most].reset()  # what it last followed is long gone
        self._most = most
        return self._meshes[most]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for solution in (self._detector, *self._meshes.values()):
            solution.close()


def _mesh(most: int) -> Any:
    with _silenced_stderr():
        from mediapipe.python.solutions.face_mesh import FaceMesh as MediaPipeMesh

        mesh = MediaPipeMesh(
            static_image_mode=False,
            max_num_faces=most,
            refine_landmarks=False,
            min_detection_confidence=_LEAST_CERTAINTY,
            min_tracking_confidence=_LEAST_CERTAINTY,
        )
        mesh.process(np.zeros((128, 128, 3), np.uint8))
    return mesh


@contextmanager
def _silenced_stderr() -> Iterator[None]:
    """MediaPipe's C++ start-up lines go to descriptor 2 whatever its log level says."""
    saved, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(null)


@dataclass(frozen=True)
class FaceTrack:
    """The landmarks of frames [first_frame, first_frame + len(points)) of a film.

    ``points``: (frames, 468, 2) float32 pixels; a frame without a face is all NaN.
    """

    points: NDArray[np.float32]
    first_frame: int = 0

    @classmethod
    def load(cls, path: Path, first: int = 0, last: int | None = None) -> FaceTrack:
        """Read frames [first, last) of a ``.npy`` file without reading the rest."""
        stored = np.load(path, mmap_mode="r")
        return cls(np.array(stored[first:last]), first)

    @property
    def present(self) -> NDArray[np.bool_]:
        """Per frame, whether a face was found."""
        present: NDArray[np.bool_] = np.isfinite(self.points[:, 0, 0])
        return present
