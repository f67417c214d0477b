"""Cut a film into its shots: numbered parts, exact to the frame and to the sample.

    python -m flows.split FILM --out DIR
    python -m flows.split FILM --audio SPEECH --cuts EDITED.csv --out DIR

DIR then holds vid_01.mp4, aud_01.wav, … and scene_cuts.csv, the table of their frames; flows.join
makes a film of them again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from prefect import flow
from pydantic import BaseModel, Field, model_validator

from blocks.form import Form
from flows.command import run_command
from flows.progress import progress
from lipsync_core.media.parts import TABLE, old_parts, part_segments
from lipsync_core.media.probe import probe, probe_audio
from lipsync_core.media.scenes import read_cuts
from lipsync_core.naming import audio_name, video_name
from lipsync_core.timeline import Cut
from tasks.split import find_scenes, split_parts
from tasks.tell import tell


class SplitRequest(Form):
    """A film in; its shots out, each a file of its own."""

    video: Path = Field(title="Video", description="the film to split")
    audio: Path | None = Field(
        None, title="Audio", description="the speech to cut along with it [the film's own sound]"
    )
    out: Path = Field(title="Output folder", description="folder for the parts and their table")
    detector: Literal["adaptive", "content"] = Field(
        "adaptive", title="Scene detector", description="how cuts are found"
    )
    cuts: Path | None = Field(
        None, title="Cut list", description="a cut list to use instead of looking for scenes"
    )
    start: float = Field(0.0, ge=0, title="Start", description="seconds: leave out what is before")
    end: float | None = Field(
        None, gt=0, title="End", description="seconds: leave out what is after"
    )
    minimum_seconds: float = Field(
        0.6, ge=0, le=60, title="Shortest shot",
        description="seconds: of two cuts nearer to each other only the harder one counts",
    )  # fmt: skip
    overwrite: bool = Field(
        False, title="Overwrite", description="delete the parts that lie in the folder first"
    )

    @model_validator(mode="after")
    def _end_after_start(self) -> Self:
        if self.end is not None and self.end <= self.start:
            raise ValueError("--end must lie after --start")
        return self

    def check(self) -> None:
        """Refuse what cannot work before a server is asked.

        Raises:
            InputError: a file or the folder this request names is unusable.
        """
        self.given_cuts(probe(self.video).frames)
        if self.audio is not None:
            probe_audio(self.audio)
        old_parts(self.out, self.overwrite)

    def given_cuts(self, frames: int) -> list[Cut] | None:
        """The cuts of the list this request names, ``None`` where it names none.

        Raises:
            InputError: the list does not fit a film of so many frames.
        """
        return None if self.cuts is None else read_cuts(self.cuts, frames)


class PartFiles(BaseModel):
    """Frames [first_frame, last_frame) of the film as files of their own."""

    number: int
    first_frame: int
    last_frame: int
    video: str
    audio: str | None


class SplitResult(BaseModel):
    """What lies in the folder now."""

    folder: str
    table: str
    frame_rate: str
    frames: int
    parts: list[PartFiles]
    notes: list[str]

    @property
    def exit_code(self) -> int:
        """A film that could not be split raised an error instead."""
        return 0

    def as_text(self) -> str:
        """A few lines for a terminal."""
        lines = [f"{len(self.parts)} parts, {self.frames} frames at {self.frame_rate} fps"]
        for part in self.parts:
            names = Path(part.video).name + (f" {Path(part.audio).name}" if part.audio else "")
            lines.append(f"  {names}  frames {part.first_frame}-{part.last_frame}")
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join([*lines, f"table: {self.table}"])


@flow(name="split", description="Cut a film into its shots.", persist_result=False)
def split(request: SplitRequest) -> SplitResult:
    """Find the shots of a film and write each as a part of its own.

    Args:
        request: which film, where to, and how.
    """
    request.check()
    info = probe(request.video)
    with progress.film(request.video.name):
        cuts = request.given_cuts(info.frames)
        if cuts is None:
            progress.stage("scenes", "looking for scenes", of=info.frames, unit="frames")
            cuts = find_scenes(request.video, request.detector, request.minimum_seconds)
        segments = part_segments(cuts, info.frames, info.frame_rate, request.start, request.end)
        progress.stage("split", f"writing {len(segments)} parts")
        notes = split_parts(request.video, segments, request.audio, request.out, request.overwrite)
    parts = [
        PartFiles(
            number=number, first_frame=segment.first_frame, last_frame=segment.last_frame,
            video=str(request.out / video_name(number, ".mp4")),
            audio=_existing(request.out / audio_name(number, ".wav")),
        )
        for number, segment in enumerate(segments, 1)
    ]  # fmt: skip
    result = SplitResult(
        folder=str(request.out), table=str(request.out / TABLE), frame_rate=str(info.frame_rate),
        frames=sum(segment.frames for segment in segments), parts=parts, notes=notes,
    )  # fmt: skip
    tell("split", result.as_text())
    return result


def _existing(path: Path) -> str | None:
    return str(path) if path.exists() else None


if __name__ == "__main__":
    run_command(split, SplitRequest, positional=["video"], check=SplitRequest.check)
