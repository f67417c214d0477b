"""Portraits of real people, made of one frame each, speak in sync in three languages."""

from __future__ import annotations

from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import soundfile
from scipy.signal import resample_poly

from lipsync_core.faces.landmarks import FaceMesh, FaceTrack
from lipsync_core.faces.mouth import eye_distance
from lipsync_core.faces.still import settled_landmarks
from lipsync_core.generators.puppet import render_portrait
from lipsync_core.media.audio import ANALYSIS_RATE
from lipsync_core.media.frames import planes_of
from lipsync_core.sync.landmark import LandmarkScorer

RATE, SECONDS = Fraction(25), 6
FRAMES = int(RATE * SECONDS)
MOST_PX = 640

# Clip, the frame taken, the speech, and whether a painter's brush goes over the frame first.
PORTRAITS = [
    ("hdtf_aoc.mp4", 100, "en_eng.wav", False),
    ("hdtf_menendez.mp4", 20, "de_deyu.wav", False),
    ("latentsync_demo1.mp4", 10, "zh_yongen.wav", False),
    ("musetalk_sun_silent.mp4", 10, "en_eng.wav", False),
    ("retalking_face2.mp4", 10, "de_deyu.wav", False),
    ("retalking_face3.mp4", 10, "zh_yongen.wav", False),
    ("threequarter_officer.mp4", 10, "en_eng.wav", False),
    ("musetalk_sun_silent.mp4", 10, "zh_yongen.wav", True),
]


def picture_of(clip: Path, number: int) -> Any:
    """One frame, or of a large one the square round the head; at most 640 px wide and high."""
    with av.open(str(clip)) as container:
        frame = next(islice(container.decode(video=0), number, None))
    rgb = frame.to_ndarray(format="rgb24")
    if max(rgb.shape[:2]) > 2 * MOST_PX:
        face = settled_landmarks(rgb)[0]
        (x, y), reach = face.mean(0), 3 * float(eye_distance(face[None])[0])
        rgb = rgb[max(0, int(y - reach)) : int(y + reach), max(0, int(x - reach)) : int(x + reach)]
    scale = min(1.0, MOST_PX / max(rgb.shape[:2]))
    return cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def painted(rgb: Any, brush: int = 4) -> Any:
    """A picture in flat strokes: every pixel the mean of its calmest quarter (Kuwahara 1976)."""
    whole, grey = rgb.astype(np.float32), cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32)
    size, shown, calmest = (brush, brush), whole, np.full(grey.shape, np.inf, np.float32)
    for corner in ((0, 0), (0, brush - 1), (brush - 1, 0), (brush - 1, brush - 1)):
        mean, level = cv2.blur(whole, size, anchor=corner), cv2.blur(grey, size, anchor=corner)
        unrest = cv2.blur(grey**2, size, anchor=corner) - level**2
        calm = unrest < calmest
        shown, calmest = np.where(calm[..., None], mean, shown), np.where(calm, unrest, calmest)
    return np.rint(shown).astype(np.uint8)


def speech_of(path: Path) -> Any:
    sound, rate = soundfile.read(path, dtype="float32", always_2d=True)
    whole = resample_poly(sound.mean(1), ANALYSIS_RATE, rate).astype(np.float32)
    return whole[: SECONDS * ANALYSIS_RATE]


@pytest.mark.parametrize(("clip", "number", "speech", "is_painted"), PORTRAITS)
def test_a_portrait_speaks_in_sync_and_nothing_round_it_tears(
    real_media: Path, clip: str, number: int, speech: str, is_painted: bool
) -> None:
    picture, sound = picture_of(real_media / clip, number), speech_of(real_media / speech)
    if is_painted:
        picture = painted(picture)
    points, lumas = [], []
    with FaceMesh() as mesh:
        for frame in render_portrait(picture, sound, frames=FRAMES, frame_rate=RATE):
            found = mesh.find(frame.to_ndarray(format="rgb24"))
            assert len(found) >= 1
            points.append(found[0] * [frame.width, frame.height])
            lumas.append(planes_of(frame)[0].copy())
    scorer = LandmarkScorer()
    score = scorer.score([scorer.compare(FaceTrack(np.array(points, np.float32)), RATE, sound)])
    print(f"{clip}: {score.offset_frames} frames, confidence {score.confidence:.2f}")
    assert score.evidence == "ok"
    assert abs(score.offset_frames or 0) <= 1
    assert score.confidence > 1.0
    nothing_moves_at_the_edges_nor_jumps(picture, np.array(lumas))


def nothing_moves_at_the_edges_nor_jumps(picture: Any, lumas: Any) -> None:
    """Edges are those of the first frame; beside mouth and eyes, luma changes little by little."""
    for edge in (np.s_[:, 0], np.s_[:, -1], np.s_[:, :, 0], np.s_[:, :, -1]):
        assert (lumas[edge] == lumas[edge][:1]).all()
    face = settled_landmarks(picture)[0]
    unit = float(eye_distance(face[None])[0])
    calm = np.ones(lumas.shape[1:], np.uint8)
    for pair, reach in (((61, 291), 0.5), ((33, 133), 0.35), ((263, 362), 0.35)):
        x, y = face[list(pair)].mean(0)
        cv2.circle(calm, (round(float(x)), round(float(y))), round(reach * unit), 0, -1)
    step = np.abs(np.diff(lumas.astype(np.int16), axis=0))[:, calm > 0]
    assert step.mean() < 0.8
    assert np.percentile(step[::5], 99.9) < 32
