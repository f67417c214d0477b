"""Which segments get a new mouth, why the others do not, and how a person changes it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from face_factory import recorded_words, speaking_faces, still_faces, without_faces

from lipsync_core.errors import InputError
from lipsync_core.faces.landmarks import FaceTrack
from lipsync_core.media.scenes import read_cuts
from lipsync_core.media.speech import VoiceActivity
from lipsync_core.plan import PlanRules, plan_segments, read_kinds, with_kinds, write_plan
from lipsync_core.timeline import Cut, SpanKind, Timeline

RATE = Fraction(25)
FRAMES = 500  # 20 s
TALKING = VoiceActivity(((0.0, 20.0),), "silero")
NOBODY = VoiceActivity((), "silero")


def planned(
    faces: FaceTrack | None = None,
    voice: VoiceActivity = TALKING,
    cuts: tuple[int, ...] = (),
    rules: PlanRules | None = None,
    *,
    divide: bool = True,
) -> Timeline:
    faces = still_faces(FRAMES) if faces is None else faces
    shots = [Cut(frame) for frame in cuts]

    def faces_of(first: int, last: int) -> FaceTrack:
        return FaceTrack(faces.points[first:last], first)

    return plan_segments(RATE, FRAMES, shots, faces_of, voice, rules or PlanRules(), divide=divide)


def told(timeline: Timeline) -> list[tuple[int, int, str, str]]:
    return [(s.first_frame, s.last_frame, s.kind.value, s.reason) for s in timeline.segments]


def joined(*tracks: FaceTrack) -> FaceTrack:
    return FaceTrack(np.concatenate([track.points for track in tracks]))


def test_a_speaking_face_gets_a_new_mouth() -> None:
    assert told(planned()) == [(0, 500, "lipsync", "")]


def test_every_shot_is_judged_by_itself() -> None:
    faces = joined(
        still_faces(100),
        without_faces(still_faces(100), slice(None)),
        still_faces(100, eyes_px=23),
        still_faces(100, turn=0.6),
        still_faces(100, turn=-0.5, eyes_px=25),
    )
    assert told(planned(faces, cuts=(100, 200, 300, 400))) == [
        (0, 100, "lipsync", ""),
        (100, 200, "passthrough", "no face"),
        (200, 300, "passthrough", "face too small: 23 px between the eyes"),
        (300, 400, "passthrough", "face in profile"),
        (400, 500, "lipsync", ""),
    ]


def test_a_tilted_head_is_no_profile() -> None:
    assert planned(still_faces(FRAMES, roll=25)).segments[0].kind is SpanKind.LIPSYNC


def test_a_face_must_be_there_most_of_the_time() -> None:
    faces = without_faces(still_faces(FRAMES), slice(0, 151))
    assert told(planned(faces)) == [(0, 500, "passthrough", "a face in only 70% of frames")]
    faces = without_faces(still_faces(FRAMES), slice(0, 150))
    assert told(planned(faces)) == [(0, 500, "lipsync", "")]


def test_a_face_may_look_away_now_and_then() -> None:
    faces = joined(still_faces(310), still_faces(190, turn=0.9))
    assert told(planned(faces)) == [(0, 500, "lipsync", "")]
    faces = joined(still_faces(290), still_faces(210, turn=0.9))
    assert told(planned(faces)) == [(0, 500, "passthrough", "face in profile")]


def test_where_nobody_speaks_the_picture_is_kept() -> None:
    voice = VoiceActivity(((0.0, 3.9), (12.1, 12.2), (15.9, 20.0)), "silero")
    assert told(planned(voice=voice, cuts=(100, 200, 300, 400), divide=False)) == [
        (0, 100, "lipsync", ""),
        (100, 200, "passthrough", "nobody speaks"),
        (200, 300, "passthrough", "nobody speaks"),
        (300, 400, "passthrough", "nobody speaks"),  # a tenth of a second is no word
        (400, 500, "lipsync", ""),
    ]
    assert told(planned(voice=NOBODY, divide=False)) == [(0, 500, "passthrough", "nobody speaks")]


def test_a_mouth_that_moves_without_words_is_pointed_at() -> None:
    talking = speaking_faces(recorded_words("speech_a", 4), 100, RATE)
    faces = joined(talking, still_faces(FRAMES - 100))
    assert told(planned(faces, NOBODY, cuts=(100,), divide=False)) == [
        (0, 100, "passthrough", "nobody speaks, yet the mouth moves"),
        (100, 500, "passthrough", "nobody speaks"),
    ]


def test_half_of_a_very_short_shot_spoken_is_enough() -> None:
    voice = VoiceActivity(((4.1, 4.3),), "silero")
    kinds = [s.kind for s in planned(voice=voice, cuts=(100, 105), divide=False).segments]
    assert kinds == [SpanKind.PASSTHROUGH, SpanKind.LIPSYNC, SpanKind.PASSTHROUGH]


def test_long_shots_are_divided_in_the_middle_of_silences() -> None:
    voice = VoiceActivity(((0.0, 4.0), (5.0, 9.0), (9.2, 11.0), (11.6, 20.0)), "silero")
    assert [s.first_frame for s in planned(voice=voice).segments] == [0, 282]
    short = planned(voice=voice, rules=PlanRules(target_s=5))
    assert [s.first_frame for s in short.segments] == [0, 112, 282]
    # the pause from 9.0 to 9.2 s is too short to divide anything in


def test_a_person_s_own_cuts_are_not_divided_further() -> None:
    voice = VoiceActivity(((0.0, 4.0), (5.0, 9.0), (11.6, 20.0)), "silero")
    assert [s.first_frame for s in planned(voice=voice, cuts=(10,), divide=False).segments] == [
        0,
        10,
    ]


def test_outside_the_part_asked_for_the_picture_is_kept() -> None:
    rules = PlanRules(start_s=4, end_s=12)
    assert told(planned(rules=rules, cuts=(150,))) == [
        (0, 100, "passthrough", "outside the part asked for"),
        (100, 150, "lipsync", ""),
        (150, 300, "lipsync", ""),
        (300, 500, "passthrough", "outside the part asked for"),
    ]


def test_a_part_that_begins_after_the_film_keeps_it_all() -> None:
    assert told(planned(rules=PlanRules(start_s=60))) == [
        (0, 500, "passthrough", "outside the part asked for")
    ]


def test_a_part_that_ends_after_the_film_is_all_of_it() -> None:
    assert told(planned(rules=PlanRules(end_s=60))) == [(0, 500, "lipsync", "")]


def test_a_plan_comes_back_as_it_was_written(tmp_path: Path) -> None:
    faces = joined(still_faces(200), without_faces(still_faces(300), slice(None)))
    plan = planned(faces, cuts=(200, 333))
    path = tmp_path / "segments.csv"
    write_plan(path, plan)
    assert read_cuts(path, FRAMES) == [Cut(200), Cut(333)]
    assert read_kinds(path) == {s.first_frame: s.kind for s in plan.segments}
    assert with_kinds(plan, read_kinds(path)) == plan
    assert not list(tmp_path.glob("*.part"))


def test_the_table_is_for_people(tmp_path: Path) -> None:
    path = tmp_path / "segments.csv"
    write_plan(path, planned(still_faces(FRAMES, eyes_px=20), cuts=(77,)))
    assert path.read_text().splitlines() == [
        "segment,first_frame,last_frame,start_s,end_s,kind,reason",
        "0,0,77,0.000,3.080,passthrough,face too small: 20 px between the eyes",
        "1,77,500,3.080,20.000,passthrough,face too small: 20 px between the eyes",
    ]


def test_kinds_chosen_by_hand_overrule_what_was_found(tmp_path: Path) -> None:
    path = tmp_path / "segments.csv"
    write_plan(path, planned(cuts=(200,)))
    path.write_text(path.read_text().replace("lipsync", "passthrough", 1))
    changed = with_kinds(planned(cuts=(200,)), read_kinds(path))
    assert told(changed) == [
        (0, 200, "passthrough", "chosen by hand"),
        (200, 500, "lipsync", ""),
    ]


def test_a_kind_for_a_frame_where_no_segment_begins_changes_nothing() -> None:
    plan = planned(cuts=(200,))
    assert with_kinds(plan, {10: SpanKind.PASSTHROUGH}) == plan


def test_kinds_are_read_as_people_write_them(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("First_Frame; Kind ;note\n0; LipSync ;a\n40;;b\n80;passthrough;c\n")
    assert read_kinds(path) == {0: SpanKind.LIPSYNC, 80: SpanKind.PASSTHROUGH}


def test_a_cut_list_without_kinds_chooses_none(tmp_path: Path) -> None:
    path = tmp_path / "cuts.csv"
    path.write_text("first_frame\n0\n40\n")
    assert read_kinds(path) == {}


def test_an_unknown_kind_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("first_frame,kind\n0,lipsync\n40,blur\n")
    with pytest.raises(InputError, match=r"mine\.csv line 3: kind 'blur': write lipsync or pass"):
        read_kinds(path)
