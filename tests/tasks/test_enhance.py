"""The finish of a rendering is found again by its content, wherever the model lies."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_models import restorer
from soft_mouths import FIRST, LAST, rendered, softened

from lipsync_core.errors import InputError
from lipsync_core.material import Material
from lipsync_core.media.frames import planes_of, read_frames
from lipsync_core.media.probe import probe
from lipsync_core.stores import MediaRef, ref_of
from tasks.enhance import enhance
from tasks.values import Rendered, ScannedFilm, SegmentJob, TrackValue, store_at


def key(how: str) -> str:
    made = enhance.cache_key_fn
    assert made is not None
    context: Any = None
    found = made(context, {"how": how, "store": "/anywhere"})
    assert found is not None
    return found


def test_the_key_holds_the_model_s_bytes_and_not_its_name(tmp_path: Path) -> None:
    model = restorer(tmp_path / "model.onnx", add=0.1)
    (tmp_path / "elsewhere").mkdir()
    copy = shutil.copy(model, tmp_path / "elsewhere" / "other name.onnx")
    changed = restorer(tmp_path / "changed.onnx", add=0.2)
    assert key(str(model)) == key(str(copy)) == key(f"{model}?range=-1..1")
    others = [
        key("match"),
        key(str(changed)),
        key(f"{model}?range=0..1"),
        key(f"{model}?device=cuda"),
    ]
    assert len({key(str(model)), *others}) == 5


def test_a_rendering_comes_back_with_another_mouth_in_the_same_place(
    demo_material: Material, tmp_path: Path
) -> None:
    store = store_at(str(tmp_path / "store"))
    clip = rendered(demo_material, tmp_path / "clip.mkv", lambda _, planes: softened(planes, 3.0))
    box = clip.box
    given = Rendered(
        file=store.add(clip.path), first_frame=FIRST, last_frame=LAST,
        box=(box.x, box.y, box.width, box.height), seconds=2.0,
    )  # fmt: skip
    scan = demo_material.scan
    nothing = MediaRef(uri="objects/none", sha256="0" * 64, size=0)
    film = ScannedFilm(
        video=ref_of(demo_material.info.path), frames=demo_material.info.frames, frame_rate="25",
        cuts=(), faces=ref_of(scan.faces), thumbnails=ref_of(scan.thumbnails), sound=None, notes=(),
    )  # fmt: skip
    speech = TrackValue(file=nothing, sample_rate=16_000, channels=1, samples=1, given_s=1.0)
    job = SegmentJob(
        film=film, shot=(0, film.frames), first_frame=FIRST, last_frame=LAST, speech=speech,
        heard="0", generator="wav2lip", generator_version=1,
    )  # fmt: skip
    for how in ("match", str(restorer(tmp_path / "model.onnx", add=-0.2))):
        done = enhance.fn(job, given, how, str(tmp_path / "store"))
        assert (done.first_frame, done.last_frame, done.box) == (FIRST, LAST, given.box)
        assert done.seconds > given.seconds
        before, after = (
            np.stack([planes_of(frame)[0] for frame in read_frames(probe(store.path(one.file)))])
            for one in (given, done)
        )
        assert before.shape == after.shape
        assert (before != after).any((1, 2)).all()
    with pytest.raises(InputError, match="no finish called"):
        enhance.fn(job, given, "gone.onnx", str(tmp_path / "store"))
