"""Joining parts: finished pieces of a film back into one timeline, under one continuous sound.

The parts' own compressed sound is never used: every piece of it carries lead-in samples, so pieces
laid end to end drift. The sound is the master speech, or the parts' PCM samples end to end.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import soundfile

from lipsync_core.errors import InputError, TimelineBroken, writing
from lipsync_core.media.audio import Track, lay_track, length_note, wav_file
from lipsync_core.media.checks import LIMIT_LAG_MS, boundary_lags_ms
from lipsync_core.media.encode import write_film
from lipsync_core.media.frames import read_frames
from lipsync_core.media.parts import Part
from lipsync_core.media.probe import ColourTags, FilmInfo, probe
from lipsync_core.timeline import sample_of_frame

_CRF, _PRESET = 14, "veryfast"  # as join_film, where the reasons stand
_BLOCK_SAMPLES = 1 << 16
_UNTAGGED = ColourTags()


@dataclass(frozen=True)
class JoinedParts:
    """A film made of parts. ``sound`` says in words what is heard, ``notes`` what was conformed;
    ``max_boundary_lag_ms`` is the largest shift of the sound where two parts meet, ``None`` for a
    silent film."""

    info: FilmInfo
    sound: str
    max_boundary_lag_ms: float | None
    notes: tuple[str, ...]


def join_parts(
    parts: Sequence[Part],
    audio: Path | None,
    out: Path,
    on_frame: Callable[[int], None] | None = None,
) -> JoinedParts:
    """Write the film that ``parts`` make: one encode of the picture, one of the sound.

    ``audio`` is the speech of the whole film the parts were cut from; without it the parts' own
    WAV files are laid end to end, and without those the film is silent. The picture has the form
    of the first part: another size, frame rate or colour tag is refused, another pixel format or
    colour range is converted, and a frame too many or too few is dropped or held.

    Raises:
        InputError: the parts do not go together, or a sound cannot be used.
        TimelineBroken: the finished film misses a frame, or its sound lies beside its picture.
        StorageError: the disk is full or the folder refuses writes.
    """
    if out.suffix.lower() not in (".mp4", ".mov"):
        raise InputError(f"cannot write {out.name}: give a name that ends in .mp4 or .mov")
    if any(out.resolve() == part.info.path.resolve() for part in parts):
        raise InputError(f"{out} is one of the parts: give the film another name")
    form, notes = _common_form(parts)
    frames = sum(part.frames for part in parts)
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        workspace = tempfile.TemporaryDirectory(dir=out.parent, prefix="join-")
    with workspace as folder:
        track, sound, told = _sound(parts, audio, frames, form.frame_rate, Path(folder))
        unproven = Path(folder) / out.name
        pictures = _pictures(parts, form)
        write_film(pictures, form, track, unproven, crf=_CRF, preset=_PRESET, on_frame=on_frame)
        finished = probe(unproven)
        if (finished.frames, finished.frame_rate) != (frames, form.frame_rate):
            raise TimelineBroken(f"{out} came out with {finished.frames} frames of {frames}")
        lag = None if track is None else _worst_lag_ms(parts, finished, track)
        with writing(out):
            unproven.replace(out)
    return JoinedParts(replace(finished, path=out), sound, lag, (*notes, *told))


def _common_form(parts: Sequence[Part]) -> tuple[FilmInfo, list[str]]:
    """The form all parts are brought to, and in words what that does to them."""
    first = parts[0].info
    tagged = next((part.info for part in parts if part.info.colour != _UNTAGGED), first)
    form = replace(first, colour=replace(tagged.colour, range=first.colour.range))
    notes: list[str] = []
    for part in parts:
        name, info = part.info.path.name, part.info
        if _size_and_rate(info) != _size_and_rate(form):
            raise InputError(
                f"{name} is {_size_and_rate(info)}, {first.path.name} {_size_and_rate(form)}: "
                "bring the parts to one size and frame rate first"
            )
        if _contradict(info.colour, form.colour):
            raise InputError(
                f"{name} and {tagged.path.name} have different colour tags: convert one first"
            )
        if info.pixel_format != form.pixel_format:
            notes.append(f"{name}: {info.pixel_format} converted to {form.pixel_format}")
        if _range(info) != _range(form):
            notes.append(f"{name}: colour range converted")
        if info.frames != part.frames:
            done = "the last one dropped" if info.frames > part.frames else "the last one held"
            notes.append(f"{name}: {info.frames} frames where {part.frames} belong, {done}")
        notes += [f"{name}: {words}" for words in info.conformed]
    return form, notes


def _size_and_rate(info: FilmInfo) -> str:
    pixels = "" if info.sample_aspect == 1 else f" with pixels {info.sample_aspect} wide"
    return f"{info.width}x{info.height}{pixels} at {info.frame_rate} fps"


def _contradict(one: ColourTags, other: ColourTags) -> bool:
    """Whether both say something of primaries, transfer or matrix, and not the same."""
    said = zip(astuple(one)[:3], astuple(other)[:3], astuple(_UNTAGGED)[:3], strict=True)
    return any(a != b and nothing not in (a, b) for a, b, nothing in said)


def _range(info: FilmInfo) -> int:
    return info.colour.range or 1  # what is not called full range is limited (H.273)


def _pictures(parts: Sequence[Part], form: FilmInfo) -> Iterator[av.VideoFrame]:
    """The frames of all parts in order, of each exactly as many as it stands for."""
    for part in parts:
        frame: av.VideoFrame | None = None
        for stored in read_frames(part.info, 0, min(part.frames, part.info.frames)):
            frame = _in_form(stored, part.info, form)
            yield frame
        if frame is not None and part.info.frames < part.frames:
            yield frame


def _in_form(frame: av.VideoFrame, info: FilmInfo, form: FilmInfo) -> av.VideoFrame:
    if (info.pixel_format, _range(info)) == (form.pixel_format, _range(form)):
        return frame
    return frame.reformat(
        format=form.pixel_format, src_color_range=_range(info), dst_color_range=_range(form)
    )


def _sound(
    parts: Sequence[Part], audio: Path | None, frames: int, rate: Fraction, folder: Path
) -> tuple[Track | None, str, list[str]]:
    """The sound under the whole film, in words where it comes from, and what was conformed."""
    laid = folder / "master.wav"
    if audio is not None:
        start_s = float(parts[0].first_frame / rate)
        track = lay_track(audio, laid, frames=frames, frame_rate=rate, start_s=-start_s)
        given = length_note(track.given_s - start_s, float(frames / rate))
        told = audio.name + (f" from {start_s:.3f} s on" if start_s else "")
        return track, told, [given] if given else []
    files = [part.sound for part in parts if part.sound is not None]
    if not files:
        return None, "none, since there are no aud_NN.wav and no --audio", []
    end_to_end = folder / "parts.wav"
    notes = _lay_end_to_end(parts, files, rate, end_to_end)
    return lay_track(end_to_end, laid, frames=frames, frame_rate=rate), "the aud_NN.wav", notes


def _lay_end_to_end(
    parts: Sequence[Part], files: Sequence[Path], rate: Fraction, out: Path
) -> list[str]:
    """Write the samples of all the parts' WAV files, of each as many as its frames last."""
    with _opened(files[0]) as first:
        form = first.samplerate, first.channels
    notes: list[str] = []
    with wav_file(out, *form, "FLOAT", "RF64") as wav:
        for part, path in zip(parts, files, strict=True):
            with _opened(path) as file:
                if (file.samplerate, file.channels) != form:
                    raise InputError(
                        f"{path.name} and {files[0].name} differ in sample rate or channels: "
                        "bring them to one form, or give --audio"
                    )
                edges = part.first_frame, part.last_frame
                start, end = (sample_of_frame(frame, rate, form[0]) for frame in edges)
                notes += _judged(file, end - start, form[0] / rate)
                for place in range(start, end, _BLOCK_SAMPLES):
                    samples = min(_BLOCK_SAMPLES, end - place)
                    wav.write(file.read(samples, "float32", always_2d=True, fill_value=0.0))
    return notes


def _judged(file: soundfile.SoundFile, samples: int, a_frame: Fraction) -> list[str]:
    """What is told where a sound is a little longer or shorter than its picture.

    Raises:
        TimelineBroken: it is so by more than a frame.
    """
    name, surplus = Path(file.name).name, file.frames - samples
    if abs(surplus) > a_frame:
        longer = "longer" if surplus > 0 else "shorter"
        raise TimelineBroken(
            f"{name} is {abs(surplus) / file.samplerate:.3f} s {longer} than its picture: "
            "cut it again, or give --audio"
        )
    if not surplus:
        return []
    done = "cut off" if surplus > 0 else "of silence added"
    return [f"{name}: {abs(surplus)} samples {done} at its end"]


def _opened(path: Path) -> soundfile.SoundFile:
    try:
        return soundfile.SoundFile(path)
    except (soundfile.LibsndfileError, OSError) as error:
        raise InputError(f"not a WAV file: {path}; give another one, or --audio") from error


def _worst_lag_ms(parts: Sequence[Part], finished: FilmInfo, track: Track) -> float:
    """The largest shift of the finished sound at a frame where two parts meet.

    Raises:
        TimelineBroken: it reaches the limit.
    """
    start = parts[0].first_frame
    meeting = [part.first_frame - start for part in parts] + [finished.frames]
    lag_ms = max(map(abs, boundary_lags_ms(finished, finished, track, meeting)))
    if lag_ms >= LIMIT_LAG_MS:
        raise TimelineBroken(
            f"the sound of {finished.path.name} is {lag_ms:.1f} ms off where parts meet, "
            f"the limit is {LIMIT_LAG_MS:g} ms"
        )
    return lag_ms
