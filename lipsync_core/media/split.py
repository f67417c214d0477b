"""Splitting: every segment as a film and a sound file of its own, exact to the frame and sample.

Engines elsewhere and people get these pieces; they are copies to work from. The film itself is
joined from its own frames and the whole speech track, never from the pieces' sound.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice, pairwise
from pathlib import Path

from lipsync_core.errors import TimelineBroken
from lipsync_core.media.audio import Track, wav_file
from lipsync_core.media.encode import write_film
from lipsync_core.media.frames import read_frames
from lipsync_core.media.probe import FilmInfo
from lipsync_core.naming import audio_name, video_name
from lipsync_core.timeline import Segment, sample_of_frame

# Finer than the final encode, whose picture an engine's copy should not limit.
_CRF, _PRESET = 12, "veryfast"
_BLOCK_SAMPLES = 1 << 16


def split_film(
    info: FilmInfo, segments: Sequence[Segment], audio: Track | None, out: Path
) -> list[tuple[Path, Path | None]]:
    """Write ``vid_NN.mp4`` and ``aud_NN.wav`` for every segment; the film is decoded once.

    The numbers are the segments' indices counted from 1. Each video begins with a keyframe of its
    own and carries its sound; each WAV holds 16-bit samples from the first one of its first frame
    to the first one of the next segment. Without ``audio`` there is only the video.

    Raises:
        TimelineBroken: segments overlap or reach beyond the film.
        StorageError: the disk is full or the folder refuses writes.
    """
    ordered = sorted(segments, key=lambda segment: segment.first_frame)
    for one, other in pairwise(ordered):
        if other.first_frame < one.last_frame:
            raise TimelineBroken(f"segments {one.index} and {other.index} overlap")
    start, end = (ordered[0].first_frame, ordered[-1].last_frame) if ordered else (0, 0)
    frames = read_frames(info, start, end)
    pieces: list[tuple[Path, Path | None]] = []
    for segment in ordered:
        for _ in islice(frames, segment.first_frame - start):
            pass  # nobody asked for what lies between two segments
        start = segment.last_frame
        video = out / video_name(segment.index + 1, ".mp4")
        write_film(
            islice(frames, segment.frames),
            info,
            audio,
            video,
            crf=_CRF,
            preset=_PRESET,
            first_frame=segment.first_frame,
        )
        sound = None
        if audio is not None:
            sound = out / audio_name(segment.index + 1, ".wav")
            _cut_sound(audio, info, segment, sound)
        pieces.append((video, sound))
    return pieces


def _cut_sound(audio: Track, info: FilmInfo, segment: Segment, out: Path) -> None:
    first, last = (
        sample_of_frame(frame, info.frame_rate, audio.sample_rate)
        for frame in (segment.first_frame, segment.last_frame)
    )
    with wav_file(out, audio.sample_rate, audio.channels) as wav:
        for start in range(first, last, _BLOCK_SAMPLES):
            wav.write(audio.read(start, min(last, start + _BLOCK_SAMPLES)))
