from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from media_factory import bursts, ffmpeg, make_film, write_sound

from lipsync_core.errors import InputError
from lipsync_core.media.probe import ColourTags, probe, probe_audio

RATES = ["24000/1001", "25", "30000/1001", "30", "50", "15"]


@pytest.mark.parametrize(
    ("rate", "suffix"),
    # Matroska counts in milliseconds: so odd a rate as the last cannot be kept there
    [(rate, suffix) for rate in RATES for suffix in (".mp4", ".mkv")] + [("1000/33", ".mp4")],
)
def test_the_exact_rate_and_every_frame_are_found(tmp_path: Path, rate: str, suffix: str) -> None:
    info = probe(make_film(tmp_path / f"film{suffix}", frames=40, rate=Fraction(rate)))
    assert (info.frame_rate, info.frames) == (Fraction(rate), 40)
    assert info.conformed == ()


def test_what_is_conformed_is_said_in_words(tmp_path: Path) -> None:
    film = make_film(
        tmp_path / "film.mp4",
        places=[0, 1, 4, 5],
        size=(191, 107),
        pixel_format="yuv444p",
        rotation=90,
        start_s=Fraction(1, 2),
    )
    assert probe(film).conformed == (
        "variable frame rate: 4 stored frames laid on a 25 fps grid of 6 frames",
        "rotation flag of 90 degrees applied to the picture",
        "odd size 191x107: last column or row cut",
        "picture starts at 0.500 s in the file; frame 0 is the first one",
    )


def test_sound_that_begins_before_the_picture_has_a_negative_start(tmp_path: Path) -> None:
    film = make_film(tmp_path / "film.mp4", start_s=Fraction(1, 2), sound=bursts(2.5, 48_000, 2))
    sound = probe(film).sound
    assert sound is not None
    assert (sound.sample_rate, sound.channels, sound.start_s) == (48_000, 2, -0.5)


def test_a_film_trimmed_by_an_edit_list_holds_what_is_shown(tmp_path: Path) -> None:
    whole = make_film(tmp_path / "whole.mp4", frames=100, options={"crf": "12", "g": "40"})
    ffmpeg("-ss", "1", "-i", whole, "-c", "copy", tmp_path / "trimmed.mp4")
    assert probe(tmp_path / "trimmed.mp4").frames == 75


def test_full_range_is_a_tag_and_not_another_pixel_format(tmp_path: Path) -> None:
    tags = ColourTags(1, 1, 1, 2)
    info = probe(make_film(tmp_path / "film.mp4", frames=3, colour=tags))
    assert (info.colour, info.pixel_format) == (tags, "yuv420p")


def test_pictures_in_rgb_are_tagged_as_what_they_are_converted_to(tmp_path: Path) -> None:
    film = make_film(tmp_path / "film.mp4", frames=3)
    ffmpeg("-i", film, "-c:v", "ffv1", "-pix_fmt", "bgr0", tmp_path / "rgb.mkv")
    info = probe(tmp_path / "rgb.mkv")
    assert (info.colour.matrix, info.colour.range) == (1, 1)
    assert info.conformed == ("pixel format bgr0 converted to yuv420p",)


def test_a_sound_file_is_known_by_its_stream(tmp_path: Path) -> None:
    speech = write_sound(tmp_path / "speech.wav", bursts(0.5, 44_100, 2), 44_100)
    info = probe_audio(speech)
    assert (info.codec, info.sample_rate, info.channels) == ("pcm_f32le", 44_100, 2)


class TestRefusals:
    """Every unusable file is refused in one line that names it."""

    def refusal(self, path: Path) -> str:
        with pytest.raises(InputError) as caught:
            probe(path)
        message = str(caught.value)
        assert str(path) in message
        assert "\n" not in message
        return message

    def test_a_missing_file(self, tmp_path: Path) -> None:
        assert self.refusal(tmp_path / 'it\'s not "here".mp4').startswith("no such file")

    def test_a_folder(self, tmp_path: Path) -> None:
        assert self.refusal(tmp_path).startswith("not a file")

    def test_an_empty_file(self, tmp_path: Path) -> None:
        (tmp_path / "empty.mp4").touch()
        assert self.refusal(tmp_path / "empty.mp4").startswith("empty file")

    def test_a_text_that_calls_itself_a_film(self, tmp_path: Path) -> None:
        (tmp_path / "note.mp4").write_text("dear editor, the film follows tomorrow\n" * 50)
        assert self.refusal(tmp_path / "note.mp4").startswith("not a media file")

    def test_sound_without_a_picture(self, tmp_path: Path) -> None:
        sound = write_sound(tmp_path / "speech.wav", bursts(0.2, 16_000), 16_000)
        assert self.refusal(sound).startswith("no video stream")

    def test_a_film_cut_off_before_its_index(self, tmp_path: Path) -> None:
        film = make_film(tmp_path / "film.mp4")
        film.write_bytes(film.read_bytes()[: film.stat().st_size // 2])
        assert "cut off before its index" in self.refusal(film)

    def test_a_film_cut_off_after_its_index(self, tmp_path: Path) -> None:
        film = make_film(tmp_path / "film.mp4", frames=100)
        ffmpeg("-i", film, "-c", "copy", "-movflags", "+faststart", tmp_path / "front.mp4")
        whole = (tmp_path / "front.mp4").read_bytes()
        (tmp_path / "front.mp4").write_bytes(whole[: len(whole) * 2 // 3])
        assert "of 100 frames; copy it again" in self.refusal(tmp_path / "front.mp4")

    def test_a_film_in_high_dynamic_range(self, tmp_path: Path) -> None:
        film = make_film(
            tmp_path / "film.mp4",
            frames=3,
            pixel_format="yuv420p10le",
            colour=ColourTags(9, 16, 9, 1),
        )
        assert self.refusal(film).startswith("PQ (HDR10) film")

    def test_an_interlaced_film(self, tmp_path: Path) -> None:
        film = make_film(tmp_path / "film.mp4", frames=6, options={"x264-params": "tff=1"})
        assert self.refusal(film).startswith("interlaced film")
