"""Make a whole film larger with a network for pictures that you name.

    python -m flows.upscale FILM --model RealESRGAN_x2.onnx --out FILM_LARGE.mp4

The model is an ONNX file of a picture in and a larger picture out; nothing is shipped or fetched.
It is taken to count from 0 to 1 and is run by the processor; where it is otherwise, say so behind
its name: --model 'MODEL.onnx?range=-1..1&device=cuda'. The sound is copied as it is where the
container of FILE can hold it.
"""

from __future__ import annotations

from pathlib import Path

from prefect import flow
from pydantic import BaseModel, Field

from blocks.form import Form
from flows.command import run_command
from flows.progress import progress
from lipsync_core.finish.model import given_model
from lipsync_core.finish.upscale import RANGE, Upscaler
from lipsync_core.finish.upscaled_film import larger
from lipsync_core.media.probe import probe
from tasks.tell import tell
from tasks.upscale import upscale as upscale_task


class UpscaleRequest(Form):
    """A film in; the same film larger out."""

    video: Path = Field(title="Video", description="the film to make larger")
    model: str = Field(
        title="Model",
        description="the file of an ONNX model that makes pictures larger, and behind a question "
        "mark what it does not say itself: MODEL.onnx?range=-1..1&device=cuda",
    )
    out: Path = Field(title="Output file", description="where it goes (.mp4, .mov or .mkv)")

    def check(self) -> None:
        """Refuse what cannot work before a server is asked.

        Raises:
            InputError: the film, the model or the output is unusable.
            MissingWeights: the package that runs models is not installed.
        """
        larger(probe(self.video), Upscaler(given_model(self.model, RANGE)), self.out)


class UpscaleResult(BaseModel):
    """The film that was written; ``sound`` says what became of its sound."""

    output: str
    times: int
    width: int
    height: int
    frame_rate: str
    frames: int
    sound: str
    notes: list[str]

    @property
    def exit_code(self) -> int:
        """A film that could not be made larger raised an error instead."""
        return 0

    def as_text(self) -> str:
        """A few lines for a terminal."""
        return "\n".join(
            [
                f"{self.output}: {self.times} times as large, {self.width}x{self.height}, "
                f"{self.frames} frames at {self.frame_rate} fps",
                f"  sound: {self.sound}",
                *(f"  note: {note}" for note in self.notes),
            ]
        )


@flow(name="upscale", description="Make a film larger.", persist_result=False)
def upscale(request: UpscaleRequest) -> UpscaleResult:
    """Make every picture of a film larger.

    Args:
        request: which film, by which model, to which file.
    """
    request.check()
    with progress.film(request.video.name):
        frames = probe(request.video).frames
        progress.stage("upscale", "making it larger", of=frames, unit="frames")
        made = upscale_task(request.video, request.model, request.out)
    info = made.info
    result = UpscaleResult(
        output=str(request.out), times=made.times, width=info.width, height=info.height,
        frame_rate=str(info.frame_rate), frames=info.frames, sound=made.sound,
        notes=list(made.notes),
    )  # fmt: skip
    tell("upscale", result.as_text())
    return result


if __name__ == "__main__":
    run_command(upscale, UpscaleRequest, positional=["video"], check=UpscaleRequest.check)
