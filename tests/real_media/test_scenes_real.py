from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest

from lipsync_core.media.scenes import CutFinder


def cuts_of(film: Path) -> dict[str, list[int]]:
    """What either detector finds in one decoding of the film."""
    with av.open(str(film)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        rate = Fraction(stream.guessed_rate or 25)
        finders = {"adaptive": CutFinder(rate, "adaptive"), "content": CutFinder(rate, "content")}
        for index, frame in enumerate(container.decode(stream)):
            height = round(256 * frame.height / frame.width)
            bgr = frame.reformat(256, height, "bgr24", interpolation="AREA").to_ndarray()
            for finder in finders.values():
                finder.feed(index, bgr)
    return {name: [cut.frame for cut in finder.finish()] for name, finder in finders.items()}


@pytest.mark.parametrize(
    ("name", "cuts"),
    [
        ("hamilton_cuts.mp4", [20, 82, 211]),  # a hand in a dark shot at 60 is none
        ("goldeneye_rotated.mp4", [90, 210]),
        ("goldeneye_vfr.mp4", [60, 140]),  # stored frames, on screen from 3.754 s and 8.759 s
        ("psd_testvideo.mp4", [30, 180]),  # the fades after them are none
        ("psd_fades.mp4", []),
        ("hdtf_aoc.mp4", []),  # one shot, strong head motion
    ],
)
def test_the_cuts_of_real_films_are_found_to_the_frame(
    real_media: Path, name: str, cuts: list[int]
) -> None:
    assert cuts_of(real_media / name) == {"adaptive": cuts, "content": cuts}
