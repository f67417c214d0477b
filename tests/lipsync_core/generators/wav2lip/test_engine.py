"""The engine as a run uses it: in a process of its own, which may hang and must not stay."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from synthetic_weights import simple_wav2lip

from lipsync_core.errors import EngineHung, InputError
from lipsync_core.generators.own_process import OwnProcess, process_for
from lipsync_core.generators.wav2lip import Wav2Lip
from lipsync_core.generators.wav2lip.folded import FoldedWav2Lip
from lipsync_core.generators.wav2lip.options import Wav2LipOptions
from lipsync_core.generators.wav2lip.render import render_with
from lipsync_core.material import Material
from lipsync_core.media.audio import Track
from lipsync_core.media.frames import planes_of, read_frames
from lipsync_core.media.probe import probe
from lipsync_core.timeline import Segment
from lipsync_core.weights.registry import checkpoint, located

WORDS = Segment(0, 40, 52)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wav2Lip]:
    folder = tmp_path_factory.mktemp("weights")
    torch.save(simple_wav2lip(0.3).state_dict(), folder / checkpoint("wav2lip").file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIPSYNC_WEIGHTS", str(folder))
        yield Wav2Lip()
    child().stop()


def child() -> OwnProcess:
    return process_for("wav2lip on cpu")


def test_renders_what_the_network_makes(
    engine: Wav2Lip, demo_material: Material, demo_speech: Track, tmp_path: Path
) -> None:
    options = engine.checked({"device": "cpu"})
    clip = engine.render(
        demo_material, WORDS, demo_speech, tmp_path / "clip.mkv", shift_ms=0, options=options
    )
    assert child().pid not in (None, os.getpid())
    assert clip.remarks == ()
    here, _ = render_with(
        FoldedWav2Lip(simple_wav2lip(0.3), torch.device("cpu")), demo_material, WORDS, demo_speech,
        tmp_path / "here.mkv", 0.0, Wav2LipOptions(),
    )  # fmt: skip
    assert clip.box == here.box
    for one, other in zip(
        read_frames(probe(clip.path)), read_frames(probe(here.path)), strict=True
    ):
        away = np.abs(planes_of(one)[0].astype(int) - planes_of(other)[0])
        assert away.max() <= 1  # another number of threads may round otherwise


def test_a_checkpoint_that_is_replaced_during_a_run_is_noticed(
    engine: Wav2Lip, demo_material: Material, demo_speech: Track, tmp_path: Path
) -> None:
    """Even by one of the same size and time: what is made goes by the name of its weights."""
    file, options = located("wav2lip"), engine.checked({"device": "cpu"})
    before, kept = file.stat(), file.read_bytes()
    torch.save(simple_wav2lip(0.2).state_dict(), file)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size
    try:
        with pytest.raises(InputError, match=r"wav2lip\.pth was replaced during the run: start"):
            engine.render(
                demo_material, WORDS, demo_speech, tmp_path / "c.mkv", shift_ms=0, options=options
            )
        assert engine.checked({"device": "cpu"})["weights"] != options["weights"]
    finally:
        file.write_bytes(kept)


def test_what_hangs_is_stopped_and_no_clip_appears(
    engine: Wav2Lip, demo_material: Material, demo_speech: Track, tmp_path: Path
) -> None:
    """The speech is a pipe that nobody writes into: whoever opens it waits for ever."""
    pipe = tmp_path / "speech.wav"
    os.mkfifo(pipe)
    hanging = replace(demo_speech, path=pipe)
    options = engine.checked({"device": "cpu", "limit_s": 6})
    began = time.monotonic()
    with pytest.raises(EngineHung, match="wav2lip on cpu showed no sign of work for 6 s and was"):
        engine.render(
            demo_material, WORDS, hanging, tmp_path / "clip.mkv", shift_ms=0, options=options
        )
    assert time.monotonic() - began < 60
    assert child().pid is None
    assert not (tmp_path / "clip.mkv").exists()
