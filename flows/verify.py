"""Score how well the lips of a film agree with its sound; nothing is rendered or changed.

    python -m flows.verify FILM
    python -m flows.verify FILM --audio SPEECH --json
    python -m flows.verify --folder CLIPS --csv scores.csv --scorer syncnet

Offsets are positive where the sound is early. Exit code 0: in sync; 1: out of sync, or no evidence.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self

from prefect import flow, unmapped
from prefect.task_runners import ThreadPoolTaskRunner
from pydantic import Field, model_validator

from blocks.form import Form, ScorerName
from flows.command import run_command
from flows.progress import progress
from lipsync_core import sync
from lipsync_core.errors import InputError, told, writing
from lipsync_core.media.parts import FILM_SUFFIXES
from lipsync_core.media.probe import probe, probe_audio
from lipsync_core.sync.lse import LseTable
from lipsync_core.sync.tracks import FilmScore, TrackScore
from tasks.tell import tell
from tasks.tracks import score_faces


class VerifyRequest(Form):
    """A film or a folder of clips in; how well lips and sound agree out."""

    video: Path | None = Field(None, title="Video", description="the film to score")
    audio: Path | None = Field(
        None, title="Audio", description="the sound to score it with [the film's own sound]"
    )
    folder: Path | None = Field(
        None, title="Folder", description="instead of one film: a folder of clips to score"
    )
    csv: Path | None = Field(
        None, title="Table", description="where the table of a folder's scores goes (CSV)"
    )
    scorer: ScorerName = sync.AUTO

    @model_validator(mode="after")
    def _one_or_many(self) -> Self:
        if (self.video is None) == (self.folder is None):
            raise ValueError("give one film or, with --folder, a folder of clips")
        if self.folder is not None and self.audio is not None:
            raise ValueError("--audio goes with one film: the clips of a folder have their own")
        if self.folder is None and self.csv is not None:
            raise ValueError("--csv goes with --folder; one film is told whole with --json")
        return self

    def check(self) -> None:
        """Refuse what cannot work before a server is asked.

        Raises:
            InputError: a file or the scorer this request names is unusable.
        """
        if self.folder is not None:
            self.clips()
        elif self.video is not None:
            film = probe(self.video)
            if self.audio is not None:
                probe_audio(self.audio)
            elif film.sound is None:
                raise InputError(f"{self.video} has no sound: give the speech with --audio")
        sync.load_scorer(self.scorer)

    def clips(self) -> dict[str, Path]:
        """The clips of the folder and of those in it, by their names from there.

        Raises:
            InputError: it is no folder, or there are none.
        """
        assert self.folder is not None
        if not self.folder.is_dir():
            raise InputError(f"no such folder: {self.folder}")
        found = {
            path.relative_to(self.folder).as_posix(): path
            for path in sorted(self.folder.rglob("*"))
            if path.suffix.lower() in FILM_SUFFIXES and path.is_file()
        }
        if not found:
            raise InputError(f"no films in {self.folder}")
        return found


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
        heads = ("frames", "speaks", "offset", "confidence", "distance", "drift", "evidence")
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
        {True: "yes", False: "no", None: "open"}[track.speaks],
        "-" if offset is None else f"{offset:+.0f} ms",
        f"{track.confidence:.2f}",
        f"{track.distance:.2f}",
        "-" if drift is None else f"{drift:+.1f} ms/s",
        track.evidence,
    )


class FolderResult(LseTable, frozen=True):
    """The table of ``folder``; ``csv`` is the file it was written to, if one was asked for."""

    folder: str
    csv: str | None

    @property
    def exit_code(self) -> int:
        """0 when every clip is in sync, else 1."""
        return int(bool(self.dropped) or not all(clip.in_sync for clip in self.clips.values()))

    def as_text(self) -> str:
        """A line for every clip, the means, and what was dropped."""
        names = [name.upper().replace("_", "-") for name in self.names]
        width = max(map(len, [*self.clips, *self.dropped, "clip"]))
        lines = [f"{'clip':<{width}}  {'offset':>8}  {names[0]:>10}  {names[1]:>10}"]
        for name, clip in self.clips.items():
            offset = "-" if clip.offset_ms is None else f"{clip.offset_ms:+.0f} ms"
            figures = f"{clip.confidence:>10.3f}  {clip.distance:>10.3f}"
            lines.append(f"{name:<{width}}  {offset:>8}  {figures}")
        if self.mean_confidence is not None:
            figures = f"{self.mean_confidence:>10.3f}  {self.mean_distance:>10.3f}"
            lines.append(f"{'mean':<{width}}  {'':>8}  {figures}")
        lines.append(f"{len(self.clips)} clips by {self.scorer}, {len(self.dropped)} dropped")
        lines += [f"  dropped: {name}: {why}" for name, why in self.dropped.items()]
        return "\n".join([*lines, self.csv] if self.csv else lines)


@flow(
    name="verify",
    description="Score lips against sound.",
    persist_result=False,
    task_runner=ThreadPoolTaskRunner(max_workers=os.cpu_count() or 2),  # type: ignore[arg-type]
)
def verify(request: VerifyRequest) -> VerifyResult | FolderResult:
    """Score every face track of a film and the film as a whole, or all clips of a folder.

    Args:
        request: which film or folder, with which sound, by which scorer.
    """
    request.check()
    result = _one(request) if request.folder is None else _many(request)
    tell("verify", result.as_text())
    return result


def _one(request: VerifyRequest) -> VerifyResult:
    assert request.video is not None
    with progress.film(request.video.name):
        frames = probe(request.video).frames
        progress.stage("verify", "looking at faces", of=frames, unit="frames")
        found = score_faces(request.video, request.audio, request.scorer)
    return VerifyResult(
        **found.model_dump(), video=str(request.video),
        audio=None if request.audio is None else str(request.audio),
    )  # fmt: skip


def _many(request: VerifyRequest) -> FolderResult:
    clips, scorer = request.clips(), sync.load_scorer(request.scorer).name
    scores: dict[str, FilmScore | str] = {}
    with progress.film(str(request.folder)):
        progress.stage("verify", "looking at faces", of=len(clips), unit="clips")
        futures = score_faces.map(list(clips.values()), unmapped(None), unmapped(scorer))
        for name, future in zip(clips, futures, strict=True):
            future.wait()
            found = future.state.result(raise_on_failure=False)
            scores[name] = told(found) if isinstance(found, Exception) else found
            progress.advance()
    table = LseTable.of(scorer, scores)
    if request.csv is not None:
        with writing(request.csv):
            request.csv.parent.mkdir(parents=True, exist_ok=True)
        table.write(request.csv)
    return FolderResult(
        **dict(table), folder=str(request.folder),
        csv=None if request.csv is None else str(request.csv),
    )  # fmt: skip


if __name__ == "__main__":
    run_command(verify, VerifyRequest, positional=["video"], check=VerifyRequest.check)
