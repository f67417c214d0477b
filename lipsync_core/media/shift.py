"""A film with its sound moved in time and nothing else changed.

Packets of picture and subtitles are copied as they are, with their stamps. Every sound stream is
decoded, moved by whole samples and encoded once more in its own codec, rate and channels: PCM and
FLAC keep every sample. What is moved are the samples and not the stamps, which some players and
containers do not heed: where the sound comes later it begins with silence, where it comes earlier
its beginning is left out. Either way it is as long as it was.
Chapters and attached files are kept; anything else that cannot be copied is named.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from lipsync_core.errors import InputError, writing
from lipsync_core.media.audio import decoded_blocks, silence
from lipsync_core.media.probe import opened

CONTAINERS = {
    ".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm",
    ".avi": "avi", ".mpg": "mpeg", ".mpeg": "mpeg", ".ts": "mpegts",
}  # fmt: skip
_WITHOUT_STAMPS = frozenset({".avi"})  # so what an encoder puts before the sound cannot be hidden
_COPIED = frozenset({"video", "subtitle"})
_KEPT = _COPIED | {"audio", "attachment"}
_AHEAD_S = 0.5  # by which sound is written before the picture it belongs to
_BITS_A_CHANNEL = 96_000
_ENCODERS = {"mp3": "libmp3lame", "opus": "libopus"}


def shift_sound(
    source: Path,
    out: Path,
    delay_s: float,
    *,
    speed: float = 1.0,
    on_packet: Callable[[int], None] | None = None,
) -> tuple[str, ...]:
    """Write ``source`` to ``out`` with its sound heard ``delay_s`` later (negative: earlier).

    ``speed`` over 1 plays the sound faster by so much, before it is moved. ``on_packet`` is told
    how many packets of picture are written. The container is that of the source; the file appears
    only when whole. The answer says in words what of the source was not taken along.

    Raises:
        InputError: another container is asked for, or the sound is in a codec nobody here writes.
        StorageError: the disk is full or the folder refuses writes.
    """
    suffix = source.suffix.lower()
    if suffix not in CONTAINERS or out.suffix.lower() != suffix:
        known = ", ".join(CONTAINERS)
        raise InputError(
            f"cannot write {out.name}: the container is kept, give a name that ends in {suffix}"
            if suffix in CONTAINERS
            else f"cannot write {suffix or 'such'} files: bring {source.name} into one of {known}"
        )
    part = out.with_name(out.name + ".part")
    try:
        with ExitStack() as open_files, writing(out):
            given = open_files.enter_context(opened(source))
            made = open_files.enter_context(
                av.open(
                    str(part.absolute()), "w", format=CONTAINERS[suffix],
                    container_options=_options(given, suffix),
                )
            )  # fmt: skip
            made.metadata.update(given.metadata)
            made.set_chapters(given.chapters())
            for stream in given.streams.attachments:
                made.add_attachment(stream.name or "file", stream.mimetype or "", stream.data)
            copies = {
                stream.index: _copy_of(stream, made)
                for stream in given.streams
                if stream.type in _COPIED
            }
            voices = [
                _Voice(open_files.enter_context(opened(source)), n, made, delay_s, speed, suffix)
                for n in range(len(given.streams.audio))
            ]
            written = 0
            for packet in given.demux([s for s in given.streams if s.index in copies]):
                stamp = packet.pts if packet.dts is None else packet.dts
                if stamp is None:  # the last, empty one
                    continue
                now_s = float(stamp * packet.time_base)
                is_picture = packet.stream.type == "video"
                packet.stream = copies[packet.stream.index]
                made.mux(packet)
                for voice in voices:
                    voice.write_until(now_s + _AHEAD_S)
                written += is_picture
                if is_picture and on_packet is not None:
                    on_packet(written)
            for voice in voices:
                voice.finish()
            left_out = [s.type for s in given.streams if s.type not in _KEPT]
        with writing(out):
            part.replace(out)
        return tuple(f"a stream of {kind} was left out: nobody here writes it" for kind in left_out)
    except av.error.FFmpegError as error:
        raise InputError(f"cannot rewrite {source} ({error.strerror}): remux it first") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _options(given: av.container.InputContainer, suffix: str) -> dict[str, str]:
    """Keep the unit of the picture's stamps where the container lets one choose."""
    base = given.streams.video[0].time_base
    if suffix not in (".mp4", ".m4v", ".mov") or base is None or base.numerator != 1:
        return {}
    return {"video_track_timescale": str(base.denominator), "movflags": "+faststart"}


def _copy_of(stream: Any, made: av.container.OutputContainer) -> Any:
    copy = made.add_stream_from_template(stream)
    copy.time_base = stream.time_base
    copy.metadata.update(stream.metadata)
    copy.disposition = stream.disposition
    return copy


class _Voice:
    """One sound stream on its way: decoded, moved, encoded."""

    def __init__(
        self, given: av.container.InputContainer, number: int,
        made: av.container.OutputContainer, delay_s: float, speed: float, suffix: str,
    ) -> None:  # fmt: skip
        stream = given.streams.audio[number]
        context = stream.codec_context
        self.rate, self.layout = context.sample_rate, context.layout.name
        self.form = av.AudioFormat(context.format.name).packed.name
        self._made = made
        self._stream = _encoder(made, stream, self.form)
        start = Fraction(stream.start_time or 0) * (stream.time_base or 1)
        self._place = round(start * self.rate)
        moved = round(delay_s * self.rate)
        if suffix in _WITHOUT_STAMPS:
            lead_in = _lead_in(stream, self.form)
            moved, self._place = moved - lead_in, self._place + lead_in  # no stamp below zero
        blocks = decoded_blocks(given, stream, av.AudioResampler(self.form, self.layout, self.rate))
        if speed != 1.0:
            blocks = _resampled(blocks, self.form, self.layout, self.rate, speed)
        self._blocks = _moved(blocks, moved, context.layout.nb_channels, self.form)

    def write_until(self, moment_s: float) -> None:
        """Encode on until the sound reaches that moment, or ends."""
        while self._place < moment_s * self.rate:
            block = next(self._blocks, None)
            if block is None:
                return
            self._write(block)

    def finish(self) -> None:
        """Encode the rest."""
        for block in self._blocks:
            self._write(block)
        self._made.mux(self._stream.encode(None))

    def _write(self, block: NDArray[Any]) -> None:
        if len(block):
            self._made.mux(self._stream.encode(_frame(block, self)))
        self._place += len(block)

    @property
    def place(self) -> int:
        """The number of the next sample on the film's clock."""
        return self._place


def _frame(block: NDArray[Any], voice: _Voice) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(block).reshape(1, -1), voice.form, voice.layout
    )
    frame.sample_rate, frame.pts, frame.time_base = voice.rate, voice.place, Fraction(1, voice.rate)
    return frame


def _encoder(made: av.container.OutputContainer, stream: av.AudioStream, form: str) -> Any:
    context = stream.codec_context
    form_of_sound = context.codec.canonical_name
    name = _ENCODERS.get(form_of_sound, form_of_sound)
    try:
        codec = av.codec.Codec(name, "w")
    except av.codec.codec.UnknownCodecError as error:
        raise InputError(
            f"nobody here writes sound in {form_of_sound}: convert it first (ffmpeg -c:a flac)"
        ) from error
    encoder: Any = made.add_stream(name, rate=context.sample_rate)
    encoder.layout = context.layout.name
    forms = [known.name for known in codec.audio_formats or ()]
    wanted = [known for known in (context.format.name, form) if known in forms]
    if wanted:
        encoder.codec_context.format = wanted[0]
    if not codec.name.startswith(("pcm", "flac", "alac")):
        usual = _BITS_A_CHANNEL * context.layout.nb_channels
        encoder.bit_rate = max(context.bit_rate or 0, 0) or usual
    if name == "vorbis":
        encoder.options = {"strict": "experimental"}
    encoder.metadata.update(stream.metadata)
    encoder.disposition = stream.disposition
    return encoder


def _lead_in(stream: av.AudioStream, form: str) -> int:
    """How many samples the encoder puts before the sound."""
    context = stream.codec_context
    rate, layout = context.sample_rate, context.layout
    [block] = silence(1 << 16, layout.nb_channels, form)
    frame = av.AudioFrame.from_ndarray(block.reshape(1, -1), form, layout.name)
    frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
    with av.open(os.devnull, "w", format="null") as nowhere:
        first = next(iter(_encoder(nowhere, stream, form).encode(frame)), None)
        return 0 if first is None else max(0, -round(first.pts * first.time_base * rate))


def _moved(
    blocks: Iterator[NDArray[Any]], later: int, channels: int, form: str
) -> Iterator[NDArray[Any]]:
    """The sound so many samples later (negative: earlier), and as long as it was."""
    if later <= 0:
        left_out = -later
        for block in blocks:
            yield block[left_out:]
            left_out = max(0, left_out - len(block))
        yield from silence(-later - left_out, channels, form)
        return
    held = np.concatenate(list(silence(later, channels, form)))
    for block in blocks:
        held = np.concatenate([held, block])
        yield held[:-later]
        held = held[-later:]


def _resampled(
    blocks: Iterator[NDArray[Any]], form: str, layout: str, rate: int, speed: float
) -> Iterator[NDArray[Any]]:
    """The sound played faster by ``speed``: taken to have been recorded at another rate."""
    resampler = av.AudioResampler(form, layout, rate)
    channels = av.AudioLayout(layout).nb_channels
    for block in blocks:
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block).reshape(1, -1), form, layout)
        frame.sample_rate = round(rate * speed)
        for done in resampler.resample(frame):
            yield done.to_ndarray().reshape(-1, channels)
    for done in resampler.resample(None):
        yield done.to_ndarray().reshape(-1, channels)
