"""Parts become one film again: every frame in its place, one sound that never slips."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import soundfile
from media_factory import (
    bursts,
    decoded_sound,
    lag_ms,
    make_film,
    number_of,
    numbered_frame,
    write_sound,
)

from lipsync_core.errors import InputError, TimelineBroken
from lipsync_core.media.audio import Track, lay_track
from lipsync_core.media.checks import psnr_outside_db
from lipsync_core.media.frames import planes_of, read_frames
from lipsync_core.media.join_parts import join_parts
from lipsync_core.media.parts import TABLE, find_parts
from lipsync_core.media.probe import ColourTags, FilmInfo, probe
from lipsync_core.media.scenes import write_segments
from lipsync_core.media.split import split_film
from lipsync_core.timeline import Cut, Segment, Timeline, sample_of_frame

CUTS = [1, 2, 30, 31, 64]
FRAMES, RATE = 90, Fraction(24000, 1001)


def split_into(folder: Path, film: Path, cuts: list[int] | None = None) -> tuple[FilmInfo, Track]:
    """A film and its sound in parts, as the split writes them."""
    info = probe(film)
    track = lay_track(film, folder / "laid.wav", frames=info.frames, frame_rate=info.frame_rate)
    cut = Timeline.from_cuts(map(Cut, cuts or CUTS), info.frames, info.frame_rate)
    split_film(info, cut.segments, track, folder)
    write_segments(folder / TABLE, cut.segments, info.frame_rate)
    return info, track


@pytest.fixture
def film(tmp_path: Path) -> Path:
    (tmp_path / "given").mkdir()
    return make_film(
        tmp_path / "given" / "film.mp4", frames=FRAMES, rate=RATE, sound=bursts(3.76, 48_000, 2)
    )


def numbers(film: Path) -> list[int]:
    return [number_of(frame) for frame in read_frames(probe(film))]


def test_split_and_joined_a_film_is_what_it_was(tmp_path: Path, film: Path) -> None:
    info, track = split_into(tmp_path, film)
    told: list[int] = []
    joined = join_parts(find_parts(tmp_path), None, tmp_path / "joined.mp4", on_frame=told.append)
    final = probe(tmp_path / "joined.mp4")
    assert (final.frames, final.frame_rate, final.pixel_format, final.colour) == (
        FRAMES, RATE, info.pixel_format, info.colour,
    )  # fmt: skip
    assert numbers(final.path) == list(range(FRAMES))
    assert psnr_outside_db(info, final, []) > 40
    heard = decoded_sound(final.path, 2)
    assert abs(len(heard) - track.samples) <= 1
    for cut in (0, *CUTS, FRAMES):
        middle = sample_of_frame(cut, RATE, 48_000)
        window = slice(max(0, middle - 24_000), middle + 24_000)
        assert abs(lag_ms(heard[window], track.read()[window], 48_000)) < 0.05
    assert joined.max_boundary_lag_ms is not None
    assert joined.max_boundary_lag_ms < 0.05
    assert (joined.info.path, joined.sound, joined.notes) == (final.path, "the aud_NN.wav", ())
    assert told == list(range(1, FRAMES + 1))


def test_nothing_but_the_film_is_left_behind(tmp_path: Path, film: Path) -> None:
    split_into(tmp_path, film)
    before = set(tmp_path.iterdir())
    join_parts(find_parts(tmp_path), None, tmp_path / "new" / "joined.mov")
    assert set(tmp_path.iterdir()) - before == {tmp_path / "new"}
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["joined.mov"]


def test_many_short_pieces_of_odd_length_do_not_add_up_to_a_drift(
    tmp_path: Path, film: Path
) -> None:
    """Two frames last 1334.67 samples: rounding each piece alone would lose 15 by the end."""
    sound = write_sound(tmp_path / "given" / "sound.wav", bursts(4, 16_000), 16_000)
    info = probe(film)
    track = lay_track(sound, tmp_path / "laid.wav", frames=FRAMES, frame_rate=RATE)
    pairs = Timeline.from_cuts(map(Cut, range(0, FRAMES, 2)), FRAMES, RATE)
    split_film(info, pairs.segments, track, tmp_path)
    join_parts(find_parts(tmp_path), None, tmp_path / "joined.mp4")
    heard, master = decoded_sound(tmp_path / "joined.mp4", 1), track.read()
    for start in (0, 20_000, 40_000):
        window = slice(start, start + 20_000)
        assert abs(lag_ms(heard[window], master[window], 16_000)) < 0.03


def test_a_master_speech_takes_the_place_of_the_pieces(tmp_path: Path, film: Path) -> None:
    split_into(tmp_path, film)
    master = bursts(5, 44_100, 1, seed=3)
    speech = write_sound(tmp_path / "speech.wav", master, 44_100)
    joined = join_parts(find_parts(tmp_path, with_sound=False), speech, tmp_path / "joined.mp4")
    heard = decoded_sound(tmp_path / "joined.mp4", 1)
    assert abs(lag_ms(heard, master[: len(heard)], 44_100)) < 0.05
    assert joined.sound == "speech.wav"
    assert joined.notes == ("the speech is 1.25 s longer than the film: it ends with the picture",)


def test_parts_from_the_middle_of_a_film_get_the_speech_of_that_middle(
    tmp_path: Path, film: Path
) -> None:
    _, track = split_into(tmp_path, film)
    for number in (1, 2, 3):
        (tmp_path / f"vid_{number:02d}.mp4").unlink()
    for number in (4, 5, 6):
        (tmp_path / f"vid_{number:02d}.mp4").rename(tmp_path / f"vid_{number - 3:02d}.mp4")
    middle = [Segment(0, 30, 31), Segment(1, 31, 64), Segment(2, 64, 90)]
    write_segments(tmp_path / TABLE, middle, RATE)
    joined = join_parts(find_parts(tmp_path, with_sound=False), film, tmp_path / "joined.mp4")
    assert numbers(tmp_path / "joined.mp4") == list(range(30, 90))
    heard = decoded_sound(tmp_path / "joined.mp4", 2)
    start = sample_of_frame(30, RATE, 48_000)
    expected = track.read(start, start + len(heard))
    assert abs(lag_ms(heard, expected, 48_000)) < 0.05
    assert joined.sound == "film.mp4 from 1.251 s on"


def test_without_any_sound_the_film_is_silent_and_says_so(tmp_path: Path, film: Path) -> None:
    split_into(tmp_path, film)
    for wav in tmp_path.glob("aud_*"):
        wav.unlink()
    joined = join_parts(find_parts(tmp_path), None, tmp_path / "joined.mp4")
    assert probe(tmp_path / "joined.mp4").sound is None
    assert (joined.max_boundary_lag_ms, joined.sound[:5]) == (None, "none,")


@pytest.mark.parametrize(
    ("frames", "shown", "words"),
    [
        (27, [*range(27), 26], "27 frames where 28 belong, the last one held"),
        (29, [*range(28)], "29 frames where 28 belong, the last one dropped"),
    ],
)
def test_a_frame_more_or_less_is_conformed_and_told(
    tmp_path: Path, film: Path, frames: int, shown: list[int], words: str
) -> None:
    split_into(tmp_path, film)
    make_film(tmp_path / "vid_03.mp4", frames=frames, rate=RATE)
    joined = join_parts(find_parts(tmp_path), None, tmp_path / "joined.mp4")
    assert numbers(tmp_path / "joined.mp4") == [0, 1, *shown, *range(30, FRAMES)]
    assert joined.notes == (f"vid_03.mp4: {words}",)
    assert joined.max_boundary_lag_ms is not None
    assert joined.max_boundary_lag_ms < 0.05


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"size": (96, 54)}, "vid_03.mp4 is 96x54 at 24000/1001 fps, vid_01.mp4 192x108 at 24000"),
        ({"rate": 25}, "vid_03.mp4 is 192x108 at 25 fps, vid_01.mp4 192x108 at 24000/1001 fps"),
        ({"options": {"x264-params": "sar=4/3"}}, "vid_03.mp4 is 192x108 with pixels 4/3 wide"),
    ],
)
def test_another_size_or_rate_is_refused(
    tmp_path: Path, film: Path, form: dict[str, Any], words: str
) -> None:
    split_into(tmp_path, film)
    make_film(tmp_path / "vid_03.mp4", **({"frames": 28, "rate": RATE} | form))
    with pytest.raises(InputError, match=words):
        join_parts(find_parts(tmp_path), None, tmp_path / "joined.mp4")
    assert not (tmp_path / "joined.mp4").exists()


def test_contradicting_colour_tags_are_refused_and_missing_ones_are_not(tmp_path: Path) -> None:
    bt709, bt601 = ColourTags(1, 1, 1, 1), ColourTags(5, 6, 5, 1)
    for number, colour in enumerate((None, bt709), 1):
        make_film(tmp_path / f"vid_{number:02d}.mp4", frames=5, colour=colour)
    join_parts(find_parts(tmp_path), None, tmp_path / "joined.mp4")
    assert replace(probe(tmp_path / "joined.mp4").colour, range=1) == bt709
    make_film(tmp_path / "vid_03.mp4", frames=5, colour=bt601)
    with pytest.raises(InputError, match=r"vid_03.mp4 and vid_02.mp4 have different colour tags"):
        join_parts(find_parts(tmp_path), None, tmp_path / "joined.mp4")


def test_another_pixel_format_or_range_is_converted_and_told(tmp_path: Path) -> None:
    make_film(tmp_path / "vid_01.mp4", frames=5)
    make_film(tmp_path / "vid_02.mp4", frames=5, pixel_format="yuv444p")
    make_film(tmp_path / "vid_03.mp4", frames=5, colour=ColourTags(range=2))
    joined = join_parts(find_parts(tmp_path), None, tmp_path / "joined.mp4")
    assert joined.notes == (
        "vid_02.mp4: yuv444p converted to yuv420p",
        "vid_03.mp4: colour range converted",
    )
    final = probe(tmp_path / "joined.mp4")
    assert (final.pixel_format, final.colour.range in (0, 1)) == ("yuv420p", True)
    lumas = [float(planes_of(frame)[0].mean()) for frame in read_frames(final)]
    own = [float(planes_of(numbered_frame(number))[0].mean()) for number in range(5)]
    assert lumas[:5] == pytest.approx(own, abs=1)
    assert lumas[5:10] == pytest.approx(own, abs=1)
    assert lumas[10:] == pytest.approx([16 + luma * 219 / 255 for luma in own], abs=1)


def test_a_sound_that_does_not_fit_its_picture_is_refused(tmp_path: Path, film: Path) -> None:
    split_into(tmp_path, film)
    place = tmp_path / "aud_03.wav"
    sound, rate = soundfile.read(place, always_2d=True)
    write_sound(place, sound[:-2_100], rate)
    with pytest.raises(TimelineBroken, match=r"aud_03.wav is 0.044 s shorter than its picture"):
        join_parts(find_parts(tmp_path), None, tmp_path / "joined.mp4")
    write_sound(place, sound[:-100], rate)
    joined = join_parts(find_parts(tmp_path), None, tmp_path / "joined.mp4")
    assert joined.notes == ("aud_03.wav: 100 samples of silence added at its end",)
    write_sound(place, sound[:, :1], rate)
    with pytest.raises(InputError, match=r"aud_03.wav and aud_01.wav differ in sample rate or"):
        join_parts(find_parts(tmp_path), None, tmp_path / "joined.mp4")
    place.write_text("no sound")
    with pytest.raises(InputError, match=r"not a WAV file: .*aud_03.wav"):
        join_parts(find_parts(tmp_path), None, tmp_path / "joined.mp4")


def test_a_film_goes_into_a_container_of_its_own(tmp_path: Path, film: Path) -> None:
    split_into(tmp_path, film)
    parts = find_parts(tmp_path)
    with pytest.raises(InputError, match=r"ends in \.mp4 or \.mov"):
        join_parts(parts, None, tmp_path / "joined.gif")
    with pytest.raises(InputError, match="is one of the parts"):
        join_parts(parts, None, tmp_path / "vid_02.mp4")
    assert len(numbers(tmp_path / "vid_02.mp4")) == 1
