"""What a file is: streams, exact rate, frame count, colour tags, and what must be conformed.

Nothing is decoded beyond the first frame; packets are read once, so the answer is exact and costs
milliseconds. Whatever cannot be handled faithfully is refused here, in one line; whatever is
conformed is listed in words, so that it can stand in the report.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property, lru_cache
from itertools import pairwise
from pathlib import Path

import av
import av.error

from lipsync_core.errors import InputError

STANDARD_RATES = tuple(
    Fraction(rate)
    for rate in (
        "24000/1001", "24", "25", "30000/1001", "30", "48", "50", "60000/1001", "60", "100", "120"
    )
)  # fmt: skip

# Planar YUV that is kept as it is; anything else is converted to yuv420p and the report says so.
KEPT_FORMATS = ("yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le")
_ADDRESS = re.compile(r"(https?|s3|supabase):/", re.IGNORECASE)
HDR_TRANSFERS = {16: "PQ (HDR10)", 18: "HLG"}


@dataclass(frozen=True)
class ColourTags:
    """The four colour tags of a stream as ITU-T H.273 numbers; 2 (primaries, transfer, matrix)
    and 0 (range) mean unspecified."""

    primaries: int = 2
    transfer: int = 2
    matrix: int = 2
    range: int = 0


@dataclass(frozen=True)
class SoundInfo:
    """One audio stream. ``start_s`` is relative to the first picture: negative = sound first."""

    codec: str
    sample_rate: int
    channels: int
    start_s: float


@dataclass(frozen=True)
class FilmInfo:
    """A video file on its own exact frame grid, after conforming.

    ``width`` and ``height`` are those of the upright picture. ``shown[f]`` is the place, in
    display order, of the stored frame that is on screen in frame ``f``; ``None`` where that is
    ``f`` itself (constant rate). ``stored_pts`` are the stored frames' time stamps in units of
    ``time_base``, in display order. ``conformed`` lists in words what differs from the file.
    """

    path: Path
    codec: str
    width: int
    height: int
    frame_rate: Fraction
    frames: int
    pixel_format: str
    sample_aspect: Fraction
    colour: ColourTags
    rotation: int
    time_base: Fraction
    stored_pts: tuple[int, ...]
    shown: tuple[int, ...] | None
    seekable: bool
    sound: SoundInfo | None
    conformed: tuple[str, ...]

    @cached_property
    def seconds(self) -> float:
        """The film's length in seconds."""
        return float(self.frames / self.frame_rate)

    def stored_index(self, frame: int) -> int:
        """Which stored frame (display order) is on screen in ``frame``."""
        return frame if self.shown is None else self.shown[frame]


def planned(
    path: Path,
    *,
    width: int,
    height: int,
    frame_rate: Fraction,
    frames: int,
    pixel_format: str,
    colour: ColourTags,
) -> FilmInfo:
    """What a film will be that is yet to be written: H.264, square pixels, no sound."""
    return FilmInfo(
        path=path, codec="h264", width=width, height=height, frame_rate=frame_rate, frames=frames,
        pixel_format=pixel_format, sample_aspect=Fraction(1), colour=colour, rotation=0,
        time_base=1 / frame_rate, stored_pts=tuple(range(frames)), shown=None, seekable=True,
        sound=None, conformed=(),
    )  # fmt: skip


@dataclass(frozen=True)
class AudioInfo:
    """The first audio stream of any file, without a picture to relate it to."""

    path: Path
    codec: str
    sample_rate: int
    channels: int
    layout: str


def opened(path: Path) -> av.container.InputContainer:
    """Open a media file for reading.

    Raises:
        InputError: the file is missing, is a folder, may not be read, or is no media file.
    """
    try:
        if not path.exists():
            if _ADDRESS.match(str(path)):
                raise InputError("an address was given where a file of this machine is needed")
            raise InputError(f"no such file: {path}")
        if not path.is_file():
            raise InputError(f"not a file: {path}")
        return av.open(str(path.absolute()))  # "12:30.mp4" alone would be taken for a URL
    except PermissionError as error:  # av's own is one of these too
        raise InputError(f"may not read {path}: check its permissions") from error
    except (av.error.FFmpegError, ValueError) as error:
        if path.stat().st_size == 0:
            raise InputError(f"empty file: {path}") from error
        raise InputError(
            f"not a media file, or cut off before its index: {path} ({_brief(error)})"
        ) from error


def probe(path: Path) -> FilmInfo:
    """Read what a video is.

    Raises:
        InputError: missing, not a video, truncated, HDR, interlaced, or without a usable rate.
    """
    return _read(path, _state(path))


def _state(path: Path) -> tuple[int, ...]:
    """What changes with a file; a run asks for the same few again and again."""
    with suppress(OSError):
        found = path.stat()
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
    return ()


@lru_cache(maxsize=16)
def _read(path: Path, _state: tuple[int, ...]) -> FilmInfo:
    with opened(path) as container:
        video = next((s for s in container.streams.video if not _is_cover(s)), None)
        if video is None:
            raise InputError(f"no video stream in {path}: give a film, not a sound file")
        pts, has_all_pts, last_ticks, packets = _time_stamps(container, video, path)
        declared = video.frames
        rate = _frame_rate(video, pts)
        context = video.codec_context
        colour = ColourTags(
            int(context.color_primaries), int(context.color_trc),
            int(context.colorspace), int(context.color_range),
        )  # fmt: skip
        source_format = context.pix_fmt or "unknown"
        aspect = video.sample_aspect_ratio or context.sample_aspect_ratio or Fraction(1)
        time_base = video.time_base or 1 / rate
        start_s = float(pts[0] * time_base)
        sound = _sound(container, start_s)
        codec = context.name
    _refuse_truncated(path, declared, packets)
    first = _first_frame(path)
    if first.interlaced_frame:
        raise InputError(f"interlaced film: {path}; deinterlace it first (ffmpeg -vf bwdif)")
    if colour.transfer in HDR_TRANSFERS:
        name = HDR_TRANSFERS[colour.transfer]
        raise InputError(f"{name} film: {path}; grade it to SDR first, this tool keeps SDR exact")

    conformed: list[str] = []
    per_tick = time_base * rate
    places = [round((stamp - pts[0]) * per_tick) for stamp in pts]
    constant = all(place == index for index, place in enumerate(places))
    last_frames = max(1, round(last_ticks * time_base * rate))
    shown = None if constant else tuple(_held(places, last_frames))
    if shown is not None:
        conformed.append(
            f"variable frame rate: {len(pts)} stored frames laid on a {rate} fps grid "
            f"of {len(shown)} frames"
        )
    rotation = int(first.rotation) % 360
    if rotation % 90:
        raise InputError(f"rotated by {rotation} degrees: {path}; only quarter turns are supported")
    width, height = first.width, first.height
    if rotation in (90, 270):
        width, height, aspect = height, width, 1 / Fraction(aspect)
    if rotation:
        conformed.append(f"rotation flag of {rotation} degrees applied to the picture")
    pixel_format, note = _kept_format(source_format, width, height, rotation)
    if note:
        conformed.append(note)
    if width % 2 or height % 2:
        conformed.append(f"odd size {width}x{height}: last column or row cut")
        width, height = width - width % 2, height - height % 2
    if source_format.startswith("yuvj"):
        colour = replace(colour, range=2)
    if av.VideoFormat(source_format).is_rgb or source_format == "pal8":
        colour = replace(colour, matrix=1, range=1)  # what the conversion to YUV is asked for
    if pts[0] != 0:
        conformed.append(f"picture starts at {start_s:.3f} s in the file; frame 0 is the first one")
    return FilmInfo(
        path=path, codec=codec, width=width, height=height, frame_rate=rate,
        frames=len(pts) if shown is None else len(shown), pixel_format=pixel_format,
        sample_aspect=Fraction(aspect), colour=colour, rotation=rotation, time_base=time_base,
        stored_pts=tuple(pts), shown=shown, seekable=has_all_pts, sound=sound,
        conformed=tuple(conformed),
    )  # fmt: skip


def probe_audio(path: Path) -> AudioInfo:
    """Read what the first audio stream of a file is.

    Raises:
        InputError: missing, not media, or without sound.
    """
    with opened(path) as container:
        if not container.streams.audio:
            raise InputError(f"no audio stream in {path}: give a file with speech")
        stream = container.streams.audio[0]
        context = stream.codec_context
        return AudioInfo(
            path, context.name, context.sample_rate, context.layout.nb_channels, context.layout.name
        )


def _brief(error: Exception) -> str:
    return str(error).split(";")[0].split(": '")[0].strip()


def _is_cover(stream: av.VideoStream) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _time_stamps(
    container: av.container.InputContainer, video: av.VideoStream, path: Path
) -> tuple[list[int], bool, int, int]:
    """Every frame's time stamp in display order, whether the file itself holds them all, how long
    the last frame lasts (0 where the file does not say), and how many packets there are: more
    than frames where an edit list hides some."""
    stamps: list[int | None] = []
    packets = 0
    durations: dict[int, int] = {}
    try:
        for packet in container.demux(video):
            packets += bool(packet.size)
            if packet.size and not packet.is_discard:
                stamps.append(packet.pts)
                if packet.pts is not None:
                    durations[packet.pts] = packet.duration or 0
    except av.error.FFmpegError as error:
        raise InputError(f"damaged after frame {len(stamps)}: {path} ({_brief(error)})") from error
    if not stamps:
        raise InputError(f"no frames in {path}: the file is empty or cut off")
    known = sorted(stamp for stamp in stamps if stamp is not None)
    if len(known) == len(stamps) and len(set(known)) == len(known):
        return known, True, durations[known[-1]], packets
    # Some containers leave time stamps out: the frames then follow each other at the stated rate.
    rate = video.guessed_rate or video.average_rate
    if not rate or not video.time_base:
        raise InputError(f"no frame rate and no time stamps in {path}: remux it (ffmpeg -c copy)")
    start = known[0] if known else 0
    ticks = 1 / (rate * video.time_base)
    return [start + round(index * ticks) for index in range(len(stamps))], False, 0, packets


def _frame_rate(video: av.VideoStream, pts: list[int]) -> Fraction:
    """The film's own rate: what the stream states where that is a usual rate or what its stamps
    follow, else the nearest."""
    for stated in (video.guessed_rate, video.average_rate, video.base_rate):
        if stated and (_is_usual(stated) or _follows(pts, stated, video.time_base)):
            return Fraction(stated)
    if len(pts) < 2 or not video.time_base:
        raise InputError("cannot tell the frame rate of a film with a single unstamped frame")
    average = Fraction(len(pts) - 1) / ((pts[-1] - pts[0]) * video.time_base)
    gaps = sorted(b - a for a, b in pairwise(pts))
    usual = gaps[len(gaps) // 2] * video.time_base
    constant = gaps[-1] - gaps[0] <= 1
    if constant:  # an unusual but constant rate is kept as it is
        return Fraction(average).limit_denominator(1001)
    return min(STANDARD_RATES, key=lambda rate: abs(rate * usual - 1))


def _is_usual(rate: Fraction) -> bool:
    return min(abs(rate / usual - 1) for usual in STANDARD_RATES) < Fraction(1, 2000)


def _follows(pts: list[int], rate: Fraction, time_base: Fraction | None) -> bool:
    """Whether every stamp is where a constant rate puts it, to one unit of the time base."""
    if not time_base:
        return False
    ticks = float(1 / (rate * time_base))
    return all(abs(stamp - pts[0] - index * ticks) <= 1 for index, stamp in enumerate(pts))


def _held(places: list[int], last_frames: int) -> list[int]:
    """For every frame of the grid, the newest stored frame due by then."""
    return [max(0, bisect_right(places, f) - 1) for f in range(places[-1] + last_frames)]


def _sound(container: av.container.InputContainer, picture_start_s: float) -> SoundInfo | None:
    if not container.streams.audio:
        return None
    stream = container.streams.audio[0]
    context = stream.codec_context
    start = float((stream.start_time or 0) * (stream.time_base or 0))
    return SoundInfo(
        context.name, context.sample_rate, context.layout.nb_channels, start - picture_start_s
    )


def _refuse_truncated(path: Path, declared: int, found: int) -> None:
    # A few undecodable or empty frames are ordinary in AVI; a missing tail is not.
    if declared and declared - found > max(3, declared // 100):
        raise InputError(
            f"truncated film: {path} holds {found} of {declared} frames; copy it again"
        )


def _first_frame(path: Path) -> av.VideoFrame:
    with opened(path) as container:
        try:
            return next(container.decode(video=0))
        except (StopIteration, av.error.FFmpegError) as error:
            raise InputError(f"cannot decode the picture of {path}") from error


def _kept_format(source: str, width: int, height: int, rotation: int) -> tuple[str, str]:
    """The working pixel format and, where it differs from the file's, the words for it."""
    plain = source.replace("yuvj", "yuv")
    sideways_422 = rotation in (90, 270) and "422" in plain
    if plain in KEPT_FORMATS and not sideways_422:
        return plain, ""
    return "yuv420p", f"pixel format {source} converted to yuv420p"
