"""Score how well the lips of a film agree with its sound; nothing is rendered or changed.

    python -m flows.verify FILM
    python -m flows.verify FILM --audio SPEECH --json

Offsets are positive where the sound is early. Exit code 0: in sync; 1: out of sync, or no evidence.
"""

from __future__ import annotations

from pathlib import Path

from prefect import flow
from pydantic import Field

from blocks.form import Form, installed
from flows.command import run_command
from flows.progress import progress
from lipsync_core import sync
from lipsync_core.errors import InputError
from lipsync_core.media.probe import probe, probe_audio
from lipsync_core.sync.tracks import FilmScore, TrackScore
from tasks.tell import tell
from tasks.tracks import score_faces


class VerifyRequest(Form):
    """A film in; how well its lips and its sound agree out."""

    video: Path = Field(title="Video", description="the film to score")
    audio: Path | None = Field(
        None, title="Audio", description="the sound to score it with [the film's own sound]"
    )
    scorer: str = Field(
        "landmark", title="Scorer", description="what measures lips against sound",
        json_schema_extra=installed(sync.GROUP),
    )  # fmt: skip

    def check(self) -> None:
        """Refuse what cannot work before a server is asked.

        Raises:
            InputError: a file or the scorer this request names is unusable.
        """
        film = probe(self.video)
        if self.audio is not None:
            probe_audio(self.audio)
        elif film.sound is None:
            raise InputError(f"{self.video} has no sound: give the speech with --audio")
        sync.load_scorer(self.scorer)


class VerifyResult(FilmScore, frozen=True):
    """The score of ``video`` with ``audio`` (``None``: its own sound)."""

    video: str
    audio: str | None

    @property
    def exit_code(self) -> int:
        """0 when in sync, else 1."""
        return int(not self.in_sync)

    def as_text(self) -> str:
        """A line for every face track and the verdict."""
        heads = ("frames", "offset", "confidence", "distance", "drift", "evidence")
        rows = [heads, *(_row(track) for track in self.tracks)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(cell.rjust(width) for cell, width in zip(row[:-1], widths, strict=False))
            + f"  {row[-1]}"
            for row in rows
        ]
        return "\n".join([*lines, f"{Path(self.video).name}: {self.verdict}"])


def _row(track: TrackScore) -> tuple[str, ...]:
    offset, drift = track.offset_ms, track.drift_ms_per_s
    return (
        f"{track.first_frame}-{track.last_frame}",
        "-" if offset is None else f"{offset:+.0f} ms",
        f"{track.confidence:.2f}",
        f"{track.distance:.2f}",
        "-" if drift is None else f"{drift:+.1f} ms/s",
        track.evidence,
    )


@flow(name="verify", description="Score lips against sound.", persist_result=False)
def verify(request: VerifyRequest) -> VerifyResult:
    """Score every face track of a film and the film as a whole.

    Args:
        request: which film, with which sound, by which scorer.
    """
    request.check()
    with progress.film(request.video.name):
        frames = probe(request.video).frames
        progress.stage("verify", "looking at faces", of=frames, unit="frames")
        found = score_faces(request.video, request.audio, request.scorer)
    result = VerifyResult(
        **found.model_dump(), video=str(request.video),
        audio=None if request.audio is None else str(request.audio),
    )  # fmt: skip
    tell("verify", result.as_text())
    return result


if __name__ == "__main__":
    run_command(verify, VerifyRequest, positional=["video"], check=VerifyRequest.check)
