"""Measure how far the sound of a film is off its lips, and put it right; the picture stays as is.

    python -m flows.correct FILM --out FILE
    python -m flows.correct FILM --out FILE --scorer syncnet --json

Exit code 0: corrected, or in sync already; 1: no evidence, or a drift nobody asked to repair.
"""

from __future__ import annotations

from pathlib import Path

from prefect import flow
from pydantic import Field

from blocks.form import Form, ScorerName
from flows.command import run_command
from flows.progress import progress
from lipsync_core import sync
from lipsync_core.errors import InputError
from lipsync_core.media.probe import probe
from lipsync_core.media.shift import CONTAINERS
from lipsync_core.sync.correct import Correction
from lipsync_core.sync.delay import Answer
from tasks.correct import correct_sound
from tasks.tell import tell


class CorrectRequest(Form):
    """A film in; the same film with its sound where its lips are out."""

    video: Path = Field(title="Video", description="the film to correct")
    out: Path = Field(title="Output file", description="where the corrected film goes")
    scorer: ScorerName = sync.AUTO
    max_iterations: int = Field(
        5, ge=1, le=30, title="Most measurements",
        description="how often the sound is moved and measured again at most",
    )  # fmt: skip
    repair_drift: bool = Field(
        False, title="Repair a drift",
        description="where the sound runs away more and more, play it slower or faster",
    )  # fmt: skip

    def check(self) -> None:
        """Refuse what cannot work before a server is asked.

        Raises:
            InputError: the film, the output or the scorer is unusable.
        """
        film = probe(self.video)
        if film.sound is None:
            raise InputError(f"{self.video} has no sound to correct")
        suffix = self.video.suffix.lower()
        if suffix not in CONTAINERS:
            raise InputError(f"cannot write {suffix} files: one of {', '.join(CONTAINERS)} can")
        if self.out.suffix.lower() != suffix:
            raise InputError(f"the container is kept: give --out a name that ends in {suffix}")
        if self.out.resolve() == self.video.resolve():
            raise InputError(f"{self.out} is the film itself: give the corrected one another name")
        sync.load_scorer(self.scorer)


class CorrectResult(Correction, frozen=True):
    """What became of ``video``; ``output`` is the file that was written, if one was."""

    video: str
    output: str | None

    @property
    def exit_code(self) -> int:
        """0 when the film is in sync now, else 1."""
        return int(self.answer not in (Answer.CORRECTED, Answer.ALREADY_IN_SYNC))

    def as_text(self) -> str:
        """What was found and done, in a few lines."""
        lines = [f"{Path(self.video).name}: {self.answer.replace('_', ' ')}"]
        lines.append(f"  before: {self.before.verdict}")
        if self.speed != 1.0:
            lines.append(f"  the sound plays {100 * (self.speed - 1):+.3f} % faster")
        if self.after is not None:
            later = "later" if self.delay_ms > 0 else "earlier"
            lines.append(f"  the sound is heard {abs(self.delay_ms):.0f} ms {later}")
            lines.append(f"  after: {self.after.verdict}")
        lines += [f"  {said}" for said in (self.why, *self.notes) if said]
        if self.output is not None:
            lines.append(f"  {self.output}")
        elif self.answer is Answer.DRIFT:
            lines.append("  --repair-drift plays the sound at the right speed")
        return "\n".join(lines)


@flow(name="correct", description="Put a film's sound where its lips are.", persist_result=False)
def correct(request: CorrectRequest) -> CorrectResult:
    """Measure, move the sound, measure again.

    Args:
        request: which film, and where the corrected one goes.
    """
    request.check()
    with progress.film(request.video.name):
        frames = probe(request.video).frames
        progress.stage("correct", "looking at faces", of=frames, unit="frames")
        done = correct_sound(
            request.video, request.out, request.scorer, request.max_iterations,
            request.repair_drift,
        )  # fmt: skip
    is_written = done.answer in (Answer.CORRECTED, Answer.ALREADY_IN_SYNC)
    result = CorrectResult(
        **done.model_dump(), video=str(request.video),
        output=str(request.out) if is_written else None,
    )  # fmt: skip
    tell("correct", result.as_text())
    return result


if __name__ == "__main__":
    run_command(correct, CorrectRequest, positional=["video"], check=CorrectRequest.check)
