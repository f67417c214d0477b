"""A film in which two people talk: the one who speaks gets the new mouth, the other keeps his."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from in_process import Here

from lipsync_core.demo.film import DemoFilm
from lipsync_core.media.frames import planes_of, read_frames
from lipsync_core.media.probe import probe
from lipsync_core.report.summary import RunSummary

MIDDLE, LOWER_HALF = 256, 128  # px


def changes(source: Path, final: Path) -> list[tuple[float, float]]:
    """How much of the lower left and right of every frame is another picture: shares of pixels
    that differ by more than encoding makes of them."""
    found = []
    for old, new in zip(read_frames(probe(source)), read_frames(probe(final)), strict=True):
        before, after = (planes_of(frame)[0][LOWER_HALF:].astype(float) for frame in (old, new))
        off = np.abs(after - before) > 16
        found.append((float(off[:, :MIDDLE].mean()), float(off[:, MIDDLE:].mean())))
    return found


def test_only_who_speaks_is_given_another_mouth(
    here: Here, dialogue: Path, demo_film: DemoFilm, tmp_path: Path
) -> None:
    ran = here(video=dialogue, audio=demo_film.speech, out=tmp_path)
    run = RunSummary.model_validate_json(ran.out)
    [film] = run.films
    assert any("the one whose lips go with the sound is taken" in note for note in film.notes)
    rendered = [segment for segment in film.segments if segment.generator]
    change = next(s.first_frame for s in rendered if s.first_frame > 0)
    assert change == pytest.approx(125, abs=25)
    differences = np.array(changes(dialogue, Path(film.output)))
    left, right = differences[20:change].mean(0)
    assert left > 3 * right
    left, right = differences[change:].mean(0)
    assert right > 3 * left
