"""The parameters of the main job: one model for the command line, the form and the gateway."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, Field, model_validator

from lipsync_core.errors import InputError
from lipsync_core.jobs.manifest import Pair, read_manifest
from lipsync_core.naming import film_folder


class BulkRequest(BaseModel):
    """Films and new speech in; films whose lips match out."""

    video: Path | None = Field(None, description="the film whose lips are to match")
    audio: Path | None = Field(None, description="the new speech for it")
    manifest: Path | None = Field(
        None, description="instead of one film: a list of pairs (CSV, JSONL or VIDEOS/AUDIOS text)"
    )
    out: Path = Field(Path("out"), description="folder for the finished films and the report")
    generator: str = Field("rewrite", description="engine that renders the mouths")
    scorer: str = Field("landmark", description="what measures lips against sound")
    store: str | None = Field(None, description="folder for intermediate files [OUT/.lipsync]")
    cuts: Path | None = Field(
        None, description="a cut list to use instead of looking for scenes (an edited segments.csv)"
    )
    detector: Literal["adaptive", "content"] = Field("adaptive", description="scene detector")
    start: float = Field(0.0, ge=0, description="seconds: leave the picture alone before this")
    end: float | None = Field(None, gt=0, description="seconds: leave the picture alone after this")
    segment_seconds: float = Field(
        10.0, ge=2, le=60, description="long shots are divided at silences about this long apart"
    )
    max_workers: int = Field(
        default_factory=lambda: os.cpu_count() or 2, ge=1, le=64,
        description="segments rendered at the same time",
    )  # fmt: skip
    budget: float | None = Field(None, ge=0, description="US dollars this run may cost at most")
    max_failure_rate: float = Field(
        0.5, ge=0, le=1, description="share of failed segments beyond which a film is given up"
    )
    dry_run: bool = Field(False, description="plan and quote only; render nothing")

    @model_validator(mode="after")
    def _one_source_of_pairs(self) -> Self:
        single = self.video is not None and self.audio is not None
        if single == (self.manifest is not None) or (self.video is None) != (self.audio is None):
            raise ValueError("give --video and --audio, or --manifest, and not both")
        if self.end is not None and self.end <= self.start:
            raise ValueError("--end must lie after --start")
        return self

    def pairs(self) -> list[Pair]:
        """The films of this run.

        Raises:
            InputError: the manifest or a file it names is unusable.
        """
        if self.manifest is not None:
            return read_manifest(self.manifest)
        assert self.video is not None and self.audio is not None
        for path in (self.video, self.audio):
            if not path.is_file():
                raise InputError(f"no such file: {path}")
        return [Pair(self.video, self.audio, film_folder(self.video.stem), 0)]

    @property
    def store_root(self) -> str:
        """Where intermediate files live."""
        return str(Path(self.store) if self.store else self.out / ".lipsync")
