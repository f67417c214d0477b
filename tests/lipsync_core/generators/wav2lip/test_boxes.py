"""The rectangle the network sees, and what a person may say about it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from face_factory import without_faces
from pydantic import ValidationError

from lipsync_core.faces.landmarks import FaceTrack
from lipsync_core.generators.wav2lip.boxes import face_boxes, faces_in
from lipsync_core.generators.wav2lip.options import Wav2LipOptions
from lipsync_core.material import Material


def boxes(material: Material, faces: FaceTrack, **options: Any) -> Any:
    return face_boxes(faces, material.info, Wav2LipOptions(**options))


def walking(frames: int = 12) -> FaceTrack:
    """A face of 100 × 100 pixels that goes ten pixels to the right in every frame."""
    corners = np.array([(100, 100), (200, 200), (150, 150)], np.float32)
    points = np.resize(corners, (frames, 468, 2)) + np.arange(frames)[:, None, None] * [10, 0]
    return FaceTrack(points.astype(np.float32))


def test_is_the_mesh_a_little_enlarged_and_raised(demo_material: Material) -> None:
    found = boxes(demo_material, walking(), pads="0,0,0,0", nosmooth=True)
    assert found[0].tolist() == [98, 95, 201, 198]
    assert (found[3] - found[0]).tolist() == [30, 0, 30, 0]


def test_pads_enlarge_it(demo_material: Material) -> None:
    plain = boxes(demo_material, walking(), pads="0,0,0,0")
    assert (boxes(demo_material, walking()) - plain)[4].tolist() == [0, 0, 0, 10]
    found = boxes(demo_material, walking(), pads=(1, 2, 3, 4))
    assert (found - plain)[4].tolist() == [-3, -1, 4, 2]


def test_smoothing_neither_lags_nor_leads(demo_material: Material) -> None:
    """A face that walks steadily is seen where it is; one that trembles is seen at rest."""
    steady = boxes(demo_material, walking())
    assert np.array_equal(steady, boxes(demo_material, walking(), nosmooth=True))
    trembling = walking()
    trembling.points[:, :, 1] += np.tile([4, -4], 6)[:, None]
    rough = boxes(demo_material, trembling, nosmooth=True)
    smooth = boxes(demo_material, trembling)
    assert np.abs(np.diff(rough[:, 1])).min() == 8
    assert np.abs(np.diff(smooth[2:-2, 1])).max() <= 2


def test_one_face_does_not_smooth_another_behind_a_gap(demo_material: Material) -> None:
    faces = walking()
    faces.points[6:] += 100
    found = boxes(demo_material, without_faces(faces, slice(5, 6)))
    rough = boxes(demo_material, without_faces(faces, slice(5, 6)), nosmooth=True)
    assert np.isnan(found[5]).all()
    assert np.array_equal(found, rough, equal_nan=True)


def test_static_keeps_the_first_one(demo_material: Material) -> None:
    faces = without_faces(walking(), slice(0, 2))
    found = boxes(demo_material, faces, static=True)
    assert np.isnan(found[:2]).all()  # and a frame without a face has none
    assert np.all(found[2:] == found[2])
    assert found[2].tolist() == boxes(demo_material, faces, nosmooth=True)[2].tolist()


def test_a_box_of_one_s_own_holds_for_every_frame(demo_material: Material) -> None:
    faces = without_faces(walking(), slice(0, 12))
    found = boxes(demo_material, faces, box="10,110,20,140")
    assert np.all(found == [20, 10, 140, 110])


def test_a_mouth_outside_the_box_is_somebody_else_s(demo_material: Material) -> None:
    """A box chosen by hand need not hold the face that the scan follows."""
    faces = walking()
    mine = faces_in(faces, boxes(demo_material, faces, box="100,200,100,190"))
    assert mine.present.tolist() == [frame < 5 for frame in range(12)]
    assert np.array_equal(mine.points[:5], faces.points[:5])


def test_beyond_the_picture_there_is_nothing_to_see(demo_material: Material) -> None:
    faces = walking(40)
    faces.points[:, :, 0] += 300
    found = boxes(demo_material, faces, nosmooth=True)
    assert found[10, 2] == 512
    assert np.isnan(found[-1]).all()


@pytest.mark.parametrize(
    ("given", "said"),
    [({"pads": "1,2,3"}, "pads"), ({"pads": "a,b,c,d"}, "pads"), ({"box": "10,5,0,9"}, "rising"),
     ({"resize_factor": 0}, "resize_factor"), ({"device": "gpu"}, "device"),
     ({"precision": "half"}, "precision"), ({"batch": 0}, "batch"), ({"fps": 25}, "fps")],
)  # fmt: skip
def test_an_option_that_cannot_be_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Wav2LipOptions(**given)
