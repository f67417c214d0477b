from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipsync_core.naming import (
    MAX_FOLDER_BYTES,
    NumberedName,
    audio_name,
    film_folder,
    parse_numbered,
    segment_stem,
    video_name,
)

DEVICES = {"con", "prn", "aux", "nul", *(f"{d}{n}" for d in ("com", "lpt") for n in range(10))}
FORBIDDEN = set('<>:"/\\|?*. \x00\n\t')

suffixes = st.from_regex(r"(\.[0-9A-Za-z]{1,5})?", fullmatch=True)


@pytest.mark.parametrize(
    ("stem", "folder"),
    [
        ("interview", "interview"),
        ("My Film (final cut)", "My_Film_final_cut"),
        ('it\'s "quoted"', "it_s_quoted"),
        ("scene.1.v2", "scene_1_v2"),
        ("take-07", "take-07"),
        ("Ünïcödé Größe", "Ünïcödé_Größe"),
        ("हिन्दी फ़िल्म", unicodedata.normalize("NFKC", "हिन्दी_फ़िल्म")),
        ("采访 第一集", "采访_第一集"),
        ("party 🎉❤️ time", "party_time"),
        ("1️⃣ first", "1_first"),
        ("../../etc/passwd", "etc_passwd"),
        (".hidden", "hidden"),
        ("--option", "option"),
        ("a/b\\c", "a_b_c"),
        ("full／width", "full_width"),
        ("bell\x07tab\tline\n", "bell_tab_line"),
        ("undecodable\udcff", "undecodable"),
        ("CON", "film_CON"),
        ("lpt1", "film_lpt1"),
        ("COM¹", "film_COM1"),
        ("console", "console"),
        ("", "film"),
        ("...", "film"),
        ("🎬", "film"),
    ],
)
def test_a_hostile_stem_becomes_a_readable_folder(stem: str, folder: str) -> None:
    assert film_folder(stem) == folder


def test_a_decomposed_name_and_a_composed_one_give_the_same_folder() -> None:
    assert film_folder("Cafe\u0301") == film_folder("Caf\u00e9") == "Caf\u00e9"


def test_a_long_name_is_cut_between_characters() -> None:
    assert film_folder("x" * 300) == "x" * MAX_FOLDER_BYTES
    assert film_folder("ß" * 300) == "ß" * (MAX_FOLDER_BYTES // 2)
    assert film_folder("語" * 300) == "語" * (MAX_FOLDER_BYTES // 3)


def test_a_taken_name_gets_the_next_free_number() -> None:
    assert film_folder("talk", {"talk"}) == "talk_2"
    assert film_folder("talk", {"talk", "talk_2", "other"}) == "talk_3"


def test_names_that_differ_only_in_case_or_in_normal_form_count_as_taken() -> None:
    assert film_folder("Talk", {"tALK"}) == "Talk_2"
    assert film_folder("Caf\u00e9", {"Cafe\u0301"}) == "Caf\u00e9_2"


def test_a_number_still_fits_behind_a_long_name() -> None:
    long = film_folder("ab_" * 100)
    numbered = film_folder("ab_" * 100, {long})
    assert numbered.endswith("_2")
    assert len(numbered.encode()) <= MAX_FOLDER_BYTES


@given(st.text(max_size=400))
def test_every_text_gives_a_folder_that_is_safe_everywhere(stem: str) -> None:
    folder = film_folder(stem)
    assert 1 <= len(folder.encode()) <= MAX_FOLDER_BYTES
    assert not FORBIDDEN & set(folder)
    assert folder[0] not in "-_"
    assert folder[-1] not in "-_"
    assert folder.casefold() not in DEVICES
    assert "__" not in folder
    assert all(unicodedata.category(char)[0] in "LMN" or char in "_-" for char in folder)
    assert unicodedata.normalize("NFC", folder) == folder
    assert film_folder(folder) == folder


@given(st.lists(st.text(alphabet="aA.ß語 ", max_size=40), max_size=12))
def test_films_named_one_after_the_other_never_share_a_folder(stems: list[str]) -> None:
    folders: list[str] = []
    for stem in stems:
        folders.append(film_folder(stem, folders))
    assert len({folder.casefold() for folder in folders}) == len(stems)
    assert all(len(folder.encode()) <= MAX_FOLDER_BYTES for folder in folders)


@pytest.mark.parametrize("stem", ["CON", "../x", 'a"b', "x" * 300, "語" * 300, "🎬", "a\nb"])
def test_the_folder_can_be_made(tmp_path: Path, stem: str) -> None:
    folder = tmp_path / film_folder(stem)
    folder.mkdir()
    assert [entry.name for entry in tmp_path.iterdir()] == [folder.name]


def test_pairs_are_numbered_with_two_digits_and_more_when_there_are_more() -> None:
    assert video_name(1, ".mp4") == "vid_01.mp4"
    assert audio_name(42, ".wav") == "aud_42.wav"
    assert video_name(100, ".mov") == "vid_100.mov"
    assert audio_name(7, "") == "aud_07"


@given(st.integers(1, 10**6), suffixes)
def test_a_numbered_name_is_read_back_as_it_was_given(number: int, suffix: str) -> None:
    assert parse_numbered(video_name(number, suffix)) == NumberedName("vid", number, suffix)
    assert parse_numbered(audio_name(number, suffix)) == NumberedName("aud", number, suffix)


@given(st.from_regex(r"(vid|aud|x)_?[0-9]{0,4}(\.[a-z4]{0,4})?", fullmatch=True))
def test_whatever_is_parsed_is_built_again_letter_for_letter(name: str) -> None:
    numbered = parse_numbered(name)
    assert str(numbered) == name if numbered else not re.fullmatch(r"vid_[1-9]\d\.mp4", name)


@pytest.mark.parametrize(
    "name",
    ["vid_1.mp4", "vid_001.mp4", "vid_00.mp4", "vid_01.mp4.part", "VID_01.mp4", "img_01.png",
     "vid_01.", "my_vid_01.mp4", "vid_01.mp4\n", "vid_٠١.mp4", ""],
)  # fmt: skip
def test_a_near_miss_is_no_numbered_name(name: str) -> None:
    assert parse_numbered(name) is None


@pytest.mark.parametrize(("number", "suffix"), [(0, ".mp4"), (-1, ".mp4"), (1, "mp4"), (1, "./x")])
def test_a_name_that_could_not_be_read_back_is_not_built(number: int, suffix: str) -> None:
    with pytest.raises(ValueError, match=r"counted from 1|not a file suffix"):
        video_name(number, suffix)


def test_segment_stems_have_four_digits_and_sort_by_index() -> None:
    assert segment_stem(7) == "seg_0007"
    stems = [segment_stem(index) for index in range(0, 10_000, 37)]
    assert stems == sorted(stems)
