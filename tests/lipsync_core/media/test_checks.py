from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest
from media_factory import bursts, make_film, number_of, numbered_frame, write_sound

from lipsync_core.errors import TimelineBroken
from lipsync_core.media.audio import Track, lay_track
from lipsync_core.media.checks import Checks, boundary_lags_ms, check_film
from lipsync_core.media.clip import Box, Clip
from lipsync_core.media.encode import write_film
from lipsync_core.media.frames import FrameWriter, frame_of, planes_of, read_frames
from lipsync_core.media.join import join_film
from lipsync_core.media.probe import ColourTags, FilmInfo, probe

RATE = 16_000
Frames = Iterator[av.VideoFrame]


@pytest.fixture(scope="module")
def info(tmp_path_factory: pytest.TempPathFactory) -> FilmInfo:
    """A film of four seconds."""
    film = tmp_path_factory.mktemp("film") / "film.mp4"
    return probe(make_film(film, frames=100, size=(128, 96), colour=ColourTags(1, 1, 1, 1)))


def laid(folder: Path, info: FilmInfo, sound: np.ndarray, name: str = "speech") -> Track:
    source = write_sound(folder / f"{name}.wav", sound, RATE)
    return lay_track(
        source, folder / f"{name}-laid.wav", frames=info.frames, frame_rate=info.frame_rate
    )


@pytest.fixture
def speech(tmp_path: Path, info: FilmInfo) -> Track:
    return laid(tmp_path, info, bursts(4, RATE, 1))


def finished(
    folder: Path,
    info: FilmInfo,
    sound: Track | None,
    change: Callable[[Frames], Frames] = lambda frames: frames,
) -> Path:
    """What a join might have written, had something gone wrong on the way."""
    out = folder / "final.mp4"
    write_film(change(read_frames(info)), info, sound, out, crf=14, preset="veryfast")
    return out


def test_a_good_film_passes(tmp_path: Path, info: FilmInfo, speech: Track) -> None:
    checks = check_film(info, finished(tmp_path, info, speech), speech, [], [25, 50, 75])
    assert checks.failures() == []
    assert checks.max_boundary_lag_ms < 0.05
    assert 42 < checks.psnr_outside_db < 60
    assert not list(tmp_path.glob("check-*"))


@pytest.mark.parametrize("shift_ms", [-21.0, 1.25, 0.5, 350.0])
def test_a_shifted_sound_is_measured_and_its_direction_known(
    tmp_path: Path, info: FilmInfo, speech: Track, shift_ms: float
) -> None:
    samples = round(shift_ms * RATE / 1000)
    shifted = laid(tmp_path, info, np.roll(bursts(4, RATE, 1), samples, axis=0), "shifted")
    final = finished(tmp_path, info, shifted)
    lags = boundary_lags_ms(info, probe(final), speech, [25, 50, 75])
    assert lags == pytest.approx([shift_ms] * 3, abs=0.05)
    failures = check_film(info, final, speech, [], [50]).failures()
    assert bool(failures) == (abs(shift_ms) >= 1)


def test_lag_that_adds_up_from_segment_to_segment_is_found(
    tmp_path: Path, info: FilmInfo, speech: Track
) -> None:
    gap = np.zeros((RATE * 26 // 1000, 1), np.float32)
    halves = np.split(bursts(4, RATE, 1), 2)
    late = laid(tmp_path, info, np.concatenate([halves[0], gap, halves[1]]), "late")
    lags = boundary_lags_ms(info, probe(finished(tmp_path, info, late)), speech, [25, 75])
    assert lags == pytest.approx([0.0, 26.0], abs=0.05)


def test_another_sound_counts_as_far_off(tmp_path: Path, info: FilmInfo, speech: Track) -> None:
    other = laid(tmp_path, info, bursts(4, RATE, 2, seed=8), "other")
    checks = check_film(info, finished(tmp_path, info, other), speech, [], [50])
    assert checks.max_boundary_lag_ms == 800
    assert "the sound is 800.0 ms off at a boundary, the limit is 1 ms" in checks.failures()


def test_a_silent_boundary_is_judged_by_the_sound_nearest_to_it(
    tmp_path: Path, info: FilmInfo
) -> None:
    sound = bursts(4, RATE, 1)
    sound[: 2 * RATE] = 0
    speech = laid(tmp_path, info, sound, "late")
    shifted = laid(tmp_path, info, np.roll(sound, 160, axis=0), "shifted")
    lags = boundary_lags_ms(info, probe(finished(tmp_path, info, shifted)), speech, [0, 5, 25])
    assert lags == pytest.approx([10.0] * 3, abs=0.05)


def test_a_film_without_any_sound_in_its_track_has_no_lag(tmp_path: Path, info: FilmInfo) -> None:
    silence = laid(tmp_path, info, np.zeros((4 * RATE, 1), np.float32), "silence")
    checks = check_film(info, finished(tmp_path, info, silence), silence, [], [50])
    assert checks.max_boundary_lag_ms == 0
    assert checks.failures() == []


def test_a_missing_frame_is_found(tmp_path: Path, info: FilmInfo, speech: Track) -> None:
    final = finished(tmp_path, info, speech, lambda frames: islice(frames, 99))
    checks = check_film(info, final, speech, [], [50])
    assert not checks.frames_equal
    assert checks.failures()[0] == "the film and its source differ in frame count or frame rate"


def test_one_black_frame_is_enough_for_a_review(
    tmp_path: Path, info: FilmInfo, speech: Track
) -> None:
    def blackened(frames: Frames) -> Frames:
        for frame in frames:
            yield numbered_frame(0, 128, 96) if number_of(frame) == 63 else frame

    checks = check_film(info, finished(tmp_path, info, speech, blackened), speech, [], [50])
    assert checks.failures() == []
    assert checks.wants_review


def test_a_wrong_colour_is_found_in_chroma_alone(
    tmp_path: Path, info: FilmInfo, speech: Track
) -> None:
    def tinted(frames: Frames) -> Frames:
        for frame in frames:
            luma, blue, red = planes_of(frame)
            yield frame_of([luma, blue + np.uint8(8), red], "yuv420p")

    checks = check_film(info, finished(tmp_path, info, speech, tinted), speech, [], [50])
    assert 30 < checks.psnr_outside_db < 34


def test_what_an_engine_rendered_is_not_compared(
    tmp_path: Path, info: FilmInfo, speech: Track
) -> None:
    box = Box(32, 24, 64, 48)
    with FrameWriter(
        tmp_path / "clip.mkv", width=64, height=48, frame_rate=info.frame_rate,
        pixel_format="yuv420p", codec="ffv1",
    ) as writer:  # fmt: skip
        for number in range(20):
            writer.write(numbered_frame(4095 - number, 64, 48))
    clips = [Clip(tmp_path / "clip.mkv", 40, 60, box)]
    join_film(info, clips, speech, tmp_path / "final.mp4")
    checks = check_film(info, tmp_path / "final.mp4", speech, clips, [40, 60])
    assert checks.failures() == []
    assert checks.psnr_outside_db > 42
    assert check_film(info, tmp_path / "final.mp4", speech, [], [40, 60]).wants_review


def test_an_untouched_picture_counts_99_db(tmp_path: Path, info: FilmInfo, speech: Track) -> None:
    out = tmp_path / "final.mp4"
    write_film(read_frames(info), info, speech, out, crf=0, preset="ultrafast")
    assert check_film(info, out, speech, [], [50]).psnr_outside_db == 99


def test_ten_bits_are_measured_against_their_own_peak(tmp_path: Path) -> None:
    film = make_film(tmp_path / "deep.mp4", frames=25, pixel_format="yuv420p10le", size=(128, 96))
    info = probe(film)

    def brighter(frames: Frames) -> Frames:
        for frame in frames:
            yield frame_of([plane + np.uint16(4) for plane in planes_of(frame)], "yuv420p10le")

    speech = laid(tmp_path, info, bursts(1, RATE, 1))
    out = tmp_path / "final.mp4"
    write_film(brighter(read_frames(info)), info, speech, out, crf=1, preset="ultrafast")
    measured = check_film(info, out, speech, [], []).psnr_outside_db
    assert measured == pytest.approx(20 * np.log10(1023 / 4), abs=0.3)


def test_lost_colour_tags_are_found(tmp_path: Path, info: FilmInfo, speech: Track) -> None:
    untagged = replace(info, colour=ColourTags())
    write_film(
        read_frames(info), untagged, speech, tmp_path / "final.mp4", crf=14, preset="veryfast"
    )
    checks = check_film(info, tmp_path / "final.mp4", speech, [], [50])
    assert checks.failures() == ["the colour tags differ from the source's"]


def test_saying_nothing_of_the_range_means_limited(tmp_path: Path) -> None:
    film = make_film(tmp_path / "film.mpg", frames=25, codec="mpeg2video", options={"b": "900000"})
    info = probe(film)
    assert info.colour == ColourTags(2, 2, 2, 1)
    speech = laid(tmp_path, info, bursts(1, RATE, 1))
    join_film(info, [], speech, tmp_path / "final.mp4")
    assert check_film(info, tmp_path / "final.mp4", speech, [], []).colour_tags_equal


def test_uneven_time_stamps_are_found(tmp_path: Path, info: FilmInfo, speech: Track) -> None:
    uneven = make_film(
        tmp_path / "final.mp4",
        places=[*range(60), *range(62, 102)],
        size=(128, 96),
        colour=info.colour,
        sound=speech.read(),
    )
    checks = check_film(info, uneven, speech, [], [50])
    assert not checks.timestamps_monotonic
    assert "the time stamps do not rise evenly" in checks.failures()


def test_a_film_of_another_size_or_without_sound_is_broken(
    tmp_path: Path, info: FilmInfo, speech: Track
) -> None:
    with pytest.raises(TimelineBroken, match="has no sound"):
        check_film(info, finished(tmp_path, info, None), speech, [], [])
    smaller = make_film(tmp_path / "small.mp4", frames=100, size=(64, 48), sound=speech.read())
    with pytest.raises(TimelineBroken, match="is 64x48 yuv420p, its source 128x96 yuv420p"):
        check_film(info, smaller, speech, [], [])


def test_the_shortest_film_can_be_checked(tmp_path: Path) -> None:
    info = probe(make_film(tmp_path / "film.mp4", frames=1, rate=Fraction(30000, 1001)))
    speech = laid(tmp_path, info, bursts(1, RATE, 1) + np.float32(0.01))
    join_film(info, [], speech, tmp_path / "final.mp4")
    assert check_film(info, tmp_path / "final.mp4", speech, [], [0]).failures() == []


def test_all_that_is_broken_is_listed() -> None:
    assert len(Checks(False, 1.0, False, 20.0, False).failures()) == 4
    assert Checks(True, 0.99, True, 20.0, True).failures() == []
