"""A film put back in sync: measured, its sound moved once, and the written file measured again."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel

from lipsync_core.errors import InputError, TimelineBroken
from lipsync_core.material import Material, own_sound
from lipsync_core.media.probe import probe
from lipsync_core.media.shift import shift_sound
from lipsync_core.scan import scan_film
from lipsync_core.sync.delay import CLOSE_FRAMES, Answer, Found, delayed, find_delay, vote
from lipsync_core.sync.score import Scorer
from lipsync_core.sync.tracks import FilmScore, score_tracks
from lipsync_core.whole import copy_whole


class Correction(BaseModel, frozen=True):
    """What became of a film.

    ``delay_ms`` is how much later its sound is heard now (negative: earlier), ``speed`` how much
    faster it plays. ``before`` is the score of the film given, ``after`` that of the file that was
    written; where moving left out so much sound that the file alone has too little evidence, that
    of the film with its sound moved so. ``why`` says what stood in the way of an answer, ``notes``
    what of the film could not be taken along.
    """

    answer: Answer
    delay_ms: float
    speed: float
    measurements: int
    before: FilmScore
    after: FilmScore | None
    why: str
    notes: tuple[str, ...] = ()


def correct(
    video: Path,
    out: Path,
    scorer: Scorer,
    *,
    most_measurements: int = 5,
    repair_drift: bool = False,
    on_frame: Callable[[int], None] | None = None,
) -> Correction:
    """Measure how far a film's sound is off, and write the film with it put right.

    A film that is in sync is copied; without an answer nothing is written. A drift is only told,
    unless ``repair_drift``: the sound is then played at the speed that takes it out.

    Raises:
        InputError: the film has no sound, or its container or codec cannot be written.
        TimelineBroken: the written film is not what was measured.
        StorageError: it cannot be written.
    """
    info = probe(video)
    with tempfile.TemporaryDirectory(prefix="correct-") as name:
        folder = Path(name)
        material = Material(info, scan_film(info, folder, on_frame=on_frame), None)

        def search(heard_in: Path) -> Found:
            sound = own_sound(probe(heard_in), folder / "sound.wav")
            if sound is None:
                raise InputError(f"{video} has no sound to correct")
            return find_delay(
                lambda delay_ms: score_tracks(material, delayed(sound, delay_ms), scorer),
                most_measurements,
            )

        first = found = search(video)
        speed, measurements = 1.0, first.measurements
        if first.answer is Answer.DRIFT and repair_drift:
            # positive: the sound runs ahead more and more, so it is played slower
            speed = 1.0 - (first.before.drift_ms_per_s or 0.0) / 1000
            evened = folder / f"evened{video.suffix}"
            shift_sound(video, evened, 0.0, speed=speed)
            found = search(evened)
            measurements += found.measurements

        def answered(answer: Answer, **more: object) -> Correction:
            fields = {"delay_ms": 0.0, "speed": 1.0, "after": None, "why": "", **more}
            return Correction.model_validate(
                {"answer": answer, "measurements": measurements, "before": first.before, **fields}
            )

        if found.answer is Answer.CORRECTED or (found is not first and _is_in_sync(found)):
            notes = shift_sound(video, out, found.delay_ms / 1000, speed=speed)
            after = _proven(material, out, folder / "proof.wav", scorer, found.after)
            return answered(
                Answer.CORRECTED, delay_ms=round(found.delay_ms, 1), speed=speed, after=after,
                notes=notes,
            )  # fmt: skip
        if _is_in_sync(found):
            copy_whole(video, out)
            return answered(Answer.ALREADY_IN_SYNC)
        if found is first:
            return answered(first.answer, why=first.why)
        why = f"{first.why}; that taken out, {found.why}"
        return answered(Answer.DRIFT, why=why)


def _is_in_sync(found: Found) -> bool:
    return found.answer is Answer.ALREADY_IN_SYNC


def _proven(
    material: Material, out: Path, laid: Path, scorer: Scorer, before_writing: FilmScore
) -> FilmScore:
    """The score of the file that was written, with its own sound as a player plays it.

    Where that is a little too short of evidence, since moving left out a piece of the sound, what
    was measured before it was written holds.
    """
    written = own_sound(probe(out), laid)
    assert written is not None
    score = score_tracks(material, written, scorer)
    left, _ = vote(score)
    if left is None:
        return before_writing
    if abs(left) > 2 * CLOSE_FRAMES:
        out.unlink()
        raise TimelineBroken(f"{out} did not come out in sync ({score.verdict}): nothing was kept")
    return score
