"""Score one film in a process of its own: python -m tests.benchmarks.scorers SCORER FILM [EVERY]

Prints what finding the faces took, what measuring took, and the answer. Where the published
checkpoint is not on this machine, SyncNet is filled with numbers by rule: as fast, and as large.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import flows  # noqa: F401  (its settings must stand before Prefect is imported)
from lipsync_core.material import gather
from lipsync_core.sync.landmark import LandmarkScorer
from lipsync_core.sync.score import Scorer
from lipsync_core.sync.syncnet.network import SyncNet
from lipsync_core.sync.syncnet.scorer import FastSyncNetScorer, SyncNetScorer
from lipsync_core.sync.tracks import score_tracks
from lipsync_core.weights.registry import is_here
from tests.synthetic_weights import synthetic_tensors


def scorer_called(name: str) -> Scorer:
    """The scorer, with the published weights where they are."""
    if name == "landmark":
        return LandmarkScorer()
    kind = FastSyncNetScorer if name == "syncnet-fast" else SyncNetScorer
    if is_here("syncnet"):
        return kind()
    network = SyncNet().eval()
    network.load_state_dict(synthetic_tensors(network))
    return kind(network)


def main(name: str, film: Path, every: int | None = None) -> None:
    """Scan, score, print."""
    scorer = scorer_called(name)
    if every is not None and isinstance(scorer, SyncNetScorer):
        scorer.every = every
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        material = gather(film, Path(folder))
        looked = time.monotonic()
        assert material.sound is not None
        score = score_tracks(material, material.sound, scorer)
        ended = time.monotonic()
    answer = {
        "find_s": looked - started,
        "score_s": ended - looked,
        "film_s": material.info.seconds,
    }
    print(
        json.dumps(answer | score.model_dump(include={"offset_frames", "confidence", "distance"}))
    )


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:4]))
