"""What every scorer answers, and what every scorer must be able to do.

Offsets follow SyncNet: frames of 1/25 s, positive = the sound is early and is repaired by delaying
it 40 ms a frame. "No evidence" is never "in sync".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lipsync_core.faces.landmarks import FaceTrack
from lipsync_core.media.audio import ANALYSIS_RATE
from lipsync_core.media.probe import FilmInfo
from lipsync_core.timeline import sample_of_frame

MS_PER_OFFSET_FRAME = 40.0
IN_SYNC_FRAMES = 1.0


@dataclass(frozen=True)
class SyncScore:
    """The agreement of one face's lips with one sound.

    ``offset_frames`` (1/25 s, positive = sound early) is ``None`` where there is no answer, and
    ``evidence`` then says why; otherwise ``evidence`` is ``"ok"``. ``confidence`` is higher for
    better agreement, ``distance`` lower; without ``measured`` there was nothing to measure, and
    both mean nothing.
    """

    offset_frames: float | None
    confidence: float
    distance: float
    in_sync: bool
    evidence: str
    measured: bool = True

    @property
    def offset_ms(self) -> float | None:
        """The offset in milliseconds, positive = sound early."""
        return None if self.offset_frames is None else self.offset_frames * MS_PER_OFFSET_FRAME

    def as_dict(self) -> dict[str, object]:
        """The fields of ``flows.verify``."""
        return {
            "offset_frames": _rounded(self.offset_frames, 2),
            "offset_ms": _rounded(self.offset_ms, 1),
            "confidence": _rounded(self.confidence, 3),
            "distance": _rounded(self.distance, 3),
            "in_sync": self.in_sync,
            "evidence": self.evidence,
            "measured": self.measured,
        }


@dataclass(frozen=True)
class Span:
    """Frames [first, last) of a film that show one face, and the sound they are compared with.

    ``faces`` gives the landmarks of frames [first, last); ``sound`` the samples [first, last) of
    the sound that is laid under the film (mono, 16 kHz, sample 0 with frame 0).
    """

    info: FilmInfo
    first: int
    last: int
    faces: Callable[[int, int], FaceTrack]
    sound: Callable[[int, int], NDArray[np.float32]]

    def sound_of(self, first: int, last: int) -> NDArray[np.float32]:
        """The samples that belong to frames [first, last)."""
        rate = self.info.frame_rate
        return self.sound(*(sample_of_frame(frame, rate, ANALYSIS_RATE) for frame in (first, last)))


class Scorer(Protocol):
    """Measures windows of a film one by one and scores any set of measured windows together.

    What a measurement is, only the scorer knows; it is small and may be stored as JSON.
    ``remark`` is what must be said beside its answers, if there is something.
    """

    name: str
    version: int
    remark: str

    def measure(self, span: Span, windows: Sequence[tuple[int, int]]) -> list[dict[str, Any]]:
        """Measure windows of one span, each as frames [first, last) that lie in it."""
        ...

    def score(self, measurements: Sequence[dict[str, Any]]) -> SyncScore:
        """The agreement of all the spans together."""
        ...

    def agreement(self, measurements: Sequence[dict[str, Any]], offset_frames: float) -> float:
        """How well lips and sound go together where the sound is known to be off by so much:
        about 1 for somebody who speaks, about 0 for somebody else."""
        ...


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(float(value), digits)
