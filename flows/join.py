"""Join finished parts back into one film, under one continuous sound.

    python -m flows.join DIR --out FILM.mp4
    python -m flows.join DIR --audio SPEECH --out FILM.mp4

DIR holds vid_01, vid_02, … as flows.split wrote them or as an engine returned them. The sound is
SPEECH, or the aud_NN.wav that lie beside them; the parts' own compressed sound is never used.
"""

from __future__ import annotations

from pathlib import Path

from prefect import flow
from pydantic import BaseModel, Field

from blocks.form import Form
from flows.command import run_command
from flows.progress import progress
from lipsync_core.media.parts import Part, find_parts
from lipsync_core.media.probe import probe_audio
from tasks.join_parts import join_parts
from tasks.tell import tell


class JoinRequest(Form):
    """A folder of parts in; one film out."""

    folder: Path = Field(title="Folder", description="where the vid_NN, aud_NN and their table lie")
    out: Path = Field(title="Film", description="the film to write (.mp4 or .mov)")
    audio: Path | None = Field(
        None, title="Audio", description="the speech of the whole film [the aud_NN.wav end to end]"
    )

    def check(self) -> None:
        """Refuse what cannot work before a server is asked.

        Raises:
            InputError: the parts or the sound this request names are unusable.
            TimelineBroken: a part does not hold the frames it stands for.
        """
        if self.audio is not None:
            probe_audio(self.audio)
        self.parts()

    def parts(self) -> list[Part]:
        """The parts in the folder."""
        return find_parts(self.folder, with_sound=self.audio is None)


class JoinResult(BaseModel):
    """The film that was written. ``max_boundary_lag_ms`` is the largest shift of the sound where
    two parts meet, ``None`` for a silent film."""

    output: str
    frame_rate: str
    frames: int
    sound: str
    max_boundary_lag_ms: float | None
    notes: list[str]

    @property
    def exit_code(self) -> int:
        """A film that could not be joined raised an error instead."""
        return 0

    def as_text(self) -> str:
        """A few lines for a terminal."""
        lag = self.max_boundary_lag_ms
        proof = "" if lag is None else f", at most {lag:.2f} ms off where parts meet"
        return "\n".join(
            [
                f"{self.output}: {self.frames} frames at {self.frame_rate} fps",
                f"  sound: {self.sound}{proof}",
                *(f"  note: {note}" for note in self.notes),
            ]
        )


@flow(name="join", description="Join parts back into one film.", persist_result=False)
def join(request: JoinRequest) -> JoinResult:
    """Join the parts of a folder.

    Args:
        request: which folder, with which sound, to which file.
    """
    frames = sum(part.frames for part in request.parts())
    with progress.film(request.out.name):
        progress.stage("join", "joining the parts", of=frames, unit="frames")
        made = join_parts(request.folder, request.audio, request.out)
    result = JoinResult(
        output=str(made.info.path), frame_rate=str(made.info.frame_rate), frames=made.info.frames,
        sound=made.sound, max_boundary_lag_ms=made.max_boundary_lag_ms, notes=list(made.notes),
    )  # fmt: skip
    tell("join", result.as_text())
    return result


if __name__ == "__main__":
    run_command(join, JoinRequest, positional=["folder"], check=JoinRequest.check)
