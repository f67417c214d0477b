"""See what the product does: make a talking film, give it other words, prove the result.

    python -m flows.demo --out DIR

The film is drawn from two public-domain pictures: a portrait speaks English, then there is a shot
without a face. The main job gives it a German speech. Nothing is fetched from anywhere.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from prefect import flow
from pydantic import BaseModel, Field

from blocks.form import Form
from flows.bulk import bulk
from flows.command import run_command
from flows.progress import progress
from flows.request import BulkRequest
from lipsync_core.report.summary import RunSummary
from tasks.demo import demo_film


class DemoRequest(Form):
    """Where the demo goes."""

    out: Path = Field(Path("demo"), title="Output folder", description="folder for everything")

    def dub(self, video: Path, speech: Path) -> BulkRequest:
        """What the main job is asked to do with the demo film."""
        return BulkRequest.model_validate({"video": video, "audio": speech, "out": self.out})


class DemoResult(BaseModel):
    """Where to look, and what the main job found."""

    before: str
    speech: str
    after: str
    report: str
    run: RunSummary

    @property
    def exit_code(self) -> int:
        """That of the main job."""
        return self.run.exit_code

    def as_text(self) -> str:
        """The summary of the run, and where to look."""
        told = ("before", self.before), ("speech", self.speech), ("after", self.after)
        return "\n".join([self.run.as_text(), *(f"{name}: {path}" for name, path in told)])


@flow(name="demo", description="Make a film and dub it.", persist_result=False)
def demo(request: DemoRequest) -> DemoResult:
    """Make the demo film and run the main job on it.

    Args:
        request: where to.
    """
    store = str(request.out / ".lipsync")
    with progress.film("demo"):
        progress.stage("film", "making the film")
        made = demo_film(request.out, version("lipsync-flows"), store)
    run = bulk(request.dub(made.video, made.speech))
    film = run.films[0]
    return DemoResult(
        before=str(made.video), speech=str(made.speech), after=film.output, report=film.report,
        run=run,
    )  # fmt: skip


if __name__ == "__main__":
    run_command(demo, DemoRequest)
