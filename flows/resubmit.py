"""Order once more what failed in a run; what is finished stays as it is and costs nothing.

    python -m flows.resubmit OUT

OUT is the output folder of the run (of a portrait the folder .lipsync beside its film). A job that
an engine elsewhere failed to do gets a new attempt under a key of its own; what it refused for good
stays refused, and what is still under way is waited for.
"""

from __future__ import annotations

import json
from pathlib import Path

from prefect import flow
from pydantic import BaseModel, Field, ValidationError

from flows.bulk import bulk
from flows.command import run_command
from flows.engine_request import REMEMBERED
from flows.portrait import portrait
from flows.portrait_request import PortraitRequest
from flows.request import BulkRequest
from lipsync_core.errors import InputError
from lipsync_core.jobs.manifest import source_of
from lipsync_core.report.summary import RunSummary

Remembered = BulkRequest | PortraitRequest

_KINDS: dict[str, type[BulkRequest] | type[PortraitRequest]] = {
    kind.command: kind for kind in (BulkRequest, PortraitRequest)
}


class ResubmitRequest(BaseModel):
    """Which run, and what it may cost now."""

    run_dir: Path = Field(description="the output folder of the run")
    budget: float | None = Field(
        None, ge=0, description="US dollars the whole run may cost at most [as in the run]"
    )

    video: str | None = Field(
        None, description="a fresh address of the film, where the one of the run was signed"
    )
    image: str | None = Field(None, description="the same of the picture of a portrait")
    audio: str | None = Field(None, description="the same of the speech")

    def as_before(self) -> Remembered:
        """The request of the run, with the wish to have what failed ordered again.

        Raises:
            InputError: the folder holds no run, or its files are gone.
        """
        again: dict[str, object] = {"failed_again": True}
        if self.budget is not None:
            again["budget"] = self.budget
        request = remembered(self.run_dir)
        for name in ("video", "image", "audio"):
            if (given := getattr(self, name)) is None:
                continue
            if getattr(request, name, None) is None:
                raise InputError(f"the run in {self.run_dir} has no --{name}: leave it out")
            again[name] = source_of(given)
        return request.model_copy(update=again).seen_from(self.run_dir).checked()


def remembered(folder: Path) -> Remembered:
    """The request of the run that wrote into a folder.

    Raises:
        InputError: there was none.
    """
    try:
        told = json.loads((folder / REMEMBERED).read_bytes())
        return _KINDS[told.pop("flow", BulkRequest.command)].model_validate(told)
    except (OSError, ValueError, AttributeError, KeyError, ValidationError) as error:
        raise InputError(
            f"{folder} holds no run ({REMEMBERED} is missing or damaged): name its output folder"
        ) from error


@flow(name="resubmit", description="Order again what failed.", persist_result=False)
def resubmit(request: BulkRequest | PortraitRequest) -> RunSummary:
    """Do a run again, for what failed in it.

    Args:
        request: the one of that run.
    """
    return portrait(request) if isinstance(request, PortraitRequest) else bulk(request)


if __name__ == "__main__":
    run_command(resubmit, ResubmitRequest, positional=["run_dir"], check=ResubmitRequest.as_before)
