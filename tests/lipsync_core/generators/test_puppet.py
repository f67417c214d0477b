"""A talking portrait, rendered from a real photograph and looked at with the face mesh."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from importlib import resources
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from skimage.data import astronaut, coffee

from lipsync_core.errors import InputError
from lipsync_core.faces.landmarks import FaceMesh
from lipsync_core.faces.mouth import mouth_shapes
from lipsync_core.generators.puppet import COLOUR, Portrait, render_portrait
from lipsync_core.media.audio import ANALYSIS_RATE
from lipsync_core.media.frames import planes_of

RATE = Fraction(25)
SHUT = np.zeros(4)
OPEN = np.array([0.15, 0.12, 0.0, 0.17])


@pytest.fixture(scope="module")
def picture() -> Any:
    """A smiling face that shows its teeth; the sides are odd."""
    return astronaut()[0:281, 85:366]


@pytest.fixture(scope="module")
def portrait(picture: Any) -> Portrait:
    return Portrait.of_image(picture)


@pytest.fixture(scope="module")
def speech() -> Any:
    with resources.as_file(resources.files("lipsync_core.demo") / "speech_a.wav") as path:
        return soundfile.read(path, dtype="float32")[0]


def landmarks(frames: Iterable[av.VideoFrame]) -> Any:
    """(frames, 468, 2) pixels, as the mesh that follows the face sees them."""
    found = []
    with FaceMesh() as mesh:
        for frame in frames:
            rgb = frame.to_ndarray(format="rgb24")
            [points] = mesh.find(rgb)
            found.append(points * np.array([frame.width, frame.height], np.float32))
    return np.array(found)


def settled(frame: av.VideoFrame) -> Any:
    """(468, 2) of one frame, shown until the mesh has settled."""
    return landmarks([frame] * 8)[-1]


def test_it_renders_exactly_the_frames_asked_for(picture: Any, speech: Any) -> None:
    frames = list(render_portrait(picture, speech, frames=7, frame_rate=Fraction(30000, 1001)))
    assert len(frames) == 7
    assert {(f.width, f.height, f.format.name) for f in frames} == {(280, 280, "yuv420p")}
    assert {(f.colorspace, f.color_range) for f in frames} == {(COLOUR.matrix, COLOUR.range)}


def test_colours_come_back_as_they_are_in_the_picture(picture: Any, portrait: Portrait) -> None:
    shown = portrait.posed(SHUT).to_ndarray(format="rgb24").astype(float)
    shoulder = np.s_[230:278, 10:120]
    assert np.abs((shown - picture[:280, :280])[shoulder].mean((0, 1))).max() < 2.5


def test_the_mouth_moves_with_speech_and_rests_in_silence(picture: Any, speech: Any) -> None:
    silence = np.zeros(ANALYSIS_RATE, np.float32)
    sound = np.concatenate([silence, speech[: 2 * ANALYSIS_RATE]])
    frames = render_portrait(picture, sound, frames=75, frame_rate=RATE)
    gap = mouth_shapes(landmarks(frames))[:, 0]
    silent, spoken = gap[10:24], gap[30:]
    assert silent.std() < 0.004
    assert spoken.std() > 0.02
    assert spoken.mean() > silent.mean() + 0.025


def test_a_smile_that_shows_teeth_can_be_shut(picture: Any, portrait: Portrait) -> None:
    smile = mouth_shapes(portrait.points[None])[0]
    shut = mouth_shapes(settled(portrait.posed(SHUT))[None])[0]
    assert shut[0] < 0.55 * smile[0]


def test_jaw_and_lips_go_down_and_the_upper_lip_hardly_moves(portrait: Portrait) -> None:
    unit = np.linalg.norm(portrait.points[263] - portrait.points[33])
    down = (settled(portrait.posed(OPEN)) - settled(portrait.posed(SHUT)))[:, 1] / unit
    upper_lip, lower_lip, chin, nose = down[13], down[14], down[152], down[1]
    assert lower_lip > 0.06
    assert chin > 0.06
    assert abs(upper_lip) < 0.05
    assert abs(nose) < 0.02


def test_below_the_teeth_an_open_mouth_is_dark(portrait: Portrait) -> None:
    wide = planes_of(portrait.posed(2 * OPEN))[0]
    points = settled(portrait.posed(2 * OPEN))
    x, top, bottom = round(points[13, 0]), points[13, 1], points[14, 1]
    column = wide[round(top) : round(bottom), x].astype(int)
    assert column[: len(column) // 2].max() > 120  # teeth
    assert column[-len(column) // 3 :].min() < 60


def test_lids_come_down(portrait: Portrait) -> None:
    looking, blinking = portrait.posed(SHUT), portrait.posed(SHUT, lid=1.0)
    for upper, lower in ((159, 145), (386, 374)):
        x, y = np.rint(portrait.points[[upper, lower]].mean(0)).astype(int)
        eye = np.s_[y - 2 : y + 2, x - 5 : x + 6]
        iris, lid = planes_of(looking)[0][eye], planes_of(blinking)[0][eye]
        assert lid.mean() > iris.mean() + 15
    forehead = np.s_[:70, :]
    assert (planes_of(looking)[0][forehead] == planes_of(blinking)[0][forehead]).all()


def test_the_background_never_moves(picture: Any, speech: Any) -> None:
    frames = list(render_portrait(picture, speech, frames=30, frame_rate=RATE))
    lumas = np.array([planes_of(frame)[0] for frame in frames[::6]])
    for corner in (np.s_[:, :24, :24], np.s_[:, :24, -24:], np.s_[:, -40:, :40], np.s_[:, -50:]):
        assert (lumas[corner] == lumas[0][corner[1:]]).all()


def test_the_head_drifts_but_only_a_few_pixels(picture: Any) -> None:
    silence = np.zeros(4 * ANALYSIS_RATE, np.float32)
    frames = list(render_portrait(picture, silence, frames=100, frame_rate=RATE))
    nose = landmarks(frames[::10])[2:, 1]
    travelled = np.ptp(nose, axis=0)
    assert (travelled > 0.5).all()
    assert (travelled < 6).all()


def test_the_same_seed_gives_the_same_film(picture: Any, speech: Any) -> None:
    def film(seed: int) -> list[bytes]:
        sound = speech[ANALYSIS_RATE : 2 * ANALYSIS_RATE]
        frames = render_portrait(picture, sound, frames=4, frame_rate=RATE, seed=seed)
        return [frame.to_ndarray().tobytes() for frame in frames]

    assert film(3) == film(3)
    assert film(3) != film(4)


def test_a_picture_without_a_face_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"no face found in cup\.png: give"):
        Portrait.of_image(coffee(), name="cup.png")


def test_a_face_of_a_few_pixels_is_refused(picture: Any) -> None:
    tiny = np.full((128, 128, 3), 200, np.uint8)
    tiny[10:103, 10:103] = picture[:279:3, :279:3]
    with pytest.raises(InputError, match="too small"):
        Portrait.of_image(tiny)
