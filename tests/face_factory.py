"""Faces made of a few points, whose mouth can be told what to do.

Only the landmarks that the code measures are laid out like a face; the others lie in its middle.
"""

from __future__ import annotations

from fractions import Fraction
from importlib import resources
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from lipsync_core.faces.landmarks import LOWER_FACE, POINTS, FaceTrack
from lipsync_core.generators.mouth_motion import mouth_motion
from lipsync_core.media.audio import ANALYSIS_RATE

SHUT = np.array([0.02, 0.75, 0.58, 0.22])  # gap, jaw drop, width and lip height in eye distances


def face_track(
    mouths: NDArray[Any], *, eyes_px: float = 100.0, turn: float = 0.0, roll: float = 0.0
) -> FaceTrack:
    """A track of faces, one for each (gap, jaw drop, width, lip height) in eye distances.

    ``turn`` is what :func:`lipsync_core.faces.mouth.yaw` should find, ``roll`` the head's tilt in
    degrees; the eyes are ``eyes_px`` apart whatever the turn.
    """
    gap, jaw, width, lips = np.asarray(mouths, np.float64).T
    zero, lip = np.zeros_like(gap), (lips - gap) / 2
    top = 0.3 + zero  # of the mouth's opening, below the tip of the nose
    places = {
        33: (zero - 0.5, zero - 0.6), 263: (zero + 0.5, zero - 0.6),
        234: (zero - 0.75 - turn * 0.75, zero), 454: (zero + 0.75 - turn * 0.75, zero),
        1: (zero, zero), 152: (zero, jaw), 168: (zero, zero - 0.6), 2: (zero, zero + 0.1),
        13: (zero, top), 14: (zero, top + gap), 0: (zero, top - lip), 17: (zero, top + gap + lip),
        81: (zero - 0.1, top), 178: (zero - 0.1, top + gap),
        311: (zero + 0.1, top), 402: (zero + 0.1, top + gap),
        61: (-width / 2, top + gap / 2), 291: (width / 2, top + gap / 2),
        78: (-0.9 * width / 2, top + gap / 2), 308: (0.9 * width / 2, top + gap / 2),
    }  # fmt: skip
    points = np.zeros((len(gap), POINTS, 2))
    for landmark, place in places.items():
        points[:, landmark] = np.stack(place, 1)
    angle = np.radians(roll)
    turned = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return FaceTrack((points @ turned * eyes_px + 300).astype(np.float32))


def still_faces(frames: int, **form: float) -> FaceTrack:
    """A face that keeps its mouth shut."""
    return face_track(np.tile(SHUT, (frames, 1)), **form)


def speaking_faces(
    sound: NDArray[np.float32], frames: int, frame_rate: Fraction, **form: float
) -> FaceTrack:
    """A face whose mouth follows mono 16 kHz sound as the shipped model says that mouths do."""
    return face_track(SHUT + mouth_motion(sound, frames, frame_rate), **form)


def without_faces(track: FaceTrack, frames: slice | NDArray[Any]) -> FaceTrack:
    """The same track where nothing was found in some frames."""
    points = track.points.copy()
    points[frames] = np.nan
    return FaceTrack(points, track.first_frame)


def mouth_region(face: NDArray[Any]) -> tuple[slice, slice]:
    """Rows and columns that a new mouth on this face, (468, 2) pixels, may change at most."""
    outline, eye = face[LOWER_FACE], np.linalg.norm(face[263] - face[33])
    (left, top), (right, bottom) = outline.min(0) - 0.6 * eye, outline.max(0) + 0.8 * eye
    return slice(max(0, int(top)), int(bottom)), slice(max(0, int(left)), int(right))


def recorded_words(name: str, seconds: float = 30.0) -> NDArray[np.float32]:
    """The demo film's own words, ``speech_a`` or ``speech_b``: mono, 16 kHz."""
    with resources.as_file(resources.files("lipsync_core.demo") / f"{name}.wav") as path:
        sound: NDArray[np.float32] = soundfile.read(path, dtype="float32")[0]
    return sound[: round(seconds * ANALYSIS_RATE)]
