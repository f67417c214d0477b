"""Small copies of a film for the review page: H.264 and AAC in one MP4.

Pictures and sound are two lazy streams of packets, merged by time into the file, so a long film
costs no more memory than a short one.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from heapq import merge
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import av
import av.error
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from lipsync_core.errors import InputError, writing
from lipsync_core.media.frames import Plane, frame_of, planes_of
from lipsync_core.media.probe import opened

MAX_PREVIEW_S = 60.0

CLOCK = Fraction(1, 90_000)  # exact for every usual frame rate, fine enough for variable ones
SOUND_RATE = 48_000
SOUND_GAP_S = 0.05  # a larger jump of the time stamps is meant, not rounding

# Key frames two seconds apart: the two players of the page jump together without delay.
# Without B-frames this preset is no slower and its files are a sixth smaller.
X264 = {"preset": "superfast", "crf": "28", "g": "50", "bf": "0"}
AAC = {"aac_coder": "fast"}


def preview(
    source: Path,
    seconds: float = MAX_PREVIEW_S,
    short_side: int = 360,
    sound: Path | None = None,
) -> bytes:
    """The first ``seconds`` of a film as a small MP4, with its own time stamps and upright.

    Args:
        source: any film PyAV opens; rotation flags, non-square pixels and variable rates are
            honoured. Its first picture is time 0, as everywhere in a timeline.
        seconds: how much of it to show at most.
        short_side: pixels of the shorter side at most; smaller films are not enlarged.
        sound: the file whose sound is heard; by default the film's own. Without sound the
            preview is silent.

    Raises:
        InputError: not a film, or damaged.
        StorageError: the temporary folder is full.
    """
    with TemporaryDirectory(prefix="preview-") as folder:
        target = Path(folder) / "preview.mp4"
        try:
            with writing(target):
                _write(source, sound or source, seconds, short_side, target)
        except av.error.FFmpegError as error:
            raise InputError(f"cannot make a preview of {source}: {error.strerror}") from error
        return target.read_bytes()


def _write(source: Path, sound: Path, seconds: float, short_side: int, target: Path) -> None:
    with (
        opened(source) as film,
        opened(sound) as voice,
        # The index goes to the front, so that playing may start before all is read.
        av.open(str(target), "w", options={"movflags": "faststart"}) as out,
    ):
        picture = film.streams.best("video")  # never a cover picture where there is a film
        if not isinstance(picture, av.VideoStream):
            raise InputError(f"no video stream in {source}: give a film, not a sound file")
        picture.thread_type = "AUTO"
        frames = film.decode(picture)
        first = next(frames, None)
        if first is None:
            raise InputError(f"no frames in {source}: the file is empty or cut off")

        rate = picture.guessed_rate or picture.average_rate or Fraction(25)
        start_s = first.time or 0.0
        if picture.duration and picture.time_base:
            seconds = min(seconds, float(picture.duration * picture.time_base))
        tracks = [
            _pictures(chain([first], frames), _picture_track(out, first, picture, short_side, rate),
                      rate, seconds)
        ]  # fmt: skip
        if voice.streams.audio:
            spoken = out.add_stream("aac", rate=SOUND_RATE, layout="mono", options=AAC)
            spoken.bit_rate = 64_000
            # Another file's sound starts with the film; the film's own keeps its place.
            origin_s = start_s if sound == source else 0.0
            tracks.append(_sound(voice, spoken, origin_s, seconds))
        for packet in merge(*tracks, key=_seconds):
            out.mux(packet)


def _picture_track(
    out: av.container.OutputContainer,
    first: av.VideoFrame,
    picture: av.VideoStream,
    short_side: int,
    rate: Fraction,
) -> av.VideoStream:
    """The encoder of the small upright picture, colour tags kept."""
    width, height = Fraction(first.width) * (picture.sample_aspect_ratio or 1), first.height
    if first.rotation % 180:
        width, height = Fraction(height), int(width)
    scale = min(Fraction(1), short_side / min(width, Fraction(height)))
    track = out.add_stream("libx264", rate=rate, options=X264)
    track.width, track.height = _even(width * scale), _even(height * scale)
    track.pix_fmt = "yuv420p"
    context = track.codec_context
    context.time_base = CLOCK
    context.color_primaries, context.color_trc = first.color_primaries, first.color_trc
    context.colorspace = first.colorspace
    return track


def _pictures(
    frames: Iterator[av.VideoFrame], track: av.VideoStream, rate: Fraction, seconds: float
) -> Iterator[av.Packet]:
    """Packets of the pictures shown before ``seconds``; time stamps come from the frames."""
    scaler = VideoReformatter()
    usual_s = float(1 / rate)
    start_s: float | None = None
    shown_s = -usual_s
    for frame in frames:
        if start_s is None:
            start_s = frame.time or 0.0
        # Frames without a stamp follow each other at the film's rate.
        at_s = shown_s + usual_s if frame.time is None else frame.time - start_s
        if at_s >= seconds:
            break
        if at_s <= shown_s:  # a stamp that does not advance shows nothing
            continue
        shown_s = at_s
        small = _upright(scaler, frame, track.width, track.height)
        small.pts, small.time_base = round(at_s / CLOCK), CLOCK
        small.duration = round(usual_s / CLOCK)
        yield from track.encode(small)
    yield from track.encode(None)


def _upright(
    scaler: VideoReformatter, frame: av.VideoFrame, width: int, height: int
) -> av.VideoFrame:
    """The frame as yuv420p of ``width`` × ``height``, turned by its rotation flag."""
    turns = round(frame.rotation / 90) % 4  # counter-clockwise, as the flag counts and rot90 turns
    if turns % 2:
        width, height = height, width
    # Area averaging keeps thin lines whole when a film is made much smaller, and is fast.
    small = scaler.reformat(frame, width, height, "yuv420p", interpolation="AREA")
    if not turns:
        return small
    planes = cast(list[Plane], [np.rot90(plane, turns) for plane in planes_of(small)])
    return frame_of(planes, "yuv420p", tags_of=small)


def _sound(
    voice: av.container.InputContainer, track: av.AudioStream, origin_s: float, seconds: float
) -> Iterator[av.Packet]:
    """Packets of the sound from ``origin_s`` of its own clock on, mono, on an unbroken grid."""
    written, begun, end = 0, False, round(seconds * SOUND_RATE)
    for at_s, samples in _mono(voice):
        place = round((at_s - origin_s) * SOUND_RATE)
        if begun and abs(place - written) <= SOUND_GAP_S * SOUND_RATE:
            place = written  # stamps jitter, samples do not
        if place + samples.size <= written:  # before the first picture, or said twice
            continue
        silence = np.zeros(min(max(0, place - written), end - written), np.float32)
        samples = np.concatenate([silence, samples[max(0, written - place) :]])
        samples = samples[: end - written]
        if not samples.size:
            break
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, written, Fraction(1, SOUND_RATE)
        written, begun = written + samples.size, True
        yield from track.encode(frame)
    yield from track.encode(None)


def _mono(voice: av.container.InputContainer) -> Iterator[tuple[float, NDArray[np.float32]]]:
    """Decoded sound as (seconds on the file's clock, float32 samples at SOUND_RATE)."""
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=SOUND_RATE)
    for decoded in chain(voice.decode(audio=0), [None]):
        for frame in resampler.resample(decoded):
            yield frame.time or 0.0, frame.to_ndarray()[0]


def _seconds(packet: av.Packet) -> Fraction:
    return (packet.dts or 0) * packet.time_base


def _even(pixels: Fraction | int) -> int:
    return max(2, 2 * round(pixels / 2))
