"""Files of any names, renamed to numbered pairs."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from lipsync_core.errors import InputError
from lipsync_core.pairs.numbering import TABLE, films_and_speech, numbered, rename

Fill = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Fill:
    def fill(*names: str) -> Path:
        for name in names:
            (tmp_path / name).write_text(name)
        return tmp_path

    return fill


def held(folder: Path) -> dict[str, str]:
    """What lies in the folder now, and what it was called."""
    return {path.name: path.read_text() for path in folder.iterdir() if path.name != TABLE}


def test_takes_are_numbered_as_a_person_counts_them(folder: Fill) -> None:
    place = folder("take 10.mov", "take 9.MOV", "de 9.wav", "de 10.wav", "notes.txt", "._de.wav")
    rename(numbered([place]))
    assert held(place) == {
        "vid_01.mov": "take 9.MOV", "vid_02.mov": "take 10.mov",
        "aud_01.wav": "de 9.wav", "aud_02.wav": "de 10.wav",
        "notes.txt": "notes.txt", "._de.wav": "._de.wav",
    }  # fmt: skip


def test_names_that_change_places_lose_nothing(folder: Fill) -> None:
    place = folder("vid_02.mp4", "a.wav", "vid_01.mov", "b.wav", "vid_03.mp4", "c.wav")
    (place / "vid_03.mp4").rename(place / "Vid_00.mp4")  # comes first now: every other one moves
    rename(numbered([place]))
    assert held(place) == {
        "vid_01.mp4": "vid_03.mp4", "vid_02.mov": "vid_01.mov", "vid_03.mp4": "vid_02.mp4",
        "aud_01.wav": "a.wav", "aud_02.wav": "b.wav", "aud_03.wav": "c.wav",
    }  # fmt: skip


def test_a_row_of_names_moves_up_by_one(folder: Fill) -> None:
    place = folder("vid_01.mp4", "vid_02.mp4", "aud_01.wav", "aud_02.wav")
    rename(numbered([place], first=2))
    assert held(place) == {
        "vid_02.mp4": "vid_01.mp4", "vid_03.mp4": "vid_02.mp4",
        "aud_02.wav": "aud_01.wav", "aud_03.wav": "aud_02.wav",
    }  # fmt: skip


def test_the_renaming_can_be_read_back(folder: Fill) -> None:
    place = folder("b.mp4", "b.wav")
    rename(numbered([place], first=7))
    with (place / TABLE).open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {(row["old"], row["new"]) for row in rows} == {
        ("b.mp4", "vid_07.mp4"), ("b.wav", "aud_07.wav")
    }  # fmt: skip


def test_what_is_numbered_already_stays_as_it_is(folder: Fill) -> None:
    place = folder("vid_01.mp4", "aud_01.wav")
    rename(numbered([place]))
    assert not (place / TABLE).exists()
    assert set(held(place)) == {"vid_01.mp4", "aud_01.wav"}


def test_a_stranger_with_one_of_the_new_names_is_not_overwritten(folder: Fill) -> None:
    place = folder("talk.mp4", "talk.wav", "vid_01.mp4")
    with pytest.raises(InputError, match="is already there: move it away first"):
        numbered([place / "talk.mp4", place / "talk.wav"])
    assert set(held(place)) == {"talk.mp4", "talk.wav", "vid_01.mp4"}


def test_what_a_killed_renaming_left_is_not_overwritten(folder: Fill) -> None:
    place = folder("vid_01.mp4", "vid_01.mp4.renaming", "vid_02.mp4", "aud_01.wav", "aud_02.wav")
    with pytest.raises(InputError, match=r"vid_01\.mp4\.renaming is left from a renaming"):
        numbered([place], first=2)


def test_a_folder_given_twice_is_renamed_once(folder: Fill) -> None:
    place = folder("a 1²2.mp4", "b.wav")
    rename(numbered([place, place, place / "b.wav"]))
    assert set(held(place)) == {"vid_01.mp4", "aud_01.wav"}


def test_a_film_without_its_speech_stops_everything(folder: Fill) -> None:
    place = folder("a.mp4", "b.mp4", "a.wav")
    with pytest.raises(InputError, match="2 films and 1 speech files"):
        numbered([place])


def test_a_file_that_is_neither_is_named(folder: Fill) -> None:
    place = folder("a.mp4", "a.txt")
    with pytest.raises(InputError, match=r"a\.txt is called neither as a film nor as speech"):
        films_and_speech([place / "a.mp4", place / "a.txt"])
    with pytest.raises(InputError, match="no such file or folder"):
        films_and_speech([place / "gone.mp4"])
