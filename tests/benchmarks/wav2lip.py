"""Wav2Lip on one film, in a process of its own: python -m tests.benchmarks.wav2lip HOW FILM SPEECH

    speed   frames a second of the network alone and from film to clip, ours and the ordinary way
    memory  the whole film as one segment through a network that answers at once: peak memory

The weights are numbers by rule, as fast and as large as the published ones. The ordinary way is
the same network as its authors call it: one batch after the other, whole faces, normalisation as a
layer of its own, nothing done meanwhile.
"""

from __future__ import annotations

import copy
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lipsync_core.generators.device import device_called
from lipsync_core.generators.wav2lip.folded import HALF, FoldedWav2Lip
from lipsync_core.generators.wav2lip.network import Wav2LipNetwork
from lipsync_core.generators.wav2lip.options import Wav2LipOptions
from lipsync_core.generators.wav2lip.render import Figures, render_with
from lipsync_core.material import Material, gather
from lipsync_core.media.audio import ANALYSIS_RATE, Track, lay_track
from lipsync_core.timeline import Segment
from tests.synthetic_weights import synthetic_tensors

BATCH = 16
ROUNDS = 3


@dataclass
class Ordinary:
    """The network called the ordinary way."""

    network: Wav2LipNetwork
    device: torch.device

    @torch.inference_mode()
    def speak(self, mel: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
        whole = faces.to(self.device).permute(0, 3, 1, 2).float() / 255
        hidden = whole.clone()
        hidden[:, :, HALF:] = 0
        made = self.network(mel.to(self.device), torch.cat([hidden, whole], 1)) * 255
        return made[:, :, HALF:].round_().to(torch.uint8).permute(0, 2, 3, 1)


class Blank:
    """A network that answers at once."""

    device = torch.device("cpu")

    def speak(self, mel: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
        return torch.full((len(faces), HALF, 96, 3), 90, dtype=torch.uint8)


def speed(material: Material, speech: Track, folder: Path) -> dict[str, Any]:
    """Frames a second, each the best of a few rounds in turn."""
    device = device_called("auto")
    plain = Wav2LipNetwork().eval()
    plain.load_state_dict(synthetic_tensors(plain))
    ways: dict[str, Any] = {
        "ordinary": Ordinary(copy.deepcopy(plain).to(device), device),
        "ours": FoldedWav2Lip(copy.deepcopy(plain), device),
    }
    if device.type == "cuda":
        ways["ours, mixed precision"] = FoldedWav2Lip(plain, device, torch.float16)
    mel, faces = _given(plain)
    exact = ways["ours"].speak(mel, faces).cpu().float()
    segment = Segment(0, 0, material.info.frames)
    found: dict[str, dict[str, Any]] = {name: {"network": 0.0, "whole": 0.0} for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            alone = _per_second(lambda way=way: way.speak(mel, faces).cpu(), len(faces))
            found[name]["network"] = max(found[name]["network"], alone)
            began = time.monotonic()
            figures = _whole(name, way, material, segment, speech, folder)
            whole = segment.frames / (time.monotonic() - began)
            if whole > found[name]["whole"]:
                found[name] |= {
                    "whole": whole, "waits": figures.waited_s / max(figures.network_s, 1e-9)
                }  # fmt: skip
            error = (way.speak(mel, faces).cpu().float() - exact).abs()
            found[name]["error"] = [float(error.max()), float(error.mean())]
    return {"device": str(device), "ways": found}


def _whole(
    name: str, way: Any, material: Material, segment: Segment, speech: Track, folder: Path
) -> Figures:
    out = folder / "clip.mkv"
    if name != "ordinary":
        return render_with(way, material, segment, speech, out, 0.0, Wav2LipOptions(batch=BATCH))[1]
    from lipsync_core.generators.wav2lip import render

    ahead, render.ahead = render.ahead, lambda items, depth: iter(items)
    try:
        return render_with(way, material, segment, speech, out, 0.0, Wav2LipOptions(batch=BATCH))[1]
    finally:
        render.ahead = ahead


def _given(network: Wav2LipNetwork) -> tuple[torch.Tensor, torch.Tensor]:
    drawn = torch.Generator().manual_seed(1)
    mel = torch.rand((BATCH, 1, 80, 16), generator=drawn) * 8 - 4
    faces = torch.randint(0, 256, (BATCH, 96, 96, 3), generator=drawn, dtype=torch.uint8)
    return mel, faces


def _per_second(work: Callable[[], object], faces: int) -> float:
    work()
    began, rounds = time.monotonic(), 0
    while time.monotonic() - began < 2:
        work()
        rounds += 1
    return rounds * faces / (time.monotonic() - began)


def memory(material: Material, speech: Track, folder: Path) -> dict[str, Any]:
    """One segment of the film's whole length."""
    segment = Segment(0, 0, material.info.frames)
    options = Wav2LipOptions(batch=BATCH)
    render_with(Blank(), material, segment, speech, folder / "c.mkv", 0.0, options)  # type: ignore[arg-type]
    return {"frames": segment.frames}


def main(how: str, film: Path, speech: Path) -> None:
    """Gather, measure, print."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        material = gather(film, folder)
        laid = lay_track(
            speech, folder / "speech.wav", frames=material.info.frames,
            frame_rate=material.info.frame_rate, sample_rate=ANALYSIS_RATE, mono=True,
        )  # fmt: skip
        work = {"speed": speed, "memory": memory}[how]
        print(json.dumps(work(material, laid, folder)))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
