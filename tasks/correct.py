"""Put a film's sound where its lips are; the picture is copied as it is."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from prefect import task
from pydantic import BaseModel

from lipsync_core.errors import InputError, TimelineBroken, writing
from lipsync_core.material import Material, own_sound
from lipsync_core.media.probe import FilmInfo, probe
from lipsync_core.media.shift import shift_sound
from lipsync_core.scan import scan_film
from lipsync_core.sync import load_scorer
from lipsync_core.sync.correct import CLOSE_FRAMES, Answer, Found, delayed, find_delay, vote
from lipsync_core.sync.score import Scorer
from lipsync_core.sync.tracks import FilmScore, score_tracks
from tasks.steps import frames_done


class Correction(BaseModel, frozen=True):
    """What became of a film.

    ``delay_ms`` is how much later its sound is heard now (negative: earlier), ``speed`` how much
    faster it plays; ``before`` and ``after`` are the scores of the film given and of the file that
    was written. ``why`` says what stood in the way of an answer.
    """

    answer: Answer
    delay_ms: float
    speed: float
    measurements: int
    before: FilmScore
    after: FilmScore | None
    why: str


@task(name="correct sound")
def correct_sound(
    video: Path, out: Path, scorer: str, max_iterations: int, repair_drift: bool
) -> Correction:
    """Measure how far a film's sound is off, and write the film with it put right.

    A film that is in sync is copied; without an answer nothing is written.

    Raises:
        InputError: the film has no sound, or its container or codec cannot be written.
        TimelineBroken: the written film is not what was measured.
    """
    info, judge = probe(video), load_scorer(scorer)
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="correct-") as name:
        folder = Path(name)
        scan = scan_film(info, folder, on_frame=frames_done)
        material, speed = Material(info, scan, None), 1.0
        found = _found(material, info, folder / "sound.wav", judge, max_iterations)
        before = found.before
        if found.answer is Answer.DRIFT and repair_drift:
            # positive: the sound runs ahead more and more, so it is played slower
            speed = 1.0 - (found.before.drift_ms_per_s or 0.0) / 1000
            slowed = folder / f"slowed{video.suffix}"
            shift_sound(video, slowed, 0.0, speed=speed)
            found = _found(material, probe(slowed), folder / "slowed.wav", judge, max_iterations)
        after: FilmScore | None = None
        is_moved = found.answer is Answer.CORRECTED
        if is_moved or (speed != 1.0 and found.answer is Answer.ALREADY_IN_SYNC):
            shift_sound(video, out, found.delay_ms / 1000, speed=speed)
            after = _proven(material, out, folder / "proof.wav", judge, found.after)
            found_answer = Answer.CORRECTED
        else:
            found_answer = found.answer
            if found_answer is Answer.ALREADY_IN_SYNC:
                with writing(out):
                    shutil.copyfile(video, out)
    return Correction(
        answer=found_answer, delay_ms=round(found.delay_ms, 1), speed=speed,
        measurements=found.measurements, before=before, after=after, why=found.why,
    )  # fmt: skip


def _found(material: Material, heard_in: FilmInfo, laid: Path, judge: Scorer, most: int) -> Found:
    sound = own_sound(heard_in, laid)
    if sound is None:
        raise InputError(f"{heard_in.path} has no sound to correct")
    return find_delay(
        lambda delay_ms: score_tracks(material, delayed(sound, delay_ms), judge), most
    )


def _proven(
    material: Material, out: Path, laid: Path, judge: Scorer, before_writing: FilmScore
) -> FilmScore:
    """The score of the file that was written, with its own sound as a player plays it.

    Where that is a little too short of evidence, since moving left out a piece of the sound, what
    was measured before it was written holds.
    """
    written = own_sound(probe(out), laid)
    assert written is not None
    score = score_tracks(material, written, judge)
    left, _ = vote(score)
    if left is None:
        return before_writing
    if abs(left) > 2 * CLOSE_FRAMES:
        out.unlink()
        raise TimelineBroken(f"{out} did not come out in sync ({score.verdict}): nothing was kept")
    return score
