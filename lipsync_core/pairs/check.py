"""Is a pair fit for a run: is all there, does it decode, is the speech as long as the film?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lipsync_core.errors import InputError, LipsyncError
from lipsync_core.jobs.manifest import Pair, Source
from lipsync_core.media.audio import length_note, sound_seconds
from lipsync_core.media.probe import FilmInfo, probe
from lipsync_core.services.web import WebFile

LONGEST_QUEUE = timedelta(days=1)
"""An address that dies sooner may die before its film's turn comes."""

_NO_FILM = ("text/", "application/json", "application/xml")
_ANYTHING = ("application/octet-stream", "binary/octet-stream", "")


@dataclass
class PairCheck:
    """What was found out about a pair. ``problems`` would stop it or spoil it, ``notes`` would
    not; ``video_s`` and ``audio_s`` are lengths in seconds, where they are known."""

    pair: Pair
    video_s: float | None = None
    audio_s: float | None = None
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def look(
        self, elsewhere: Mapping[Source, WebFile | LipsyncError], tolerance_s: float
    ) -> FilmInfo | None:
        """Find out what can be found out; the film, where it is at hand and sound.

        ``elsewhere`` holds, for every address, what lies there or why it cannot be had. Lengths
        may differ by ``tolerance_s``.
        """
        info: FilmInfo | None = None
        for kind, source in (("video", self.pair.video), ("audio", self.pair.audio)):
            try:
                if not isinstance(source, Path):
                    self._look_elsewhere(kind, source, elsewhere[source])
                elif kind == "video":
                    info = probe(source)
                    self.video_s = info.seconds
                    self.notes += info.conformed
                else:
                    self.audio_s = sound_seconds(source)
            except LipsyncError as error:
                self.problems.append(str(error))
        if self.video_s is not None and self.audio_s is not None:
            differs = abs(self.video_s - self.audio_s) > tolerance_s
            if note := length_note(self.audio_s, self.video_s):
                (self.problems if differs else self.notes).append(note)
        return info

    def _look_elsewhere(self, kind: str, source: Source, found: WebFile | LipsyncError) -> None:
        if isinstance(found, LipsyncError):
            raise found
        if found.size == 0:
            raise InputError(f"empty file: {source}")
        if found.kind.startswith(_NO_FILM):
            raise InputError(f"{source} is {found.kind} and no {kind}: correct the address")
        wanted = (f"{kind}/", "video/") if kind == "audio" else ("video/", "application/mxf")
        if not found.kind.startswith(wanted) and found.kind not in _ANYTHING:
            self.notes.append(f"{source} is served as {found.kind}, not as {kind}")
        self._look_at_expiry(source)

    def _look_at_expiry(self, source: Source) -> None:
        dies = None if isinstance(source, Path) else source.expires
        if dies is None:
            return
        left = dies - datetime.now(UTC)
        if left < timedelta():
            raise InputError(f"the signature of {source} died at {dies:%Y-%m-%d %H:%M} UTC")
        if left < LONGEST_QUEUE:
            hours = left / timedelta(hours=1)
            self.notes.append(f"the signature of {source} dies in {hours:.1f} hours")
