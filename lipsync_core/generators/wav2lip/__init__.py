"""The engines ``wav2lip`` and ``wav2lip-gan``: a network makes the mouth of every frame.

Free, on this machine, with a checkpoint that a person must get for themselves. The film keeps its
size, its frame rate, its length and its sound; only the mouth is the network's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lipsync_core.errors import InputError, in_one_line
from lipsync_core.generators.contest import Contest
from lipsync_core.generators.device import device_called
from lipsync_core.generators.own_process import Job, process_for
from lipsync_core.generators.wav2lip.options import RESOURCES, Wav2LipOptions
from lipsync_core.generators.wav2lip.render import load_tensors, render_segment
from lipsync_core.material import Material
from lipsync_core.media.audio import Track
from lipsync_core.media.clip import Clip
from lipsync_core.timeline import Segment
from lipsync_core.weights.fingerprint import sha256_of, state_of
from lipsync_core.weights.registry import checkpoint, located


@dataclass(frozen=True)
class Wav2Lip:
    """The generator ``wav2lip``; see :class:`lipsync_core.generators.Generator`."""

    name: str = "wav2lip"
    version: int = 1
    hears_s: float = 1.0  # of which 0.6 only where an offset of that much is being repaired

    def checked(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options in full, and which weights they are for.

        Raises:
            InputError: an option is unknown, a card is not there, or the checkpoint is none.
            MissingWeights: the checkpoint is not on this machine.
        """
        try:
            found = Wav2LipOptions.model_validate(dict(options))
        except ValidationError as error:
            raise InputError(f"{self.name}: {in_one_line(error)}") from error
        if found.precision == "mixed" and device_called(found.device).type != "cuda":
            raise InputError(f"{self.name}: precision=mixed needs a CUDA card: leave it out")
        device_called(found.device)
        path = located(self.name)
        return {
            **found.model_dump(mode="json", exclude=set(RESOURCES)),
            "resources": found.model_dump(mode="json", include=set(RESOURCES)),
            "weights": _fingerprint(path, state_of(path)),
        }

    @property
    def remark(self) -> str:
        """What must be said before the first use."""
        return f"{self.name}: {checkpoint(self.name).licence}"

    def render(
        self, material: Material, segment: Segment, speech: Track, out: Path, *,
        shift_ms: float = 0, options: Mapping[str, Any],
    ) -> Clip:  # fmt: skip
        """Render one segment in a process of the engine's own."""
        plain = {k: v for k, v in options.items() if k not in ("resources", "weights")}
        chosen = Wav2LipOptions.model_validate(plain | options["resources"])
        weights = located(self.name), options["weights"]
        given = (material, segment, speech, out, shift_ms, chosen, *weights)
        job = Job(render_segment, given, out.with_name("words.log"))
        clip: Clip
        clip, _ = process_for(f"{self.name} on {chosen.device}")(job, chosen.limit_s)
        return clip


@dataclass(frozen=True)
class Wav2LipGan(Wav2Lip):
    """The generator ``wav2lip-gan``: the same network, trained to look sharper."""

    name: str = "wav2lip-gan"


def best() -> Contest:
    """Both of them, and of every segment the one whose lips go better with the sound."""
    return Contest("wav2lip-best", ("wav2lip", "wav2lip-gan"))


@lru_cache(maxsize=8)
def _fingerprint(path: Path, state: tuple[int, ...]) -> str:
    """The sha256 of a checkpoint that was seen in this state, and is one of this network.

    Raises:
        InputError: it is not.
    """
    load_tensors(path)
    return sha256_of(path)
