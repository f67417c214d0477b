"""The embedded scorer: lip landmarks against speech cepstra, no checkpoint needed.

Nine mouth distances and twelve cepstra, both at 100 Hz, band-passed to the rhythm of speech and
standardised, are projected to three dimensions by one fixed projection (fitted once by canonical
correlation on clips known to be in sync, see :mod:`lipsync_core.sync.fit_landmark`). The sound is
slid against the mouth by up to ±0.6 s; for every lag the three correlations are added up. The best
lag is the offset; its height over the median of the curve is the confidence.

A measurement holds, for every lag and dimension, the four sums a correlation is made of. Sums of
different spans simply add, so short segments can be judged together with their neighbours.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync_core.faces.landmarks import FaceTrack
from lipsync_core.faces.mouth import mouth_shapes
from lipsync_core.media.mel import ROWS_PER_SECOND, cepstra, log_mel
from lipsync_core.sync.score import IN_SYNC_FRAMES, Span, SyncScore

MAX_LAG = 60  # rows of 10 ms; beyond ±0.6 s a lag is noise
MINIMUM_S = 1.0  # of a span that may add to an answer
# Of the spans together: on real clips one answer in five was wrong at 1 to 1.25 s, at 1.5 s none.
ANSWER_S = 1.5
_ROWS_PER_OFFSET_FRAME = 4
_NEAR = 8  # rows: the offset of one window scatters by that much
_USUAL_CONFIDENCE = 1.4  # of three seconds of a real clip; 0.3 with somebody else's sound
_SPEECH_RHYTHM_HZ = (0.6, 7.0)
_NO_MOVE = 1e-5  # a spread below this is arithmetic's own noise; a real mouth's is 100 times that


@dataclass(frozen=True)
class Projection:
    """The fitted numbers. ``mouth``: (9, 3), ``sound``: (12, 3). A confidence above
    ``alarm_level + alarm_slope / sqrt(seconds)`` came up with the wrong sound in one window of
    twenty at most."""

    mouth: NDArray[np.float64]
    sound: NDArray[np.float64]
    alarm_level: float
    alarm_slope: float

    def least_confidence(self, seconds: float) -> float:
        """The confidence below which an agreement may be chance."""
        return self.alarm_level + self.alarm_slope / float(np.sqrt(max(seconds, 0.1)))


@cache
def shipped_projection() -> Projection:
    """The projection that comes with the package."""
    text = resources.files("lipsync_core.sync").joinpath("landmark_projection.json").read_text()
    stored = json.loads(text)
    return Projection(
        np.array(stored["mouth"]), np.array(stored["sound"]),
        stored["alarm_level"], stored["alarm_slope"],
    )  # fmt: skip


def mouth_signals(faces: FaceTrack, frame_rate: Fraction, rows: int) -> NDArray[np.float64]:
    """The nine mouth shapes at 100 Hz, (rows, 9), filtered and standardised.

    Frames without a face are bridged in a straight line; the caller makes sure they are few.
    """
    shapes = mouth_shapes(faces.points)
    present = faces.present
    frame_times = np.arange(len(shapes)) / float(frame_rate)
    times = np.arange(rows) / ROWS_PER_SECOND
    bridged = [np.interp(times, frame_times[present], column[present]) for column in shapes.T]
    return _standard(np.stack(bridged, 1))


def sound_signals(sound: NDArray[np.float32], rows: int) -> NDArray[np.float64]:
    """Twelve cepstra at 100 Hz, (rows, 12), filtered and standardised."""
    signals = cepstra(log_mel(sound))[:rows]
    missing = rows - len(signals)
    return _standard(np.pad(signals, ((0, max(0, missing)), (0, 0)), mode="edge"))


class LandmarkScorer:
    """The default scorer."""

    name = "landmark"
    version = 1
    remark = ""

    def __init__(self, projection: Projection | None = None) -> None:
        self.projection = projection or shipped_projection()

    def measure(self, span: Span, windows: Sequence[tuple[int, int]]) -> list[dict[str, Any]]:
        """Correlation sums of every window."""
        rate = span.info.frame_rate
        return [
            self.compare(span.faces(*window), rate, span.sound_of(*window)) for window in windows
        ]

    def compare(
        self, faces: FaceTrack, frame_rate: Fraction, sound: NDArray[np.float32]
    ) -> dict[str, Any]:
        """Correlation sums of one window: its frames' landmarks and its sound (mono, 16 kHz)."""
        seconds = len(faces.points) / float(frame_rate)
        rows = int(seconds * ROWS_PER_SECOND)
        present = faces.present
        if present.sum() < max(2, len(present) / 2):
            return {"seconds": seconds, "evidence": "no face in most frames"}
        if rows < MINIMUM_S * ROWS_PER_SECOND:
            return {"seconds": seconds, "evidence": f"only {seconds:.1f} s long"}
        if float(np.abs(sound).max(initial=0.0)) < 1e-3:
            return {"seconds": seconds, "evidence": "no speech"}
        mouth, speech = mouth_signals(faces, frame_rate, rows), sound_signals(sound, rows)
        if not mouth.any():
            return {"seconds": seconds, "evidence": "the mouth does not move"}
        if not speech.any():  # a steady hum
            return {"seconds": seconds, "evidence": "no speech"}
        sums = correlation_sums(mouth @ self.projection.mouth, speech @ self.projection.sound)
        return {"seconds": seconds, "evidence": "ok", "sums": sums.round(5).tolist()}

    def score(self, measurements: Sequence[dict[str, Any]]) -> SyncScore:
        """The agreement of all the spans together."""
        usable = [measured for measured in measurements if measured["evidence"] == "ok"]
        if not usable:
            reasons = {measured["evidence"] for measured in measurements} or {"nothing measured"}
            return SyncScore(None, 0.0, 3.0, False, "; ".join(sorted(reasons)), False)
        curve = correlation_curve(np.sum([measured["sums"] for measured in usable], axis=0))
        seconds = sum(measured["seconds"] for measured in usable)
        best = int(curve.argmax())
        confidence = float(curve[best] - np.median(curve))
        distance = float(len(self.projection.mouth[0]) - curve[best])
        if seconds < ANSWER_S:
            return SyncScore(None, confidence, distance, False, f"only {seconds:.1f} s long")
        if best in (0, len(curve) - 1):
            return SyncScore(None, confidence, distance, False, "offset beyond ±0.6 s or no match")
        offset = float(_parabola_peak(curve, best) - MAX_LAG) / _ROWS_PER_OFFSET_FRAME
        if confidence < self.projection.least_confidence(seconds):
            return SyncScore(None, confidence, distance, False, "agreement no better than chance")
        in_sync = bool(abs(offset) <= IN_SYNC_FRAMES)
        return SyncScore(offset, confidence, distance, in_sync, "ok")

    def agreement(self, measurements: Sequence[dict[str, Any]], offset_frames: float) -> float:
        """The confidence that the lags round that offset give, against a usual speaker's."""
        usable = [measured["sums"] for measured in measurements if measured["evidence"] == "ok"]
        if not usable:
            return 0.0
        curve = correlation_curve(np.sum(usable, axis=0))
        lag = MAX_LAG + round(_ROWS_PER_OFFSET_FRAME * offset_frames)
        near = curve[max(0, lag - _NEAR) : lag + _NEAR + 1].max(initial=0.0)
        return float(near - np.median(curve)) / _USUAL_CONFIDENCE


def correlation_sums(
    mouth: NDArray[np.float64], speech: NDArray[np.float64]
) -> NDArray[np.float64]:
    """For every lag −60…60 and dimension the sums Σxy, Σx², Σy² about the means: (121, 3, 3).

    At lag l the sound is delayed by l rows, so a positive best lag means the sound is early.
    """
    sums = []
    for lag in range(-MAX_LAG, MAX_LAG + 1):
        x = mouth[max(0, lag) : len(mouth) + min(0, lag)]
        y = speech[max(0, -lag) : len(speech) - max(0, lag)]
        x, y = x - x.mean(0), y - y.mean(0)
        sums.append([(x * y).sum(0), (x * x).sum(0), (y * y).sum(0)])
    return np.array(sums)


def correlation_curve(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """The three correlations added up for every lag: (121, 3, 3) → (121,), at most 3."""
    curve: NDArray[np.float64] = (
        sums[:, 0] / np.sqrt(np.maximum(sums[:, 1] * sums[:, 2], 1e-12))
    ).sum(1)
    return curve


def _parabola_peak(curve: NDArray[np.float64], best: int) -> float:
    left, middle, right = curve[best - 1 : best + 2]
    bend = left - 2 * middle + right
    return best + (0.5 * (left - right) / bend if bend < 0 else 0.0)


@cache
def _band() -> NDArray[np.float64]:
    from scipy.signal import butter

    sections: NDArray[np.float64] = butter(
        2, _SPEECH_RHYTHM_HZ, "bandpass", fs=ROWS_PER_SECOND, output="sos"
    )
    return sections


def _standard(signals: NDArray[np.float64]) -> NDArray[np.float64]:
    """The part of each signal in the rhythm of speech, at variance 1; 0 where it never moves."""
    from scipy.signal import sosfiltfilt  # loading it takes a second, so who measures pays for it

    filtered = sosfiltfilt(_band(), signals, axis=0, padlen=min(27, len(signals) - 1))
    spread = filtered.std(0)
    standard: NDArray[np.float64] = filtered - filtered.mean(0)
    return standard / np.where(spread > _NO_MOVE, spread, np.inf)
