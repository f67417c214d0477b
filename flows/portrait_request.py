"""What a talking portrait is asked for: a picture and a voice, and how the picture is framed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator
from pydantic.config import JsonDict

from blocks.addresses import expect
from blocks.bucket import opened_bucket
from blocks.form import Form, installed
from flows.engine import Engine
from flows.engine_request import EngineRequest
from flows.numbers import chosen
from flows.place import Place
from lipsync_core import generators, sync
from lipsync_core.errors import InputError
from lipsync_core.jobs.manifest import Pair, read_manifest
from lipsync_core.media.picture import read_picture
from lipsync_core.media.probe import probe_audio
from lipsync_core.naming import film_folder
from lipsync_core.still_film import Framing
from lipsync_core.stores.address import Address
from lipsync_core.stores.local import make_writable

SUFFIX = ".mp4"
_ELSEWHERE_S, _HERE_S = 45.0, 10.0

_PAIR_OR_MANIFEST: JsonDict = {
    "if": {"required": ["manifest"]},
    "else": {"required": ["image", "audio"]},
}


class Portraits(Form):
    """Which picture speaks which words, and in what frame: the first fields of the form."""

    image: Place | None = Field(
        None, title="Picture", description="of a face that looks at the camera: a file, or its "
        "address",
    )  # fmt: skip
    audio: Place | None = Field(
        None, title="Audio", description="what it is to say: a file, or its address"
    )
    manifest: Path | None = Field(
        None, title="Manifest",
        description="instead of one portrait: a list of pairs image,audio (CSV, JSONL or "
        "IMAGES/AUDIOS text)",
    )  # fmt: skip
    only: str | None = Field(
        None, title="Portraits of the manifest",
        description="which of its pairs, counted from 1: 3,5-8 [all]",
    )  # fmt: skip
    width: int | None = Field(
        None, ge=64, le=4096, title="Width",
        description="pixels of the film [the picture's own, 1280 at most]",
    )  # fmt: skip
    height: int | None = Field(
        None, ge=64, le=4096, title="Height", description="the same of its height"
    )
    fit: Literal["crop", "letterbox"] = Field(
        "crop", title="Fit",
        description="where the film is of another shape: crop the picture round the face, or "
        "letterbox it in black",
    )  # fmt: skip
    face: int | None = Field(
        None, ge=1, le=20, title="Face",
        description="whose mouth moves where there are several, counted from the left",
    )  # fmt: skip
    segment_seconds: float | None = Field(
        None, ge=3, le=60, title="Segment length",
        description="seconds: a long speech is divided at pauses about this long apart [45 for an "
        "engine elsewhere, 10 for one of this machine]",
    )  # fmt: skip
    prompt: str | None = Field(
        None, title="Prompt", max_length=2000,
        description="words about the scene for an engine that takes some (infinitetalk)",
    )  # fmt: skip


class PortraitRequest(EngineRequest, Portraits, json_schema_extra=_PAIR_OR_MANIFEST):
    """A picture and a voice in; a film of the picture speaking out."""

    command: ClassVar[str] = "portrait"
    house_rules: ClassVar[frozenset[str] | None] = frozenset(
        {"store", "scorer", "max_workers", "budget"}
    )

    out: Path = Field(
        Path("portrait.mp4"), title="Output",
        description="the film to write (.mp4), beside which a folder .lipsync holds the report; "
        "for a manifest the folder of all films",
    )  # fmt: skip
    generator: str = Field(
        "puppet", title="Generator",
        description="engine that makes the picture speak: puppet, infinitetalk, sync, wav2lip, "
        "wav2lip-gan, wav2lip-best or one of another package",
        json_schema_extra=installed(generators.GROUP),
    )  # fmt: skip
    push_to_s3: str | None = Field(
        None, title="Push to S3",
        description="bucket that the finished film is copied to: s3://bucket/folder, or "
        "s3-bucket/NAME for an S3 Bucket block",
    )  # fmt: skip

    @model_validator(mode="after")
    def _one_source_of_pairs(self) -> Self:
        single = self.image is not None and self.audio is not None
        if single == (self.manifest is not None) or (self.image is None) != (self.audio is None):
            raise ValueError("give --image and --audio, or --manifest, and not both")
        if self.only is not None and self.manifest is None:
            raise ValueError("--only goes with --manifest")
        if self.manifest is not None and "out" not in self.model_fields_set:
            self.out = Path("portraits")
        if self.manifest is None and self.out.suffix.lower() != SUFFIX:
            raise ValueError(f"--out must name a film that ends in {SUFFIX}")
        if self.manifest is not None and self.out.suffix.lower() == SUFFIX:
            raise ValueError("--out must name a folder where there is a --manifest")
        return self

    @property
    def run_dir(self) -> Path:
        """A folder beside the film; the folder of all films where there are several."""
        return self.out if self.manifest else self.out.with_suffix(".lipsync")

    def seen_from(self, run_dir: Path) -> Self:
        """The same for the run that lies in a folder now; a single film lies beside it."""
        out = run_dir if self.manifest else run_dir.with_name(self.out.name)
        return self.model_copy(update={"out": out})

    def folder_of(self, name: str) -> Path:
        """Where the plan and the figures of one portrait go."""
        return self.run_dir / name if self.manifest else self.run_dir

    def output_of(self, name: str) -> Path:
        """Where the finished film goes."""
        return self.run_dir / f"{name}{SUFFIX}" if self.manifest else self.out

    @property
    def own_options(self) -> dict[str, str]:
        """The prompt, for an engine that takes one."""
        return {"prompt": self.prompt} if self.prompt else {}

    @property
    def framing(self) -> Framing:
        """How the picture becomes the film's, on the grid of the engine."""
        return Framing(
            width=self.width, height=self.height, fit=self.fit, face=self.face,
            grid=self.engine.grid,
        )  # fmt: skip

    @property
    def target_s(self) -> float:
        """About how long the segments are."""
        here = self.engine.remote is None
        return self.segment_seconds or (_HERE_S if here else _ELSEWHERE_S)

    def pairs(self) -> list[Pair]:
        """The portraits of this run.

        Raises:
            InputError: the manifest or a file it names is unusable.
        """
        if self.manifest is not None:
            return chosen(self.only, read_manifest(self.manifest), self.manifest)
        assert isinstance(self.image, (Path, Address))
        assert isinstance(self.audio, (Path, Address))
        for source in (self.image, self.audio):
            if isinstance(source, Path) and not source.is_file():
                raise InputError(f"no such file: {source}")
        return [Pair(self.image, self.audio, film_folder(self.out.stem), 0)]

    def check_engine(self) -> None:
        """As for every job; and the bucket must be open before any work is done for it.

        Raises:
            InputError: the engine or the bucket cannot be used so.
            RemoteRefused: the keys of the bucket are not good.
            RemoteUnavailable: the bucket does not answer now.
        """
        if self.prompt:
            Engine.chosen(self.generator, self.engine_options)
            try:
                _ = self.engine
            except InputError as error:
                raise InputError(f"{self.generator} takes no --prompt: leave it out") from error
        super().check_engine()
        if self.push_to_s3 and not self.dry_run:
            asyncio.run(opened_bucket(self.push_to_s3).verify())

    def check_out(self) -> None:
        """Refuse to write over what was given.

        Raises:
            InputError: the output is the picture, the speech, or a folder.
        """
        if self.manifest is None and self.out.is_dir():
            raise InputError(f"{self.out} is a folder: name the film to write with --out")
        for given in (self.image, self.audio, self.manifest):
            if isinstance(given, Path) and self.out.resolve() == given.resolve():
                raise InputError(f"--out {self.out} is what was given: name another film")

    def checked(self) -> Self:
        """This request with the settings in force; what cannot work is refused at once.

        Raises:
            InputError: a file, an engine or a folder it names is unusable.
        """
        request = self.with_settings()
        pairs = request.pairs()
        request.check_engine()
        sync.load_scorer(request.scorer)
        expect([source for pair in pairs for source in (pair.video, pair.audio)])
        if request.manifest is None:  # in a list, one bad portrait does not stop the others
            if isinstance(request.image, Path):
                picture = read_picture(request.image)
                request.framing.size(picture.width, picture.height)
            if isinstance(request.audio, Path):
                probe_audio(request.audio)
        request.check_out()
        make_writable(request.run_dir)
        make_writable(Path(request.store_root))
        return request
