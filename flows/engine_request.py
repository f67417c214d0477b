"""What every job that renders mouths is asked: which engine, how many at a time, for how much."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

from pydantic import Field

from blocks.bucket import opened_bucket
from blocks.credentials import secrets_for
from blocks.form import Form, ScorerName, installed
from blocks.settings import LipsyncSettings
from flows.command import command_line
from flows.engine import Engine
from flows.numbers import numbers_in
from flows.place import Inline
from lipsync_core import generators, sync
from lipsync_core.errors import InputError, writing
from lipsync_core.finish import from_anywhere, load_finish
from lipsync_core.jobs.manifest import Pair
from lipsync_core.stores.address import Address
from tasks.join import FINAL

REMEMBERED = "request.json"

_PLACES = ("video", "image", "audio")


class EngineRequest(Form, ABC):
    """The fields and rules that all of them share."""

    command: ClassVar[str]
    """The flow: ``python -m flows.<command>``."""
    house_rules: ClassVar[frozenset[str] | None] = None
    """The settings of the house that apply; all of them where it is ``None``."""

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
        "(sync), pads=0,20,0,0 device=cuda:1 (wav2lip), sway=0.5 seed=3 (puppet), gpu=H100 "
        "(infinitetalk)",
    )  # fmt: skip
    enhance: str | None = Field(
        None, title="Finish",
        description="what is put over a rendered mouth: match (colour, sharpness and grain of the "
        "face round it), or the file of an ONNX face-restoration model [nothing]",
    )  # fmt: skip
    fallback: str | None = Field(
        None, title="Fallback",
        description="engine of this machine for segments that an engine elsewhere failed at: "
        "rewrite, puppet for a portrait",
    )  # fmt: skip
    scorer: ScorerName = sync.AUTO
    store: str | None = Field(
        None, title="Store folder", description="folder for intermediate files [OUT/.lipsync]"
    )
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

    @property
    def run_dir(self) -> Path:
        """Where the run keeps its report, and its store where none is named."""
        return self.out

    def seen_from(self, run_dir: Path) -> Self:
        """The same for the run that lies in a folder now."""
        return self.model_copy(update={"out": run_dir})

    def folder_of(self, name: str) -> Path:
        """Where the plan and the figures of one film go."""
        return self.run_dir / name

    def output_of(self, name: str) -> Path:
        """Where the finished film goes."""
        return self.folder_of(name) / FINAL

    @property
    def store_root(self) -> str:
        """Where intermediate files live."""
        return str(Path(self.store) if self.store else self.run_dir / ".lipsync")

    @abstractmethod
    def pairs(self) -> Sequence[Pair]:
        """What is to be rendered: pictures, and the speech for each.

        Raises:
            InputError: the manifest or a file it names is unusable.
        """

    @property
    def own_options(self) -> dict[str, str]:
        """Options of the engine that this job has fields of its own for."""
        return {}

    @property
    def only_elsewhere(self) -> dict[str, object]:
        """The fields that mean nothing to an engine of this machine, and what they are set to."""
        return {"redo": self.redone, "upload": self.upload, "fallback": self.fallback}

    def with_settings(self) -> Self:
        """This request, and what it leaves open filled in from the settings in force.

        Raises:
            InputError: the settings block it names cannot be had.
        """
        said = LipsyncSettings.resolve(self.settings).said()
        if self.house_rules is not None:
            said = {name: value for name, value in said.items() if name in self.house_rules}
        request = type(self).model_validate(said | self.model_dump(exclude_unset=True))
        return request.with_files()

    def with_files(self) -> Self:
        """This request, the files that came inside it written to the store.

        Raises:
            InputError: one is broken, or of a kind that is not wanted.
        """
        inline = {
            name: given.kept(Path(self.store_root), [name])
            for name in _PLACES
            if isinstance(given := getattr(self, name, None), Inline)
        }
        return self.model_copy(update=inline) if inline else self

    def next_command(self, has_failed: bool, may_resubmit: bool) -> str | None:
        """What a person is to type when films failed, or jobs that may be ordered again."""
        if not (has_failed or may_resubmit):
            return None
        if self.engine.remote is None:
            return command_line(self.command, self)
        command = f"python -m flows.resubmit {shlex.quote(str(self.run_dir))}"
        for name in _PLACES:
            place = getattr(self, name, None)
            if isinstance(place, Address) and place.is_signed:
                command += f" --{name} ADDRESS"
        return command

    def remember(self) -> None:
        """Write this request beside its films, for ``flows.resubmit``; without any signature.

        Raises:
            StorageError: it cannot be written.
        """
        path, part = self.run_dir / REMEMBERED, self.run_dir / f"{REMEMBERED}.part"
        places = {
            name: place.resolve()
            for name in (*_PLACES, "manifest", "cuts")
            if isinstance(place := getattr(self, name, None), Path)
        }
        store = str(Path(self.store).resolve()) if self.store else None
        finish = from_anywhere(self.enhance) if self.enhance else None
        whole = self.model_copy(
            update=places | {"store": store, "enhance": finish, "redo": None, "attempt": 2}
        )
        told = {"flow": self.command} | whole.model_dump(mode="json")
        with writing(path):
            part.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
            part.replace(path)

    @property
    def engine(self) -> Engine:
        """The engine with its options.

        Raises:
            InputError: there is no such engine, or it does not know such options.
        """
        return Engine.chosen(self.generator, self.engine_options | self.own_options)

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
        if self.enhance:
            load_finish(self.enhance)
        given = [name for name, value in self.only_elsewhere.items() if value]
        if given and Engine.chosen(self.generator, {}).remote is None:
            raise InputError(f"{self.generator} works on this machine: leave out --{given[0]}")
        if (remote := self.engine.remote) is None:
            return
        secrets_for(remote)
        if self.upload:
            asyncio.run(opened_bucket(self.upload).verify())
        if self.fallback and Engine.chosen(self.fallback, {}).remote is not None:
            raise InputError(f"{self.fallback} is paid, too: name an engine of this machine")
