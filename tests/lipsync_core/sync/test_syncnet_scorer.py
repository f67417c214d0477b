"""The scorer ``syncnet`` from the checkpoint to the answer, on the demo film or a painted one.

Nobody can ship the published weights. So the network is filled with numbers by rule, where only
the arithmetic matters, or made by hand so that it really tells sync: by how dark the mouth is and
how loud the sound.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from synthetic_weights import simple_syncnet, synthetic_tensors

from lipsync_core.errors import InputError, MissingWeights
from lipsync_core.faces.landmarks import OUTER_LIPS
from lipsync_core.material import Material
from lipsync_core.media.frames import FrameWriter, frame_of, planes_of, read_frames
from lipsync_core.media.probe import probe
from lipsync_core.sync import load_scorer
from lipsync_core.sync.mfcc import mfcc
from lipsync_core.sync.score import Scorer, Span
from lipsync_core.sync.syncnet import scorer as scorer_module
from lipsync_core.sync.syncnet.crops import face_pictures, face_squares
from lipsync_core.sync.syncnet.network import SyncNet
from lipsync_core.sync.syncnet.scorer import FastSyncNetScorer, SyncNetScorer, load_network

DARKNESS, LOUDNESS = (170.0, 30.0), (26.0, 10.6)  # of the painted film: mean and spread
LOOK = 60, 140  # frames
Early = Callable[[int], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as the published one, filled by rule."""
    path = tmp_path_factory.mktemp("weights") / "syncnet_v2.model"
    torch.save(synthetic_tensors(SyncNet()), path)
    return path


@pytest.fixture(scope="module")
def scorer() -> SyncNetScorer:
    """One that really tells sync."""
    return SyncNetScorer(simple_syncnet(DARKNESS, LOUDNESS), device="cpu")


@pytest.fixture(scope="module")
def painted(demo_material: Material, tmp_path_factory: pytest.TempPathFactory) -> Material:
    """The demo film, its mouth painted over: the darker the louder its sound is."""
    info, mouths = demo_material.info, demo_material.faces(0, LOOK[1]).points[:, OUTER_LIPS]
    path = tmp_path_factory.mktemp("painted") / "painted.mkv"
    network = simple_syncnet(DARKNESS, LOUDNESS)
    cepstra = mfcc(np.round(own_sound(demo_material) * 32768).astype(np.int16))
    with FrameWriter(
        path, width=info.width, height=info.height, frame_rate=info.frame_rate,
        pixel_format=info.pixel_format, codec="ffv1", colour=info.colour,
    ) as writer:  # fmt: skip
        for index, frame in enumerate(read_frames(info, 0, LOOK[1])):
            heard = cepstra[max(0, 4 * index - 8) :][:20].T[None, None]  # it is in their middle
            with torch.inference_mode():  # its feature is in hundredths of a spread
                loudness = float(network.hear(torch.from_numpy(heard).float())[0, 0]) / 100
            grey = int(np.clip(255 - DARKNESS[0] - DARKNESS[1] * loudness, 16, 235))
            planes = [plane.copy() for plane in planes_of(frame)]
            (left, top), (right, bottom) = mouths[index].min(0) - 40, mouths[index].max(0) + 40
            for plane, value, share in zip(planes, (grey, 128, 128), (1, 2, 2), strict=True):
                rows = slice(int(top) // share, int(bottom) // share)
                plane[rows, int(left) // share : int(right) // share] = value
            writer.write(frame_of(planes, info.pixel_format, tags_of=frame))
    return replace(demo_material, info=probe(path))


@pytest.fixture(scope="module")
def heard_early(scorer: SyncNetScorer, painted: Material) -> Early:
    """What the scorer measures where the sound is so many frames early; each measured once."""

    @cache
    def measured(early: int) -> list[dict[str, Any]]:
        sound = np.roll(own_sound(painted), -early * 640)
        return scorer.measure(span_of(painted, sound, *LOOK), [LOOK])

    return measured


def own_sound(material: Material) -> NDArray[np.float32]:
    assert material.sound is not None
    return material.sound.read()[:, 0]


def span_of(material: Material, sound: NDArray[np.float32], first: int, last: int) -> Span:
    """Frames [first, last) with this sound; silence outside it."""

    def read(begin: int, end: int) -> NDArray[np.float32]:
        part = sound[max(0, begin) : max(0, end)]
        before = np.zeros(max(0, -begin), np.float32)
        after = np.zeros(end - begin - len(before) - len(part), np.float32)
        return np.concatenate([before, part, after])

    return Span(material.info, first, last, material.faces, read)


@pytest.mark.parametrize(("frames", "padded"), [(36, True), (36, False)])
def test_the_answer_is_that_of_the_formulas(
    frames: int, padded: bool, checkpoint: Path, demo_material: Material,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Once more by hand: all pictures at once, all sound at once, distances one by one."""
    monkeypatch.setattr(scorer_module, "PUBLISHED_FRAMES", frames - padded)
    network = load_network(checkpoint)
    sound = own_sound(demo_material)
    found = SyncNetScorer(network, device="cpu").measure(
        span_of(demo_material, sound, 0, frames), [(0, frames)]
    )[0]

    every = np.arange(frames)
    squares = face_squares(demo_material.faces(0, frames))
    pictures = np.stack(list(face_pictures(demo_material.info, every, squares)))
    whole = np.round(sound[: frames * 640] * 32768).astype(np.int16)
    cepstra = mfcc(whole)
    with torch.inference_mode():
        lips = torch.cat([
            network.see(torch.from_numpy(pictures[None, v : v + 5]).permute(0, 4, 1, 2, 3).float())
            for v in range(frames - 5)
        ]).double().numpy()  # fmt: skip
        sounds = torch.cat([
            network.hear(torch.from_numpy(cepstra[4 * v : 4 * v + 20].T[None, None]).float())
            for v in range(frames - 5)
        ]).double().numpy()  # fmt: skip
    means, counts = [], []
    for shift in range(-15, 16):
        distances = []
        for v in range(len(lips)):
            if 0 <= v + shift < len(sounds):
                distances.append(np.linalg.norm(lips[v] - sounds[v + shift] + 1e-6))
            elif padded:
                distances.append(np.linalg.norm(lips[v] + 1e-6))
        means.append(np.mean(distances))
        counts.append(len(distances))
    assert found["counts"] == counts
    assert np.array(found["sums"]) / counts == pytest.approx(means, rel=1e-4)
    score = SyncNetScorer(network, device="cpu").score([found])
    assert score.distance == pytest.approx(min(means), rel=1e-4)
    assert score.confidence == pytest.approx(np.median(means) - min(means), rel=1e-3, abs=0.05)


def test_moved_sound_moves_the_offset_by_as_much(scorer: SyncNetScorer, heard_early: Early) -> None:
    offsets = {early: scorer.score(heard_early(early)).offset_frames for early in (0, -10, 12)}
    assert {e: o - offsets[0] for e, o in offsets.items()} == pytest.approx(
        {early: early for early in offsets}, abs=0.5
    )


def test_windows_are_parts_of_one_look(scorer: SyncNetScorer, demo_material: Material) -> None:
    span = span_of(demo_material, own_sound(demo_material), 0, 70)
    whole, first, second = scorer.measure(span, [(0, 70), (0, 40), (35, 70)])
    # the last vector of the first window begins at frame 35, that of the whole is left out
    assert np.array(first["counts"]) + second["counts"] == pytest.approx(
        np.array(whole["counts"]) + 1
    )
    shared = np.array(first["sums"]) + second["sums"] - whole["sums"]
    assert (shared > 0).all()


@pytest.mark.parametrize(
    ("change", "told"),
    [("silent", "no speech"), ("faceless", "no face in most frames"),
     ("short", "only a moment long")],
)  # fmt: skip
def test_without_evidence_there_is_no_answer(
    change: str, told: str, scorer: SyncNetScorer, demo_material: Material
) -> None:
    sound = own_sound(demo_material)
    first, last = {"faceless": (250, 300), "short": (60, 65)}.get(change, (0, 100))
    if change == "silent":
        sound = np.zeros_like(sound)
    found = scorer.score(
        scorer.measure(span_of(demo_material, sound, first, last), [(first, last)])
    )
    assert (found.offset_frames, found.in_sync, found.evidence) == (None, False, told)


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIPSYNC_WEIGHTS", str(tmp_path))
    return tmp_path


def test_it_is_loaded_by_name_where_its_checkpoint_is(weights: Path, checkpoint: Path) -> None:
    with pytest.raises(MissingWeights, match="weights fetch syncnet"):
        load_scorer("syncnet")
    (weights / "syncnet_v2.model").write_bytes(checkpoint.read_bytes())
    loaded: Scorer = load_scorer("syncnet")
    assert loaded.name == "syncnet"
    assert loaded.remark.endswith("which are not the published ones")
    (weights / "syncnet_v2.model").write_bytes(checkpoint.read_bytes()[:-1000])
    with pytest.raises(InputError, match="is no checkpoint of SyncNet but cut short"):
        load_scorer("syncnet")


def test_spans_without_evidence_do_not_count(
    scorer: SyncNetScorer, demo_material: Material
) -> None:
    span = span_of(demo_material, own_sound(demo_material), 0, 60)
    [good] = scorer.measure(span, [(0, 60)])
    nothing = {"seconds": 4.0, "evidence": "no speech"}
    assert scorer.score([good, nothing]) == scorer.score([good])
    assert scorer.score([]).evidence == "nothing measured"


def test_every_second_look_tells_nearly_the_same(
    scorer: SyncNetScorer, heard_early: Early, painted: Material
) -> None:
    fast = FastSyncNetScorer(simple_syncnet(DARKNESS, LOUDNESS), device="cpu")
    [whole] = heard_early(0)
    [half] = fast.measure(span_of(painted, own_sound(painted), *LOOK), [LOOK])
    assert np.array(half["counts"]) * 2 == pytest.approx(np.array(whole["counts"]), abs=1)
    exact, estimate = scorer.score([whole]), fast.score([half])
    assert estimate.offset_frames == pytest.approx(exact.offset_frames, abs=0.4)
    assert estimate.distance == pytest.approx(exact.distance, rel=0.05)
    assert estimate.confidence == pytest.approx(exact.confidence, rel=0.15)
    assert (scorer.remark, fast.remark[:21]) == ("", "by every second look,")


def test_who_speaks_agrees_where_the_sound_is_known_to_be(
    scorer: SyncNetScorer, heard_early: Early
) -> None:
    found = heard_early(-10)
    confidence = scorer.score(found).confidence
    assert scorer.agreement(found, -10.0) == pytest.approx(confidence / 6, rel=0.01)
    assert scorer.agreement(found, 2.0) < 0.8 * scorer.agreement(found, -10.0)
    assert scorer.agreement([], 0.0) == 0
