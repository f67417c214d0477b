"""Real outputs: the film under its new speech, as it is or with the mouth rewritten."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from importlib import import_module
from itertools import repeat
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from lipsync_core.media.audio import LAYOUTS, Track, lay_track, wav_file
from lipsync_core.media.encode import write_film
from lipsync_core.media.frames import read_frames
from lipsync_core.media.probe import ColourTags, FilmInfo, probe
from lipsync_core.timeline import sample_of_frame
from tests.emulators.sync_so.inputs import IMAGE_RATE, Input, wanted_frames
from tests.emulators.sync_so.voice import SAMPLE_RATE, speak

_BLOCK = 32  # frames held at once where a film is not read straight through
_CRF, _PRESET = 17, "veryfast"
_AAC = {"aac_coder": "fast"}  # half the time of the ordinary one
_BT709 = ColourTags(primaries=1, transfer=1, matrix=1, range=1)


@dataclass(frozen=True)
class Order:
    """What is to be rendered. ``folder`` is for what is made on the way.

    ``engine`` is ``copy`` or ``rewrite``; ``kept`` is the share of the frames that is not lost.
    """

    visual: Input
    voices: Sequence[Input]
    segments: Sequence[dict[str, Any]]
    sync_mode: str
    engine: str
    folder: Path
    kept: float = 1.0


@dataclass(frozen=True)
class Made:
    """A finished output."""

    frames: int
    seconds: float


def render(order: Order, out: Path) -> Made:
    """Render an order to an MP4 at ``out``; it appears there only when whole.

    Raises:
        LipsyncError: the inputs cannot be read, or the engine refuses.
    """
    order.folder.mkdir(parents=True, exist_ok=True)
    voices = {voice.ref: _file_of(voice, order.folder) for voice in order.voices}
    if order.visual.kind == "image":
        return _from_image(order, next(iter(voices.values())), out)
    if made := _untouched(order, next(iter(voices.values())), out):
        return made
    film = probe(Path(order.visual.path))
    sound = _programme(film, order.segments, voices, order.folder) if order.segments else None
    source = sound or next(iter(voices.values()))
    wanted, mode = film.frames, "loop"
    if not order.segments:
        wanted, mode = _length(order, film.frames, film.frame_rate, source), order.sync_mode
    places = _places(mode, film.frames, wanted)
    places = places[: max(1, int(wanted * order.kept))]
    if film.codec != "h264" or film.conformed or places != range(film.frames):
        film = _rebuilt(film, places, order.folder / "film.mp4")
    speech = _laid(source, film.frames, film.frame_rate, order.folder)
    if order.engine == "rewrite":
        engine().rewritten(film, speech, order.folder, out)
    else:
        _copied(film.path, speech, out)
    return Made(film.frames, film.seconds)


def _untouched(order: Order, voice: Path, out: Path) -> Made | None:
    """The ordinary case, which must be quick: film and speech are of one length, and the picture
    stays as it is. ``None`` where more is to be done."""
    visual = order.visual
    if order.engine != "copy" or order.segments or order.kept < 1 or visual.codec != "h264":
        return None
    rate = Fraction(visual.frame_rate)
    if _length(order, visual.frames, rate, voice) != visual.frames:
        return None
    _copied(Path(visual.path), _laid(voice, visual.frames, rate, order.folder), out)
    return Made(visual.frames, visual.seconds)


def _file_of(voice: Input, folder: Path) -> Path:
    if voice.kind == "text":
        return speak(voice.script, folder / f"text-{voice.ref or 0}.wav".replace("/", "_"))
    return Path(voice.path)


def _length(order: Order, frames: int, rate: Fraction, sound: Path) -> int:
    """How many frames the output has; the sound's length is that of its decoded samples."""
    return wanted_frames(order.sync_mode, frames, max(1, round(_heard_s(sound) * rate)))


def _heard_s(sound: Path) -> float:
    """How long a sound is when it is played, in seconds."""
    with av.open(str(sound)) as container:
        frames = container.decode(audio=0)
        return sum(frame.samples / frame.sample_rate for frame in frames)


def _places(sync_mode: str, frames: int, wanted: int) -> Sequence[int]:
    """Which frame of the source each frame of the output shows."""
    if wanted <= frames and sync_mode != "remap":
        return range(wanted)
    counted = np.arange(wanted)
    if sync_mode == "loop":
        places = counted % frames
    elif sync_mode == "remap":
        places = counted * frames // wanted
    elif sync_mode == "bounce" and frames > 1:
        period = 2 * (frames - 1)
        places = frames - 1 - np.abs(frames - 1 - counted % period)
    else:
        places = np.minimum(counted, frames - 1)
    listed = [int(place) for place in places]
    return range(frames) if listed == list(range(frames)) else listed


def _rebuilt(film: FilmInfo, places: Sequence[int], out: Path) -> FilmInfo:
    """The picture re-encoded with other frames, or in another codec."""
    info = replace(film, frames=len(places))
    write_film(_frames_at(film, places), info, None, out, crf=_CRF, preset=_PRESET)
    return probe(out)


def _frames_at(film: FilmInfo, places: Sequence[int]) -> Iterator[av.VideoFrame]:
    @lru_cache(maxsize=2)
    def block(number: int) -> list[av.VideoFrame]:
        first = number * _BLOCK
        return list(read_frames(film, first, min(first + _BLOCK, film.frames)))

    for place in places:
        yield block(place // _BLOCK)[place % _BLOCK]


def _laid(sound: Path, frames: int, rate: Fraction, folder: Path) -> Track:
    return lay_track(sound, folder / "speech.wav", frames=frames, frame_rate=rate)


def _programme(
    film: FilmInfo, segments: Sequence[dict[str, Any]], voices: dict[str | None, Path], folder: Path
) -> Path:
    """The film's own sound with the voice of each segment in its place, as a mono WAV file."""

    def heard(source: Path, name: str, start_s: float) -> NDArray[np.float32]:
        track = lay_track(
            source, folder / name, frames=film.frames, frame_rate=film.frame_rate,
            sample_rate=SAMPLE_RATE, mono=True, start_s=start_s,
        )  # fmt: skip
        return track.read()[:, 0]

    mixed = np.zeros(sample_of_frame(film.frames, film.frame_rate, SAMPLE_RATE), np.float32)
    if film.sound is not None:
        mixed = heard(film.path, "own.wav", film.sound.start_s)
    for number, segment in enumerate(segments):
        voice = segment["audioInput"]
        crop_s = voice.get("startTime") or 0.0
        spoken = heard(voices[voice["refId"]], f"voice-{number}.wav", -crop_s)
        if voice.get("endTime") is not None:
            spoken[round((voice["endTime"] - crop_s) * SAMPLE_RATE) :] = 0
        first, last = (round(segment[name] * SAMPLE_RATE) for name in ("startTime", "endTime"))
        place = mixed[first:last]
        place[:] = spoken[: len(place)]
    out = folder / "programme.wav"
    with wav_file(out, SAMPLE_RATE, 1) as wav:
        wav.write(mixed)
    return out


def _copied(film: Path, speech: Track, out: Path) -> None:
    """The film's own packets, and the speech as AAC beside them."""
    part = out.with_name(out.name + ".part")
    options = {"movflags": "+faststart", "movie_timescale": str(speech.sample_rate)}
    with (
        av.open(str(film)) as source,
        av.open(str(part), "w", format="mp4", container_options=options) as target,
    ):
        stored = source.streams.video[0]
        picture = target.add_stream_from_template(stored)
        sound = target.add_stream("aac", rate=speech.sample_rate, options=_AAC)
        assert isinstance(sound, av.AudioStream)
        sound.layout = LAYOUTS[speech.channels]
        samples = speech.read().reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(samples, "flt", LAYOUTS[speech.channels])
        frame.sample_rate, frame.pts = speech.sample_rate, 0
        frame.time_base = Fraction(1, speech.sample_rate)
        target.mux([*sound.encode(frame), *sound.encode(None)])
        packets = [packet for packet in source.demux(stored) if packet.pts is not None]
        start = min(packet.pts or 0 for packet in packets)
        for packet in packets:
            assert packet.pts is not None
            packet.pts -= start
            packet.dts = None if packet.dts is None else packet.dts - start
            packet.stream = picture
            target.mux(packet)
    part.replace(out)


def _from_image(order: Order, voice: Path, out: Path) -> Made:
    """A film of a picture: it talks where the engine is ``rewrite``, and stands still otherwise."""
    picture = cv2.cvtColor(cv2.imread(order.visual.path), cv2.COLOR_BGR2RGB)
    height, width = (side // 2 * 2 for side in picture.shape[:2])
    shown = picture[:height, :width].astype(np.uint8)
    frames = max(1, int(round(_heard_s(voice) * IMAGE_RATE) * order.kept))
    film = FilmInfo(
        path=out, codec="h264", width=width, height=height, frame_rate=IMAGE_RATE, frames=frames,
        pixel_format="yuv420p", sample_aspect=Fraction(1), colour=_BT709, rotation=0,
        time_base=1 / IMAGE_RATE, stored_pts=tuple(range(frames)), shown=None, seekable=True,
        sound=None, conformed=(),
    )  # fmt: skip
    speech = _laid(voice, frames, IMAGE_RATE, order.folder)
    if order.engine == "rewrite":
        pictures = engine().talking(shown, speech, film, order.folder)
    else:
        still = av.VideoFrame.from_ndarray(shown, "rgb24")
        pictures = repeat(still.reformat(format="yuv420p", dst_colorspace=_BT709.matrix), frames)
    write_film(pictures, film, speech, out, crf=_CRF, preset=_PRESET)
    return Made(frames, film.seconds)


def engine() -> ModuleType:
    """The module of the project's own engines; it takes seconds to load, so only where it is
    wanted."""
    return import_module("tests.emulators.sync_so.talking")
