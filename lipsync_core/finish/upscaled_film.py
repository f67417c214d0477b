"""A whole film made larger: its picture goes through a network once, its sound is left as it is."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error

from lipsync_core.errors import InputError, TimelineBroken, writing
from lipsync_core.finish.upscale import Upscaler
from lipsync_core.media.audio import lay_track
from lipsync_core.media.encode import write_film
from lipsync_core.media.frames import FrameWriter, read_frames
from lipsync_core.media.probe import FilmInfo, opened, probe

CONTAINERS = (".mp4", ".mov", ".mkv")
_CRF, _PRESET = 14, "veryfast"  # as join_film, where the reasons stand
_AHEAD_S = 0.5  # by which sound is written before the picture it belongs to
_MOST_SIDE = 16_384  # of an H.264 picture by x264


@dataclass(frozen=True)
class UpscaledFilm:
    """A film made ``times`` as large. ``sound`` says in words what became of its sound, ``notes``
    what was conformed or left out."""

    info: FilmInfo
    times: int
    sound: str
    notes: tuple[str, ...]


def upscale_film(
    info: FilmInfo, upscaler: Upscaler, out: Path, on_frame: Callable[[int], None] | None = None
) -> UpscaledFilm:
    """Write a film made larger: every frame once, at its exact rate, with its colour tags.

    The packets of its sound are copied, where the container of ``out`` can hold them; else the
    sound is encoded anew, as one continuous AAC.

    Raises:
        InputError: another container is asked for, or the picture would become too large.
        TimelineBroken: the finished film misses a frame.
        StorageError: the disk is full or the folder refuses writes.
    """
    large = larger(info, upscaler, out)
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        workspace = tempfile.TemporaryDirectory(dir=out.parent, prefix="upscale-")
    frames = (upscaler.frame(frame) for frame in read_frames(info))
    with workspace as folder:
        unproven = Path(folder) / out.name
        told: tuple[str, ...] = ()
        if info.sound is None:
            write_film(frames, large, None, unproven, crf=_CRF, preset=_PRESET, on_frame=on_frame)
            sound = "none"
        elif _holds_its_sound(info.path, unproven):
            told = _write_beside_its_sound(frames, large, unproven, on_frame)
            sound = "the film's own, packet by packet"
        else:
            track = lay_track(
                info.path, Path(folder) / "sound.wav", frames=info.frames,
                frame_rate=info.frame_rate, start_s=info.sound.start_s,
            )  # fmt: skip
            write_film(frames, large, track, unproven, crf=_CRF, preset=_PRESET, on_frame=on_frame)
            sound = f"encoded anew as AAC, since {out.suffix} files do not hold {info.sound.codec}"
        finished = probe(unproven)
        _prove(finished, large)
        with writing(out):
            unproven.replace(out)
    return UpscaledFilm(
        replace(finished, path=out), upscaler.times, sound, (*info.conformed, *told)
    )


def larger(info: FilmInfo, upscaler: Upscaler, out: Path) -> FilmInfo:
    """What a film will be once it is made larger.

    Raises:
        InputError: it cannot be written to ``out``, or would be too large.
    """
    if out.suffix.lower() not in CONTAINERS:
        raise InputError(f"cannot write {out.name}: give a name that ends in .mp4, .mov or .mkv")
    if out.resolve() == info.path.resolve():
        raise InputError(f"{out} is the film itself: give the larger one another name")
    large = replace(info, width=info.width * upscaler.times, height=info.height * upscaler.times)
    if max(large.width, large.height) > _MOST_SIDE:
        raise InputError(
            f"{info.path.name} would become {large.width}x{large.height}, more than H.264 holds: "
            "take a model that makes it less large"
        )
    return large


def _prove(finished: FilmInfo, large: FilmInfo) -> None:
    got, due = (
        f"{info.frames} frames of {info.width}x{info.height} at {info.frame_rate} fps, "
        # what is not called full range is limited (H.273)
        f"tagged {replace(info.colour, range=info.colour.range or 1)}"
        for info in (finished, large)
    )
    if got != due:
        raise TimelineBroken(f"{finished.path.name} came out as {got}, and not as {due}")


def _holds_its_sound(film: Path, out: Path) -> bool:
    """Whether the container of ``out`` takes every sound of the film as it is."""
    with opened(film) as given, av.open(str(out.absolute()), "w") as made:
        known = made.supported_codecs
        return all(s.codec_context.name in known for s in given.streams.audio)


def _write_beside_its_sound(
    frames: Iterator[av.VideoFrame], large: FilmInfo, out: Path,
    on_frame: Callable[[int], None] | None,
) -> tuple[str, ...]:  # fmt: skip
    """The film with its sound's packets; what else of it was left out, in words."""
    options = {} if out.suffix.lower() == ".mkv" else {"movflags": "+faststart"}
    with (
        opened(large.path) as given,
        FrameWriter(
            out, width=large.width, height=large.height, frame_rate=large.frame_rate,
            pixel_format=large.pixel_format, codec="libx264",
            options={"crf": str(_CRF), "preset": _PRESET}, colour=large.colour,
            sample_aspect=large.sample_aspect, container_options=options,
        ) as writer,
    ):  # fmt: skip
        writer.container.metadata.update(given.metadata)
        packets = _packets(given, writer.container, large)
        due = next(packets, None)
        for frame in frames:
            writer.write(frame)
            now_s = float(writer.written / large.frame_rate)
            while due is not None and due[0] < now_s + _AHEAD_S:
                _mux(writer, due[1])
                due = next(packets, None)
            if on_frame is not None:
                on_frame(writer.written)
        while due is not None:
            _mux(writer, due[1])
            due = next(packets, None)
        kinds = [s.type for s in given.streams if s.type not in ("video", "audio")]
    return tuple(f"a stream of {kind} was left out" for kind in kinds)


def _mux(writer: FrameWriter, packet: av.Packet) -> None:
    with writing(writer.path):
        writer.container.mux(packet)


def _packets(
    given: av.container.InputContainer, made: av.container.OutputContainer, info: FilmInfo
) -> Iterator[tuple[float, av.Packet]]:
    """The packets of the film's sound, and when each is due; frame 0 of the picture is at 0 s."""
    copies: dict[int, Any] = {}
    for stream in given.streams.audio:
        copy: Any = made.add_stream_from_template(stream)
        copy.time_base = stream.time_base
        copy.metadata.update(stream.metadata)
        copies[stream.index] = copy
    start_s = info.stored_pts[0] * info.time_base
    return _moved(given, copies, start_s)


def _moved(
    given: av.container.InputContainer, copies: dict[int, Any], start_s: Fraction
) -> Iterator[tuple[float, av.Packet]]:
    try:
        for packet in given.demux([s for s in given.streams if s.index in copies]):
            stamp = packet.pts if packet.dts is None else packet.dts
            if stamp is None:  # the last, empty one
                continue
            back = round(start_s / packet.time_base)
            if packet.pts is not None:
                packet.pts -= back
            if packet.dts is not None:
                packet.dts -= back
            packet.stream = copies[packet.stream.index]
            yield float((stamp - back) * packet.time_base), packet
    except av.error.FFmpegError as error:
        raise InputError(
            f"damaged sound in {given.name} ({error.strerror}); copy the film again"
        ) from error
