"""One film file: an H.264 picture and one AAC sound, made side by side in constant memory.

The sound is one continuous encode. AAC begins with 1024 samples of lead-in; the encoder stamps
them before zero and the MP4 edit list hides them, so what is heard begins with the first frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

import av

from lipsync_core.errors import writing
from lipsync_core.media.audio import LAYOUTS, Track
from lipsync_core.media.frames import FrameWriter
from lipsync_core.media.probe import FilmInfo
from lipsync_core.timeline import sample_of_frame

_BITS_A_CHANNEL = 96_000
# An AAC frame of 1024 samples holds at most 6144 bits a channel (ISO/IEC 14496-3, 4.5.3).
_BITS_A_SAMPLE = 6


def write_film(
    frames: Iterable[av.VideoFrame],
    info: FilmInfo,
    sound: Track | None,
    out: Path,
    *,
    crf: float,
    preset: str,
    first_frame: int = 0,
    on_frame: Callable[[int], None] | None = None,
) -> None:
    """Encode frames as they come, in the form of the film they belong to, with their sound.

    Size, exact rate, pixel format, sample aspect and colour tags are the film's. The sound begins
    with the first sample of ``first_frame`` and ends with the last frame. ``on_frame`` is told
    how many frames are written. The file is an MP4 whose index stands first; it appears under its
    name only when whole.

    Raises:
        StorageError: the disk is full or the folder refuses writes.
    """
    options = {"movflags": "+faststart"}
    if sound is not None:
        # lengths in the edit list count in these units; a millisecond would round them
        options["movie_timescale"] = str(sound.sample_rate)
    with FrameWriter(
        out,
        width=info.width,
        height=info.height,
        frame_rate=info.frame_rate,
        pixel_format=info.pixel_format,
        codec="libx264",
        options={"crf": str(crf), "preset": preset},
        colour=info.colour,
        sample_aspect=info.sample_aspect,
        container_options=options,
    ) as writer:
        voice = None if sound is None else _Voice(writer, sound, first_frame, info.frame_rate)
        for frame in frames:
            writer.write(frame)
            if voice is not None:
                voice.encode_under(writer.written)
            if on_frame is not None:
                on_frame(writer.written)
        if voice is not None:
            voice.flush()


class _Voice:
    """The sound of a film being written: a track from one frame's first sample on."""

    def __init__(
        self, writer: FrameWriter, sound: Track, first_frame: int, frame_rate: Fraction
    ) -> None:
        self._writer, self._sound = writer, sound
        self._first_frame, self._frame_rate = first_frame, frame_rate
        self._encoded = 0
        bits = min(_BITS_A_CHANNEL, _BITS_A_SAMPLE * sound.sample_rate) * sound.channels
        stream = writer.container.add_stream("aac", rate=sound.sample_rate, bit_rate=bits)
        assert isinstance(stream, av.AudioStream)
        stream.layout = LAYOUTS[sound.channels]
        self._stream = stream

    def encode_under(self, frames: int) -> None:
        """Encode on to the sample with which the first ``frames`` frames end."""
        rate = self._sound.sample_rate
        start = sample_of_frame(self._first_frame, self._frame_rate, rate)
        end = sample_of_frame(self._first_frame + frames, self._frame_rate, rate) - start
        block = self._sound.read(start + self._encoded, start + end)
        frame = av.AudioFrame.from_ndarray(
            block.reshape(1, -1), "flt", LAYOUTS[self._sound.channels]
        )
        frame.sample_rate, frame.pts, frame.time_base = rate, self._encoded, Fraction(1, rate)
        self._mux(frame)
        self._encoded = end

    def flush(self) -> None:
        """Write what the encoder still holds of the sound."""
        self._mux(None)

    def _mux(self, frame: av.AudioFrame | None) -> None:
        with writing(self._writer.path):
            self._writer.container.mux(self._stream.encode(frame))
