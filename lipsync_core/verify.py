"""Look at a rendered segment again, as a stranger would: decode it, find its face, score it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync_core.faces.landmarks import POINTS, FaceMesh, FaceTrack
from lipsync_core.faces.mouth import mouth_shapes
from lipsync_core.generators.mouth_model import pooled_model
from lipsync_core.material import Material
from lipsync_core.media.audio import ANALYSIS_RATE, Track
from lipsync_core.media.clip import Clip
from lipsync_core.media.frames import read_frames, rgb_of
from lipsync_core.media.probe import FilmInfo, probe
from lipsync_core.scan import FACE_SIDE
from lipsync_core.sync.score import Scorer, Span
from lipsync_core.timeline import sample_of_frame

VERSION = 3


@dataclass(frozen=True)
class Look:
    """What a second look at a segment found.

    ``rendered`` and ``source`` are the scorer's measurements of the new picture with the new
    speech and of the old picture with its own sound; ``motion_share`` the spread of the inner-lip
    gap against a usual speaker's; ``change_share`` how much the gap differs from the source's on
    average, against the same; ``opening`` the gap of every frame in eye distances, NaN where no
    face was found.
    """

    rendered: dict[str, Any]
    source: dict[str, Any] | None
    motion_share: float
    change_share: float
    opening: NDArray[np.float32]


def look_at(clip: Clip, material: Material, speech: Track, scorer: Scorer) -> Look:
    """Measure a rendered clip and the same frames of the source."""
    first, last = clip.first_frame, clip.last_frame
    info = probe(clip.path)
    own_faces = material.faces(first, last)
    box = clip.box
    faces = track_faces(info, FaceTrack(own_faces.points - np.array([box.x, box.y], np.float32)))
    start = sample_of_frame(first, material.info.frame_rate, ANALYSIS_RATE)
    new = Span(
        info, 0, last - first, lambda a, b: FaceTrack(faces.points[a:b], a),
        lambda a, b: speech.mono(start + a, start + b),
    )  # fmt: skip
    [rendered] = scorer.measure(new, [(0, last - first)])
    source = None
    if (own_sound := material.sound) is not None:
        old = Span(material.info, first, last, material.faces, own_sound.mono)
        [source] = scorer.measure(old, [(first, last)])
    opening, before = (mouth_shapes(track.points)[:, 0] for track in (faces, own_faces))
    usual = float(pooled_model().spread[0])
    motion = float(np.nanstd(opening)) / usual if faces.present.any() else 0.0
    differences = np.abs(opening - before)
    change = float(np.nanmean(differences)) / usual if np.isfinite(differences).any() else 0.0
    return Look(rendered, source, motion, change, opening)


def track_faces(info: FilmInfo, like: FaceTrack | None = None) -> FaceTrack:
    """The landmarks of the largest face in every frame of a short video, in its own pixels.

    With ``like``, a face in the same frames and pixels, it is the one nearest to that, where that
    is seen.
    """
    scale = min(1.0, FACE_SIDE / max(info.width, info.height))
    size = round(info.width * scale), round(info.height * scale)
    points = np.full((info.frames, POINTS, 2), np.nan, np.float32)
    with FaceMesh() as mesh:
        for index, frame in enumerate(read_frames(info)):
            found = mesh.find(rgb_of(frame, *size)) * np.array(
                [info.width, info.height], np.float32
            )
            if len(found):
                points[index] = found[0 if like is None else _nearest(found, like.points[index])]
    return FaceTrack(points)


def _nearest(found: NDArray[np.float32], face: NDArray[np.float32]) -> int:
    away = np.linalg.norm(found.mean(1) - face.mean(0), axis=-1)
    return 0 if np.isnan(away).any() else int(away.argmin())
