"""The parameters of the main job: one model for the command line, the form and the gateway."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator
from pydantic.config import JsonDict

from blocks.addresses import expect
from blocks.form import Form
from flows.engine_request import EngineRequest
from flows.numbers import chosen
from flows.place import Place
from lipsync_core import sync
from lipsync_core.errors import InputError
from lipsync_core.jobs.manifest import Pair, read_manifest
from lipsync_core.media.probe import probe, probe_audio
from lipsync_core.media.scenes import read_cuts
from lipsync_core.naming import film_folder
from lipsync_core.plan import read_kinds
from lipsync_core.stores.address import Address
from lipsync_core.stores.local import make_writable
from lipsync_core.timeline import SpanKind

# What the form's server refuses at once, beside the field that is missing.
_PAIR_OR_MANIFEST: JsonDict = {
    "if": {"required": ["manifest"]},
    "else": {"required": ["video", "audio"]},
}


class Films(Form):
    """Which films, and which part of them: the first fields of the main job's form."""

    video: Place | None = Field(
        None, title="Video", description="the film whose lips are to match: a file, or its address"
    )
    audio: Place | None = Field(
        None, title="Audio", description="the new speech for it: a file, or its address"
    )
    manifest: Path | None = Field(
        None, title="Manifest",
        description="instead of one film: a list of pairs (CSV, JSONL or VIDEOS/AUDIOS text)",
    )  # fmt: skip
    only: str | None = Field(
        None, title="Films of the manifest",
        description="which of its pairs, counted from 1: 3,5-8 [all]",
    )  # fmt: skip
    no_exists_check: bool = Field(
        False, title="Do not look first",
        description="start without looking whether every file is there",
    )  # fmt: skip
    cuts: Path | None = Field(
        None, title="Cut list",
        description="a cut list to use instead of looking for scenes (an edited segments.csv)",
    )  # fmt: skip
    detector: Literal["adaptive", "content"] = Field(
        "adaptive", title="Scene detector", description="how cuts are found"
    )
    start: float = Field(
        0.0, ge=0, title="Start", description="seconds: leave the picture alone before this"
    )
    end: float | None = Field(
        None, gt=0, title="End", description="seconds: leave the picture alone after this"
    )
    segment_seconds: float = Field(
        10.0, ge=2, le=60, title="Segment length",
        description="seconds: long shots are divided at silences about this long apart",
    )  # fmt: skip


class BulkRequest(EngineRequest, Films, json_schema_extra=_PAIR_OR_MANIFEST):
    """Films and new speech in; films whose lips match out."""

    command: ClassVar[str] = "bulk"

    keep_asd: bool = Field(
        False, title="Active speaker",
        description="the engine elsewhere has to find the active speaker itself; it is not asked "
        "a second time without",
    )  # fmt: skip

    @model_validator(mode="after")
    def _one_source_of_pairs(self) -> Self:
        single = self.video is not None and self.audio is not None
        if single == (self.manifest is not None) or (self.video is None) != (self.audio is None):
            raise ValueError("give --video and --audio, or --manifest, and not both")
        if self.end is not None and self.end <= self.start:
            raise ValueError("--end must lie after --start")
        if self.cuts is not None and self.manifest is not None:
            raise ValueError("--cuts goes with one film: give --video and --audio")
        if self.only is not None and self.manifest is None:
            raise ValueError("--only goes with --manifest")
        return self

    @property
    def own_options(self) -> dict[str, str]:
        """The active speaker, where the engine is to look for one."""
        return {"active_speaker_detection": "auto"} if self.keep_asd else {}

    @property
    def only_elsewhere(self) -> dict[str, object]:
        """As everywhere, and who speaks."""
        return super().only_elsewhere | {"keep-asd": self.keep_asd}

    def pairs(self) -> list[Pair]:
        """The films of this run.

        Raises:
            InputError: the manifest or a file it names is unusable.
        """
        if self.manifest is not None:
            pairs = read_manifest(self.manifest, check_files=not self.no_exists_check)
            return chosen(self.only, pairs, self.manifest)
        assert isinstance(self.video, (Path, Address))
        assert isinstance(self.audio, (Path, Address))
        for source in (self.video, self.audio):
            if isinstance(source, Path) and not source.is_file():
                raise InputError(f"no such file: {source}")
        return [Pair(self.video, self.audio, film_folder(Path(self.video.name).stem), 0)]

    def checked(self) -> Self:
        """This request with the settings in force; what cannot work is refused at once, before a
        server is started or a picture decoded.

        Raises:
            InputError: a file, an engine or a folder it names is unusable.
        """
        request = self.with_settings()
        pairs = request.pairs()
        request.check_engine()
        sync.load_scorer(request.scorer)
        if not request.no_exists_check:
            expect([source for pair in pairs for source in (pair.video, pair.audio)])
        if request.manifest is None:  # in a list of films, one bad film does not stop the others
            if isinstance(request.video, Path):
                request.given_cuts(probe(request.video).frames)
            if isinstance(request.audio, Path):
                probe_audio(request.audio)
        make_writable(request.out)
        make_writable(Path(request.store_root))
        return request

    def given_cuts(self, frames: int) -> tuple[list[int] | None, dict[int, SpanKind]]:
        """The cuts and kinds of the person's own list for a film of so many frames, if any.

        Raises:
            InputError: the list cannot be read or does not fit the film.
        """
        if self.cuts is None:
            return None, {}
        return [cut.frame for cut in read_cuts(self.cuts, frames)], read_kinds(self.cuts)
