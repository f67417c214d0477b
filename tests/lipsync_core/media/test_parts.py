"""A folder of parts is a film only when no part is missing, doubled, too long or too short."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from media_factory import bursts, make_film, write_sound

from lipsync_core.errors import InputError, TimelineBroken
from lipsync_core.media.parts import TABLE, find_parts, make_room, part_segments
from lipsync_core.media.scenes import read_segments, write_segments
from lipsync_core.timeline import Cut, Segment


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three parts of 12, 7 and 9 frames with their sound and their table."""
    segments = [Segment(0, 0, 12), Segment(1, 12, 19), Segment(2, 19, 28)]
    for segment in segments:
        number = segment.index + 1
        make_film(tmp_path / f"vid_{number:02d}.mp4", frames=segment.frames, size=(64, 48))
        sound = bursts(segment.frames / 25, 16_000)
        write_sound(tmp_path / f"aud_{number:02d}.wav", sound, 16_000)
    write_segments(tmp_path / TABLE, segments, Fraction(25))
    return tmp_path


def test_parts_are_found_in_order_with_their_frames_and_sound(folder: Path) -> None:
    parts = find_parts(folder)
    assert [(p.number, p.first_frame, p.last_frame) for p in parts] == [
        (1, 0, 12), (2, 12, 19), (3, 19, 28),
    ]  # fmt: skip
    assert [p.sound and p.sound.name for p in parts] == ["aud_01.wav", "aud_02.wav", "aud_03.wav"]


def test_without_a_table_the_parts_follow_each_other(folder: Path) -> None:
    expected = find_parts(folder)
    (folder / TABLE).unlink()
    assert find_parts(folder) == expected


def test_other_files_in_the_folder_do_no_harm(folder: Path) -> None:
    for name in ("notes.txt", "vid_01.json", "vid_1.mp4", "vid_02.mp4.part", "aud_01.txt"):
        (folder / name).write_text("x")
    assert len(find_parts(folder)) == 3


def test_missing_parts_are_named(folder: Path) -> None:
    (folder / "vid_01.mp4").unlink()
    (folder / "vid_03.mp4").unlink()
    with pytest.raises(InputError, match=r"vid_01, vid_03 missing in .*: 3 parts make the film"):
        find_parts(folder)
    (folder / TABLE).unlink()
    with pytest.raises(InputError, match="vid_01 missing in"):
        find_parts(folder)


def test_missing_sound_is_named_only_where_it_is_wanted(folder: Path) -> None:
    (folder / "aud_02.wav").unlink()
    with pytest.raises(InputError, match="aud_02 missing in"):
        find_parts(folder)
    assert [part.sound for part in find_parts(folder, with_sound=False)] == [None] * 3


def test_one_part_twice_is_refused(folder: Path) -> None:
    make_film(folder / "vid_02.mov", frames=7, size=(64, 48))
    with pytest.raises(InputError, match=r"vid_02\.mov and vid_02\.mp4 in .* are the same part"):
        find_parts(folder)


def test_a_part_too_many_is_refused(folder: Path) -> None:
    make_film(folder / "vid_04.mp4", frames=7, size=(64, 48))
    with pytest.raises(InputError, match=r"vid_04\.mp4 in .* is one more than the 3 parts"):
        find_parts(folder)


@pytest.mark.parametrize("frames", [6, 8])
def test_one_frame_more_or_less_is_let_pass(folder: Path, frames: int) -> None:
    make_film(folder / "vid_02.mp4", frames=frames, size=(64, 48))
    part = find_parts(folder)[1]
    assert (part.frames, part.info.frames) == (7, frames)


@pytest.mark.parametrize("frames", [5, 9])
def test_two_frames_more_or_less_break_the_timeline(folder: Path, frames: int) -> None:
    make_film(folder / "vid_02.mp4", frames=frames, size=(64, 48))
    with pytest.raises(TimelineBroken, match=rf"holds {frames} frames, {TABLE} says 7"):
        find_parts(folder)


def test_a_folder_without_parts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no vid_01, vid_02, … in"):
        find_parts(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        find_parts(tmp_path / "nowhere")
    write_segments(tmp_path / TABLE, [Segment(0, 0, 5)], Fraction(25))
    with pytest.raises(InputError, match=rf"no vid_NN in .*, where {TABLE} lists 1"):
        find_parts(tmp_path)


def test_the_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    segments = [Segment(0, 7, 12), Segment(1, 12, 13), Segment(2, 13, 90)]
    write_segments(tmp_path / TABLE, segments, Fraction(24000, 1001))
    assert read_segments(tmp_path / TABLE) == segments


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ("first_frame,last_frame\n0,5\n6,9\n", "line 3: frames .6, 9. stand where frame 5 comes"),
        ("first_frame,last_frame\n0,5\n5,5\n", "line 3: frames .5, 5. stand where frame 5 comes"),
        ("first_frame,last_frame\n0,five\n", "line 2: give a whole number for first_frame and"),
        ("first_frame\n0\n5\n", "line 2: give a whole number for first_frame and last_frame"),
        ("first_frame,last_frame\n", "line 1: no segment follows"),
    ],
)
def test_a_table_that_makes_no_timeline_is_refused(
    tmp_path: Path, table: str, complaint: str
) -> None:
    (tmp_path / TABLE).write_text(table)
    with pytest.raises(InputError, match=complaint):
        read_segments(tmp_path / TABLE)


def test_segments_are_the_shots_between_the_two_moments() -> None:
    cuts = [Cut(10), Cut(30), Cut(60)]
    whole = part_segments(cuts, 100, Fraction(25))
    assert [(s.index, s.first_frame, s.last_frame) for s in whole] == [
        (0, 0, 10), (1, 10, 30), (2, 30, 60), (3, 60, 100),
    ]  # fmt: skip
    middle = part_segments(cuts, 100, Fraction(25), start_s=0.8, end_s=2.0)
    assert [(s.index, s.first_frame, s.last_frame) for s in middle] == [(0, 20, 30), (1, 30, 50)]
    assert part_segments(cuts, 100, Fraction(25), start_s=2.4, end_s=99)[0].first_frame == 60
    with pytest.raises(InputError, match="nothing lies between frame 100 and frame 100"):
        part_segments(cuts, 100, Fraction(25), start_s=4.0)


def test_parts_of_another_film_are_not_mixed_in(folder: Path) -> None:
    with pytest.raises(InputError, match=r"already holds aud_01\.wav: .*--overwrite .* its 6 "):
        make_room(folder, overwrite=False)
    (folder / "notes.txt").write_text("mine")
    make_room(folder, overwrite=True)
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]
    with pytest.raises(InputError, match="not a folder"):
        make_room(folder / "notes.txt", overwrite=True)
    make_room(folder / "new" / "one", overwrite=False)
    assert (folder / "new" / "one").is_dir()
