"""A film whose mouth keeps still: rewrite draws the mouths it cannot choose."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from lipsync_core.faces.mouth import mouth_shapes
from lipsync_core.faces.still import settled_landmarks
from lipsync_core.generators.puppet import COLOUR, PIXEL_FORMAT, still_frame
from lipsync_core.generators.rewrite import Rewrite
from lipsync_core.generators.rewrite.drawn import DrawnMouths, best_frame, never_opens
from lipsync_core.generators.rewrite.spool import FrameSpool
from lipsync_core.generators.rewrite.units import Units, units_of
from lipsync_core.material import Material, gather
from lipsync_core.media.audio import Track
from lipsync_core.media.clip import Clip
from lipsync_core.media.frames import FrameWriter, planes_of, read_frames
from lipsync_core.media.probe import probe
from lipsync_core.timeline import Segment
from lipsync_core.verify import track_faces

FRAMES, SIDE = 75, 320
RATE = Fraction(25)


@pytest.fixture(scope="module")
def silent(tmp_path_factory: pytest.TempPathFactory) -> Material:
    """A photograph carried about: a head that moves and never speaks, unsharp at first."""
    folder = tmp_path_factory.mktemp("silent")
    photograph = astronaut()[0:300, 70:400]
    with FrameWriter(
        folder / "film.mkv", width=SIDE, height=SIDE, frame_rate=RATE, pixel_format=PIXEL_FORMAT,
        codec="ffv1", colour=COLOUR,
    ) as writer:  # fmt: skip
        for frame in range(FRAMES):
            turn = cv2.getRotationMatrix2D((160, 140), 3 * np.sin(frame / 12), 1.15)
            turn[:, 2] += (6 * np.cos(frame / 9) - 8, 20)
            shown = cv2.warpAffine(photograph, turn, (SIDE, SIDE), borderMode=cv2.BORDER_REFLECT)
            writer.write(still_frame(cv2.blur(shown, (5, 5)) if frame < 20 else shown))
    return gather(folder / "film.mkv", folder)


@pytest.fixture(scope="module")
def clip(silent: Material, demo_speech: Track, tmp_path_factory: pytest.TempPathFactory) -> Clip:
    out = tmp_path_factory.mktemp("clip") / "clip.mkv"
    return Rewrite().render(silent, Segment(0, 0, FRAMES), demo_speech, out)


def test_it_says_that_mouths_were_drawn(clip: Clip) -> None:
    [remark] = clip.remarks
    assert "no mouth of this shot opens" in remark


def test_the_mouth_opens_and_shuts_on_the_moving_head(silent: Material, clip: Clip) -> None:
    seen = track_faces(probe(clip.path))
    assert seen.present.all()
    gap, before = (mouth_shapes(faces.points)[5:, 0] for faces in (seen, silent.faces()))
    assert np.ptp(np.percentile(gap, (5, 95))) > 3 * np.ptp(np.percentile(before, (5, 95)))
    nose = seen.points[:, 1] + [clip.box.x, clip.box.y]
    assert np.linalg.norm(nose - silent.faces().points[:, 1], axis=1)[5:].max() < 4


def test_what_lies_away_from_the_lower_face_is_the_film_itself(
    silent: Material, clip: Clip
) -> None:
    for own, made in zip(read_frames(silent.info), read_frames(probe(clip.path)), strict=True):
        luma, part = planes_of(own)[0], planes_of(made)[0]
        forehead = luma[clip.box.y : clip.box.y + 30, clip.box.x : clip.box.x + clip.box.width]
        assert (part[:30] == forehead).all()


def test_the_sharpest_frontal_frame_lends_its_mouth(silent: Material, tmp_path: Path) -> None:
    faces = silent.faces()
    with FrameSpool(tmp_path / "spool.raw") as spool:
        for frame in read_frames(silent.info):
            spool.append(frame)
        points = faces.points.astype(np.float64)
        assert best_frame(spool, faces, points, units_of(faces, 0.55)) >= 20


def test_a_mouth_that_talks_is_not_drawn(demo_material: Material) -> None:
    assert not never_opens(units_of(demo_material.faces(0, 200), 0.55))


def test_one_unusable_frame_does_not_open_a_mouth() -> None:
    gap = np.full(50, 0.05)
    gap[7] = 0.4
    shapes = np.tile(gap[:, None], (1, 9))
    assert never_opens(Units(shapes, np.zeros((50, 3)), np.arange(50) != 7))


@pytest.mark.parametrize("form", ["yuv420p", "yuv422p10le", "yuv444p"])
def test_it_is_drawn_in_the_form_of_the_film(form: str) -> None:
    photograph = astronaut()[0:240, 100:340]
    [points] = settled_landmarks(photograph)
    frame: Any = [p.copy() for p in planes_of(still_frame(photograph).reformat(format=form))]
    planes, drawn = DrawnMouths(frame, points.astype(np.float64)).drawn(
        np.array([0.16, 0.12, 0.0, 0.18])
    )
    assert [(p.shape, p.dtype) for p in planes] == [(p.shape, p.dtype) for p in frame]
    corner = np.s_[:20, :20]
    deep = 4 if "10" in form else 1
    assert np.abs(planes[0][corner].astype(int) - frame[0][corner]).max() <= 2 * deep
    assert mouth_shapes(drawn[None].astype(np.float32))[0, 0] > 0.12
