"""The emulator's worker: what InfiniteTalk makes of an input, its traps included."""

from __future__ import annotations

import base64
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from media_factory import bursts, decoded_sound, lag_ms, make_film, write_sound
from web_server import serving

from lipsync_core.media.audio import sound_seconds
from lipsync_core.media.frames import planes_of, read_frames, rgb_of
from lipsync_core.media.probe import FilmInfo, probe, probe_audio
from tests.emulators.runpod.infinitetalk.films import Job, Stopped
from tests.emulators.runpod.infinitetalk.handler import NO_VIDEO, answer, told_exception
from tests.emulators.runpod.infinitetalk.keys import samples_in


def base64_of(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """Left red, in the middle green, right blue; nobody's face."""
    rows = np.zeros((120, 240, 3), np.uint8)
    for place, colour in enumerate(((0, 0, 220), (0, 220, 0), (220, 0, 0))):
        rows[:, 80 * place : 80 * place + 80] = colour
    cv2.imwrite(str(tmp_path / "picture.png"), rows)
    return tmp_path / "picture.png"


@pytest.fixture
def voice(tmp_path: Path) -> Path:
    return write_sound(tmp_path / "voice.wav", bursts(1, 16_000), 16_000)


def made(job_input: dict[str, Any], folder: Path, **more: Any) -> dict[str, Any]:
    """What the handler returns for an input."""
    work = folder / "work"
    work.mkdir(exist_ok=True)
    return answer(Job(job_input, work, folder / "volume", **({"is_fast": True} | more)))


def film(job_input: dict[str, Any], folder: Path, **more: Any) -> FilmInfo:
    """The film that an input becomes."""
    returned = made(job_input, folder, **more)
    assert set(returned) == {"video"}, returned
    out = folder / f"made-{len(list(folder.iterdir()))}.mp4"
    out.write_bytes(base64.b64decode(returned["video"], validate=True))
    return probe(out)


def test_a_picture_and_a_voice_become_a_film_of_the_voice_s_length(
    picture: Path, voice: Path, tmp_path: Path
) -> None:
    given = {"image_base64": base64_of(picture), "wav_base64": base64_of(voice)}
    info = film(given, tmp_path)
    assert (info.width, info.height, info.frames, info.frame_rate) == (512, 512, 25, 25)
    assert (info.codec, info.pixel_format) == ("h264", "yuv420p")
    assert probe_audio(info.path).codec == "aac"
    heard = decoded_sound(info.path, 1)
    assert abs(lag_ms(heard, bursts(1, 16_000), 16_000)) < 0.1


def test_sides_are_rounded_down_to_sixteen_and_the_middle_is_shown(
    picture: Path, voice: Path, tmp_path: Path
) -> None:
    given = {"image_base64": base64_of(picture), "wav_base64": base64_of(voice)}
    info = film(given | {"width": 90, "height": 121}, tmp_path)
    assert (info.width, info.height) == (80, 112)
    red, green, blue = rgb_of(next(read_frames(info)), 80, 112)[:, 20:60].mean((0, 1))
    assert green > red + 60 < green - blue


def test_the_frames_are_capped(picture: Path, voice: Path, tmp_path: Path) -> None:
    given = {"image_base64": base64_of(picture), "wav_base64": base64_of(voice), "width": 64,
             "height": 64, "max_frame": 9}  # fmt: skip
    assert film(given, tmp_path).frames == 9


def test_nothing_given_is_silently_a_sample(tmp_path: Path) -> None:
    misspelt = {"image_b64": "…", "audio_base64": "…", "width": 64, "height": 64}
    assert samples_in(misspelt) == 2
    assert film(misspelt, tmp_path, is_fast=False).frames == 50
    assert samples_in({"image_path": "x", "wav_url": "y"}) == 0
    assert samples_in({"input_type": "video", "image_path": "x", "wav_url": "y"}) == 1


def test_a_path_goes_before_an_address_and_an_address_before_base64(
    picture: Path, voice: Path, tmp_path: Path
) -> None:
    (tmp_path / "volume").mkdir()
    write_sound(tmp_path / "volume/long.wav", bursts(0.8, 16_000), 16_000)
    write_sound(tmp_path / "short.wav", bursts(0.4, 16_000), 16_000)
    given = {"wav_base64": base64_of(voice), "width": 64, "height": 64}
    with serving(tmp_path) as web:
        given |= {"image_url": web.url("picture.png"), "wav_url": web.url("short.wav")}
        assert film(given, tmp_path).frames == 10
        with pytest.raises(OSError, match="404"):
            made(given | {"image_url": web.url("gone.png")}, tmp_path)
        assert film(given | {"wav_path": "/runpod-volume/long.wav"}, tmp_path).frames == 20


def test_a_path_to_nothing_is_told_in_korean(picture: Path, tmp_path: Path) -> None:
    told = made({"image_path": "/runpod-volume/../picture.png"}, tmp_path)
    assert told == {"error": "미디어 파일을 찾을 수 없습니다: /runpod-volume/../picture.png"}
    told = made({"wav_path": "/tmp/voice.wav"}, tmp_path)
    assert told == {"error": "오디오 파일을 찾을 수 없습니다: /tmp/voice.wav"}


def test_a_data_address_is_no_base64(voice: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="padding") as caught:
        made({"wav_base64": f"data:audio/wav;base64,{base64_of(voice)}"}, tmp_path)
    told = json.loads(told_exception(caught.value, "a-worker"))
    assert told["worker_id"] == "a-worker"
    assert "padding" in told["error_message"]


@pytest.mark.parametrize("key", ["image_base64", "wav_base64"])
def test_what_cannot_be_decoded_comes_to_no_video(key: str, tmp_path: Path) -> None:
    assert made({key: base64.b64encode(b"neither").decode()}, tmp_path) == {"error": NO_VIDEO}


def test_a_picture_without_a_face_comes_to_no_video(
    picture: Path, voice: Path, tmp_path: Path
) -> None:
    given = {"image_base64": base64_of(picture), "wav_base64": base64_of(voice)}
    assert made(given, tmp_path, is_fast=False) == {"error": NO_VIDEO}


def test_a_result_may_be_left_on_the_volume(tmp_path: Path) -> None:
    returned = made({"network_volume": True, "width": 64, "height": 64}, tmp_path)
    (lying,) = (tmp_path / "volume").iterdir()
    assert returned == {"video_path": f"/runpod-volume/{lying.name}"}
    assert lying.name.startswith("infinitetalk_task_")
    assert probe(lying).frames == 50


def test_a_film_keeps_its_pictures_and_its_rate_under_a_new_voice(
    voice: Path, tmp_path: Path
) -> None:
    source = make_film(tmp_path / "source.mp4", frames=20, rate=30)
    given = {"input_type": "video", "video_base64": base64_of(source), "width": 192,
             "height": 96, "wav_base64": base64_of(voice)}  # fmt: skip
    info = film(given, tmp_path)
    assert (info.frame_rate, info.frames) == (Fraction(30), 30)


def test_two_voices_are_heard_as_long_as_the_longer_one(voice: Path, tmp_path: Path) -> None:
    longer = write_sound(tmp_path / "longer.wav", bursts(1.4, 16_000, seed=3), 16_000)
    given = {"person_count": "multi", "wav_base64": base64_of(voice), "width": 64, "height": 64}
    assert film(given, tmp_path).frames == 25
    info = film(given | {"wav_base64_2": base64_of(longer)}, tmp_path)
    assert info.frames == 35
    assert sound_seconds(info.path) == pytest.approx(1.4, abs=0.03)


def test_a_portrait_speaks_and_no_two_jobs_end_alike(voice: Path, tmp_path: Path) -> None:
    data = pytest.importorskip("skimage.data", reason="scikit-image, which carries the portrait")
    portrait = tmp_path / "portrait.jpg"
    cv2.imwrite(str(portrait), data.astronaut()[0:281, 85:366, ::-1])
    given = {"image_base64": base64_of(portrait), "wav_base64": base64_of(voice),
             "width": 288, "height": 288}  # fmt: skip
    films = [film(given, tmp_path, is_fast=False, seed=seed) for seed in (1, 2)]
    last = [list(read_frames(info))[-1] for info in films]
    one, other = (planes_of(frame)[0].astype(int) for frame in last)
    assert np.abs(one - other).mean() > 0.3
    first = next(read_frames(films[0]))
    assert np.abs(planes_of(first)[0].astype(int) - one).mean() > 0.3


def test_a_render_that_nobody_wants_stops(tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        made({"width": 64, "height": 64}, tmp_path, is_stopped=lambda: True)
    assert not list((tmp_path / "work").glob("video.mp4*"))
    with av.open(str(tmp_path / "work/sample.wav")) as sample:
        assert sample.streams.audio[0].sample_rate == 44_100
