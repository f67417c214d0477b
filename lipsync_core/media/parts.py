"""A film in parts: a folder of ``vid_NN`` and ``aud_NN`` files and the table of their frames.

The parts are counted from 1 in the order of the film. ``scene_cuts.csv`` says which frames of the
film each part stands for; without it the parts follow each other from frame 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from lipsync_core.errors import InputError, TimelineBroken, writing
from lipsync_core.media.probe import FilmInfo, probe
from lipsync_core.media.scenes import read_segments
from lipsync_core.naming import MediaKind, parse_numbered
from lipsync_core.timeline import Cut, Segment, Timeline

TABLE = "scene_cuts.csv"
FILM_SUFFIXES = frozenset({".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".ts"})
SOUND_SUFFIXES = frozenset({".wav"})


@dataclass(frozen=True)
class Part:
    """Frames [first_frame, last_frame) of a film as a file of its own.

    ``info.frames`` may be one more or one less than the part stands for. ``sound`` is its WAV
    file, where there is one.
    """

    number: int
    first_frame: int
    last_frame: int
    info: FilmInfo
    sound: Path | None

    @property
    def frames(self) -> int:
        """How many frames of the film the part stands for."""
        return self.last_frame - self.first_frame


def part_segments(
    cuts: Iterable[Cut],
    frames: int,
    frame_rate: Fraction,
    start_s: float = 0.0,
    end_s: float | None = None,
) -> list[Segment]:
    """The shots of a film, or of what lies between two moments of it, numbered from 0.

    Raises:
        InputError: the film is over before ``start_s``, or nothing lies between the moments.
    """
    first = round(Fraction(start_s) * frame_rate)
    last = frames if end_s is None else min(frames, round(Fraction(end_s) * frame_rate))
    if first >= last:
        raise InputError(
            f"nothing lies between frame {first} and frame {last} of a film of {frames}: "
            "give an earlier start or a later end"
        )
    timeline = Timeline.from_cuts([*cuts, Cut(first), Cut(last)], frames, frame_rate)
    inside = (s for s in timeline.segments if first <= s.first_frame < last)
    return [Segment(index, s.first_frame, s.last_frame) for index, s in enumerate(inside)]


def old_parts(folder: Path, overwrite: bool) -> list[Path]:
    """The parts that lie in ``folder`` already, which would mix with new ones.

    Raises:
        InputError: there are some and ``overwrite`` is off, or ``folder`` is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"not a folder: {folder}")
    listed = sorted(folder.iterdir()) if folder.is_dir() else []
    found = [path for path in listed if parse_numbered(path.name)]
    if found and not overwrite:
        raise InputError(
            f"{folder} already holds {found[0].name}: give another folder, or --overwrite to "
            f"delete its {len(found)} vid_NN and aud_NN files first"
        )
    return found


def make_room(folder: Path, overwrite: bool) -> None:
    """Make sure ``folder`` exists and holds no parts and no table of them.

    Raises:
        InputError: there are parts and ``overwrite`` is off, or ``folder`` is a file.
        StorageError: the folder refuses writes.
    """
    found = old_parts(folder, overwrite)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for path in (*found, folder / TABLE):
            path.unlink(missing_ok=True)


def find_parts(folder: Path, *, with_sound: bool = True) -> list[Part]:
    """The parts that lie in ``folder``, in order, checked against its table if it has one.

    ``with_sound=False`` leaves the ``aud_NN`` files alone.

    Raises:
        InputError: no parts, a part is missing, is there twice, or is not in the table.
        TimelineBroken: a part holds two frames more or less than the table says, or worse.
    """
    if not folder.is_dir():
        raise InputError(f"no such folder: {folder}")
    films = _numbered(folder, "vid", FILM_SUFFIXES)
    sounds = _numbered(folder, "aud", SOUND_SUFFIXES) if with_sound else {}
    table = folder / TABLE
    segments = read_segments(table) if table.exists() else None
    expected = range(1, 1 + (len(segments) if segments else max(films, default=0)))
    if not expected:
        raise InputError(f"no vid_01, vid_02, … in {folder}: name the folder of the parts")
    for kind, found in (("vid", films), ("aud", sounds)):
        if found:
            _refuse_gaps(kind, found, expected, folder)
    if not films:
        raise InputError(f"no vid_NN in {folder}, where {TABLE} lists {len(expected)}")
    infos = [probe(films[number]) for number in expected]
    if segments is None:
        segments = _following(infos)
    parts = [
        Part(number, segment.first_frame, segment.last_frame, info, sounds.get(number))
        for number, segment, info in zip(expected, segments, infos, strict=True)
    ]
    for part in parts:
        if abs(part.info.frames - part.frames) > 1:
            raise TimelineBroken(
                f"{part.info.path} holds {part.info.frames} frames, {TABLE} says {part.frames}: "
                "make this part again"
            )
    return parts


def _numbered(folder: Path, kind: MediaKind, suffixes: frozenset[str]) -> dict[int, Path]:
    found: dict[int, Path] = {}
    for path in sorted(folder.iterdir()):
        name = parse_numbered(path.name)
        if name is None or name.kind != kind or name.suffix.lower() not in suffixes:
            continue
        if name.number in found:
            raise InputError(
                f"{found[name.number].name} and {path.name} in {folder} are the same part: "
                "keep one of them"
            )
        found[name.number] = path
    return found


def _refuse_gaps(kind: str, found: dict[int, Path], expected: range, folder: Path) -> None:
    missing = [f"{kind}_{number:02d}" for number in expected if number not in found]
    if missing:
        raise InputError(
            f"{', '.join(missing)} missing in {folder}: {len(expected)} parts make the film"
        )
    for number in sorted(set(found) - set(expected)):
        raise InputError(
            f"{found[number].name} in {folder} is one more than the {len(expected)} parts of the "
            "film: move it away"
        )


def _following(infos: Sequence[FilmInfo]) -> list[Segment]:
    segments: list[Segment] = []
    first = 0
    for info in infos:
        segments.append(Segment(len(segments), first, first + info.frames))
        first += info.frames
    return segments
