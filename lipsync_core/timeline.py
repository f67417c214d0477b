"""Exact frame arithmetic: cuts, segments and the timeline they form. Pure, no I/O.

Every position is an integer frame on the film's own rational rate, and every sound position is
computed from the *absolute* frame, never by adding durations, so nothing can drift.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise

from lipsync_core.errors import InputError, TimelineBroken


class SpanKind(StrEnum):
    """What happens to the picture of a segment."""

    LIPSYNC = "lipsync"
    PASSTHROUGH = "passthrough"


@dataclass(frozen=True)
class Cut:
    """The first frame of a new shot."""

    frame: int


@dataclass(frozen=True)
class Segment:
    """Frames [first_frame, last_frame) of a film, treated as one.

    ``last_frame`` is exclusive. ``reason`` says in words why the segment has its kind.
    """

    index: int
    first_frame: int
    last_frame: int
    kind: SpanKind = SpanKind.LIPSYNC
    reason: str = ""

    @property
    def frames(self) -> int:
        """How many frames the segment holds."""
        return self.last_frame - self.first_frame


def sample_of_frame(frame: int, frame_rate: Fraction, sample_rate: int) -> int:
    """The first audio sample of a frame: round(frame · sample_rate · den / num), exactly.

    Halves round up, so that neighbouring segments always share one boundary.
    """
    twice = 2 * frame * sample_rate * frame_rate.denominator + frame_rate.numerator
    return twice // (2 * frame_rate.numerator)


def frame_of_seconds(seconds: float | Fraction, frame_rate: Fraction) -> int:
    """The frame that is on screen at a time, from 0."""
    return int(Fraction(seconds) * frame_rate)


@dataclass(frozen=True)
class Timeline:
    """A film as consecutive segments that cover every frame exactly once.

    Raises:
        TimelineBroken: the segments leave a gap, overlap or miss the ends of the film.
    """

    frame_rate: Fraction
    frames: int
    segments: tuple[Segment, ...]

    def __post_init__(self) -> None:
        expected = 0
        for position, segment in enumerate(self.segments):
            if segment.index != position:
                raise TimelineBroken(f"segment {segment.index} stands at place {position}")
            if segment.first_frame != expected or segment.frames < 1:
                raise TimelineBroken(
                    f"segment {segment.index} is [{segment.first_frame}, {segment.last_frame}) "
                    f"but frame {expected} comes next"
                )
            expected = segment.last_frame
        if expected != self.frames:
            raise TimelineBroken(f"segments end at frame {expected} of {self.frames}")

    @classmethod
    def from_cuts(cls, cuts: Iterable[Cut], frames: int, frame_rate: Fraction) -> Timeline:
        """One segment a shot. Frame 0 is implied; cuts at the ends or given twice do no harm."""
        inner = {cut.frame for cut in cuts}
        if any(frame < 0 or frame > frames for frame in inner):
            wrong = sorted(frame for frame in inner if frame < 0 or frame > frames)
            raise InputError(f"cut at frame {wrong[0]} is outside the film's {frames} frames")
        edges = [0, *sorted(inner - {0, frames}), frames]
        segments = tuple(Segment(index, a, b) for index, (a, b) in enumerate(pairwise(edges)))
        return cls(frame_rate, frames, segments)

    def sample(self, frame: int, sample_rate: int) -> int:
        """The first audio sample of ``frame`` at ``sample_rate``."""
        return sample_of_frame(frame, self.frame_rate, sample_rate)

    def seconds(self, frame: int) -> float:
        """When ``frame`` appears, in seconds (for people; never for arithmetic)."""
        return float(frame / self.frame_rate)

    def divided(
        self, candidates: Sequence[int], target_frames: int, minimum_frames: int
    ) -> Timeline:
        """Divide segments much longer than ``target_frames`` at the best candidate frames.

        A segment is divided while it is longer than 1.5 targets, at the candidate (a frame in a
        silence, say) nearest to one target from its start; without a candidate it stays whole,
        since a division inside a word is worse than a long segment.
        """
        pieces: list[tuple[int, int]] = []
        for segment in self.segments:
            start = segment.first_frame
            while segment.last_frame - start > 1.5 * target_frames:
                wanted = start + target_frames
                usable = [
                    frame
                    for frame in candidates
                    if start + minimum_frames <= frame <= segment.last_frame - minimum_frames
                ]
                if not usable:
                    break
                best = min(usable, key=lambda frame: abs(frame - wanted))
                pieces.append((start, best))
                start = best
            pieces.append((start, segment.last_frame))
        segments = tuple(Segment(index, a, b) for index, (a, b) in enumerate(pieces))
        return replace(self, segments=segments)
