"""What the scores of a rendered segment mean: three gates and a verdict.

The gates: the offset is at most one frame, the confidence is not much lower than the source's own,
and the mouth really moved. A segment too short to be judged alone is judged with the film's other
rendered segments, and its reason says so. A mouth that moves as it always did needs evidence of
its own: an engine may well be paid for giving a film back as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from lipsync_core.sync.score import IN_SYNC_FRAMES, MS_PER_OFFSET_FRAME, Scorer, SyncScore

# The least share of the source's own confidence. Windows of one clip scatter by about a third
# round the clip's own value, so a segment well below that is a rendering fault and not chance.
LEAST_SHARE_OF_SOURCE = 0.6
LEAST_MOTION = 0.25
LEAST_CHANGE = 0.25


@dataclass(frozen=True)
class Moved:
    """How much the mouth moves, and how much differently than in the source: both as shares of
    the spread of a usual speaker's inner-lip gap."""

    motion: float
    change: float


@dataclass(frozen=True)
class Judgement:
    """``score`` is the one the gates were applied to, ``source`` the source's own over the same
    frames. ``repair_ms`` is what the mouth should be moved by (negative = earlier) where a
    constant offset can be taken out, else ``None``."""

    score: SyncScore
    source: SyncScore | None
    passes: bool
    repair_ms: float | None
    reason: str


def judge(
    rendered: dict[str, Any],
    source: dict[str, Any] | None,
    moved: Moved,
    others: Sequence[dict[str, Any]],
    scorer: Scorer,
) -> Judgement:
    """Apply the three gates to one rendered segment.

    ``rendered`` and ``source`` are the scorer's measurements, ``others`` those of all rendered
    segments.
    """
    found, alone = _gated(rendered, source, moved, others, scorer)
    if moved.change < LEAST_CHANGE and not (found.passes and alone):
        reason = "nothing was changed: the mouth moves as in the source"
        return replace(found, passes=False, repair_ms=None, reason=reason)
    return found


def at_rest(rendered: dict[str, Any], scorer: Scorer) -> Judgement:
    """The judgement of a segment in which nobody has anything to say."""
    return Judgement(scorer.score([rendered]), None, True, None, "nobody speaks")


def _gated(
    rendered: dict[str, Any],
    source: dict[str, Any] | None,
    moved: Moved,
    others: Sequence[dict[str, Any]],
    scorer: Scorer,
) -> tuple[Judgement, bool]:
    """The judgement by the three gates, and whether the segment's own evidence sufficed."""
    own = None if source is None else scorer.score([source])
    score = scorer.score([rendered])
    alone, reason = score.offset_frames is not None, ""
    if not alone:
        together = scorer.score(others)
        if together.offset_frames is None:
            said = f"no evidence of sync: {score.evidence}"
            return Judgement(score, own, False, None, said), alone
        reason, score = f"judged with the whole film ({score.evidence})", together
    offset = score.offset_frames or 0.0
    if abs(offset) > IN_SYNC_FRAMES:
        repair_ms = -offset * MS_PER_OFFSET_FRAME
        return Judgement(score, own, False, repair_ms, f"off by {offset:+.1f} frames"), alone
    if moved.motion < LEAST_MOTION:
        return Judgement(score, own, False, None, "the mouth hardly moves"), alone
    if alone and own is not None and own.offset_frames is not None:
        share = score.confidence / own.confidence
        if share < LEAST_SHARE_OF_SOURCE:
            said = f"agreement is {share:.0%} of the source's own"
            return Judgement(score, own, False, None, said), alone
    return Judgement(score, own, True, None, reason), alone
