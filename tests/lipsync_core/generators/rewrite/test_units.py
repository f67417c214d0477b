"""The chosen path through the units is the cheapest there is, and keeps runs of real motion."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from face_factory import SHUT, face_track, still_faces, without_faces
from hypothesis import given
from hypothesis import strategies as st

from lipsync_core.faces.landmarks import FaceTrack
from lipsync_core.generators.rewrite import units as costs
from lipsync_core.generators.rewrite.units import Units, choose, poses_of, units_of

SPREAD = np.full(9, 0.05)


def some_units(random: Any, count: int) -> Units:
    """Mouths and poses as a speaker has them, scattered."""
    return Units(
        shapes=random.normal(0, 0.05, (count, 9)),
        poses=random.normal(0, 0.15, (count, 3)),
        usable=np.ones(count, bool),
    )


def cost(path: Any, wanted: Any, poses: Any, units: Units) -> float:
    """What a path costs, frame by frame, as the documentation of ``choose`` has it."""
    scale = costs._SHAPE_WEIGHTS / SPREAD
    total = 0.0
    for frame, unit in enumerate(path):
        total += float((((wanted[frame] - units.shapes[unit]) * scale) ** 2).sum())
        apart = (poses[frame] - units.poses[unit]) * costs._POSE_WEIGHTS
        total += float(np.nan_to_num((apart**2).sum()))
        before = path[frame - 1] if frame else None
        if before is None or unit == before + 1:
            continue
        following = min(before + 1, len(units.shapes) - 1)
        gone_on = units.shapes[following]
        if np.isnan(gone_on[0]):
            gone_on = units.shapes[before]
        leap = ((gone_on - units.shapes[unit]) * scale) ** 2
        total += costs._JUMP * float(leap.sum()) + costs._TOLL
    return total


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 4))
def test_no_path_is_cheaper(seed: int, count: int, frames: int) -> None:
    random = np.random.default_rng(seed)
    units = some_units(random, count)
    units.usable[random.random(count) < 0.25] = False
    units.usable[random.integers(count)] = True
    units.shapes[~units.usable & (random.random(count) < 0.5)] = np.nan  # no face there at all
    wanted, poses = random.normal(0, 0.05, (frames, 9)), random.normal(0, 0.15, (frames, 3))
    poses[random.random(frames) < 0.2] = np.nan
    chosen = choose(wanted, poses, units, SPREAD)
    paths = product(np.flatnonzero(units.usable), repeat=frames)
    cheapest = min(cost(path, wanted, poses, units) for path in paths)
    assert cost(chosen, wanted, poses, units) == pytest.approx(cheapest)


def test_a_speech_that_was_spoken_before_is_shown_as_it_was_spoken() -> None:
    units = some_units(np.random.default_rng(1), 60)
    chosen = choose(units.shapes[20:45], units.poses[20:45], units, SPREAD)
    assert chosen.tolist() == list(range(20, 45))


def test_a_run_goes_on_though_single_frames_elsewhere_fit_a_little_better() -> None:
    random = np.random.default_rng(4)
    units = some_units(random, 60)
    wanted = units.shapes[10:30] + random.normal(0, 0.002, (20, 9))
    twins = replace(
        units,
        shapes=np.concatenate([units.shapes, wanted[::2]]),  # exactly what is wanted, but alone
        poses=np.concatenate([units.poses, units.poses[10:30:2]]),
        usable=np.ones(70, bool),
    )
    assert choose(wanted, units.poses[10:30], twins, SPREAD).tolist() == list(range(10, 30))


def test_of_two_equal_mouths_the_one_in_the_head_s_own_pose_is_shown() -> None:
    units = some_units(np.random.default_rng(2), 2)
    units.shapes[1] = units.shapes[0]
    for own in (0, 1):
        pose = units.poses[own : own + 1]
        assert choose(units.shapes[:1], pose, units, SPREAD).tolist() == [own]


def test_only_usable_units_are_shown() -> None:
    units = some_units(np.random.default_rng(3), 30)
    units.usable[:] = False
    units.usable[[4, 17]] = True
    chosen = choose(units.shapes[:12], units.poses[:12], units, SPREAD)
    assert set(chosen.tolist()) <= {4, 17}


def test_one_usable_unit_is_enough() -> None:
    units = some_units(np.random.default_rng(3), 5)
    units.usable[:] = [False, False, False, False, True]
    assert choose(units.shapes, units.poses, units, SPREAD).tolist() == [4] * 5


def test_every_frame_with_a_face_that_looks_this_way_is_a_unit() -> None:
    faces = FaceTrack(
        np.concatenate([
            still_faces(2).points, without_faces(still_faces(2), slice(None)).points,
            still_faces(2, turn=0.7).points, still_faces(1, turn=-0.5).points,
        ])
    )  # fmt: skip
    units = units_of(faces, greatest_yaw=0.55)
    assert units.usable.tolist() == [True, True, False, False, False, False, True]
    assert units.shapes.shape == (7, 9)
    assert np.isnan(units.shapes[2:4]).all()


def test_poses_tell_a_turn_and_a_step_towards_the_camera() -> None:
    straight, turned = poses_of(still_faces(1))[0], poses_of(still_faces(1, turn=0.3))[0]
    near = poses_of(still_faces(1, eyes_px=200))[0]
    assert turned - straight == pytest.approx([0.3, 0, 0], abs=1e-4)
    assert near - straight == pytest.approx([0, 0, np.log(2)], abs=1e-4)


def test_an_open_mouth_is_no_other_pose() -> None:
    wide = SHUT + np.array([0.15, 0.12, -0.05, 0.17])
    assert poses_of(face_track([wide])) == pytest.approx(poses_of(still_faces(1)), abs=1e-4)
