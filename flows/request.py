"""The parameters of the main job: one model for the command line, the form and the gateway."""

from __future__ import annotations

import asyncio
import os
import shlex
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PlainValidator, ValidationError, WithJsonSchema, model_validator
from pydantic.config import JsonDict

from blocks.addresses import expect
from blocks.bucket import opened_bucket
from blocks.credentials import secrets_for
from blocks.form import Form, ScorerName, installed
from blocks.settings import LipsyncSettings
from flows.command import command_line
from flows.engine import Engine
from flows.numbers import numbers_in
from lipsync_core import generators, sync
from lipsync_core.errors import InputError, writing
from lipsync_core.finish import from_anywhere, load_finish
from lipsync_core.jobs.manifest import Pair, Source, read_manifest, source_of
from lipsync_core.media.probe import probe, probe_audio
from lipsync_core.media.scenes import read_cuts
from lipsync_core.naming import film_folder
from lipsync_core.plan import read_kinds
from lipsync_core.stores.address import Address
from lipsync_core.stores.local import make_writable
from lipsync_core.timeline import SpanKind

REMEMBERED = "request.json"


def _placed(given: Any) -> Source:
    """A file or an address, from one box of a form."""
    if isinstance(given, (Path, Address)):
        return given
    if not isinstance(given, str):
        raise ValueError("give a file or an address")
    return source_of(given)


Place = Annotated[Source, PlainValidator(_placed), WithJsonSchema({"type": "string"})]

# What the form's server refuses at once, beside the field that is missing.
_PAIR_OR_MANIFEST: JsonDict = {
    "if": {"required": ["manifest"]},
    "else": {"required": ["video", "audio"]},
}


class BulkRequest(Form, json_schema_extra=_PAIR_OR_MANIFEST):
    """Films and new speech in; films whose lips match out."""

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
    out: Path = Field(
        Path("out"), title="Output folder",
        description="folder for the finished films and the report",
    )  # fmt: skip
    generator: str = Field(
        "rewrite", title="Generator",
        description="engine that renders the mouths: rewrite, sync, wav2lip, wav2lip-gan, "
        "wav2lip-best or one of another package",
        json_schema_extra=installed(generators.GROUP),
    )  # fmt: skip
    options: str | None = Field(
        None, title="Engine options",
        description="options of the engine, if it has some: model=lipsync-2-pro temperature=0.3 "
        "(sync), pads=0,20,0,0 device=cuda:1 (wav2lip)",
    )  # fmt: skip
    enhance: str | None = Field(
        None, title="Finish",
        description="what is put over a rendered mouth: match (colour, sharpness and grain of the "
        "face round it), or the file of an ONNX face-restoration model [nothing]",
    )  # fmt: skip
    fallback: str | None = Field(
        None, title="Fallback",
        description="engine of this machine for segments that an engine elsewhere failed at: "
        "rewrite",
    )  # fmt: skip
    keep_asd: bool = Field(
        False, title="Active speaker",
        description="the engine elsewhere has to find the active speaker itself; it is not asked "
        "a second time without",
    )  # fmt: skip
    scorer: ScorerName = sync.AUTO
    store: str | None = Field(
        None, title="Store folder", description="folder for intermediate files [OUT/.lipsync]"
    )
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
    max_workers: int = Field(
        default_factory=lambda: os.cpu_count() or 2, ge=1, le=64, title="Workers",
        description="segments rendered at the same time [one for each processor]",
    )  # fmt: skip
    upload: str | None = Field(
        None, title="Upload to",
        description="where an engine elsewhere fetches its segments: s3://bucket/folder, "
        "supabase://bucket/folder, or s3-bucket/NAME for an S3 Bucket block [a store of the "
        "engine's own]",
    )  # fmt: skip
    max_lanes: int = Field(
        15, ge=1, le=1000, title="Lanes",
        description="jobs under way at the same time with an engine elsewhere, at most; the "
        "account itself may allow fewer",
    )  # fmt: skip
    redo: str | None = Field(
        None, title="Render anew",
        description="numbers of segments an engine elsewhere is to render and be paid for once "
        "more: 7,12",
    )  # fmt: skip
    attempt: int = Field(
        2, ge=2, le=9, title="Attempt",
        description="which attempt at those segments it is; the same number is never paid twice",
    )  # fmt: skip
    failed_again: bool = Field(
        False, title="Order failed ones again",
        description="give every segment that an engine elsewhere failed to render a new attempt",
    )  # fmt: skip
    budget: float | None = Field(
        None,
        ge=0,
        title="Budget",
        description="US dollars this run may cost at most, all its films together",
    )
    max_failure_rate: float = Field(
        0.5, ge=0, le=1, title="Failure rate",
        description="share of failed segments beyond which a film is given up, 0 to 1",
    )  # fmt: skip
    settings: str | None = Field(
        None, title="Settings block",
        description="name of a Lipsync Settings block in Prefect; fills in what is left open",
    )  # fmt: skip
    dry_run: bool = Field(
        False, title="Plan only", description="plan and quote only; render nothing"
    )

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

    def with_settings(self) -> Self:
        """This request, and what it leaves open filled in from the settings in force.

        Raises:
            InputError: the settings block it names cannot be had.
        """
        said = LipsyncSettings.resolve(self.settings).said()
        return type(self).model_validate(said | self.model_dump(exclude_unset=True))

    def pairs(self) -> list[Pair]:
        """The films of this run.

        Raises:
            InputError: the manifest or a file it names is unusable.
        """
        if self.manifest is not None:
            pairs = read_manifest(self.manifest, check_files=not self.no_exists_check)
            return self._chosen(pairs)
        assert self.video is not None
        assert self.audio is not None
        for source in (self.video, self.audio):
            if isinstance(source, Path) and not source.is_file():
                raise InputError(f"no such file: {source}")
        return [Pair(self.video, self.audio, film_folder(Path(self.video.name).stem), 0)]

    def _chosen(self, pairs: list[Pair]) -> list[Pair]:
        wanted = numbers_in(self.only or f"1-{len(pairs)}")
        if not wanted:
            raise InputError(f"--only {self.only} names no pair: write 3,5-8")
        for number in wanted:
            if not 1 <= number <= len(pairs):
                raise InputError(f"there is no pair {number} in {self.manifest}: {len(pairs)} are")
        return [pairs[number - 1] for number in wanted]

    def next_command(self, has_failed: bool, may_resubmit: bool) -> str | None:
        """What a person is to type when films failed, or jobs that may be ordered again."""
        if not (has_failed or may_resubmit):
            return None
        if self.engine.remote is None:
            return command_line("bulk", self)
        command = f"python -m flows.resubmit {shlex.quote(str(self.out))}"
        for name in ("video", "audio"):
            place = getattr(self, name)
            if isinstance(place, Address) and place.is_signed:
                command += f" --{name} ADDRESS"
        return command

    def remember(self) -> None:
        """Write this request beside its films, for ``flows.resubmit``; without any signature.

        Raises:
            StorageError: it cannot be written.
        """
        path, part = self.out / REMEMBERED, self.out / f"{REMEMBERED}.part"
        places = {
            name: place.resolve()
            for name in ("video", "audio", "manifest", "cuts")
            if isinstance(place := getattr(self, name), Path)
        }
        store = str(Path(self.store).resolve()) if self.store else None
        finish = from_anywhere(self.enhance) if self.enhance else None
        whole = self.model_copy(
            update=places | {"store": store, "enhance": finish, "redo": None, "attempt": 2}
        )
        with writing(path):
            part.write_text(whole.model_dump_json(indent=2) + "\n", encoding="utf-8")
            part.replace(path)

    @classmethod
    def remembered(cls, folder: Path) -> Self:
        """The request of the run that wrote into a folder.

        Raises:
            InputError: there was none.
        """
        try:
            return cls.model_validate_json((folder / REMEMBERED).read_bytes())
        except (OSError, ValidationError) as error:
            raise InputError(
                f"{folder} holds no run ({REMEMBERED} is missing or damaged): name its output "
                "folder"
            ) from error

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

    @property
    def engine(self) -> Engine:
        """The engine with its options.

        Raises:
            InputError: there is no such engine, or it does not know such options.
        """
        speaker = {"active_speaker_detection": "auto"} if self.keep_asd else {}
        return Engine.chosen(self.generator, self.engine_options | speaker)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is to be said before the engines that may render are used."""
        fallback = Engine.chosen(self.fallback, {}).remarks if self.fallback else ()
        return (*self.engine.remarks, *fallback)

    @property
    def redone(self) -> frozenset[int]:
        """The segments to be rendered anew.

        Raises:
            InputError: not a list of numbers.
        """
        return frozenset(numbers_in(self.redo or ""))

    def check_redone(self, rendered: list[int]) -> None:
        """Refuse to render anew what is not rendered at all.

        Raises:
            InputError: a segment keeps its picture, or is none.
        """
        for index in sorted(self.redone - set(rendered)):
            raise InputError(
                f"segment {index} is none of those that are rendered: {sorted(rendered)}"
            )

    @property
    def engine_options(self) -> dict[str, str]:
        """The words of ``options`` as names and values; quotes hold a value with spaces together.

        Raises:
            InputError: a word is no ``name=value``.
        """
        try:
            pairs = [word.partition("=") for word in shlex.split(self.options or "")]
        except ValueError as error:
            raise InputError(f"engine options: {error}") from error
        for name, equals, _ in pairs:
            if not (name and equals):
                raise InputError(f"engine options: write name=value, not {name or equals}")
        return {name: value for name, _, value in pairs}

    def check_engine(self) -> None:
        """Refuse an engine that cannot work before anything is started.

        Raises:
            InputError: no such engine, unknown options, or a secret or bucket it needs is nowhere.
            RemoteRefused: the keys of the bucket are not good.
            RemoteUnavailable: the bucket does not answer now.
        """
        redone = self.redone
        if self.enhance:
            load_finish(self.enhance)
        if Engine.chosen(self.generator, {}).remote is None:
            unused: dict[str, object] = {
                "redo": redone, "upload": self.upload, "fallback": self.fallback,
                "keep-asd": self.keep_asd,
            }  # fmt: skip
            if given := [name for name, value in unused.items() if value]:
                raise InputError(f"{self.generator} works on this machine: leave out --{given[0]}")
        if (remote := self.engine.remote) is None:
            return
        secrets_for(remote)
        if self.upload:
            asyncio.run(opened_bucket(self.upload).verify())
        if self.fallback and Engine.chosen(self.fallback, {}).remote is not None:
            raise InputError(f"{self.fallback} is paid, too: name an engine of this machine")

    def given_cuts(self, frames: int) -> tuple[list[int] | None, dict[int, SpanKind]]:
        """The cuts and kinds of the person's own list for a film of so many frames, if any.

        Raises:
            InputError: the list cannot be read or does not fit the film.
        """
        if self.cuts is None:
            return None, {}
        return [cut.frame for cut in read_cuts(self.cuts, frames)], read_kinds(self.cuts)

    @property
    def store_root(self) -> str:
        """Where intermediate files live."""
        return str(Path(self.store) if self.store else self.out / ".lipsync")
