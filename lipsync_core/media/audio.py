"""Sound as samples: laid exactly under a film's frames, read and written in blocks.

Sample 0 always belongs to frame 0, and a laid track is exactly as long as the picture: a shorter
one is continued with silence, a longer one ends with the film. What was done is told in words.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
import soundfile
from numpy.typing import NDArray

from lipsync_core.errors import InputError, StorageError, writing
from lipsync_core.media.probe import opened
from lipsync_core.timeline import sample_of_frame

ANALYSIS_RATE = 16_000
# The sample rates AAC knows; a track at any other rate is resampled to 48 kHz for delivery.
DELIVERY_RATES = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 8_000)
# The speakers a number of channels stands for, where AAC has a standard arrangement of them.
LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 8: "7.1"}
_GAP_S = 0.05


@dataclass(frozen=True)
class Track:
    """A WAV file of exactly a film's length, its channels in the order of ``LAYOUTS``.

    ``given_s`` is how much sound there was to lay. ``delay`` is by how many samples it is to be
    heard later than it was laid (negative: earlier).
    """

    path: Path
    sample_rate: int
    channels: int
    samples: int
    given_s: float
    delay: int = 0

    def read(self, first: int = 0, last: int | None = None) -> NDArray[np.float32]:
        """Samples [first, last) as (samples, channels) in -1..1; silence outside the track."""
        last = self.samples if last is None else last
        first, last = first - self.delay, last - self.delay
        inside_first, inside_last = max(0, first), min(self.samples, last)
        sound = np.zeros((last - first, self.channels), np.float32)
        if inside_first < inside_last:
            part, _ = soundfile.read(
                self.path, start=inside_first, stop=inside_last, dtype="float32", always_2d=True
            )
            sound[inside_first - first : inside_last - first] = part
        return sound

    def mono(self, first: int, last: int) -> NDArray[np.float32]:
        """Samples [first, last) of the first channel."""
        only: NDArray[np.float32] = self.read(first, last)[:, 0]
        return only

    def fingerprint(self, first: int, last: int) -> str:
        """The sha256 of samples [first, last), as 32-bit floats; silence outside the track."""
        return hashlib.sha256(self.read(first, last).tobytes()).hexdigest()


@contextmanager
def wav_file(
    out: Path, sample_rate: int, channels: int, subtype: str = "PCM_16", kind: str = "WAV"
) -> Iterator[soundfile.SoundFile]:
    """A WAV file to write into; it appears under its name only when whole.

    Raises:
        StorageError: the disk is full or the folder refuses writes.
    """
    part = out.with_name(out.name + ".part")
    try:
        with writing(out):
            part.touch()  # soundfile would refuse without telling the reason
            with soundfile.SoundFile(part, "w", sample_rate, channels, subtype, format=kind) as wav:
                yield wav
            part.replace(out)
    except BaseException as error:
        with suppress(OSError):  # the error that brought us here is the one to tell
            part.unlink(missing_ok=True)
        if isinstance(error, soundfile.LibsndfileError):
            raise StorageError(f"cannot write {out}: free some space and rerun") from error
        raise


def lay_track(
    source: Path,
    out: Path,
    *,
    frames: int,
    frame_rate: Fraction,
    sample_rate: int | None = None,
    mono: bool = False,
    start_s: float = 0.0,
) -> Track:
    """Decode the first sound stream of ``source`` to a WAV file under the frames of a film.

    ``sample_rate`` and ``mono`` ask for another form; by default the track keeps its own.
    ``start_s`` is when the sound begins relative to the first picture.

    Raises:
        InputError: no sound, zero-length sound, or damaged sound.
        StorageError: ``out`` cannot be written.
    """
    with opened(source) as container:
        if not container.streams.audio:
            raise InputError(f"no audio stream in {source}: give a file with speech")
        stream = container.streams.audio[0]
        own = stream.codec_context.sample_rate
        rate = sample_rate or (own if own in DELIVERY_RATES else 48_000)
        layout = "mono" if mono else LAYOUTS.get(stream.codec_context.channels, "stereo")
        resampler = av.AudioResampler(format="flt", layout=layout, rate=rate)
        channels = resampler.layout.nb_channels
        samples = sample_of_frame(frames, frame_rate, rate)
        place, given = round(start_s * rate), 0
        # RF64: WAV without the 4 GB limit, which a feature film in 5.1 exceeds
        with wav_file(out, rate, channels, "PCM_16" if mono else "FLOAT", "RF64") as wav:
            for block in decoded_blocks(container, stream, resampler):
                given += len(block)
                head = max(0, -place)
                tail = min(len(block), samples - place)
                if head < tail:
                    for still in silence(place + head - wav.tell(), channels):
                        wav.write(still)
                    wav.write(block[head:tail])
                place += len(block)
            if not given:
                raise InputError(f"zero-length sound in {source}: give a file with speech")
            for still in silence(samples - wav.tell(), channels):
                wav.write(still)
    return Track(out, rate, channels, samples, given / rate)


def sound_seconds(source: Path) -> float:
    """How long the first sound stream of a file is, decoded: what a file says of itself is a guess.

    Raises:
        InputError: no sound, zero-length sound, or damaged sound.
    """
    with opened(source) as container:
        if not container.streams.audio:
            raise InputError(f"no audio stream in {source}: give a file with speech")
        stream = container.streams.audio[0]
        rate = stream.codec_context.sample_rate
        resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
        samples = sum(map(len, decoded_blocks(container, stream, resampler)))
    if not samples:
        raise InputError(f"zero-length sound in {source}: give a file with speech")
    return samples / rate


def decoded_blocks(
    container: av.container.InputContainer, stream: av.AudioStream, resampler: av.AudioResampler
) -> Iterator[NDArray[Any]]:
    """Decoded sound as (samples, channels) in the packed form the resampler makes of it; holes in
    the time stamps come as silence.

    Raises:
        InputError: the sound is damaged, or changes its form midway.
    """
    rate = resampler.rate
    due: float | None = None  # when the next sample is due, counted on from the first one
    if stream.start_time is not None and stream.time_base is not None:
        due = float(stream.start_time * stream.time_base)
    try:
        for frame in container.decode(stream):
            if frame.pts is not None and frame.time_base is not None:
                stamp = float(frame.pts * frame.time_base)
                due = stamp if due is None else due
                if stamp - due > _GAP_S:
                    hole = round((stamp - due) * rate)
                    form = resampler.format.name
                    yield from silence(hole, resampler.layout.nb_channels, form)
                    due = stamp
                frame.pts = None  # the resampler then counts samples, which never drifts
            if due is not None:
                due += frame.samples / frame.sample_rate
            for done in resampler.resample(frame):
                yield _interleaved(done)
        for done in resampler.resample(None):
            yield _interleaved(done)
    except av.error.FFmpegError as error:
        raise InputError(
            f"damaged sound in {container.name} ({error.strerror}); copy it again"
        ) from error
    except ValueError as error:  # the resampler's word for it
        raise InputError(
            f"the sound of {container.name} changes its rate or channels midway: "
            "give it as WAV (ffmpeg -c:a pcm_s16le)"
        ) from error


def _interleaved(frame: av.AudioFrame) -> NDArray[Any]:
    return frame.to_ndarray().reshape(-1, frame.layout.nb_channels)


_KINDS = {"u8": np.uint8, "s16": np.int16, "s32": np.int32, "flt": np.float32, "dbl": np.float64}


def silence(samples: int, channels: int, form: str = "flt") -> Iterator[NDArray[Any]]:
    """So many silent samples in a packed sample format of FFmpeg, in blocks."""
    still = 128 if form == "u8" else 0
    block = np.full((max(0, min(samples, 1 << 16)), channels), still, _KINDS[form])
    while samples > 0:
        yield block[:samples]
        samples -= len(block)


def length_note(given_s: float, film_s: float) -> str:
    """What the report says where speech and film differ by more than a frame; else nothing."""
    difference = given_s - film_s
    if abs(difference) < 0.04:
        return ""
    if difference < 0:
        return f"the speech is {-difference:.2f} s shorter than the film: silence follows it"
    return f"the speech is {difference:.2f} s longer than the film: it ends with the picture"
