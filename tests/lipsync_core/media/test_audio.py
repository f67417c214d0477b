from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from media_factory import bursts, ffmpeg, lag_ms, make_film, write_sound

from lipsync_core.errors import InputError
from lipsync_core.media.audio import lay_track, length_note
from lipsync_core.media.probe import probe
from lipsync_core.timeline import sample_of_frame

NTSC = Fraction(24000, 1001)


@pytest.mark.parametrize("channels", [1, 2, 6, 8])
@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_a_wav_keeps_its_samples_rate_and_channels(
    tmp_path: Path, rate: int, channels: int
) -> None:
    sound = bursts(1.0, rate, channels)
    source = write_sound(tmp_path / "speech.wav", sound, rate)
    track = lay_track(source, tmp_path / "laid.wav", frames=25, frame_rate=NTSC)
    assert (track.sample_rate, track.channels) == (rate, channels)
    assert track.samples == sample_of_frame(25, NTSC, rate)
    expected = sound[: track.samples]
    assert np.array_equal(track.read(0, len(expected)), expected)
    assert not track.read(len(expected)).any()


def test_a_rate_that_aac_does_not_know_becomes_48_khz(tmp_path: Path) -> None:
    source = write_sound(tmp_path / "speech.wav", bursts(1.0, 12_345), 12_345)
    track = lay_track(source, tmp_path / "laid.wav", frames=25, frame_rate=Fraction(25))
    assert (track.sample_rate, track.samples) == (48_000, 48_000)
    again = lay_track(
        track.path, tmp_path / "back.wav", frames=25, frame_rate=Fraction(25), sample_rate=12_345
    )
    assert abs(lag_ms(again.read(), bursts(1.0, 12_345), 12_345)) < 0.1


def test_resampling_and_mixing_move_nothing(tmp_path: Path) -> None:
    sound = bursts(3.0, 48_000, 2)
    source = write_sound(tmp_path / "speech.wav", sound, 48_000)
    track = lay_track(
        source,
        tmp_path / "laid.wav",
        frames=75,
        frame_rate=Fraction(25),
        sample_rate=16_000,
        mono=True,
    )
    assert (track.channels, track.samples) == (1, 48_000)
    mixed = sound.mean(axis=1)[::3]
    assert abs(lag_ms(track.read()[:, 0], mixed, 16_000)) < 0.1


@pytest.mark.parametrize(
    ("seconds", "note"),
    [
        (1.0, "the speech is 1.00 s shorter than the film: silence follows it"),
        (3.25, "the speech is 1.25 s longer than the film: it ends with the picture"),
        (2.03, ""),
    ],
)
def test_speech_of_another_length_is_told_in_words(
    tmp_path: Path, seconds: float, note: str
) -> None:
    source = write_sound(tmp_path / "speech.wav", bursts(seconds, 16_000), 16_000)
    track = lay_track(source, tmp_path / "laid.wav", frames=50, frame_rate=Fraction(25))
    assert track.samples == 32_000
    assert length_note(track.given_s, 2.0) == note
    assert soundfile.info(track.path).frames == 32_000


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("film.mp4", {}),
        ("film.mkv", {}),
        ("film.ts", {}),
        ("film.avi", {"codec": "mpeg4", "options": {}, "sound_codec": "pcm_s16le"}),
        ("mp3.mp4", {"sound_codec": "mp3"}),
        ("opus.mkv", {"sound_codec": "libopus"}),
        ("late.mp4", {"start_s": Fraction(1, 2)}),
        ("late.mkv", {"start_s": Fraction(1, 2)}),
        ("late.ts", {"start_s": Fraction(1, 2)}),
    ],
)
def test_a_films_own_sound_lies_under_its_first_frame(
    tmp_path: Path, name: str, more: dict[str, Any]
) -> None:
    sound = bursts(3.0, 48_000, 2)
    info = probe(make_film(tmp_path / name, frames=50, sound=sound, **more))
    assert info.sound is not None
    track = lay_track(
        info.path,
        tmp_path / "laid.wav",
        frames=info.frames,
        frame_rate=info.frame_rate,
        start_s=info.sound.start_s,
    )
    skipped = round(float(more.get("start_s", 0)) * 48_000)
    assert abs(lag_ms(track.read(), sound[skipped : skipped + 96_000], 48_000)) < 1


def test_a_sound_that_begins_after_the_picture_is_preceded_by_silence(tmp_path: Path) -> None:
    sound = bursts(1.0, 16_000) + np.float32(0.01)
    source = write_sound(tmp_path / "speech.wav", sound, 16_000)
    track = lay_track(
        source, tmp_path / "laid.wav", frames=50, frame_rate=Fraction(25), start_s=0.25
    )
    assert not track.read(0, 4_000).any()
    assert np.array_equal(track.read(4_000, 20_000), sound)
    assert not track.read(20_000).any()


def test_a_hole_in_the_stamps_of_a_sound_stays_a_hole(tmp_path: Path) -> None:
    sound = bursts(4.0, 48_000)
    film = make_film(tmp_path / "film.mkv", frames=100, sound=sound, sound_codec="pcm_s16le")
    # the packets of half a second are dropped, the others keep their stamps
    ffmpeg(
        "-i", film, "-c", "copy", "-bsf:a", "noise=drop='gt(pts*tb,1)*lt(pts*tb,1.5)'",
        tmp_path / "hole.mkv",
    )  # fmt: skip
    track = lay_track(
        tmp_path / "hole.mkv", tmp_path / "laid.wav", frames=100, frame_rate=Fraction(25)
    )
    heard = track.read()[:, 0]
    assert not heard[54_000:70_000].any()
    assert abs(lag_ms(heard[96_000:], sound[96_000:], 48_000)) < 1


def test_samples_outside_a_track_are_silence(tmp_path: Path) -> None:
    source = write_sound(tmp_path / "speech.wav", bursts(1.0, 16_000) + np.float32(1e-3), 16_000)
    track = lay_track(source, tmp_path / "laid.wav", frames=25, frame_rate=Fraction(25))
    around = track.read(-100, 16_100)
    assert around.shape == (16_200, 1)
    assert not around[:100].any()
    assert not around[-100:].any()
    assert np.array_equal(around[100:-100], track.read())


def test_sound_nobody_can_use_is_refused(tmp_path: Path) -> None:
    silent = make_film(tmp_path / "silent.mp4", frames=3)
    empty = write_sound(tmp_path / "empty.wav", np.zeros((0, 1), np.float32), 16_000)
    laid = tmp_path / "laid.wav"
    for source, words in ((silent, "no audio stream"), (empty, "zero-length sound")):
        with pytest.raises(InputError, match=words):
            lay_track(source, laid, frames=3, frame_rate=Fraction(25))
    assert not laid.exists()
    assert not list(tmp_path.glob("*.part"))
