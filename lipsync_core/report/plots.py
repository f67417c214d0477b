"""Drawings of a film on its own time axis: SVG paths for the page, a PNG for the artifact.

The page's lanes are a canvas of WIDTH × HEIGHT that the browser stretches over the whole film,
so a frame's place is its share of the film and every lane lines up with every other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from io import BytesIO
from math import ceil, isfinite

import numpy as np
from numpy.typing import NDArray

from lipsync_core.report.summary import FilmSummary, SegmentSummary, Verdict

WIDTH, HEIGHT = 1000, 100
COLUMNS = 2400  # more points than this cannot be told apart on a screen
OFFSET_GATE = 1.0  # frames of 1/25 s; within it nobody sees a shift

# Used where the page's own style sheet does not reach.
INK, BEFORE, AFTER, REVIEW, GATE = "#34322f", "#a8a29a", "#4453c7", "#c8411f", "#e4ebe4"


def area_path(values: NDArray[np.float32], frames: int) -> str:
    """A filled area under ``values`` (one a frame, 0..1); long films keep their peaks."""
    if not values.size:
        return ""
    tops = _pooled(np.nan_to_num(values), np.fmax)
    step = WIDTH * values.size / frames / tops.size
    corners = (
        f"L{_short(i * step)} {_short(y)}L{_short((i + 1) * step)} {_short(y)}"
        for i, y in enumerate(_heights(tops))
    )
    return f"M0 {HEIGHT}{''.join(corners)}L{_short(tops.size * step)} {HEIGHT}Z"


def curve_path(values: NDArray[np.float32], frames: int, top: float) -> str:
    """A line through ``values`` (one a frame) with ``top`` at the upper edge, broken at NaN."""
    if not values.size:
        return ""
    means = _pooled_mean(values)
    step = WIDTH * values.size / frames / means.size
    path, pen_up = [], True
    for i, y in enumerate(_heights(means / top)):
        if not isfinite(y):
            pen_up = True
            continue
        # A zero-length line makes a lone frame visible as a dot.
        path.append(f"{'M' if pen_up else 'L'}{_short((i + 0.5) * step)} {_short(y)}")
        if pen_up:
            path.append("h0")
        pen_up = False
    return "".join(path)


def common_top(*curves: NDArray[np.float32]) -> float:
    """One scale for several curves: almost their largest value, so that an outlier is cut."""
    known = np.concatenate([curve[np.isfinite(curve)] for curve in curves])
    return float(np.percentile(known, 99.5)) or 1.0 if known.size else 1.0


def bars_path(spans: Iterable[tuple[SegmentSummary, float]], frames: int) -> str:
    """A horizontal bar over each segment at a height of 0 (bottom) to 1 (top)."""
    return "".join(
        f"M{_short(place(s.first_frame, frames))} {_short(HEIGHT * (1 - height))}"
        f"H{_short(place(s.last_frame, frames))}"
        for s, height in spans
    )


def boundaries_path(segments: Sequence[SegmentSummary], frames: int) -> str:
    """A vertical line where each segment after the first begins."""
    return "".join(f"M{_short(place(s.first_frame, frames))} 0V{HEIGHT}" for s in segments[1:])


def place(frame: int, frames: int) -> float:
    """Where a frame begins on the canvas, 0..WIDTH."""
    return WIDTH * frame / max(frames, 1)


def offset_reach(offsets: Iterable[float]) -> float:
    """How far an offset lane reaches above and below 0, in frames of 1/25 s: at least 2."""
    return max(2.0, *(ceil(abs(offset)) + 0.5 for offset in offsets), 0.0)


def segment_plot_png(summary: FilmSummary) -> bytes:
    """Offset and confidence of every segment over the film's time, as a PNG of about 1100×500.

    Segments without evidence leave a gap; those to review are red; grey is the source.
    """
    from matplotlib.figure import Figure  # takes a second to import; only this needs it

    rate = float(Fraction(summary.frame_rate))
    figure = Figure(figsize=(11, 5), dpi=100, layout="constrained")
    offset, confidence = figure.subplots(2, 1, sharex=True)
    offset.axhspan(-OFFSET_GATE, OFFSET_GATE, color=GATE, lw=0)
    offset.set_ylabel("offset, frames of 1/25 s")
    confidence.set_ylabel("confidence")
    confidence.set_xlabel("seconds")
    for s in summary.segments:
        span = (s.first_frame / rate, s.last_frame / rate)
        colour = REVIEW if s.verdict is Verdict.REVIEW else AFTER
        for axes, value, tint in (
            (offset, s.offset_frames, colour),
            (confidence, s.source_confidence, BEFORE),
            (confidence, s.confidence, colour),
        ):
            if known(value) is not None:
                axes.hlines(value, *span, color=tint, lw=3)
    reach = offset_reach(o for s in summary.segments if (o := known(s.offset_frames)) is not None)
    offset.set_ylim(-reach, reach)
    offset.set_xlim(0, max(summary.frames, 1) / rate)
    confidence.set_ylim(bottom=0)
    for axes in (offset, confidence):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=INK)
        axes.grid(axis="y", color=INK, alpha=0.12, lw=0.6)
    picture = BytesIO()
    figure.savefig(picture, format="png")
    return picture.getvalue()


def known(value: object) -> float | None:
    """A score as a finite number, or ``None`` where there is no evidence."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value):
        return float(value)
    return None


def _edges(size: int) -> NDArray[np.intp]:
    columns = min(size, COLUMNS)
    return np.arange(columns) * size // columns


def _pooled(values: NDArray[np.float32], rule: np.ufunc) -> NDArray[np.float32]:
    return rule.reduceat(values, _edges(values.size))


def _pooled_mean(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """The mean of the known values in each column; NaN where none is known."""
    found = np.isfinite(values)
    counts = np.add.reduceat(found.astype(float), _edges(values.size))
    sums = np.add.reduceat(np.where(found, values, 0.0), _edges(values.size))
    return np.divide(sums, counts, out=np.full(counts.shape, np.nan), where=counts > 0)


def _heights(shares: NDArray[np.floating]) -> list[float]:
    return (HEIGHT * (1 - np.clip(shares, 0, 1))).tolist()


def _short(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".")
