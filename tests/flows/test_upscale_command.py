"""``flows.upscale``: the command, its words and its exit codes."""

from __future__ import annotations

import json
import sys
from fractions import Fraction
from pathlib import Path

import pytest
from media_factory import bursts, make_film
from onnx_models import nearest
from real_command import Command

from flows.upscale import UpscaleRequest, upscale
from lipsync_core.errors import InputError, MissingWeights
from lipsync_core.media.probe import ColourTags, probe


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return nearest(tmp_path_factory.mktemp("model") / "it's nearest.onnx")


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_film(
        tmp_path_factory.mktemp("film") / "it's a film.mp4", frames=48, sound=bursts(2, 48_000),
        rate=Fraction(24000, 1001), size=(96, 64), colour=ColourTags(1, 1, 1, 1),
    )  # fmt: skip


def test_the_command_makes_a_film_larger_and_says_what_it_did(
    command: Command, film: Path, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "large" / "film.mp4"
    ran = command(film, "--model", model, "--out", out, "--json", module="flows.upscale")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out) == {
        "output": str(out), "times": 2, "width": 192, "height": 128, "frame_rate": "24000/1001",
        "frames": 48, "sound": "the film's own, packet by packet", "notes": [],
    }  # fmt: skip
    made = probe(out)
    assert (made.frames, made.frame_rate) == (48, Fraction(24000, 1001))
    assert made.colour == ColourTags(1, 1, 1, 1)


@pytest.mark.usefixtures("with_server")
def test_what_was_done_is_told_in_words(film: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "film.mkv"
    done = upscale(UpscaleRequest(video=film, model=str(model), out=out))
    assert done.as_text() == (
        f"{out}: 2 times as large, 192x128, 48 frames at 24000/1001 fps\n"
        "  sound: the film's own, packet by packet"
    )
    assert done.exit_code == 0


def test_what_is_no_model_is_told(film: Path, tmp_path: Path) -> None:
    request = UpscaleRequest(video=film, model=str(film), out=tmp_path / "large.mp4")
    with pytest.raises(InputError, match="is no ONNX model, or cut short") as refused:
        request.check()
    assert str(refused.value).startswith(str(film))


@pytest.mark.parametrize(
    ("out", "said"),
    [("film.avi", r"give a name that ends in \.mp4, \.mov or \.mkv"), ("", "is the film itself")],
)
def test_an_output_that_cannot_be_is_told(
    out: str, said: str, film: Path, model: Path, tmp_path: Path
) -> None:
    path = tmp_path / out if out else film
    with pytest.raises(InputError, match=said):
        UpscaleRequest(video=film, model=str(model), out=path).check()


def test_without_the_package_its_name_is_told(
    film: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "model.onnx"
    copy.write_bytes(model.read_bytes())
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingWeights, match=r"pip install 'lipsync-flows\[enhance\]'"):
        UpscaleRequest(video=film, model=str(copy), out=tmp_path / "large.mp4").check()
