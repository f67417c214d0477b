"""Films and sounds made for tests, in which every frame and every moment can be recognised.

A frame carries its own number as twelve big blocks, light for one and dark for zero, so that a
test can read back which frame it holds. The sound is bursts of noise that never repeat, so that
a shift of a fraction of a millisecond shows.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import imageio_ffmpeg
import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy.signal import lfilter

from lipsync_core.media.frames import frame_of, planes_of
from lipsync_core.media.probe import ColourTags

BLOCKS_ACROSS, BLOCKS_DOWN = 4, 3
DARK, LIGHT = 50, 190


def numbered_frame(
    number: int, width: int = 192, height: int = 108, pixel_format: str = "yuv420p"
) -> av.VideoFrame:
    """A frame that carries ``number`` (0 to 4095) in its luma, with some texture and colour."""
    bit, texture = _blocks_and_texture(width, height)
    luma = np.where((number >> bit) & 1, LIGHT, DARK) + texture
    shrunk = av.VideoFrame(width, height, pixel_format)
    deep = 4 if "10le" in pixel_format else 1
    planes = [luma * deep]
    for plane, base in zip(planes_of(shrunk)[1:], (110, 140), strict=True):
        planes.append(np.full(plane.shape, (base + number % 8) * deep))
    kind = np.uint16 if deep > 1 else np.uint8
    return frame_of([plane.astype(kind) for plane in planes], pixel_format)


@cache
def _blocks_and_texture(width: int, height: int) -> tuple[NDArray[Any], NDArray[Any]]:
    rows, columns = np.mgrid[0:height, 0:width]
    bit = (rows * BLOCKS_DOWN // height) * BLOCKS_ACROSS + columns * BLOCKS_ACROSS // width
    return bit, (columns * 7 + rows * 5) % 16


def number_of(frame: av.VideoFrame) -> int:
    """The number a frame carries."""
    luma = planes_of(frame)[0]
    height, width = luma.shape
    threshold = (DARK + LIGHT) / 2 * (4 if luma.dtype == np.uint16 else 1)
    number = 0
    for bit in range(BLOCKS_ACROSS * BLOCKS_DOWN):
        down, across = divmod(bit, BLOCKS_ACROSS)
        middle = luma[
            int((down + 0.3) * height / BLOCKS_DOWN) : int((down + 0.7) * height / BLOCKS_DOWN),
            int((across + 0.3) * width / BLOCKS_ACROSS) : int(
                (across + 0.7) * width / BLOCKS_ACROSS
            ),
        ]
        number |= int(middle.mean() > threshold) << bit
    return number


def bursts(seconds: float, sample_rate: int, channels: int = 1, seed: int = 7) -> NDArray[Any]:
    """Noise in bursts of changing length with pauses between, as (samples, channels) float32."""
    random = np.random.default_rng(seed)
    samples = round(seconds * sample_rate)
    summed = np.cumsum(random.standard_normal((samples + 9, channels)), axis=0)
    soft = (summed[9:] - summed[:-9]) / 9
    time = np.arange(samples) / sample_rate
    loud = np.clip(3 * np.sin(2 * np.pi * (0.9 * time + 0.05 * time**2)), 0, 1)
    return (0.5 * soft * loud[:, None]).astype(np.float32)


def vowels(seconds: float, sample_rate: int = 16_000, seed: int = 4) -> NDArray[Any]:
    """A voice made of five sung vowels, (samples, 1) float32: Silero takes it for speech."""
    random = np.random.default_rng(seed)
    samples, length = round(seconds * sample_rate), round(0.18 * sample_rate)
    time = np.arange(samples) / sample_rate
    pitch = 120 * (1 + 0.15 * np.sin(4.4 * time) + 0.05 * np.sin(14.5 * time))
    glottis = np.diff(np.floor(np.cumsum(pitch) / sample_rate), prepend=0)
    glottis += 0.02 * random.standard_normal(samples)
    formants = [(730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480),
                (570, 840, 2410)]  # fmt: skip
    voice = np.zeros(samples)
    for first in range(0, samples, length):
        sound = glottis[first : first + length]
        for formant, width in zip(formants[random.integers(5)], (80, 100, 140), strict=True):
            radius = np.exp(-np.pi * width / sample_rate)
            turn = 2 * radius * np.cos(2 * np.pi * formant / sample_rate)
            sound = lfilter([1 - radius], [1, -turn, radius**2], sound)
        voice[first : first + length] = sound * np.sqrt(
            np.sin(np.pi * np.arange(len(sound)) / length)
        )
    return (0.5 * voice / np.abs(voice).max(initial=1e-9)).astype(np.float32)[:, None]


def picture_packets(path: Path) -> list[bytes]:
    """The packets of a film's picture, as they are."""
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def write_sound(path: Path, sound: NDArray[Any], sample_rate: int) -> Path:
    """A WAV file of the given (samples, channels) floats."""
    soundfile.write(path, sound, sample_rate, subtype="FLOAT")
    return path


def make_film(
    path: Path,
    *,
    frames: int = 50,
    rate: Fraction | int = 25,
    size: tuple[int, int] = (192, 108),
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    options: dict[str, str] | None = None,
    colour: ColourTags | None = None,
    rotation: int = 0,
    start_s: Fraction | int = 0,
    places: Sequence[int] | None = None,
    sound: NDArray[Any] | None = None,
    sample_rate: int = 48_000,
    sound_codec: str = "aac",
) -> Path:
    """Write a film whose frame ``f`` carries the number ``f``.

    ``size`` and ``rotation`` are those of the upright picture: the stored one is turned, and the
    file says by how many degrees counterclockwise a player has to turn it. ``places`` lays stored
    frame ``k`` at frame ``places[k]`` of the grid (a variable rate); the picture then carries
    that place. ``sound`` is (samples, channels) and begins at 0 s, the picture at ``start_s``.
    """
    rate = Fraction(rate)
    places = range(frames) if places is None else places
    stored = size if rotation % 180 == 0 else size[::-1]
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream(codec, rate=rate)
        video.width, video.height, video.pix_fmt = *stored, pixel_format
        video.options = {"crf": "12", "preset": "ultrafast"} if options is None else options
        context: Any = video.codec_context
        context.time_base = 1 / (rate * 100 if start_s else rate)
        if colour is not None:
            context.color_primaries, context.color_trc = colour.primaries, colour.transfer
            context.colorspace, context.color_range = colour.matrix, colour.range
        if rotation:
            video.set_display_rotation(rotation)
        audio: Any = None
        if sound is not None:
            audio = container.add_stream(sound_codec, rate=sample_rate)
            audio.layout = {1: "mono", 2: "stereo", 6: "5.1"}[sound.shape[1]]
        for place in places:
            picture = numbered_frame(place, *size, pixel_format)
            if rotation:
                turned = [np.rot90(plane, -rotation // 90) for plane in planes_of(picture)]
                picture = frame_of(turned, pixel_format)
            picture.time_base = context.time_base
            picture.pts = round((place / rate + start_s) / picture.time_base)
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        if audio is not None and sound is not None:
            for first in range(0, len(sound), 4096):
                block = np.ascontiguousarray(sound[first : first + 4096].reshape(1, -1))
                part = av.AudioFrame.from_ndarray(block, "flt", audio.layout.name)
                part.sample_rate, part.pts = sample_rate, first
                part.time_base = Fraction(1, sample_rate)
                container.mux(audio.encode(part))
            container.mux(audio.encode(None))
    return path


def ffmpeg(*arguments: str | Path) -> bytes:
    """What the ffmpeg program of the wheel writes to its output; a second opinion on a file."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True).stdout


def decoded_sound(path: Path, channels: int) -> NDArray[Any]:
    """The sound of a file as ffmpeg plays it, (samples, channels) at the file's own rate."""
    raw = ffmpeg("-i", path, "-vn", "-f", "f32le", "-")
    return np.frombuffer(raw, np.float32).reshape(-1, channels)


def lag_ms(heard: NDArray[Any], master: NDArray[Any], sample_rate: int) -> float:
    """How much later ``heard`` is than ``master``, to a hundredth of a sample."""
    one, other = (
        np.asarray(sound, np.float64).reshape(len(sound), -1) for sound in (heard, master)
    )
    size = 1 << (len(one) + len(other)).bit_length()
    spectrum = np.fft.rfft(one.mean(axis=1), size) * np.fft.rfft(other.mean(axis=1), size).conj()
    likeness = np.fft.irfft(spectrum, size)
    best = int(likeness.argmax())
    before, top, after = likeness[[best - 1, best, (best + 1) % size]]
    place = best if best < size // 2 else best - size
    return float(place + (before - after) / 2 / (before - 2 * top + after)) / sample_rate * 1000
