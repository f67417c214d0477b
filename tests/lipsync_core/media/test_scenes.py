from __future__ import annotations

import csv
from collections.abc import Iterable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scenedetect import FrameTimecode
from scenedetect.output import write_scene_list

from lipsync_core.errors import InputError, StorageError
from lipsync_core.media.scenes import CutFinder, read_cuts, write_cuts
from lipsync_core.timeline import Cut

Picture = NDArray[np.uint8]
PAL, NTSC, FILM = Fraction(25), Fraction(30000, 1001), Fraction(24000, 1001)
both_detectors = pytest.mark.parametrize("detector", ["adaptive", "content"])


def shot(seed: int, frames: int, *, dim: float = 1.0) -> list[Picture]:
    """A shot of soft blotches, slowly panned, with the grain of a camera."""
    rng = np.random.default_rng(seed)
    blotches = rng.integers(0, 256, (9, 16, 3)).astype(np.uint8)
    scene = (cv2.resize(blotches, (256, 144), interpolation=cv2.INTER_CUBIC) * dim).astype(np.uint8)
    grain = rng.integers(0, 8, (4, *scene.shape)).astype(np.uint8)
    return [cv2.add(np.roll(scene, frame, axis=1), grain[frame % 4]) for frame in range(frames)]


def shots(lengths: Iterable[int]) -> list[Picture]:
    return [picture for seed, length in enumerate(lengths) for picture in shot(seed, length)]


def cuts_in(
    pictures: Iterable[Picture],
    detector: Literal["adaptive", "content"] = "adaptive",
    frame_rate: Fraction = PAL,
    minimum_s: float = 0.6,
) -> list[int]:
    finder = CutFinder(frame_rate, detector, minimum_s)
    for index, picture in enumerate(pictures):
        finder.feed(index, picture)
    return [cut.frame for cut in finder.finish()]


@both_detectors
@pytest.mark.parametrize("frame_rate", [FILM, PAL, NTSC, Fraction(60), Fraction(12)])
def test_a_hard_cut_is_found_to_the_frame_at_every_rate(
    detector: Literal["adaptive", "content"], frame_rate: Fraction
) -> None:
    assert cuts_in(shots([41, 37, 52]), detector, frame_rate) == [41, 78]


@both_detectors
@pytest.mark.parametrize("frame", [1, 2, 3, 10, 70, 77, 78, 79])
def test_a_cut_may_lie_right_at_either_end_of_the_film(
    detector: Literal["adaptive", "content"], frame: int
) -> None:
    assert cuts_in(shots([frame, 80 - frame]), detector) == [frame]


@both_detectors
def test_dark_shots_are_told_apart(detector: Literal["adaptive", "content"]) -> None:
    assert cuts_in(shot(1, 30, dim=0.2) + shot(2, 30, dim=0.2), detector) == [30]


@both_detectors
def test_one_moving_shot_holds_no_cut(detector: Literal["adaptive", "content"]) -> None:
    assert cuts_in(shot(3, 120), detector) == []


@both_detectors
@pytest.mark.parametrize(
    ("frame_rate", "length"), [(PAL, 1), (PAL, 2), (NTSC, 2), (Fraction(60), 5)]
)
def test_a_flash_of_light_is_no_cut(
    detector: Literal["adaptive", "content"], frame_rate: Fraction, length: int
) -> None:
    pictures = shot(4, 80)
    pictures[40 : 40 + length] = [np.full_like(pictures[0], 255)] * length
    assert cuts_in(pictures, detector, frame_rate) == []


@both_detectors
def test_a_flash_beside_a_cut_leaves_the_cut(detector: Literal["adaptive", "content"]) -> None:
    pictures = shots([60, 60])
    pictures[30] = np.full_like(pictures[0], 255)
    assert cuts_in(pictures, detector) == [60]


@pytest.mark.parametrize(("share_of_first", "kept"), [(0.65, 52), (0.35, 40)])
def test_of_two_cuts_nearer_than_the_minimum_the_harder_one_stays(
    share_of_first: float, kept: int
) -> None:
    first, last = shot(5, 52), shot(6, 52)
    between = [
        cv2.addWeighted(one, share_of_first, other, 1 - share_of_first, 0)
        for one, other in zip(first[40:], last[:12], strict=True)
    ]
    pictures = first[:40] + between + last[12:]
    assert cuts_in(pictures, minimum_s=0) == [40, 52]
    assert cuts_in(pictures, minimum_s=0.6) == [kept]


@pytest.mark.parametrize(
    ("frame_rate", "minimum_s", "apart", "kept"),
    [
        (PAL, 0.6, 15, 2), (PAL, 0.6, 14, 1),
        (FILM, 0.6, 15, 2), (FILM, 0.6, 14, 1),  # 14.4 frames
        (Fraction(30), 0.1, 3, 2), (Fraction(30), 0.1, 2, 1),
        (PAL, 0.5, 13, 2), (PAL, 0.5, 12, 1),
    ],
)  # fmt: skip
def test_cuts_may_be_exactly_the_minimum_apart(
    frame_rate: Fraction, minimum_s: float, apart: int, kept: int
) -> None:
    assert len(cuts_in(shots([30, apart, 30]), "content", frame_rate, minimum_s)) == kept


def test_a_film_may_be_fed_from_any_frame_on() -> None:
    finder = CutFinder(PAL)
    for index, picture in enumerate(shots([20, 20]), start=500):
        finder.feed(index, picture)
    assert finder.finish() == [Cut(520)]


@pytest.mark.parametrize("frames", [0, 1, 2])
def test_the_shortest_films_have_no_cuts(frames: int) -> None:
    assert cuts_in(shot(7, frames)) == []


@pytest.mark.parametrize("index", [0, 2])
def test_a_frame_left_out_or_fed_twice_is_refused(index: int) -> None:
    finder = CutFinder(PAL)
    picture = shot(8, 1)[0]
    finder.feed(0, picture)
    with pytest.raises(ValueError, match=rf"frame {index} was fed where 1 comes next"):
        finder.feed(index, picture)


def test_a_negative_minimum_is_refused() -> None:
    with pytest.raises(InputError, match="give 0 or more"):
        CutFinder(PAL, minimum_s=-1)


def test_the_table_of_cuts_can_be_read_by_people(tmp_path: Path) -> None:
    path = tmp_path / "scene_cuts.csv"
    write_cuts(path, [Cut(240), Cut(90_000)], FILM, 100_000)
    assert list(csv.reader(path.read_text(encoding="utf-8").splitlines())) == [
        ["segment", "first_frame", "last_frame", "start", "end"],
        ["0", "0", "240", "00:00:00.000", "00:00:10.010"],
        ["1", "240", "90000", "00:00:10.010", "01:02:33.750"],
        ["2", "90000", "100000", "01:02:33.750", "01:09:30.833"],
    ]
    assert [entry.name for entry in tmp_path.iterdir()] == ["scene_cuts.csv"]


@given(frames=st.integers(1, 10_000), data=st.data())
@settings(max_examples=50)
def test_written_cuts_are_read_back(
    tmp_path_factory: pytest.TempPathFactory, frames: int, data: st.DataObject
) -> None:
    inner = data.draw(st.sets(st.integers(1, frames - 1), max_size=20)) if frames > 1 else set()
    cuts = [Cut(frame) for frame in sorted(inner)]
    path = tmp_path_factory.mktemp("cuts") / "cuts.csv"
    write_cuts(path, cuts, NTSC, frames)
    assert read_cuts(path, frames) == cuts


def test_a_failed_write_leaves_the_old_table_and_no_part(tmp_path: Path) -> None:
    path = tmp_path / "cuts.csv"
    write_cuts(path, [Cut(5)], PAL, 10)
    before = path.read_bytes()
    with pytest.raises(InputError, match="outside the film's 10 frames"):
        write_cuts(path, [Cut(11)], PAL, 10)
    folder = tmp_path / "folder.csv"
    folder.mkdir()
    with pytest.raises(StorageError, match=r"folder\.csv"):
        write_cuts(folder, [Cut(5)], PAL, 10)
    assert path.read_bytes() == before
    assert {entry.name for entry in tmp_path.iterdir()} == {"cuts.csv", "folder.csv"}


@pytest.mark.parametrize(
    "text",
    [
        "first_frame\n0\n30\n82\n",
        "segment,first_frame,last_frame,start,end\n0,0,30,,\n\n1,30,999,nonsense,\n2,82,100,,\n",
        "\ufeffsegment;first_frame\r\n0;0\r\n1;30\r\n2;82\r\n",
        "first_frame,kind,reason\n30,lipsync,face\n82,passthrough,\n",
        "30\n82\n",
        "frame\n0\n30\n\n82",
        "Frame\n 30 \n 82 \n",
        "Scene Number,Start Frame,Start Timecode\n1,1,00:00:00.000\n2,31,x\n3,83,x\n",
    ],
)
def test_a_cut_list_may_be_written_in_many_ways(tmp_path: Path, text: str) -> None:
    path = tmp_path / "cuts.csv"
    path.write_bytes(text.encode())
    assert read_cuts(path, 100) == [Cut(30), Cut(82)]


@pytest.mark.parametrize("with_time_codes", [True, False])
@pytest.mark.parametrize("edges", [[0, 30, 82, 100], [0, 100]])
def test_the_scene_list_of_pyscenedetect_is_read(
    tmp_path: Path, edges: list[int], with_time_codes: bool
) -> None:
    codes = [FrameTimecode(frame, FILM) for frame in edges]
    scenes = list(pairwise(codes))
    path = tmp_path / "scenes.csv"
    write_scene_list(path, scenes, include_cut_list=with_time_codes)
    assert read_cuts(path, 100) == [Cut(frame) for frame in edges[1:-1]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("first_frame\n0\n30\nabc\n", "cuts.csv line 4: 'abc' is no frame number"),
        ("first_frame\n0\n\n-3\n", "cuts.csv line 4: '-3' is no frame number"),
        ("first_frame\n1.5\n", "cuts.csv line 2: '1.5' is no frame number"),
        ("segment,first_frame\n0,0\n1\n", "cuts.csv line 3: '' is no frame number"),
        ("30\n100\n", "cuts.csv line 2: frame 100 is not in the film: give 0 to 99"),
        ("Start Frame\n0\n", "cuts.csv line 2: frame 0 is not in the film: give 1 to 100"),
        ("30\n82\n31\n", "cuts.csv line 3: frame 31 does not come after frame 82"),
        ("30\n30\n", "cuts.csv line 2: frame 30 does not come after frame 30"),
        ("\nsegment,start\n0,0\n", "cuts.csv line 2: no column first_frame"),
        ("abc\n30\n", "cuts.csv line 1: no column first_frame"),
        ("30,82\n", "cuts.csv line 1: no column first_frame"),
        ("", "cuts.csv is empty: give one frame number a line"),
        ("\n , \n", "cuts.csv is empty"),
        ("frame\n" + "9" * 200_000, "cuts.csv line 2: not a table"),
    ],
)
def test_a_bad_cut_list_is_named_by_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "cuts.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_cuts(path, 100)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_cut_list_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such cut list"):
        read_cuts(tmp_path / "gone.csv", 100)
    with pytest.raises(InputError, match="cannot read the cut list"):
        read_cuts(tmp_path, 100)
    latin = tmp_path / "latin.csv"
    latin.write_bytes("frame\ngrößer\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"latin\.csv is not UTF-8"):
        read_cuts(latin, 100)
