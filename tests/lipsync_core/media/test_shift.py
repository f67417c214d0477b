"""The sound of a film moved by whole samples in every container; its picture stays bit for bit."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from media_factory import bursts, decoded_sound, ffmpeg, lag_ms, make_film, picture_packets

from lipsync_core.errors import InputError
from lipsync_core.material import own_sound
from lipsync_core.media.audio import ANALYSIS_RATE
from lipsync_core.media.probe import probe
from lipsync_core.media.shift import shift_sound

RATE = 48_000
# container, sound, picture, channels, and whether every sample must stay as it was
FILMS = [
    ("mp4", "aac", "libx264", 2, False),
    ("mov", "pcm_s16le", "libx264", 6, True),
    ("mkv", "flac", "libx264", 2, True),
    ("mkv", "pcm_s24le", "libx264", 6, True),
    ("mkv", "aac", "libx264", 6, False),
    ("avi", "pcm_s16le", "mpeg4", 2, True),
    ("avi", "mp3", "mpeg4", 2, False),
    ("webm", "libopus", "libvpx", 2, False),
]


def film(folder: Path, kind: str, sound: str, picture: str, channels: int, **more: Any) -> Path:
    return make_film(
        folder / f"it's a {sound}.{kind}", frames=60, codec=picture, sound_codec=sound,
        options=None if picture == "libx264" else {}, sound=bursts(2.4, RATE, channels), **more,
    )  # fmt: skip


@pytest.mark.parametrize(("kind", "sound", "picture", "channels", "exact"), FILMS)
def test_sound_is_moved_to_the_sample_and_the_picture_not_at_all(
    kind: str, sound: str, picture: str, channels: int, exact: bool, tmp_path: Path
) -> None:
    source = film(tmp_path, kind, sound, picture, channels)
    before = decoded_sound(source, channels)
    for delay_s in (0.2, -0.2):
        out = tmp_path / f"moved.{kind}"
        shift_sound(source, out, delay_s)
        after = decoded_sound(out, channels)
        assert lag_ms(after, before, RATE) == pytest.approx(1000 * delay_s, abs=0.01)
        for channel in range(channels):
            assert abs(lag_ms(after[:, channel], before[:, channel], RATE) - 1000 * delay_s) < 0.1
        assert abs(len(after) - len(before)) <= 2048
        if exact:
            moved = round(delay_s * RATE)
            kept = before[max(0, -moved) : len(before) - max(0, moved)]
            assert np.array_equal(after[max(0, moved) :][: len(kept)], kept)
            assert not after[: max(0, moved)].any()
        assert picture_packets(out) == picture_packets(source)
        assert probe(out).stored_pts == probe(source).stored_pts
        assert probe(out).frame_rate == probe(source).frame_rate


@pytest.mark.parametrize(
    ("kind", "picture", "sound"),
    [
        ("m4v", "libx264", "aac"),
        ("webm", "libvpx", "libvorbis"),
        ("ts", "libx264", "aac"),
        ("mpg", "mpeg2video", "mp2"),
    ],
)
def test_sound_is_moved_on_the_clock_of_the_film(
    kind: str, picture: str, sound: str, tmp_path: Path
) -> None:
    """As a player that heeds the stamps hears it; a stream may begin with an encoder's run-up."""
    source, out = tmp_path / f"film.{kind}", tmp_path / f"moved.{kind}"
    plain = film(tmp_path, "mkv", "flac", "libx264", 2)
    ffmpeg("-i", plain, "-c:v", picture, "-c:a", sound, "-strict", "-2", source)
    for delay_s in (0.2, -0.2):
        shift_sound(source, out, delay_s)
        heard = [own_sound(probe(path), tmp_path / f"{path.stem}.wav") for path in (source, out)]
        before, after = (track.read(0, 35_000)[:, 0] for track in heard if track is not None)
        assert lag_ms(after, before, ANALYSIS_RATE) == pytest.approx(1000 * delay_s, abs=0.1)
        assert picture_packets(out) == picture_packets(source)


def test_chapters_and_attached_files_are_kept(tmp_path: Path) -> None:
    plain, source = film(tmp_path, "mkv", "flac", "libx264", 2), tmp_path / "film.mkv"
    marks, font = tmp_path / "marks.txt", tmp_path / "font.ttf"
    marks.write_text(";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/10\nSTART=5\nEND=20\ntitle=two's\n")
    font.write_bytes(b"a font" * 40)
    ffmpeg(
        "-i", plain, "-i", marks, "-map_metadata", "1", "-attach", font, "-metadata:s:t",
        "mimetype=application/x-font-ttf", "-c", "copy", source,
    )  # fmt: skip
    assert shift_sound(source, tmp_path / "moved.mkv", 0.1) == ()
    with av.open(str(source)) as given, av.open(str(tmp_path / "moved.mkv")) as made:
        assert given.chapters()
        assert made.chapters() == given.chapters()
        [attached] = made.streams.attachments
        assert (attached.name, attached.data) == ("font.ttf", font.read_bytes())


def test_what_cannot_be_taken_along_is_named(tmp_path: Path) -> None:
    plain, source = film(tmp_path, "mp4", "aac", "libx264", 2), tmp_path / "film.mov"
    ffmpeg("-i", plain, "-timecode", "01:00:00:00", "-c", "copy", source)
    left_out = shift_sound(source, tmp_path / "moved.mov", 0.1)
    assert left_out == ("a stream of data was left out: nobody here writes it",)
    assert picture_packets(tmp_path / "moved.mov") == picture_packets(source)


def test_what_a_film_says_of_itself_is_kept(tmp_path: Path) -> None:
    source = film(
        tmp_path, "mp4", "aac", "libx264", 2, rotation=90, size=(108, 192),
        rate=Fraction(24000, 1001),
    )  # fmt: skip
    shift_sound(source, tmp_path / "moved.mp4", 0.1)
    before, after = probe(source), probe(tmp_path / "moved.mp4")
    assert (after.rotation, after.width, after.height) == (90, 108, 192)
    assert (after.frame_rate, after.frames) == (before.frame_rate, before.frames)
    assert after.colour == before.colour
    assert after.sound is not None
    assert before.sound is not None
    assert (after.sound.sample_rate, after.sound.channels) == (RATE, 2)


def test_a_film_whose_picture_starts_later_keeps_that(tmp_path: Path) -> None:
    source = film(tmp_path, "mkv", "flac", "libx264", 2, start_s=Fraction(1, 2))
    shift_sound(source, tmp_path / "moved.mkv", -0.1)
    assert probe(tmp_path / "moved.mkv").stored_pts == probe(source).stored_pts
    lag = lag_ms(decoded_sound(tmp_path / "moved.mkv", 2), decoded_sound(source, 2), RATE)
    assert lag == pytest.approx(-100, abs=0.01)


def test_sound_can_be_played_at_another_speed(tmp_path: Path) -> None:
    source = film(tmp_path, "mkv", "flac", "libx264", 2)
    shift_sound(source, tmp_path / "faster.mkv", 0.0, speed=1.01)
    before, after = (decoded_sound(path, 2) for path in (source, tmp_path / "faster.mkv"))
    middle = len(before) // 2
    window = slice(middle, middle + RATE // 2)
    early = -lag_ms(after[window], before[window], RATE)
    # sound of moment t is heard at t / 1.01
    assert early == pytest.approx(1000 * (middle + RATE // 4) / RATE * (1 - 1 / 1.01), abs=2)


def test_what_cannot_be_written_is_told_and_nothing_left(tmp_path: Path) -> None:
    source = film(tmp_path, "mp4", "aac", "libx264", 2)
    with pytest.raises(InputError, match=r"the container is kept, give a name that ends in \.mp4"):
        shift_sound(source, tmp_path / "moved.mkv", 0.1)
    odd = source.rename(tmp_path / "film.xyz")
    with pytest.raises(InputError, match=r"cannot write \.xyz files: bring film\.xyz into one of"):
        shift_sound(odd, tmp_path / "moved.xyz", 0.1)
    assert {path.name for path in tmp_path.iterdir()} == {"film.xyz"}
