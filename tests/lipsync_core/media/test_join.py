from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from media_factory import bursts, decoded_sound, lag_ms, make_film, number_of, write_sound

from lipsync_core.media.audio import Track, lay_track
from lipsync_core.media.checks import check_film
from lipsync_core.media.frames import read_frames
from lipsync_core.media.join import join_film
from lipsync_core.media.probe import ColourTags, FilmInfo, probe


def speech_under(info: FilmInfo, folder: Path, rate: int = 16_000, channels: int = 1) -> Track:
    sound = bursts(info.seconds + 0.3, rate, channels)
    source = write_sound(folder / "speech.wav", sound, rate)
    return lay_track(source, folder / "laid.wav", frames=info.frames, frame_rate=info.frame_rate)


NTSC = Fraction(24000, 1001)
FILMS: dict[str, dict[str, Any]] = {
    "24000/1001 fps": {"rate": NTSC},
    "30000/1001 fps": {"rate": Fraction(30000, 1001)},
    "50 fps": {"rate": 50},
    "variable rate": {"places": [0, 1, 2, 5, 6, 7, 8, 9, 12, 13, 14, 20, 21, 22, 23]},
    "rotated": {"rotation": 90},
    "odd size": {"size": (191, 107), "pixel_format": "yuv444p"},
    "late start": {"start_s": Fraction(1, 2), "sound": bursts(2, 48_000)},
    "10 bit": {"pixel_format": "yuv420p10le", "colour": ColourTags(9, 14, 9, 1)},
    "4:2:2": {"pixel_format": "yuv422p"},
    "full range": {"colour": ColourTags(1, 1, 1, 2)},
    "BT.601": {"colour": ColourTags(5, 6, 5, 1)},
}


@pytest.mark.parametrize("kind", FILMS)
def test_every_film_keeps_its_frames_form_and_promise(tmp_path: Path, kind: str) -> None:
    info = probe(make_film(tmp_path / "film.mp4", **({"frames": 40} | FILMS[kind])))
    speech = speech_under(info, tmp_path)
    told: list[int] = []
    join_film(info, [], speech, tmp_path / "final.mp4", on_frame=told.append)
    final = probe(tmp_path / "final.mp4")
    assert (final.frames, final.frame_rate) == (info.frames, info.frame_rate)
    assert (final.width, final.height, final.pixel_format) == (
        info.width, info.height, info.pixel_format,
    )  # fmt: skip
    assert (final.colour, final.sample_aspect) == (info.colour, info.sample_aspect)
    assert final.conformed == ()
    source, result = ([number_of(frame) for frame in read_frames(film)] for film in (info, final))
    assert source == result
    assert told == list(range(1, info.frames + 1))
    checks = check_film(info, tmp_path / "final.mp4", speech, [], [info.frames // 2])
    assert checks.failures() == []
    assert not checks.wants_review


def test_a_picture_that_is_not_square_stays_so(tmp_path: Path) -> None:
    film = make_film(tmp_path / "film.mp4", frames=5, options={"x264-params": "sar=4/3"})
    info = probe(film)
    assert info.sample_aspect == Fraction(4, 3)
    join_film(info, [], speech_under(info, tmp_path), tmp_path / "final.mp4")
    assert probe(tmp_path / "final.mp4").sample_aspect == Fraction(4, 3)


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_the_sound_is_heard_where_it_was_laid(tmp_path: Path, rate: int, channels: int) -> None:
    info = probe(make_film(tmp_path / "film.mp4", frames=60, rate=NTSC, size=(64, 48)))
    speech = speech_under(info, tmp_path, rate, channels)
    join_film(info, [], speech, tmp_path / "final.mp4")
    heard, master = decoded_sound(tmp_path / "final.mp4", channels), speech.read()
    assert abs(len(heard) - len(master)) <= 1
    for start in np.linspace(0, len(master) - rate, 4).astype(int):
        window = slice(start, start + rate)
        assert abs(lag_ms(heard[window], master[window], rate)) < 0.05
    with av.open(str(tmp_path / "final.mp4")) as container:
        stream = container.streams.audio[0]
        assert (stream.codec_context.name, stream.sample_rate, stream.channels) == (
            "aac", rate, channels,
        )  # fmt: skip
        assert stream.start_time == 0


def test_the_index_stands_before_the_picture(tmp_path: Path) -> None:
    info = probe(make_film(tmp_path / "film.mp4", frames=10))
    join_film(info, [], speech_under(info, tmp_path), tmp_path / "final.mp4")
    raw = (tmp_path / "final.mp4").read_bytes()
    assert 0 < raw.index(b"moov") < raw.index(b"mdat")


def test_picture_and_sound_are_interleaved(tmp_path: Path) -> None:
    info = probe(make_film(tmp_path / "film.mp4", frames=300, size=(64, 48)))
    join_film(info, [], speech_under(info, tmp_path, 16_000, 1), tmp_path / "final.mp4")
    with av.open(str(tmp_path / "final.mp4")) as container:
        newest = {"video": 0.0, "audio": 0.0}
        for packet in container.demux():
            if packet.dts is not None:
                newest[packet.stream.type] = float(packet.dts * packet.time_base)
                assert abs(newest["video"] - newest["audio"]) < 0.5


def test_names_may_hold_whatever_a_file_system_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    film = make_film(tmp_path / "film.mp4", frames=5)
    odd = film.rename(tmp_path / '12:30 it\'s "100%03d" ünïcode.mp4')
    info = probe(Path(odd.name))
    speech = speech_under(info, Path())
    out = Path("final: 'cut' #2.mp4")
    join_film(info, [], speech, out)
    assert check_film(info, out, speech, [], []).failures() == []
