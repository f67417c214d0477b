"""The review page: ``report.html``, one file that needs nothing else to be looked at.

Facts come from the run's summary; this module turns them into the few things the template shows:
places on the film's time axis, words for scores and checks, and small copies of the films.
"""

from __future__ import annotations

import os
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from io import BytesIO
from itertools import pairwise
from math import isfinite, isinf
from pathlib import Path
from urllib.parse import quote

import av
import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from numpy.typing import NDArray

from lipsync_core.errors import InputError, writing
from lipsync_core.report import plots
from lipsync_core.report.preview import MAX_PREVIEW_S, preview
from lipsync_core.report.summary import FilmSummary, RunSummary, SegmentSummary, Verdict
from lipsync_core.timeline import SpanKind

# All previews of one page together: a page of a hundred films must still open.
PAGE_PREVIEW_S = 900.0
SHORTEST_PREVIEW_S = 5.0

OFFSET_UNIT_MS = 40.0
LAG_GATE_MS = 1.0
PSNR_GATE_DB = 40.0

# What a segment is shown as, in the order people read it, and what the word means.
TONES = {
    "pass": "lips and sound agree",
    "repaired": "a constant offset was removed, then it passed",
    "fallback": "another engine was used, then it passed",
    "review": "a person should look",
    "passthrough": "the original picture was kept",
}


@dataclass(frozen=True)
class FilmEvidence:
    """What the page shows of one film beside its summary.

    ``thumbnails`` are (frame, JPEG) pairs about 160 pixels wide. The curves hold one value a
    frame: ``loudness`` of the new speech in 0..1, and how far the mouth is open in ``source`` and
    in ``final``, NaN where no face was found.
    """

    summary: FilmSummary
    source: Path
    final: Path
    thumbnails: Sequence[tuple[int, bytes]]
    loudness: NDArray[np.float32]
    source_opening: NDArray[np.float32]
    final_opening: NDArray[np.float32]


def write_report(run: RunSummary, films: Sequence[FilmEvidence], out: Path) -> None:
    """Write the review page to ``out``; it appears under that name only when whole.

    Films are read and written one after the other, so memory holds the previews of one film. A
    film whose preview cannot be made is shown without players, and the page says why.

    Raises:
        StorageError: ``out`` or the temporary folder cannot be written.
    """
    seconds = max(SHORTEST_PREVIEW_S, min(MAX_PREVIEW_S, PAGE_PREVIEW_S / max(1, len(films))))
    views = [FilmView(film, f"film-{n}", out, seconds) for n, film in enumerate(films, start=1)]
    part = out.with_name(out.name + ".part")
    totals = Totals.of([segment for film in run.films for segment in film.segments])
    pieces = _template().generate(run=run, films=views, tones=TONES, totals=totals)
    try:
        with writing(out):
            # A file name may hold bytes that are no text; those alone are replaced.
            out.parent.mkdir(parents=True, exist_ok=True)
            with part.open("w", encoding="utf-8", errors="replace") as page:
                page.writelines(pieces)
            part.replace(out)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def clock(seconds: float) -> str:
    """A time for people: ``0:03.20``, ``1:02:03.20``."""
    hundredths = round(seconds * 100)
    minutes, rest = divmod(hundredths, 6000)
    hours, minutes = divmod(minutes, 60)
    tail = f"{rest // 100:02}.{rest % 100:02}"
    return f"{hours}:{minutes:02}:{tail}" if hours else f"{minutes}:{tail}"


def tone_of(segment: SegmentSummary) -> str:
    """The key of :data:`TONES` a segment is shown in; whatever needs a person comes first."""
    if segment.kind is SpanKind.PASSTHROUGH and segment.verdict is Verdict.PASS:
        return SpanKind.PASSTHROUGH.value
    return segment.verdict.value


@dataclass(frozen=True)
class Totals:
    """How many segments stand in each tone, and how many of the rendered ones are good."""

    tones: Counter[str]

    @classmethod
    def of(cls, segments: Sequence[SegmentSummary]) -> Totals:
        """The totals over some segments."""
        return cls(Counter(tone_of(segment) for segment in segments))

    @property
    def rendered(self) -> int:
        """Segments that were to be rendered, passthrough not counted."""
        return self.tones.total() - self.tones["passthrough"]

    @property
    def good(self) -> int:
        """Rendered segments that passed, some of them after a repair or by another engine."""
        return self.rendered - self.tones["review"]


@dataclass(frozen=True)
class Clip:
    """A small copy of a film, ready for a ``<video>``; ``trouble`` says why there is none."""

    uri: str = ""
    width: int = 16
    height: int = 9
    has_sound: bool = False
    trouble: str = ""

    @classmethod
    def of(cls, film: Path, seconds: float) -> Clip:
        """Make the preview of ``film``."""
        try:
            mp4 = preview(film, seconds)
        except InputError as error:
            return cls(trouble=str(error))
        with av.open(BytesIO(mp4)) as container:
            picture = container.streams.video[0]
            has_sound = bool(container.streams.audio)
            size = picture.width, picture.height
        return cls(f"data:video/mp4;base64,{b64encode(mp4).decode()}", *size, has_sound)


@dataclass(frozen=True)
class Check:
    """One figure of the timeline promise: did it hold, what was found, what it means."""

    held: bool
    title: str
    figure: str
    meaning: str


class FilmView:
    """One film in the words and places the template needs."""

    def __init__(self, film: FilmEvidence, anchor: str, page: Path, preview_s: float) -> None:
        self.summary = film.summary
        self.anchor = anchor
        self.rate = float(Fraction(film.summary.frame_rate))
        self.frames = max(1, film.summary.frames)
        self.seconds = self.frames / self.rate
        self.preview_s = min(preview_s, self.seconds)
        self.is_cut = self.seconds > preview_s + 0.5
        self.totals = Totals.of(film.summary.segments)
        self._film = film
        self._page = page

    @property
    def link(self) -> str:
        """The finished film as a relative address; a colon in its name is no scheme."""
        path = os.path.relpath(self._film.final, self._page.parent)
        return "./" + quote(os.fsencode(Path(path).as_posix()))

    @property
    def length(self) -> str:
        """The film's length for people: ``28.0 s``, ``2:03.40 min``."""
        return f"{self.seconds:.1f} s" if self.seconds < 60 else f"{clock(self.seconds)} min"

    @property
    def fps(self) -> str:
        """The frame rate for people: 25, 23.976."""
        return f"{self.rate:.3f}".rstrip("0").rstrip(".")

    @property
    def cost_usd(self) -> float:
        """What rendering the film's segments cost."""
        return sum(s.cost_usd for s in self.summary.segments)

    # Made when the template comes to them, never kept: only one film's previews are in memory.

    def before(self) -> Clip:
        """The source with its own sound, small."""
        return Clip.of(self._film.source, self.preview_s)

    def after(self) -> Clip:
        """The finished film, small."""
        return Clip.of(self._film.final, self.preview_s)

    # Scores of the whole film

    def score(self, which: str, field: str) -> float | None:
        """A number of ``source_score`` or ``film_score``, ``None`` without evidence."""
        return plots.known((getattr(self.summary, which) or {}).get(field))

    def evidence(self, which: str) -> str:
        """Why a score has no offset, in the scorer's words."""
        found = (getattr(self.summary, which) or {}).get("evidence")
        return found if isinstance(found, str) else "no evidence"

    # The time axis, in percent of the film

    def share(self, frame: int) -> float:
        """Where a frame begins, in percent."""
        return 100 * frame / self.frames

    def ticks(self) -> Iterator[tuple[float, str]]:
        """Round times along the film as (percent, label), eight at most."""
        steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800)
        step = next((s for s in steps if self.seconds / s <= 8), 3600)
        for second in range(0, int(self.seconds * 0.97) + 1, step):
            label = clock(second)[:-3]
            yield 100 * second / self.seconds, label

    def strip(self) -> Iterator[tuple[float, float, int, str]]:
        """Thumbnails as (left, width, frame, address); each stands for its surroundings."""
        shots = sorted(self._film.thumbnails)
        halfway = [(a + b) // 2 for (a, _), (b, _) in pairwise(shots)]
        edges = pairwise([0, *halfway, self.frames])
        for (frame, jpeg), (start, end) in zip(shots, edges, strict=False):
            address = f"data:image/jpeg;base64,{b64encode(jpeg).decode()}"
            yield self.share(start), self.share(end - start), frame, address

    # Lanes: SVG paths on the canvas of `plots`

    @cached_property
    def lanes(self) -> dict[str, str]:
        """The sound and mouth lane; an empty path where nothing is known."""
        source, final = self._film.source_opening, self._film.final_opening
        top = plots.common_top(source, final)
        return {
            "loudness": plots.area_path(self._film.loudness, self.frames),
            "before": plots.curve_path(source, self.frames, top),
            "after": plots.curve_path(final, self.frames, top),
            "boundaries": plots.boundaries_path(self.summary.segments, self.frames),
        }

    @cached_property
    def offset_reach(self) -> float:
        """How far the offset lane reaches above and below 0, in frames of 1/25 s."""
        offsets = [plots.known(s.offset_frames) for s in self.summary.segments]
        offsets.append(self.score("source_score", "offset_frames"))
        return plots.offset_reach(offset for offset in offsets if offset is not None)

    @cached_property
    def confidence_top(self) -> float:
        """The upper edge of the confidence lane."""
        pairs = ((s.confidence, s.source_confidence) for s in self.summary.segments)
        values = [plots.known(value) for pair in pairs for value in pair]
        return max(1.0, *(1.1 * value for value in values if value is not None), 0.0)

    def confidence_marks(self) -> range:
        """Two or three round confidences to label the lane with."""
        step = next((s for s in (1, 2, 5, 10, 20, 50) if self.confidence_top / s <= 4), 100)
        return range(step, int(self.confidence_top) + 1, step)

    def offset_height(self, offset: float) -> float:
        """The height of an offset in its lane, 0..1."""
        return (offset / self.offset_reach + 1) / 2

    def bars(self, field: str, review: bool | None = None) -> str:
        """Bars of one score over the segments, all or only those (not) to review."""
        spans = []
        for segment in self.summary.segments:
            value = plots.known(getattr(segment, field))
            if value is None or review not in (None, tone_of(segment) == "review"):
                continue
            is_offset = field == "offset_frames"
            height = self.offset_height(value) if is_offset else value / self.confidence_top
            spans.append((segment, height))
        return plots.bars_path(spans, self.frames)

    # Words

    def checks(self) -> Iterator[Check]:
        """The figures of the timeline promise; none for a film that was only planned."""
        found = self.summary.checks
        if found is None:
            return
        yield Check(
            found.frames_equal, "Frame count", f"{self.frames} frames",
            "as many as the source has; nothing was added or lost",
        )  # fmt: skip
        lag = found.max_boundary_lag_ms
        yield Check(
            abs(lag) < LAG_GATE_MS, "Sound against picture", f"{lag:.2f} ms at most",
            f"the largest lag at any segment boundary; under {LAG_GATE_MS:g} ms is exact",
        )  # fmt: skip
        yield Check(
            found.timestamps_monotonic, "Time stamps", "in order" if found.timestamps_monotonic
            else "out of order", "every player and editor sees the frames in the same order",
        )  # fmt: skip
        yield Check(
            found.colour_tags_equal, "Colour", "tags as in the source" if found.colour_tags_equal
            else "tags differ", "the film looks the same on every screen",
        )  # fmt: skip
        psnr = found.psnr_outside_db
        figure = f"{psnr:.1f} dB" if isfinite(psnr) else "identical" if psnr > 0 else "not measured"
        yield Check(
            psnr >= PSNR_GATE_DB, "Picture outside the mouth", figure,
            f"closeness to the source; from {PSNR_GATE_DB:g} dB on nobody sees a difference",
        )  # fmt: skip

    @property
    def is_ready(self) -> bool:
        """Whether the film can be delivered without another look."""
        return not self.totals.tones["review"] and all(check.held for check in self.checks())

    def facts(self) -> dict[str, object]:
        """What the page's script needs, as plain JSON."""
        return {
            "name": self.summary.name,
            "rate": self.rate,
            "frames": self.frames,
            "preview_s": self.preview_s,
            "segments": [
                {
                    "index": s.index,
                    "first": s.first_frame,
                    "last": s.last_frame,
                    "tone": tone_of(s),
                    "facts": self._sentence(s),
                }
                for s in self.summary.segments
            ],
        }

    def _sentence(self, s: SegmentSummary) -> str:
        parts = [
            f"{clock(s.first_frame / self.rate)}–{clock(s.last_frame / self.rate)}",
            f"frames {s.first_frame}–{s.last_frame}",
        ]
        if s.generator:
            parts.append(s.generator)
        if s.kind is SpanKind.LIPSYNC:
            offset, confidence = plots.known(s.offset_frames), plots.known(s.confidence)
            before = plots.known(s.source_confidence)
            parts.append("no evidence" if offset is None else f"offset {signed(offset)} frames")
            if confidence is not None:
                source = "" if before is None else f" (source {before:.1f})"
                parts.append(f"confidence {confidence:.1f}{source}")
        if s.told:
            parts.append(s.told)
        return " · ".join(parts)


def signed(number: float) -> str:
    """A number with one decimal and a true sign; what rounds to zero has none."""
    text = f"{abs(number):.1f}"
    if text == "0.0":
        return text
    return ("−" if number < 0 else "+") + text


def in_words(offset_frames: float) -> str:
    """An offset in milliseconds and words: ``sound 120 ms early``."""
    ms = round(offset_frames * OFFSET_UNIT_MS)
    return f"sound {abs(ms)} ms {'early' if ms > 0 else 'late'}" if ms else "no shift"


def money(usd: float) -> str:
    """A price: ``$1.20``; fractions of a cent are kept, nothing is ``free``."""
    if not usd:
        return "free"
    return f"${usd:,.2f}" if usd >= 0.1 or isinf(usd) else f"${usd:.4f}"


def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "clock": clock, "signed": signed, "in_words": in_words, "money": money, "tone": tone_of,
        "known": plots.known, "totals": Totals.of,
    }  # fmt: skip
    return environment.get_template("page.html")
