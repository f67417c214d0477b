"""Engines that render segments, behind one protocol.

An engine of another package joins through the entry-point group ``lipsync.generators``.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol

from lipsync_core.errors import InputError
from lipsync_core.jobs.remote import RemoteEngine
from lipsync_core.material import Material
from lipsync_core.media.audio import Track
from lipsync_core.media.clip import Clip
from lipsync_core.timeline import Segment

GROUP = "lipsync.generators"
HEARING_S = 15.0
"""How much of the speech on either side of a segment a local engine may listen to."""


class Generator(Protocol):
    """A local engine: renders the mouth of a segment to a speech.

    ``version`` goes into every cache key: raise it when the pictures change.
    """

    name: str
    version: int

    def render(
        self, material: Material, segment: Segment, speech: Track, out: Path, *, shift_ms: float
    ) -> Clip:
        """Render one segment to ``out`` (a ``.mkv`` in the film's pixel format, lossless).

        ``speech`` is the whole film's new speech, mono 16 kHz, of which only the segment and
        ``HEARING_S`` on either side count. The mouth follows it delayed by ``shift_ms`` (0 unless
        a constant offset is being repaired).

        Raises:
            RenderFailed: the segment cannot be rendered.
        """
        ...


def load_generator(name: str) -> Generator | RemoteEngine:
    """The engine of that name; one elsewhere is only described, not yet spoken to.

    Raises:
        InputError: no installed engine is called so.
    """
    found = entry_points(group=GROUP)
    for entry in found:
        if entry.name == name:
            engine: Generator | RemoteEngine = entry.load()()
            return engine
    raise InputError(
        f"no generator called {name!r}: choose one of {', '.join(sorted(found.names))}"
    )
