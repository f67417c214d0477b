"""Fit the pooled mouth model from clips of several speakers.

    python -m lipsync_core.generators.fit_mouth_model CLIP@OFFSET… [--out FILE]

Each clip is a talking face with its own sound; ``OFFSET`` is its known offset in frames of 1/25 s
(positive = sound early), which is taken out. The program prints the correlation of each predicted
shape with the real one for clips the model was not fitted on, then writes the model fitted on all.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipsync_core.faces.mouth import SHAPE_NAMES, mouth_shapes
from lipsync_core.generators.mouth_model import (
    FEATURES,
    MouthModel,
    at_frames,
    speech_features,
)
from lipsync_core.material import gather

RIDGE = 1000.0

Speaker = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def speaker_of(clip: Path, offset_frames: float) -> Speaker:
    """Features (frames, 84), standardised shapes (frames, 9) and their spread (9,)."""
    with tempfile.TemporaryDirectory() as folder:
        material = gather(clip, Path(folder))
        if material.sound is None:
            raise SystemExit(f"{clip} has no sound")
        faces = material.faces()
        shapes = mouth_shapes(faces.points).astype(np.float64)
        rows = speech_features(material.sound.read()[:, 0])
        features = at_frames(
            rows, np.arange(len(shapes)), material.info.frame_rate, -offset_frames / 25
        )
        features, shapes = features[faces.present], shapes[faces.present]
    spread = shapes.std(0)
    return features, (shapes - shapes.mean(0)) / spread, spread


def fitted(speakers: list[Speaker]) -> MouthModel:
    """One ridge regression over all the speakers."""
    blank = MouthModel(np.zeros((FEATURES + 1, len(SHAPE_NAMES))), np.zeros(len(SHAPE_NAMES)))
    features = np.concatenate([speaker[0] for speaker in speakers])
    shapes = np.concatenate([speaker[1] for speaker in speakers])
    spread = np.median([speaker[2] for speaker in speakers], axis=0)
    return MouthModel(blank.refitted(features, shapes, RIDGE).weights, spread)


def main() -> None:
    """Fit, report and write."""
    parser = argparse.ArgumentParser(prog="python -m lipsync_core.generators.fit_mouth_model")
    parser.add_argument("clips", nargs="+", help="CLIP or CLIP@OFFSET in frames of 1/25 s")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("mouth_model.json"))
    arguments = parser.parse_args()
    speakers = {}
    for stated in arguments.clips:
        path, _, offset = stated.partition("@")
        speakers[path] = speaker_of(Path(path), float(offset or 0))
    for name, (features, shapes, _) in speakers.items():
        others = fitted([speaker for other, speaker in speakers.items() if other != name])
        predicted = others.predict(features)
        agreement = [
            np.corrcoef(predicted[:, k], shapes[:, k])[0, 1] for k in range(shapes.shape[1])
        ]
        told = "  ".join(f"{n} {r:.2f}" for n, r in zip(SHAPE_NAMES, agreement, strict=True))
        print(f"{Path(name).name:32} {told}")
    model = fitted(list(speakers.values()))
    stored = {"weights": model.weights.round(5).tolist(), "spread": model.spread.round(5).tolist()}
    arguments.out.write_text(json.dumps(stored) + "\n")
    print(f"wrote {arguments.out}")


if __name__ == "__main__":
    main()
