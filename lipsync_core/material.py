"""A film as the engines and scorers see it: its picture, its faces, its own sound."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lipsync_core.faces.landmarks import FaceTrack
from lipsync_core.media.audio import ANALYSIS_RATE, Track, lay_track
from lipsync_core.media.probe import FilmInfo, probe
from lipsync_core.scan import Scan, scan_film
from lipsync_core.timeline import Segment


@dataclass(frozen=True)
class Material:
    """A scanned film. ``sound`` is its own sound, mono 16 kHz under its frames, or ``None``;
    ``is_still`` says that all its frames are one picture, a portrait to be brought to life."""

    info: FilmInfo
    scan: Scan
    sound: Track | None
    is_still: bool = False

    def faces(self, first: int = 0, last: int | None = None) -> FaceTrack:
        """The landmarks of frames [first, last); of a still film those of its one picture."""
        if self.is_still:
            one = FaceTrack.load(self.scan.faces, 0, 1).points
            frames = (self.info.frames if last is None else last) - first
            return FaceTrack(np.broadcast_to(one, (frames, *one.shape[1:])), first)
        return FaceTrack.load(self.scan.faces, first, last)

    def shot_of(self, segment: Segment) -> tuple[int, int]:
        """The shot [first, last) that a segment lies in."""
        cuts = [cut.frame for cut in self.scan.cuts]
        first = max((frame for frame in cuts if frame <= segment.first_frame), default=0)
        last = min((frame for frame in cuts if frame >= segment.last_frame), default=None)
        return first, self.info.frames if last is None else last


def own_sound(info: FilmInfo, out: Path) -> Track | None:
    """The film's own sound laid under its picture, mono 16 kHz, or ``None`` without sound."""
    if info.sound is None:
        return None
    return lay_track(
        info.path, out, frames=info.frames, frame_rate=info.frame_rate,
        sample_rate=ANALYSIS_RATE, mono=True, start_s=info.sound.start_s,
    )  # fmt: skip


def gather(film: Path, folder: Path) -> Material:
    """Probe and scan a film and lay its sound; what is made goes to ``folder``."""
    info = probe(film)
    scan = scan_film(info, folder)
    return Material(info, scan, own_sound(info, folder / "sound.wav"))
