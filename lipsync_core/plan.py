"""Which parts of a film get a new mouth, decided before anything is rendered or paid.

A segment is ``lipsync`` only when somebody speaks in the new sound *and* a usable face is visible;
everything else keeps its picture.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from lipsync_core.errors import InputError, writing
from lipsync_core.faces.landmarks import FaceTrack
from lipsync_core.faces.mouth import eye_distance, mouth_shapes, yaw
from lipsync_core.media.speech import VoiceActivity
from lipsync_core.timeline import Cut, Segment, SpanKind, Timeline

LEAST_EYE_DISTANCE_PX = 24.0
GREATEST_YAW = 0.55
LEAST_PRESENCE = 0.7
LEAST_FRONTAL = 0.6
LEAST_VOICE_S = 0.2
LEAST_SILENCE_S = 0.25
# Spread of the inner-lip gap, in eye distances, from which on a mouth is seen to move: half of a
# talking mouth's, which is 0.043 over the speakers `generators/mouth_model.json` was fitted to.
MOVING_LIPS = 0.0215
NOBODY_SPEAKS = "nobody speaks"
SILENT_BUT_MOVING = "nobody speaks, yet the mouth moves"


# The landmarks of frames [first, last): read when asked for, since a film's are many.
FacesOf = Callable[[int, int], FaceTrack]


@dataclass(frozen=True)
class PlanRules:
    """What a person may set. ``start_s`` and ``end_s`` bound the part that is worked on."""

    target_s: float = 10.0
    minimum_s: float = 1.0
    start_s: float = 0.0
    end_s: float | None = None


def plan_segments(
    frame_rate: Fraction,
    frames: int,
    cuts: Sequence[Cut],
    faces: FacesOf,
    voice: VoiceActivity,
    rules: PlanRules,
    *,
    divide: bool = True,
) -> Timeline:
    """The film as classed segments: shots, the long ones divided at silences of the new speech.

    ``divide=False`` keeps the segments exactly as cut (a cut list edited by a person).
    """
    bounds = [Cut(f) for f in _bounds(rules, frame_rate, frames)]
    timeline = Timeline.from_cuts([*cuts, *bounds], frames, frame_rate)
    if divide:
        silences = voice.silences(LEAST_SILENCE_S, float(frames / frame_rate))
        places = [round((a + b) / 2 * frame_rate) for a, b in silences]
        timeline = timeline.divided(
            places, round(rules.target_s * frame_rate), round(rules.minimum_s * frame_rate)
        )
    segments = tuple(_classed(s, timeline, faces, voice, rules) for s in timeline.segments)
    return replace(timeline, segments=segments)


def _bounds(rules: PlanRules, frame_rate: Fraction, frames: int) -> list[int]:
    ends = [rules.start_s] + ([] if rules.end_s is None else [rules.end_s])
    return [min(frames, max(0, round(Fraction(end) * frame_rate))) for end in ends]


def _classed(
    segment: Segment,
    timeline: Timeline,
    faces: FacesOf,
    voice: VoiceActivity,
    rules: PlanRules,
) -> Segment:
    reason = _why_not(segment, timeline, faces, voice, rules)
    kind = SpanKind.PASSTHROUGH if reason else SpanKind.LIPSYNC
    return replace(segment, kind=kind, reason=reason)


def _why_not(
    segment: Segment,
    timeline: Timeline,
    faces: FacesOf,
    voice: VoiceActivity,
    rules: PlanRules,
) -> str:
    """Why the picture is kept, in words; empty where the mouth is to be rendered."""
    first_s, last_s = timeline.seconds(segment.first_frame), timeline.seconds(segment.last_frame)
    middle_s = (first_s + last_s) / 2
    if middle_s < rules.start_s or (rules.end_s is not None and middle_s > rules.end_s):
        return "outside the part asked for"
    voiced = voice.voiced_s(first_s, last_s)
    found = faces(segment.first_frame, segment.last_frame)
    points, present = found.points, found.present
    if voiced < min(LEAST_VOICE_S, 0.5 * (last_s - first_s)):
        return SILENT_BUT_MOVING if _lips_move(found) else NOBODY_SPEAKS
    if present.mean() < LEAST_PRESENCE:
        return "no face" if not present.any() else f"a face in only {present.mean():.0%} of frames"
    seen = points[present]
    eyes = float(np.median(eye_distance(seen)))
    if eyes < LEAST_EYE_DISTANCE_PX:
        return f"face too small: {eyes:.0f} px between the eyes"
    if float((np.abs(yaw(seen)) <= GREATEST_YAW).mean()) < LEAST_FRONTAL:
        return "face in profile"
    return ""


def _lips_move(faces: FaceTrack) -> bool:
    gap = mouth_shapes(faces.points[faces.present])[:, 0]
    return len(gap) > 1 and float(gap.std()) > MOVING_LIPS


def write_plan(path: Path, timeline: Timeline) -> None:
    """Write the plan as a table a person may edit and give back: rows are segments, and the
    columns ``first_frame`` and ``kind`` are read again."""
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["segment", "first_frame", "last_frame", "start_s", "end_s", "kind", "reason"])
    for s in timeline.segments:
        start, end = timeline.seconds(s.first_frame), timeline.seconds(s.last_frame)
        rows.writerow(
            [s.index, s.first_frame, s.last_frame, f"{start:.3f}", f"{end:.3f}", s.kind, s.reason]
        )
    part = path.with_name(path.name + ".part")
    with writing(path):
        part.write_text(table.getvalue(), encoding="utf-8")
        part.replace(path)


def read_kinds(path: Path) -> dict[int, SpanKind]:
    """The kinds a person wrote into a plan, by first frame; empty where it has no such column.

    The plan is one that :func:`lipsync_core.media.scenes.read_cuts` has read.

    Raises:
        InputError: a kind is neither ``lipsync`` nor ``passthrough``.
    """
    text = path.read_text(encoding="utf-8-sig")
    head = text.partition("\n")[0]
    rows = csv.reader(io.StringIO(text), delimiter=";" if ";" in head and "," not in head else ",")
    columns = [cell.strip().lower() for cell in next(rows, [])]
    kinds: dict[int, SpanKind] = {}
    if not {"first_frame", "kind"} <= set(columns):
        return kinds
    for cells in rows:
        row = dict(zip(columns, map(str.strip, cells), strict=False))
        given = row.get("kind", "").lower()
        if given and given not in set(SpanKind):
            raise InputError(
                f"{path.name} line {rows.line_num}: kind {given!r}: write lipsync or passthrough"
            )
        if given:
            kinds[int(row["first_frame"])] = SpanKind(given)
    return kinds


def with_kinds(timeline: Timeline, kinds: Mapping[int, SpanKind]) -> Timeline:
    """The plan with the kinds a person chose; theirs overrule what was found."""
    segments = tuple(
        replace(s, kind=kinds[s.first_frame], reason="chosen by hand")
        if kinds.get(s.first_frame, s.kind) != s.kind
        else s
        for s in timeline.segments
    )
    return replace(timeline, segments=segments)
