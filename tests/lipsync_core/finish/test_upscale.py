"""A picture through tiles is the picture through the network, and a film stays the film it was."""

from __future__ import annotations

import tracemalloc
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from media_factory import bursts, lag_ms, make_film, numbered_frame
from onnx_models import convolver, nearest, restorer

from lipsync_core.errors import InputError, MissingWeights, TimelineBroken
from lipsync_core.finish import upscaled_film
from lipsync_core.finish.model import given_model
from lipsync_core.finish.upscale import RANGE, Upscaler
from lipsync_core.finish.upscaled_film import upscale_film
from lipsync_core.media.audio import lay_track
from lipsync_core.media.frames import frame_of, planes_of, read_frames
from lipsync_core.media.probe import ColourTags, probe


def upscaler(path: Path) -> Upscaler:
    return Upscaler(given_model(str(path), RANGE))


def picture(rows: int, columns: int, seed: int = 1) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (rows, columns, 3), np.uint8)


@pytest.mark.parametrize("times", [2, 4])
@pytest.mark.parametrize("size", [(40, 64), (256, 256), (300, 258), (520, 600)])
def test_a_network_that_repeats_pixels_gives_exactly_those(
    size: tuple[int, int], times: int, tmp_path: Path
) -> None:
    given = picture(*size)
    made = upscaler(nearest(tmp_path / "nearest.onnx", times=times)).picture(given)
    expected = given.repeat(times, 0).repeat(times, 1).transpose(2, 0, 1)
    assert np.abs(made - expected).max() < 1e-3
    assert np.array_equal(np.rint(made), expected)


@pytest.mark.parametrize("side", [32, 64, 100])
def test_so_does_one_that_insists_on_the_size_of_its_tiles(side: int, tmp_path: Path) -> None:
    model = upscaler(nearest(tmp_path / "nearest.onnx", side=side))
    for rows, columns in ((110, 138), (24, 130), (20, 20)):
        given = picture(rows, columns)
        made = np.rint(model.picture(given))
        assert np.array_equal(made, given.repeat(2, 0).repeat(2, 1).transpose(2, 0, 1))


@pytest.mark.parametrize("times", [2, 4])
def test_tiles_give_what_the_whole_picture_gives(
    times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, given = convolver(tmp_path / "convolver.onnx", times=times), picture(418, 610)
    tiled = upscaler(path).picture(given)
    monkeypatch.setattr("lipsync_core.finish.upscale.TILE", 1024)
    whole = upscaler(path).picture(given)
    assert np.ptp(whole) > 150
    assert np.abs(tiled - whole).max() < 0.01


def test_without_a_guard_a_seam_would_be_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test above can fail."""
    path, given = convolver(tmp_path / "convolver.onnx"), picture(418, 610)
    whole = upscaler(path).picture(given)
    monkeypatch.setattr("lipsync_core.finish.upscale.GUARD", 0)
    assert np.abs(upscaler(path).picture(given) - whole).max() > 1


@pytest.mark.parametrize("form", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le"])
def test_a_frame_keeps_its_pixel_format_and_its_colours(form: str, tmp_path: Path) -> None:
    frame = numbered_frame(1234, pixel_format=form)
    frame.colorspace, frame.color_range = 1, 1
    large = upscaler(nearest(tmp_path / "nearest.onnx")).frame(frame)
    assert (large.format.name, large.colorspace, large.color_range) == (form, 1, 1)
    step = 4 if "10le" in form else 1
    for own, made in zip(planes_of(frame), planes_of(large), strict=True):
        expected = own.astype(int).repeat(2, 0).repeat(2, 1)
        assert np.abs(made.astype(int) - expected).max() <= 2 * step
        assert abs(float(np.mean(made.astype(int) - expected))) < 0.3 * step


def packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


def under_the_picture(path: Path, folder: Path) -> Any:
    """What is heard from the first picture on to the last."""
    info = probe(path)
    assert info.sound is not None
    track = lay_track(
        path, folder / "laid.wav", frames=info.frames, frame_rate=info.frame_rate,
        start_s=info.sound.start_s,
    )  # fmt: skip
    return track.read(0, track.samples)


@pytest.mark.parametrize(
    ("suffix", "codec", "out", "start_s"),
    [(".mp4", "aac", ".mp4", 0), (".mov", "pcm_s16le", ".mov", 0), (".mp4", "aac", ".mkv", 0),
     (".mkv", "aac", ".mp4", Fraction(2, 5)), (".mkv", "flac", ".mkv", Fraction(1, 5))],
)  # fmt: skip
def test_a_film_keeps_its_frames_its_colour_tags_and_the_packets_of_its_sound(
    suffix: str, codec: str, out: str, start_s: Fraction, tmp_path: Path
) -> None:
    rate, tags = Fraction(30000, 1001), ColourTags(1, 1, 1, 1)
    sound = bursts(3, 48_000, 2)
    film = make_film(
        tmp_path / f"film{suffix}", frames=60, rate=rate, colour=tags, sound=sound,
        sound_codec=codec, start_s=start_s, size=(96, 64),
    )  # fmt: skip
    info, heard_until = probe(film), []
    done = upscale_film(
        info, upscaler(nearest(tmp_path / "n.onnx")), tmp_path / f"large{out}", heard_until.append
    )
    made = done.info
    assert (made.width, made.height, made.frames, made.frame_rate) == (192, 128, 60, rate)
    assert (made.colour, made.pixel_format) == (tags, info.pixel_format)
    assert heard_until[-1] == 60
    assert packets(made.path) == packets(film)
    assert done.sound == "the film's own, packet by packet"
    one, other = (under_the_picture(path, tmp_path) for path in (film, made.path))
    clock_ms = 0.5 if ".mkv" in (suffix, out) else 0.05  # stamps of Matroska are milliseconds
    assert abs(lag_ms(other, one, 48_000)) < clock_ms
    pairs = zip(read_frames(info), read_frames(made), strict=True)
    for one, other in pairs:
        small, large = (planes_of(frame)[0].astype(int) for frame in (one, other))
        assert np.abs(large[::2, ::2] - small).mean() < 3


def test_a_sound_the_container_cannot_hold_is_encoded_anew_and_stays_in_its_place(
    tmp_path: Path,
) -> None:
    film = make_film(
        tmp_path / "film.mkv", frames=50, sound=bursts(2, 48_000, 2), size=(96, 64),
        sound_codec="wavpack",
    )  # fmt: skip
    done = upscale_film(probe(film), upscaler(nearest(tmp_path / "n.onnx")), tmp_path / "large.mp4")
    assert done.sound == "encoded anew as AAC, since .mp4 files do not hold wavpack"
    own, heard = (under_the_picture(path, tmp_path) for path in (film, done.info.path))
    assert abs(lag_ms(heard, own, 48_000)) < 0.05


def test_an_old_film_without_tags_is_no_trouble(tmp_path: Path) -> None:
    """MPEG-1 says limited range and no more; the larger one says nothing, which is the same."""
    film = make_film(
        tmp_path / "film.mpg", frames=25, size=(96, 64), codec="mpeg1video", options={},
        sound=bursts(1, 44_100), sample_rate=44_100, sound_codec="mp2",
    )  # fmt: skip
    done = upscale_film(probe(film), upscaler(nearest(tmp_path / "n.onnx")), tmp_path / "large.mov")
    assert probe(film).colour == ColourTags(range=1)
    assert (done.info.frames, done.info.width) == (25, 192)
    assert done.sound == "the film's own, packet by packet"


def test_a_silent_film_stays_silent(tmp_path: Path) -> None:
    film = make_film(tmp_path / "film.mp4", frames=5, size=(64, 48))
    done = upscale_film(
        probe(film), upscaler(nearest(tmp_path / "n.onnx", times=4)), tmp_path / "large.mp4"
    )
    assert (done.times, done.sound, done.info.sound) == (4, "none", None)
    assert (done.info.width, done.info.height, done.info.frames) == (256, 192, 5)


def test_a_film_that_misses_a_frame_is_not_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = make_film(tmp_path / "film.mp4", frames=5, size=(64, 48))
    short = lambda info: read_frames(info, 0, 4)  # noqa: E731
    monkeypatch.setattr(upscaled_film, "read_frames", short)
    model, out = upscaler(nearest(tmp_path / "n.onnx")), tmp_path / "out" / "large.mp4"
    with pytest.raises(TimelineBroken, match=r"large\.mp4 came out as"):
        upscale_film(probe(film), model, out)
    assert list(out.parent.iterdir()) == []


def test_a_long_film_takes_no_more_memory_than_a_short_one(tmp_path: Path) -> None:
    model, peaks = upscaler(nearest(tmp_path / "n.onnx")), []
    for frames in (8, 40):
        film = make_film(tmp_path / f"{frames}.mp4", frames=frames, size=(320, 240))
        info = probe(film)
        tracemalloc.start()
        upscale_film(info, model, tmp_path / f"large {frames}.mp4")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def test_what_makes_nothing_larger_is_refused(tmp_path: Path) -> None:
    same = restorer(tmp_path / "same.onnx", side="side")
    with pytest.raises(InputError, match=r"same\.onnx makes a picture 1 times as large"):
        upscaler(same)
    with pytest.raises(InputError, match="takes pictures of 16x16 only"):
        upscaler(nearest(tmp_path / "tiny.onnx", side=16))
    with pytest.raises((InputError, MissingWeights), match=r"no such model: .*gone\.onnx"):
        upscaler(tmp_path / "gone.onnx")


def test_a_picture_larger_than_a_film_can_hold_is_refused(tmp_path: Path) -> None:
    blank = [np.full(shape, 128, np.uint8) for shape in ((64, 4200), (32, 2100), (32, 2100))]
    film = tmp_path / "wide.mkv"
    with av.open(str(film), "w") as container:
        video: Any = container.add_stream("ffv1", rate=25)
        video.width, video.height, video.pix_fmt = 4200, 64, "yuv420p"
        for frame in (frame_of(blank, "yuv420p"), None):
            container.mux(video.encode(frame))
    with pytest.raises(InputError, match="would become 16800x256, more than"):
        upscale_film(
            probe(film), upscaler(nearest(tmp_path / "n.onnx", times=4)), tmp_path / "large.mp4"
        )
