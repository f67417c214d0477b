"""The finish: what is put over a rendered mouth before it goes into the film.

An engine that draws small mouths leaves them soft, smooth and a little off in colour. A finish
changes nothing but the mouth: every pixel beyond its mask, every frame without a face and every
frame the engine left alone stay bit for bit.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from lipsync_core.errors import InputError
from lipsync_core.finish.match import Match
from lipsync_core.finish.model import given_model
from lipsync_core.finish.restore import Restore
from lipsync_core.material import Material
from lipsync_core.media.clip import Clip

MATCH = "match"


class Finish(Protocol):
    """What is done to a rendered clip.

    ``version`` goes into every cache key: raise it when the pictures change.
    """

    name: str
    version: int

    def finished(self, clip: Clip, material: Material, out: Path) -> Clip:
        """The clip with a better mouth, written to ``out`` (a ``.mkv``, lossless).

        It has the frames, the box and the pixel format of the clip.

        Raises:
            InputError: a model fails at a picture.
            StorageError: the disk is full or the folder refuses writes.
        """
        ...


def from_anywhere(how: str) -> str:
    """The same finish in words that hold in every folder."""
    if how == MATCH:
        return how
    name = str(given_model(how).path)
    return str(Path(name).resolve()) + how.removeprefix(name)


def load_finish(how: str) -> Finish:
    """The finish of that name: ``match``, or the file of an ONNX face-restoration model.

    Behind a file may stand what it does not say itself, see
    :func:`lipsync_core.finish.model.given_model`.

    Raises:
        InputError: it is neither, the file is no such model, or its device cannot be had.
        MissingWeights: the package that runs models is not installed.
    """
    if how == MATCH:
        return Match()
    given = given_model(how)
    if not given.path.is_file():
        raise InputError(
            f"no finish called {how!r}: say {MATCH}, or name the file of an ONNX face-restoration "
            "model"
        )
    return Restore(given)
