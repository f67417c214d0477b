"""The main job with Wav2Lip, on checkpoints made by hand: one that gives faces back as they are,
one that paints them grey."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from in_process import Here
from real_command import Ran
from synthetic_weights import simple_wav2lip, synthetic_tensors

from flows.engine import Engine
from lipsync_core.demo.film import DemoFilm
from lipsync_core.errors import InputError, MissingWeights
from lipsync_core.generators.own_process import process_for
from lipsync_core.generators.wav2lip.network import Wav2LipNetwork
from lipsync_core.media.frames import planes_of, read_frames
from lipsync_core.media.probe import probe
from lipsync_core.report.summary import FilmSummary
from lipsync_core.sync.syncnet.network import SyncNet
from lipsync_core.weights.registry import checkpoint
from tasks.policy import NO_CONTENT

TALK_S = 2.4


def grey() -> Wav2LipNetwork:
    network = Wav2LipNetwork()
    for parameter in network.parameters():
        parameter.data.zero_()
    return network


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``wav2lip`` paints lower faces grey, ``wav2lip-gan`` gives them back as they are."""
    folder = tmp_path_factory.mktemp("weights")
    torch.save({"state_dict": grey().state_dict()}, folder / checkpoint("wav2lip").file)
    torch.save(simple_wav2lip().state_dict(), folder / checkpoint("wav2lip-gan").file)
    return folder


@pytest.fixture(scope="module")
def ran(
    here: Here, short_film: DemoFilm, weights: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], Ran]:
    """The short film dubbed with its own words by both: who keeps the mouth must win."""
    out = tmp_path_factory.mktemp("out")
    here.know(short_film, out)
    given = here.given(LIPSYNC_WEIGHTS=str(weights))
    return lambda: given(
        video=short_film.video, audio=short_film.video, out=out, generator="wav2lip-best",
        end=TALK_S, options="device=cpu batch=8", enhance="match", scorer="landmark",
    )  # fmt: skip


@pytest.fixture(scope="module")
def film(ran: Callable[[], Ran]) -> FilmSummary:
    return ran().film


def test_the_film_is_whole_and_exact(film: FilmSummary, short_film: DemoFilm) -> None:
    assert film.checks is not None
    assert film.checks.frames_equal
    assert film.checks.timestamps_monotonic
    assert film.checks.max_boundary_lag_ms < 1
    assert film.checks.psnr_outside_db >= 40
    source, final = probe(short_film.video), probe(Path(film.output))
    assert (final.frames, final.frame_rate) == (source.frames, source.frame_rate)
    [talk] = [s for s in film.segments if s.generator]
    for number, (new, old) in enumerate(zip(read_frames(final), read_frames(source), strict=True)):
        away = np.abs(planes_of(new)[0].astype(int) - planes_of(old)[0])
        assert away.mean() < 4, number
    assert talk.first_frame < round(TALK_S * 25)


def test_of_both_the_better_one_by_measurement_is_taken_and_both_are_told(
    film: FilmSummary, ran: Callable[[], Ran]
) -> None:
    for segment in (s for s in film.segments if s.generator):
        assert segment.generator == "wav2lip-gan"
        grey, kept = segment.candidates
        assert (grey.generator, kept.generator) == ("wav2lip", "wav2lip-gan")
        assert (grey.chosen, kept.chosen) == (False, True)
        assert not grey.passes
        assert (kept.confidence or 0) > (grey.confidence or 0)
        assert grey.file
        assert kept.file
        assert grey.file != kept.file
        assert "; taken: wav2lip-gan: " in segment.told
    page = Path(film.report).read_text(encoding="utf-8")
    assert page.count("taken: wav2lip-gan: ") >= len([s for s in film.segments if s.generator])


def test_the_licence_of_the_weights_is_told(film: FilmSummary) -> None:
    told = [note for note in film.notes if "research and personal use only" in note]
    assert len(told) == 2


def test_nothing_is_rendered_twice(film: FilmSummary, ran: Callable[[], Ran]) -> None:
    again = ran().film
    assert all(segment.reused for segment in again.segments if segment.generator)
    assert again.checks == film.checks


def test_one_process_did_it_all(film: FilmSummary) -> None:
    assert process_for("wav2lip on cpu").pid
    assert process_for("wav2lip-gan on cpu").pid


def test_a_finish_nobody_knows_is_refused_at_once(
    typed: Callable[..., Ran], short_film: DemoFilm, tmp_path: Path
) -> None:
    refused = typed(
        "--video", short_film.video, "--audio", short_film.speech, "--enhance", "beauty",
        "--out", tmp_path / "out",
    )  # fmt: skip
    assert refused.code == 2
    assert refused.err == (
        "error: no finish called 'beauty': say match, or name the file of an ONNX face-restoration "
        "model\n"
    )
    assert not (tmp_path / "out").exists()


def chosen(folder: Path, name: str = "wav2lip", **options: Any) -> Engine:
    with mock.patch.dict(os.environ, LIPSYNC_WEIGHTS=str(folder)):
        return Engine.chosen(name, options)


def test_the_key_of_a_rendering_holds_the_weights_and_not_the_device(
    weights: Path, tmp_path: Path
) -> None:
    other = tmp_path / checkpoint("wav2lip").file
    torch.save(simple_wav2lip().state_dict(), other)
    first, second = chosen(weights).options, chosen(tmp_path).options
    assert first["weights"] != second["weights"]
    assert len(first["weights"]) == 64
    assert first["resources"] == {"device": "auto", "batch": None, "limit_s": 600.0}
    assert "resources" in NO_CONTENT
    assert not {"device", "batch", "limit_s"} & first.keys()


def test_without_its_checkpoint_it_says_what_fetches_it(
    typed: Callable[..., Ran], short_film: DemoFilm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIPSYNC_WEIGHTS", str(tmp_path / "nowhere"))
    refused = typed(
        "--video", short_film.video, "--audio", short_film.speech, "--generator", "wav2lip",
        "--out", tmp_path / "out",
    )  # fmt: skip
    assert refused.code == 2
    [line] = refused.err.splitlines()
    assert line.startswith("error: the checkpoint wav2lip.pth is not in ")
    assert line.endswith(": python -m lipsync_core.weights fetch wav2lip")
    assert not (tmp_path / "out").exists()
    with pytest.raises(MissingWeights, match=r"wav2lip_gan\.pth is not in"):
        chosen(tmp_path, "wav2lip-gan")


def saved(folder: Path, stored: Any) -> Path:
    folder.mkdir(exist_ok=True)
    torch.save(stored, folder / checkpoint("wav2lip").file)
    return folder


def test_a_checkpoint_of_something_else_is_refused_by_its_name(tmp_path: Path) -> None:
    names = {f"face_encoder.{n}.conv_block.0.weight": torch.zeros(1) for n in range(3)}
    larger = synthetic_tensors(Wav2LipNetwork())
    larger["face_encoder_blocks.8.0.conv_block.0.weight"] = torch.zeros(1)
    for stored, said in (
        (SyncNet().state_dict(), "a checkpoint of SyncNet"),
        (names, "a checkpoint of the expert discriminator of Wav2Lip"),
        (larger, "of another network: 0 tensors are missing and 1 are strange, such as face_enc"),
    ):
        with pytest.raises(InputError, match=said):
            chosen(saved(tmp_path, stored))
    (tmp_path / "wav2lip.pth").write_bytes(b"<!DOCTYPE html><title>Quota exceeded</title>")
    with pytest.raises(InputError, match=r"wav2lip\.pth is no checkpoint of Wav2Lip but a web"):
        chosen(tmp_path)
    whole = saved(tmp_path, grey().state_dict()) / "wav2lip.pth"
    whole.write_bytes(whole.read_bytes()[:-1000])
    with pytest.raises(InputError, match="cut short"):
        chosen(tmp_path)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA card")
def test_a_card_that_is_not_there_is_told_at_once(weights: Path) -> None:
    with pytest.raises(InputError, match="device cuda:1 was asked for, but PyTorch"):
        chosen(weights, device="cuda:1")
    with pytest.raises(InputError, match="precision=mixed needs a CUDA card"):
        chosen(weights, precision="mixed")


def test_an_option_it_does_not_know_is_refused(weights: Path) -> None:
    with pytest.raises(InputError, match="wav2lip: fps"):
        chosen(weights, fps="30")
    with pytest.raises(InputError, match="wav2lip: weights"):
        chosen(weights, weights="abc")
    assert chosen(weights, pads="0,20,0,0", nosmooth="yes").options["pads"] == [0, 20, 0, 0]
