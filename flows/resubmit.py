"""Order once more what failed in a run; what is finished stays as it is and costs nothing.

    python -m flows.resubmit OUT

OUT is the output folder of the run. A job that an engine elsewhere failed to do gets a new attempt
under a key of its own; what it refused for good stays refused, and what is still under way is
waited for.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field

from flows.bulk import bulk
from flows.command import run_command
from flows.request import BulkRequest
from lipsync_core.jobs.manifest import source_of


class ResubmitRequest(BaseModel):
    """Which run, and what it may cost now."""

    run_dir: Path = Field(description="the output folder of the run")
    budget: float | None = Field(
        None, ge=0, description="US dollars the whole run may cost at most [as in the run]"
    )

    video: str | None = Field(
        None, description="a fresh address of the film, where the one of the run was signed"
    )
    audio: str | None = Field(None, description="the same of the speech")

    def as_bulk(self) -> BulkRequest:
        """The request of the run, with the wish to have what failed ordered again.

        Raises:
            InputError: the folder holds no run, or its files are gone.
        """
        again: dict[str, object] = {"out": self.run_dir, "failed_again": True}
        if self.budget is not None:
            again["budget"] = self.budget
        again |= {
            name: source_of(given)
            for name in ("video", "audio")
            if (given := getattr(self, name)) is not None
        }
        return BulkRequest.remembered(self.run_dir).model_copy(update=again).checked()


if __name__ == "__main__":
    run_command(bulk, ResubmitRequest, positional=["run_dir"], check=ResubmitRequest.as_bulk)
