"""The checkpoints this project knows, and the folder they lie in."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from lipsync_core.errors import InputError, MissingWeights


@dataclass(frozen=True)
class Checkpoint:
    """A published file.

    ``url`` is empty where its authors give no direct address; ``page`` then says where to look.
    ``size`` (bytes) and ``sha256`` are empty where nobody states them. A fingerprint that several
    public repositories agree on is ``certain``: another file is not this checkpoint. One that is
    ``scripted`` is also published as a TorchScript program.
    """

    name: str
    file: str
    page: str
    licence: str
    url: str = ""
    size: int | None = None
    sha256: str = ""
    certain: bool = False
    scripted: bool = False


CHECKPOINTS = (
    Checkpoint(
        name="syncnet", file="syncnet_v2.model",
        page="https://github.com/joonson/syncnet_python",
        licence="the program is MIT; nothing is stated for the weights, so take them as research",
        url="http://www.robots.ox.ac.uk/~vgg/software/lipsync/data/syncnet_v2.model",
        size=54_573_114,
        sha256="961e8696f888fce4f3f3a6c3d5b3267cf5b343100b238e79b2659bff2c605442", certain=True,
    ),
    Checkpoint(
        name="wav2lip", file="wav2lip.pth", page="https://github.com/Rudrabha/Wav2Lip",
        licence="research and personal use only, nothing commercial", scripted=True,
    ),
    Checkpoint(
        name="wav2lip-gan", file="wav2lip_gan.pth", page="https://github.com/Rudrabha/Wav2Lip",
        licence="research and personal use only, nothing commercial", scripted=True,
        sha256="ca9ab7b7b812c0e80a6e70a5977c545a1e8a365a6c49d5e533023c034d7ac3d8",
    ),
)  # fmt: skip


def checkpoint(name: str) -> Checkpoint:
    """The checkpoint of that name.

    Raises:
        InputError: there is none.
    """
    for known in CHECKPOINTS:
        if name in (known.name, known.file):
            return known
    names = ", ".join(known.name for known in CHECKPOINTS)
    raise InputError(f"no checkpoint called {name!r}: choose one of {names}")


def weights_folder() -> Path:
    """Where checkpoints lie: ``LIPSYNC_WEIGHTS``, else a folder of the person's own."""
    given = os.environ.get("LIPSYNC_WEIGHTS", "")
    return Path(given) if given else Path.home() / ".local" / "share" / "lipsync-flows" / "weights"


def is_here(name: str) -> bool:
    """Whether the file of a checkpoint is on this machine."""
    return (weights_folder() / checkpoint(name).file).is_file()


def located(name: str) -> Path:
    """The file of a checkpoint on this machine.

    Raises:
        MissingWeights: it is not there.
    """
    known = checkpoint(name)
    path = weights_folder() / known.file
    if is_here(name):
        return path
    raise MissingWeights(
        f"the checkpoint {known.file} is not in {path.parent}: "
        f"python -m lipsync_core.weights fetch {known.name}"
    )
