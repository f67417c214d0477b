"""Fit the landmark scorer's projection from clips that are in sync.

    python -m lipsync_core.sync.fit_landmark CLIP[@OFFSET]… [--out FILE]

Each clip is a talking face with its own sound; ``@OFFSET`` states a known offset in frames of
1/25 s (positive = sound early), which is refined and taken out. The program prints how often
windows of 2, 3 and 5 s, scored with a projection fitted *without* their clip, fall within one
frame of the whole clip's answer, and how confident windows with the wrong sound look; then it
writes the projection fitted on all the clips.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipsync_core.material import gather
from lipsync_core.media.mel import ROWS_PER_SECOND
from lipsync_core.sync.landmark import (
    MAX_LAG,
    Projection,
    correlation_curve,
    correlation_sums,
    mouth_signals,
    sound_signals,
)

DIMENSIONS = 3
RIDGE = 0.1
_ROWS_PER_FRAME = ROWS_PER_SECOND // 25

Pair = tuple[NDArray[np.float64], NDArray[np.float64]]


def signals_of(clip: Path) -> Pair:
    """Mouth and sound signals of a whole clip: (rows, 9) and (rows, 12)."""
    with tempfile.TemporaryDirectory() as folder:
        material = gather(clip, Path(folder))
        if material.sound is None:
            raise SystemExit(f"{clip} has no sound")
        info = material.info
        rows = int(info.frames / info.frame_rate * ROWS_PER_SECOND)
        mouth = mouth_signals(material.faces(), info.frame_rate, rows)
        return mouth, sound_signals(material.sound.read()[:, 0], rows)


def fitted(pairs: Sequence[Pair]) -> Pair:
    """Canonical correlation (Hotelling 1936) with a ridge: mouth (9, 3) and sound (12, 3)."""
    mouth = np.concatenate([pair[0] for pair in pairs])
    sound = np.concatenate([pair[1] for pair in pairs])
    mouth, sound = mouth - mouth.mean(0), sound - sound.mean(0)
    white_mouth, white_sound = _whitening(mouth), _whitening(sound)
    left, _, right = np.linalg.svd(white_mouth.T @ (mouth.T @ sound / len(mouth)) @ white_sound)
    return white_mouth @ left[:, :DIMENSIONS], white_sound @ right.T[:, :DIMENSIONS]


def _whitening(signals: NDArray[np.float64]) -> NDArray[np.float64]:
    covariance = signals.T @ signals / len(signals) + RIDGE * np.eye(signals.shape[1])
    whitening: NDArray[np.float64] = np.linalg.inv(np.linalg.cholesky(covariance)).T
    return whitening


def _aligned(pair: Pair, lag: int) -> Pair:
    mouth, sound = pair
    if lag >= 0:
        return mouth[lag:], sound[: len(sound) - lag]
    return mouth[:lag], sound[-lag:]


def _curve(pair: Pair, projection: Pair) -> NDArray[np.float64]:
    return correlation_curve(correlation_sums(pair[0] @ projection[0], pair[1] @ projection[1]))


def _windows(pair: Pair, seconds: int) -> list[slice]:
    rows = seconds * ROWS_PER_SECOND
    return [slice(s, s + rows) for s in range(0, len(pair[0]) - rows + 1, ROWS_PER_SECOND // 2)]


def leave_one_out(clips: Mapping[str, Pair], lags: Mapping[str, int]) -> dict[str, Pair]:
    """For every clip the projection fitted on all the others."""
    return {
        name: fitted([_aligned(clips[other], lags[other]) for other in clips if other != name])
        for name in clips
    }


def main() -> None:
    """Fit, report and write."""
    parser = argparse.ArgumentParser(prog="python -m lipsync_core.sync.fit_landmark")
    parser.add_argument("clips", nargs="+", help="CLIP or CLIP@OFFSET in frames of 1/25 s")
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).with_name("landmark_projection.json")
    )
    arguments = parser.parse_args()
    clips: dict[str, Pair] = {}
    lags: dict[str, int] = {}
    for stated in arguments.clips:
        path, _, offset = stated.partition("@")
        clips[path] = signals_of(Path(path))
        lags[path] = round(float(offset or 0) * _ROWS_PER_FRAME)
    for _ in range(3):  # the stated offsets are whole frames; refine them to 10 ms
        projections = leave_one_out(clips, lags)
        for name, pair in clips.items():
            near = slice(lags[name] + MAX_LAG - 6, lags[name] + MAX_LAG + 7)
            lags[name] += int(_curve(pair, projections[name])[near].argmax()) - 6
    _print_accuracy(clips, lags, projections)
    level, slope = _alarm(clips, projections)
    mouth, sound = fitted([_aligned(clips[name], lags[name]) for name in clips])
    _write(arguments.out, Projection(mouth, sound, level, slope))
    print(f"wrote {arguments.out}")


def _print_accuracy(
    clips: Mapping[str, Pair], lags: Mapping[str, int], projections: Mapping[str, Pair]
) -> None:
    for name, pair in clips.items():
        curve = _curve(pair, projections[name])
        found = (int(curve.argmax()) - MAX_LAG) / _ROWS_PER_FRAME
        height = curve.max() - np.median(curve)
        print(f"{Path(name).name:32} offset {found:+6.2f} frames  confidence {height:.2f}")
    for seconds in (2, 3, 5):
        near = [
            abs(_curve((pair[0][w], pair[1][w]), projections[name]).argmax() - MAX_LAG - lags[name])
            <= _ROWS_PER_FRAME
            for name, pair in clips.items()
            for w in _windows(pair, seconds)
        ]
        print(f"windows of {seconds} s: {np.mean(near):.0%} of {len(near)} within one frame")


def _alarm(clips: Mapping[str, Pair], projections: Mapping[str, Pair]) -> tuple[float, float]:
    """Level and slope of the confidence that one wrong-sound window in twenty exceeds."""
    lengths, limits = (2, 3, 5, 7), []
    for seconds in lengths:
        heights = []
        for name, pair in clips.items():
            for other in clips:
                if other == name:
                    continue
                for window in _windows(pair, seconds):
                    mouth, sound = pair[0][window], clips[other][1][window]
                    if len(sound) == len(mouth):
                        curve = _curve((mouth, sound), projections[name])
                        heights.append(curve.max() - np.median(curve))
        limits.append(float(np.percentile(heights, 95)))
        print(
            f"wrong sound, {seconds} s: confidence over {limits[-1]:.2f} in 5 % of {len(heights)}"
        )
    slope, level = np.polyfit(1 / np.sqrt(lengths), limits, 1)
    return float(level), float(slope)


def _write(path: Path, projection: Projection) -> None:
    stored = {
        "mouth": projection.mouth.round(4).tolist(),
        "sound": projection.sound.round(4).tolist(),
        "alarm_level": round(projection.alarm_level, 4),
        "alarm_slope": round(projection.alarm_slope, 4),
    }
    path.write_text(json.dumps(stored) + "\n")


if __name__ == "__main__":
    main()
