"""A face goes to the network where networks expect it, and only its mouth comes back."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from face_factory import without_faces
from onnx import helper
from onnx_models import DOUBLE, FLOAT, HALF, constant, nearest, restorer, value, written
from soft_mouths import FIRST, Planes, rendered, softened

from lipsync_core.errors import InputError, MissingWeights
from lipsync_core.faces.blend import mouth_mask
from lipsync_core.faces.landmarks import FaceTrack
from lipsync_core.finish import load_finish
from lipsync_core.finish.model import GivenModel, given_model, load_model
from lipsync_core.finish.restore import TEMPLATE, places, similarity, steady
from lipsync_core.material import Material
from lipsync_core.media.clip import Clip
from lipsync_core.media.frames import planes_of, read_frames
from lipsync_core.media.probe import probe

LAST = FIRST + 4
# One step of the network's numbers, from -1 to 1, in the luma of a film: 127.5 levels of RGB, of
# which BT.601 keeps 219 of 255.
LUMA_OF_1 = 127.5 * 219 / 255


def soft(_: int, planes: Planes) -> Planes:
    return softened(planes, 2.0)


@pytest.fixture(scope="module")
def clip(demo_material: Material, tmp_path_factory: pytest.TempPathFactory) -> Clip:
    out = tmp_path_factory.mktemp("soft") / "clip.mkv"
    return rendered(demo_material, out, soft, LAST)


def planes(clip: Clip) -> list[Any]:
    """Y, U and V of all frames: three arrays (frames, rows, columns)."""
    frames: Iterator[Any] = read_frames(probe(clip.path))
    stacked = zip(*[planes_of(frame) for frame in frames], strict=True)
    return [np.stack(plane).astype(float) for plane in stacked]


def masks(material: Material, clip: Clip) -> Any:
    faces = material.faces(FIRST, LAST).points - [clip.box.x, clip.box.y]
    return np.stack([mouth_mask(face, clip.box.width, clip.box.height) for face in faces])


def darkened(how: str, material: Material, clip: Clip, out: Path) -> float:
    """By how many levels the middle of the mouth becomes darker."""
    done = load_finish(how).finished(clip, material, out)
    core = masks(material, clip) > 0.999
    return float(np.median((planes(clip)[0] - planes(done)[0])[core]))


@pytest.mark.parametrize("kind", [FLOAT, HALF])
@pytest.mark.parametrize("side", [512, 256, "side"])
def test_a_model_of_any_size_and_depth_changes_the_mouth_and_nothing_else(
    side: int | str, kind: int, demo_material: Material, clip: Clip, tmp_path: Path
) -> None:
    model = restorer(tmp_path / "darker.onnx", side=side, kind=kind, add=-0.25)
    done = load_finish(str(model)).finished(clip, demo_material, tmp_path / "done.mkv")
    before, after, mask = planes(clip)[0], planes(done)[0], masks(demo_material, clip)
    assert np.array_equal(before[mask == 0], after[mask == 0])
    assert np.median((before - after)[mask > 0.999]) == pytest.approx(0.25 * LUMA_OF_1, abs=1)
    assert (done.box, done.first_frame, done.last_frame) == (clip.box, FIRST, LAST)


def test_what_gives_back_what_it_gets_leaves_the_mouth_in_its_place(
    demo_material: Material, clip: Clip, tmp_path: Path
) -> None:
    """There and back again: turned, scaled, coloured and uncoloured."""
    same = str(restorer(tmp_path / "same.onnx"))
    done = load_finish(same).finished(clip, demo_material, tmp_path / "done.mkv")
    for before, after in zip(planes(clip), planes(done), strict=True):
        assert np.abs(after - before).mean() < 0.6
        assert abs((after - before).mean()) < 0.1


def test_the_range_behind_the_name_is_the_model_s(
    demo_material: Material, clip: Clip, tmp_path: Path
) -> None:
    model = restorer(tmp_path / "dark?er.onnx", add=-0.1)
    found = [
        darkened(f"{model}{said}", demo_material, clip, tmp_path / "done.mkv")
        for said in ("", "?range=-1..1", "?range=0..1&device=cpu", "?range=0..255")
    ]
    expected = [0.1 * LUMA_OF_1, 0.1 * LUMA_OF_1, 0.2 * LUMA_OF_1, 0.0]
    assert found == pytest.approx(expected, abs=1.0)


@pytest.mark.parametrize(
    "strength",
    [("w", FLOAT, []), ("w", DOUBLE, []), ("weight", DOUBLE, [1]), ("weight", FLOAT, [1])],
)
def test_a_model_that_can_be_told_its_strength_gets_a_half(
    strength: tuple[str, int, list[int]], demo_material: Material, clip: Clip, tmp_path: Path
) -> None:
    model = str(restorer(tmp_path / "codeformer.onnx", add=-0.4, strength=strength))
    darker = darkened(model, demo_material, clip, tmp_path / "done.mkv")
    assert darker == pytest.approx(0.2 * LUMA_OF_1, abs=1)


def test_the_face_stands_where_the_pictures_of_ffhq_have_it(demo_material: Material) -> None:
    found = places(demo_material.faces(FIRST, LAST).points)
    for points in found:
        move = similarity(points, TEMPLATE)
        off = points @ move[:, :2].T + move[:, 2] - TEMPLATE
        assert np.abs(off).max() < 25  # of 512: no face is the mean face


def test_a_similarity_turns_scales_and_moves_and_does_no_more() -> None:
    turned = 1.7 * TEMPLATE @ np.array([[0.8, 0.6], [-0.6, 0.8]]) + [40, -90]
    move = similarity(turned, TEMPLATE)
    assert turned @ move[:, :2].T + move[:, 2] == pytest.approx(TEMPLATE)
    noisy = turned + np.random.default_rng(2).normal(0, 30, (5, 2))
    move = similarity(noisy, TEMPLATE)
    assert move[0, 0] == pytest.approx(move[1, 1])
    assert move[0, 1] == pytest.approx(-move[1, 0])


def test_a_face_that_trembles_is_held_still_and_one_that_is_gone_stays_gone() -> None:
    still = np.tile(TEMPLATE, (40, 1, 1))
    trembling = still + np.random.default_rng(4).normal(0, 1, still.shape)
    trembling[20:25] = np.nan
    calm = steady(trembling)
    assert np.isnan(calm[20:25]).all()
    assert np.isfinite(calm[[19, 25]]).all()
    tremor = [np.nanstd(np.diff(found, axis=0)) for found in (trembling, calm)]
    assert tremor[1] < 0.4 * tremor[0]


def test_frames_without_a_face_pass_through(
    demo_material: Material, clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = without_faces(demo_material.faces(FIRST, LAST), slice(1, 3))
    monkeypatch.setattr(Material, "faces", lambda *_: FaceTrack(gone.points, FIRST))
    model = str(restorer(tmp_path / "darker.onnx", add=0.25))
    done = load_finish(model).finished(clip, demo_material, tmp_path / "done.mkv")
    same = (planes(clip)[0] == planes(done)[0]).all((1, 2))
    assert same.tolist() == [False, True, True, False]


def two_pictures(path: Path) -> Path:
    picture = (1, 3, 64, 64)
    node = helper.make_node("Add", ["one", "two"], ["out"])
    inputs = [value("one", *picture), value("two", *picture)]
    return written(path, [node], inputs, [value("out", *picture)], [])


def two_outputs(path: Path) -> Path:
    picture = (1, 3, 64, 64)
    nodes = [helper.make_node("Neg", ["in"], ["out"]), helper.make_node("Abs", ["in"], ["more"])]
    outputs = [value("out", *picture), value("more", *picture)]
    return written(path, nodes, [value("in", *picture)], outputs, [])


def of_rank_two(path: Path) -> Path:
    node = helper.make_node("Neg", ["in"], ["out"])
    return written(path, [node], [value("in", 1, 9)], [value("out", 1, 9)], [])


def that_breaks(path: Path) -> Path:
    """It takes any size and fails at all but one."""
    node = helper.make_node("Reshape", ["in", "shape"], ["out"])
    shape = constant("shape", [1, 3, 8, 8], np.int64)
    return written(path, [node], [value("in", 1, 3, "h", "w")], [value("out", 1, 3, 8, 8)], [shape])


def cut_short(path: Path) -> Path:
    path.write_bytes(restorer(path).read_bytes()[:-40])
    return path


def a_web_page(path: Path) -> Path:
    path.write_text("\n<!DOCTYPE html><html><title>Sign in</title></html>")
    return path


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (two_pictures, r"takes 2 inputs \(one, two\) and not one picture"),
        (two_outputs, "gives 2 things and not one picture"),
        (of_rank_two, r"has 2 dimensions for in and not 4 \(NCHW\)"),
        (lambda path: restorer(path, channels=4), "has 1x4x512x512 for input and not colours"),
        (lambda path: restorer(path, batch=2), "takes 2 pictures at a time"),
        (lambda path: restorer(path, strength=("w", FLOAT, [1, 7])), "for w, not a number"),
        (lambda path: restorer(path, strength=("mask", FLOAT, [1])), "takes 2 inputs"),
        (cut_short, "is no ONNX model, or cut short"),
        (a_web_page, "is no ONNX model but a web page"),
        (lambda path: path.touch() or path, "is no ONNX model but an empty file"),
        (lambda path: path.write_bytes(b"PK\3\4abc") and path, "an archive or a file of PyTorch"),
        (lambda path: path.write_bytes(bytes(range(256))) and path, "is no ONNX model"),
    ],
)
def test_another_model_is_told_in_one_line(
    make: Callable[[Path], Path], said: str, tmp_path: Path
) -> None:
    model = make(tmp_path / "model.onnx")
    with pytest.raises(InputError, match=said) as refused:
        load_finish(str(model))
    assert str(refused.value).startswith(str(model))
    assert "\n" not in str(refused.value)


def test_a_model_that_fails_at_a_picture_is_told_in_one_line(
    demo_material: Material, clip: Clip, tmp_path: Path
) -> None:
    finish = load_finish(str(that_breaks(tmp_path / "model.onnx")))
    with pytest.raises(InputError, match=r"model\.onnx fails at a picture") as failed:
        finish.finished(clip, demo_material, tmp_path / "done.mkv")
    assert "\n" not in str(failed.value)
    assert not (tmp_path / "done.mkv").exists()


def test_a_model_that_gives_numbers_that_are_none_is_told(tmp_path: Path) -> None:
    model = load_model(given_model(str(restorer(tmp_path / "nan.onnx", add=np.nan))))
    with pytest.raises(InputError, match="gives numbers that are none"):
        model(np.zeros((3, 512, 512), np.float32))


@pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="CUDA is here"
)
def test_where_there_is_no_card_the_processor_does_not_step_in_unasked(tmp_path: Path) -> None:
    model = restorer(tmp_path / "model.onnx")
    with pytest.raises(InputError, match="device=cuda cannot be had here: install onnxruntime-gpu"):
        load_finish(f"{model}?device=cuda")


@pytest.mark.parametrize("said", ["range=1..0", "range=bright", "device=tpu", "colour=bgr"])
def test_what_is_no_option_of_a_model_is_told(said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is no option of a model: give range=-1\.\.1"):
        load_finish(f"{restorer(tmp_path / 'model.onnx')}?{said}")


def test_without_the_package_its_name_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = restorer(tmp_path / "model.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingWeights, match=r"pip install 'lipsync-flows\[enhance\]'"):
        load_finish(str(model))


def test_nothing_is_reported_to_anybody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(onnxruntime, "disable_telemetry_events", lambda: asked.append(True))
    load_model(given_model(str(restorer(tmp_path / "model.onnx"))))
    assert asked == [True]


def test_a_model_in_use_is_loaded_once_and_a_changed_file_anew(tmp_path: Path) -> None:
    path = restorer(tmp_path / "model.onnx", add=0.1)
    given = GivenModel(path, -1, 1, "cpu")
    first = load_model(given)
    assert load_model(given) is first
    nearest(path)
    assert load_model(given) is not first
