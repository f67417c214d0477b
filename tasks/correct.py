"""Put a film's sound where its lips are; the picture is copied as it is."""

from __future__ import annotations

from pathlib import Path

from prefect import task

from lipsync_core.errors import writing
from lipsync_core.sync import load_scorer
from lipsync_core.sync.correct import Correction, correct
from tasks.steps import frames_done


@task(name="correct sound")
def correct_sound(
    video: Path, out: Path, scorer: str, max_iterations: int, repair_drift: bool
) -> Correction:
    """Measure how far a film's sound is off, and write the film with it put right."""
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    return correct(
        video, out, load_scorer(scorer), most_measurements=max_iterations,
        repair_drift=repair_drift, on_frame=frames_done,
    )  # fmt: skip
