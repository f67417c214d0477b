from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from media_factory import (
    bursts,
    decoded_sound,
    lag_ms,
    make_film,
    number_of,
    write_sound,
)

from lipsync_core.errors import TimelineBroken
from lipsync_core.media.audio import Track, lay_track
from lipsync_core.media.frames import read_frames
from lipsync_core.media.probe import FilmInfo, probe
from lipsync_core.media.split import split_film
from lipsync_core.timeline import Cut, Segment, Timeline, sample_of_frame

CUTS = [1, 2, 13, 14, 37, 60]
FILMS: dict[str, dict[str, Any]] = {
    "24000/1001 fps": {"rate": Fraction(24000, 1001)},
    "30000/1001 fps": {"rate": Fraction(30000, 1001)},
    "50 fps": {"rate": 50},
    "variable rate": {"places": [*range(20), *range(25, 61), 65]},
    "rotated": {"rotation": 270},
    "late start, long GOP": {
        "start_s": Fraction(1, 2),
        "sound": bursts(3, 48_000),
        "options": {"crf": "12", "preset": "veryfast", "g": "250"},
    },
    "10 bit": {"pixel_format": "yuv420p10le"},
}


def laid(info: FilmInfo, folder: Path, rate: int = 16_000, channels: int = 1) -> Track:
    source = write_sound(folder / "in.wav", bursts(info.seconds, rate, channels), rate)
    return lay_track(source, folder / "laid.wav", frames=info.frames, frame_rate=info.frame_rate)


@pytest.mark.parametrize("kind", FILMS)
def test_every_piece_holds_exactly_its_frames_and_samples(tmp_path: Path, kind: str) -> None:
    info = probe(make_film(tmp_path / "film.mp4", **({"frames": 66} | FILMS[kind])))
    assert info.frames == 66
    audio = laid(info, tmp_path)
    timeline = Timeline.from_cuts(map(Cut, CUTS), info.frames, info.frame_rate)
    pieces = split_film(info, timeline.segments, audio, tmp_path)
    shown = [number_of(frame) for frame in read_frames(info)]
    sound: list[np.ndarray] = []
    for segment, (video, wav) in zip(timeline.segments, pieces, strict=True):
        number = f"{segment.index + 1:02d}"
        assert wav is not None
        assert (video.name, wav.name) == (f"vid_{number}.mp4", f"aud_{number}.wav")
        piece = probe(video)
        assert (piece.frames, piece.frame_rate) == (segment.frames, info.frame_rate)
        frames = [number_of(frame) for frame in read_frames(piece)]
        assert frames == shown[segment.first_frame : segment.last_frame]
        sound.append(soundfile.read(wav, dtype="float32", always_2d=True)[0])
        first, last = (
            sample_of_frame(frame, info.frame_rate, 16_000)
            for frame in (segment.first_frame, segment.last_frame)
        )
        assert len(sound[-1]) == last - first
    whole = np.concatenate(sound)
    assert np.abs(whole - audio.read()).max() <= 1 / 32768


def test_each_piece_begins_with_its_own_keyframe_and_carries_its_sound(tmp_path: Path) -> None:
    info = probe(make_film(tmp_path / "film.mp4", frames=75))
    pieces = split_film(
        info, [Segment(0, 0, 25), Segment(1, 25, 75)], laid(info, tmp_path, 44_100, 2), tmp_path
    )
    for video, wav in pieces:
        assert wav is not None
        cut = soundfile.read(wav, dtype="float32", always_2d=True)[0]
        assert abs(lag_ms(decoded_sound(video, 2), cut, 44_100)) < 0.05
        with av.open(str(video)) as container:
            assert next(container.demux(video=0)).is_keyframe


def test_only_the_segments_asked_for_are_written_under_their_own_numbers(tmp_path: Path) -> None:
    info = probe(make_film(tmp_path / "film.mp4", frames=60))
    pieces = split_film(info, [Segment(11, 40, 45), Segment(3, 10, 12)], None, tmp_path)
    assert [(video.name, wav) for video, wav in pieces] == [
        ("vid_04.mp4", None),
        ("vid_12.mp4", None),
    ]
    assert [number_of(frame) for frame in read_frames(probe(pieces[1][0]))] == list(range(40, 45))
    assert not list(tmp_path.glob("aud_*"))
    assert split_film(info, [], None, tmp_path) == []


def test_segments_that_overlap_or_leave_the_film_are_refused(tmp_path: Path) -> None:
    info = probe(make_film(tmp_path / "film.mp4", frames=20))
    with pytest.raises(TimelineBroken, match="segments 0 and 1 overlap"):
        split_film(info, [Segment(0, 0, 11), Segment(1, 10, 20)], None, tmp_path)
    with pytest.raises(TimelineBroken, match=r"\[10, 30\) asked of a film of 20"):
        split_film(info, [Segment(0, 10, 30)], None, tmp_path)
    assert not list(tmp_path.glob("vid_*"))
