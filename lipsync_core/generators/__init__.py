"""Engines that render segments, behind one protocol.

An engine of another package joins through the entry-point group ``lipsync.generators``.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol

from lipsync_core.errors import InputError
from lipsync_core.generators.contest import Contest
from lipsync_core.jobs.remote import RemoteEngine
from lipsync_core.material import Material
from lipsync_core.media.audio import Track
from lipsync_core.media.clip import Clip
from lipsync_core.timeline import Segment

GROUP = "lipsync.generators"


class Generator(Protocol):
    """A local engine: renders the mouth of a segment to a speech.

    ``version`` goes into every cache key: raise it when the pictures change. ``hears_s`` is how
    many seconds of the speech on either side of a segment it may listen to. ``remark`` is what a
    person must know before it is used, such as a licence; mostly nothing.
    """

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def version(self) -> int:
        """Which form of it this is."""
        ...

    @property
    def hears_s(self) -> float:
        """Seconds of speech beyond a segment that may change its picture."""
        ...

    @property
    def remark(self) -> str:
        """A sentence, or nothing."""
        ...

    def checked(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options as plain JSON, the usual ones filled in; what :meth:`render` is given.

        What stands under ``resources`` says how a picture is made and not what it shows, such as
        a device; it is left out of cache keys.

        Raises:
            InputError: one of them is unknown, or cannot be had on this machine.
            MissingWeights: a checkpoint is not on this machine.
        """
        ...

    def render(
        self, material: Material, segment: Segment, speech: Track, out: Path, *,
        shift_ms: float, options: Mapping[str, Any],
    ) -> Clip:  # fmt: skip
        """Render one segment to ``out`` (a ``.mkv`` in the film's pixel format, lossless).

        ``speech`` is the whole film's new speech, mono 16 kHz, of which only the segment and
        ``hears_s`` on either side count. The mouth follows it delayed by ``shift_ms`` (0 unless a
        constant offset is being repaired). What the engine prints may go to ``words.log`` beside
        ``out``.

        Raises:
            RenderFailed: the segment cannot be rendered.
            OutOfMemory: there is too little memory for it.
        """
        ...


def no_options(engine: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """What an engine without options makes of them.

    Raises:
        InputError: there are some.
    """
    if options:
        raise InputError(f"{engine} has no options: leave out {', '.join(sorted(options))}")
    return {}


def load_generator(name: str) -> Generator | RemoteEngine | Contest:
    """The engine of that name; one elsewhere is only described, not yet spoken to.

    Raises:
        InputError: no installed engine is called so.
    """
    found = entry_points(group=GROUP)
    for entry in found:
        if entry.name == name:
            engine: Generator | RemoteEngine | Contest = entry.load()()
            return engine
    raise InputError(
        f"no generator called {name!r}: choose one of {', '.join(sorted(found.names))}"
    )
