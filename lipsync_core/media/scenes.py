"""Scene detection: where a new shot begins, and the list of cuts that a person may edit.

The film is decoded once, elsewhere; whoever decodes it feeds a small picture of every frame to a
``CutFinder``. Finding a candidate is PySceneDetect's part. Three things are added to it, because
every false cut is one more job to pay and one more join, and every missed one puts two faces into
one segment:

- *A cut parts pictures.* A candidate is dropped when a frame in the tenth of a second before it
  looks like one in the tenth of a second after it: a flash of light, a broken frame, noise in the
  dark (which moves hue and saturation, PySceneDetect's measure, while nobody can see it).
- *The ends count.* The adaptive detector compares a frame with two neighbours on either side and is
  blind within two frames of the ends, where badly trimmed films carry a stray frame. The first and
  last picture are therefore shown to it twice more.
- *A short shot joins the neighbour it resembles more.* Of two cuts nearer than ``minimum_s`` only
  the harder one stays. (PySceneDetect keeps the earlier one, and treats the start of the film as
  a cut, which hides a real one soon after it.)

Dissolves and fades are no cuts here.
"""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from scenedetect.common import FrameTimecode
from scenedetect.detectors import AdaptiveDetector, ContentDetector

from lipsync_core.errors import InputError, writing
from lipsync_core.timeline import Cut, Segment, Timeline

REACH_S = Fraction(1, 10)
"""How much film on either side of a candidate is compared: longer than a camera's flash."""

SAME_PICTURE = 5.0
"""Mean difference of two thumbnails (0 to 255) under which they show the same picture.

Measured on real clips: hard cuts 26 to 87, a false candidate in a dark shot 3.0."""

_THUMBNAIL = (32, 18)  # small enough that a moving hand or compression noise averages out
_BLIND = 2  # AdaptiveDetector's window: as many frames at either end are never judged
_DETECTORS = {"adaptive": AdaptiveDetector, "content": ContentDetector}


@dataclass(frozen=True)
class _Candidate:
    frame: int
    strength: float  # mean thumbnail difference to the frame before, 0 to 255


class CutFinder:
    """Finds the hard cuts of a film whose frames are fed one by one.

    ``adaptive`` (PySceneDetect's AdaptiveDetector) weighs a change against the motion around it and
    is right for almost everything; ``content`` (ContentDetector) has a fixed threshold. Both run
    with their published settings. ``minimum_s`` is the least distance of two cuts in seconds; 0
    keeps every cut. The film's ends are no cuts, so a cut may lie as near to them as it likes.

    Memory does not grow with the film, but for a few bytes a candidate.
    """

    def __init__(
        self,
        frame_rate: Fraction,
        detector: Literal["adaptive", "content"] = "adaptive",
        minimum_s: float = 0.6,
    ) -> None:
        if minimum_s < 0:
            raise InputError(f"minimum distance of cuts is {minimum_s} s: give 0 or more")
        self._rate = frame_rate
        # 0.6 as a float is a little less than 3/5, and 0.1 a little more than 1/10
        self._minimum_frames = Fraction(minimum_s).limit_denominator(100_000) * frame_rate
        self._reach = max(2, ceil(REACH_S * frame_rate))
        self._detector = _DETECTORS[detector](min_scene_len=0)
        self._shown = 0
        self._next: int | None = None
        self._picture: NDArray[np.uint8] | None = None
        self._thumbnails: deque[tuple[int, NDArray[np.int16]]] = deque(
            maxlen=2 * self._reach + _BLIND
        )
        self._waiting: deque[int] = deque()
        self._candidates: list[_Candidate] = []

    def feed(self, frame_index: int, bgr: NDArray[np.uint8]) -> None:
        """Take the next frame: (height, width, 3), BGR, about 256 wide, all frames alike.

        256 px is the width to which PySceneDetect itself reduces a film before it looks; more
        only takes longer. Frames come in order, without gaps; the first may have any index.

        Raises:
            ValueError: a frame was left out or came twice.
        """
        if self._next not in (None, frame_index):
            raise ValueError(f"frame {frame_index} was fed where {self._next} comes next")
        if self._next is None:
            for place in range(-_BLIND, 0):
                self._show(frame_index + place, bgr)
        self._next = frame_index + 1
        self._picture = bgr
        thumbnail = cv2.resize(bgr, _THUMBNAIL, interpolation=cv2.INTER_AREA).astype(np.int16)
        self._thumbnails.append((frame_index, thumbnail))
        self._show(frame_index, bgr)
        while self._waiting and self._waiting[0] + self._reach <= self._next:
            self._judge(self._waiting.popleft())

    def finish(self) -> list[Cut]:
        """The cuts, in order; call it once, after the last frame. Frame 0 is never among them."""
        if self._next is None or self._picture is None:
            return []
        for place in range(_BLIND):
            self._show(self._next + place, self._picture)
        while self._waiting:
            self._judge(self._waiting.popleft())
        kept: list[int] = []
        for candidate in sorted(self._candidates, key=lambda one: (-one.strength, one.frame)):
            if all(abs(candidate.frame - frame) >= self._minimum_frames for frame in kept):
                kept.append(candidate.frame)
        return [Cut(frame) for frame in sorted(kept)]

    def _show(self, place: int, bgr: NDArray[np.uint8]) -> None:
        """Let the detector see a frame; time codes count what it saw, since they start at 0."""
        behind = place - self._shown
        time = FrameTimecode(self._shown, self._rate)
        self._shown += 1
        found = self._detector.process_frame(time, bgr)
        self._waiting.extend(code.frame_num + behind for code in found)

    def _judge(self, frame: int) -> None:
        """Keep a candidate if nothing before it looks like anything after it."""
        near = [one for one in self._thumbnails if -self._reach <= one[0] - frame < self._reach]
        before = [thumbnail for place, thumbnail in near if place < frame]
        after = [thumbnail for place, thumbnail in near if place >= frame]
        strength = _difference(before[-1], after[0])
        nearest = min(_difference(one, other) for one in before for other in after)
        if nearest >= max(SAME_PICTURE, strength / 2):
            self._candidates.append(_Candidate(frame, strength))


def _difference(one: NDArray[np.int16], other: NDArray[np.int16]) -> float:
    return float(np.abs(one - other).mean())


def write_cuts(path: Path, cuts: Iterable[Cut], frame_rate: Fraction, frames: int) -> None:
    """Write the cuts of a film of ``frames`` frames as a table that a person may edit.

    Only ``first_frame`` is read back as a cut: delete a row to join two segments, add one to
    divide a segment.

    Raises:
        InputError: a cut lies outside the film.
        StorageError: the table cannot be written.
    """
    write_segments(path, Timeline.from_cuts(cuts, frames, frame_rate).segments, frame_rate)


def write_segments(path: Path, segments: Iterable[Segment], frame_rate: Fraction) -> None:
    """Write a table with one row a segment; it appears whole or not at all.

    The columns are ``segment`` (from 0), ``first_frame``, ``last_frame`` (exclusive), ``start``
    and ``end`` as HH:MM:SS.mmm.

    Raises:
        StorageError: the table cannot be written.
    """
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["segment", "first_frame", "last_frame", "start", "end"])
    for segment in segments:
        first, last = segment.first_frame, segment.last_frame
        times = (_timecode(first / frame_rate), _timecode(last / frame_rate))
        rows.writerow([segment.index, first, last, *times])
    part = path.with_name(path.name + ".part")
    try:
        with writing(path):
            part.write_text(table.getvalue(), encoding="utf-8")
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read_cuts(path: Path, frames: int) -> list[Cut]:
    """Read the cuts of a film of ``frames`` frames; frame 0 is implied and left out.

    Three forms, with commas or semicolons: a table with a column ``first_frame``, as
    ``write_cuts`` makes it (other columns are ignored); frame numbers from 0, one a line, with or
    without a first line ``frame``; and PySceneDetect's scene list, whose ``Start Frame`` counts
    from 1.

    Raises:
        InputError: not a readable table, or a row whose frame is no number, outside the film, or
            not after the row before. The message names the file and the line.
    """
    rows = _rows(path)
    column, counted_from, rows = _frame_column(path, rows)
    cuts: list[Cut] = []
    previous = -1
    for line, cells in rows:
        where = f"{path.name} line {line}"
        given = cells[column].strip() if column < len(cells) else ""
        if not re.fullmatch(r"[0-9]{1,12}", given):
            raise InputError(f"{where}: {given!r} is no frame number: give a whole number")
        frame = int(given) - counted_from
        if not 0 <= frame < frames:
            last = frames - 1 + counted_from
            raise InputError(
                f"{where}: frame {given} is not in the film: give {counted_from} to {last}"
            )
        if frame <= previous:
            raise InputError(
                f"{where}: frame {given} does not come after frame {previous + counted_from}: "
                "put the rows in order, each frame once"
            )
        if frame:
            cuts.append(Cut(frame))
        previous = frame
    return cuts


def read_segments(path: Path) -> list[Segment]:
    """Read what ``write_segments`` wrote, numbered from 0 in the order of the rows.

    Raises:
        InputError: not such a table, or a row that does not begin where the one before it ends.
    """
    (line, heads), *rows = _rows(path)
    columns = [head.strip().lower() for head in heads]
    segments: list[Segment] = []
    for line, cells in rows:
        row = dict(zip(columns, map(str.strip, cells), strict=False))
        given = row.get("first_frame", ""), row.get("last_frame", "")
        if not all(re.fullmatch(r"[0-9]{1,12}", frame) for frame in given):
            raise InputError(
                f"{path.name} line {line}: give a whole number for first_frame and last_frame"
            )
        segment = Segment(len(segments), int(given[0]), int(given[1]))
        due = segments[-1].last_frame if segments else segment.first_frame
        if segment.first_frame != due or segment.frames < 1:
            raise InputError(
                f"{path.name} line {line}: frames [{given[0]}, {given[1]}) stand where frame {due} "
                "comes next"
            )
        segments.append(segment)
    if not segments:
        raise InputError(f"{path.name} line {line}: no segment follows: split the film again")
    return segments


def _timecode(seconds: Fraction) -> str:
    minutes, thousandths = divmod(round(seconds * 1000), 60_000)
    return (
        f"{minutes // 60:02d}:{minutes % 60:02d}:{thousandths // 1000:02d}.{thousandths % 1000:03d}"
    )


_Rows = list[tuple[int, list[str]]]


def _rows(path: Path) -> _Rows:
    """The rows of a table that hold anything, each with its line, counted from 1."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise InputError(f"no such cut list: {path}") from error
    except OSError as error:
        raise InputError(f"cannot read the cut list {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path.name} is not UTF-8: save it as UTF-8 text") from error
    delimiter = ";" if ";" in text and "," not in text else ","
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    try:
        rows = [(reader.line_num, cells) for cells in reader if any(map(str.strip, cells))]
    except csv.Error as error:
        raise InputError(f"{path.name} line {reader.line_num}: not a table ({error})") from error
    if not rows:
        raise InputError(f"{path.name} is empty: give one frame number a line")
    return rows


def _frame_column(path: Path, rows: _Rows) -> tuple[int, int, _Rows]:
    """Which column holds the frames, from what they are counted, and the rows below the header."""
    heads = [[cell.strip().lower() for cell in cells] for _, cells in rows[:2]]
    for name, counted_from in (("first_frame", 0), ("frame", 0), ("start frame", 1)):
        if name in heads[0]:
            return heads[0].index(name), counted_from, rows[1:]
    if "start frame" in heads[-1]:  # below PySceneDetect's line of time codes
        return heads[-1].index("start frame"), 1, rows[2:]
    if len(heads[0]) == 1 and heads[0][0].isdigit():
        return 0, 0, rows
    raise InputError(
        f"{path.name} line {rows[0][0]}: no column first_frame: "
        "begin with that header, or give one frame number a line"
    )
