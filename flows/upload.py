"""Films and speech into a store, and the manifest of where they lie.

    python -m flows.upload FOLDER --store s3 --bucket films
    python -m flows.bulk --manifest uploaded_urls.txt --out out

They are paired in natural order, as flows.pairs rename numbers them. Nothing in a store is
overwritten: a file is called by its content, and one that is there already is not sent again. The
manifest is written anew, and names only pairs of which both halves lie there.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Literal, Self

from prefect import flow
from pydantic import BaseModel, Field, SecretStr, model_validator

from blocks.credentials import secrets_of
from blocks.form import Form
from flows.command import run_command
from flows.progress import progress
from lipsync_core.errors import InputError, RemoteUnavailable, told
from lipsync_core.jobs.manifest import write_lists
from lipsync_core.pairs.numbering import films_and_speech
from lipsync_core.stores.local import make_writable
from lipsync_core.stores.public import PublicStore
from tasks.publish import publish_file
from tasks.tell import tell

_NEEDS = {"supabase": ("SUPABASE_URL", "SUPABASE_KEY"), "sync-assets": ("SYNC_API_KEY",), "s3": ()}


class UploadRequest(Form):
    """Which files, and where to."""

    paths: list[Path] = Field(
        min_length=1, title="Files", description="films and speech, or folders of them"
    )
    store: Literal["s3", "supabase", "sync-assets"] = Field(
        title="Store", description="kind of the store"
    )
    bucket: str | None = Field(None, title="Bucket", description="of S3 or Supabase")
    folder: str = Field("", title="Folder", description="in the bucket")
    host: str | None = Field(
        None, title="Host", description="address of the store [the environment's, or the usual one]"
    )
    key_env: str | None = Field(
        None, title="Key variable",
        description="name of the environment variable that holds the key of Supabase or Sync.so",
    )  # fmt: skip
    concurrency: int = Field(
        4, ge=1, le=32, title="At once", description="files uploaded at the same time"
    )
    timeout: float = Field(
        3600,
        gt=0,
        title="Time limit",
        description="seconds after which the upload of a file is given up",
    )  # fmt: skip
    signed: bool = Field(
        False, title="Signed addresses",
        description="list addresses anybody can open, for nearly seven days, in place of lasting "
        "names that need the key",
    )  # fmt: skip
    out: Path = Field(
        Path("uploaded_urls.txt"), title="Manifest", description="file for the manifest"
    )
    dry_run: bool = Field(False, title="Show only", description="show the pairs; upload nothing")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.bucket is None) == (self.store != "sync-assets"):
            raise ValueError("--bucket goes with s3 and supabase, which need it")
        if self.key_env is not None and self.store == "s3":
            raise ValueError("--key-env: S3 finds its keys in AWS_ACCESS_KEY_ID or a profile")
        return self

    def check(self) -> None:
        """Refuse what cannot work before anything is started.

        Raises:
            InputError: a file, a key or the folder of the manifest is unusable.
        """
        films_and_speech(self.paths)
        if not self.dry_run:
            make_writable(self.out.parent)
            self.secrets()

    def secrets(self) -> dict[str, SecretStr]:
        """What the store needs, from this request and else from a block or the environment.

        Raises:
            InputError: something is nowhere.
        """
        address, key = {"supabase": ("SUPABASE_URL", "SUPABASE_KEY")}.get(
            self.store, ("SYNC_BASE_URL", "SYNC_API_KEY")
        )
        given = {address: SecretStr(self.host)} if self.host else {}
        if self.key_env:
            if not os.environ.get(self.key_env):
                raise InputError(f"the environment variable {self.key_env} is not set")
            given[key] = SecretStr(os.environ[self.key_env])
        needs = [name for name in _NEEDS[self.store] if name not in given]
        knows = ["SYNC_BASE_URL"] if self.store == "sync-assets" else []
        engine = "sync" if self.store == "sync-assets" else self.store
        return secrets_of(engine, needs, knows) | given


class UploadedPair(BaseModel):
    """A film and its speech; where they lie, or why they do not."""

    video: str
    audio: str
    places: tuple[str, str] | None = None
    error: str = ""


class UploadResult(BaseModel):
    """What was uploaded."""

    manifest: str | None
    pairs: list[UploadedPair]
    setting: str = ""

    @property
    def exit_code(self) -> int:
        """1 where a pair is missing in the store."""
        return int(any(pair.error for pair in self.pairs))

    def as_text(self) -> str:
        """A few lines for a terminal."""
        lines = [f"{pair.video} + {pair.audio}{_end(pair)}" for pair in self.pairs]
        good = sum(pair.places is not None for pair in self.pairs)
        if self.manifest:
            lines.append(f"{good} of {len(self.pairs)} pairs are listed in {self.manifest}")
            lines.append(f"next: {self.setting}python -m flows.bulk --manifest {self.manifest}")
        if self.exit_code:
            lines.append("run the same command again: only what is missing is sent")
        return "\n".join(lines)


def _end(pair: UploadedPair) -> str:
    return f": failed: {pair.error}" if pair.error else ""


@flow(name="upload", description="Upload films and speech.", persist_result=False)
def upload(request: UploadRequest) -> UploadResult:
    """Upload pairs of films and speech, and write the manifest of where they lie.

    Args:
        request: which files, and where to.
    """
    request.check()
    films, speech = films_and_speech(request.paths)
    pairs = [
        UploadedPair(video=str(film), audio=str(sound))
        for film, sound in zip(films, speech, strict=True)
    ]
    if request.dry_run:
        return UploadResult(manifest=None, pairs=pairs)
    with progress.film(request.store):
        progress.stage("upload", "uploading", of=2 * len(pairs), unit="files")
        asyncio.run(_upload_all(pairs, request))
    good = [pair.places for pair in pairs if pair.places is not None]
    if good:
        write_lists(request.out, good)
    result = UploadResult(
        manifest=str(request.out) if good else None, pairs=pairs, setting=_setting(request)
    )
    tell("upload", result.as_text())
    return result


async def _upload_all(pairs: Sequence[UploadedPair], request: UploadRequest) -> None:
    at_once = asyncio.Semaphore(request.concurrency)
    async with _opened(request) as store:
        await store.verify()

        async def one(path: str) -> str:
            async with at_once:
                try:
                    async with asyncio.timeout(request.timeout):
                        uri = await publish_file(Path(path), store=store)
                except TimeoutError as error:
                    raise RemoteUnavailable(
                        f"{path} was not uploaded within {request.timeout:.0f} s: give more with "
                        "--timeout"
                    ) from error
                place = await store.address(uri) if request.signed or _is_asset(uri) else uri
            progress.advance()
            return place

        async def both(pair: UploadedPair) -> None:
            halves = await asyncio.gather(
                one(pair.video), one(pair.audio), return_exceptions=True
            )  # fmt: skip
            errors = [half for half in halves if isinstance(half, BaseException)]
            if errors:
                pair.error = told(errors[0])
            else:
                pair.places = (str(halves[0]), str(halves[1]))

        await asyncio.gather(*map(both, pairs))


def _setting(request: UploadRequest) -> str:
    """What the next command must know of a store that is not where the environment says."""
    name = {"s3": "AWS_ENDPOINT_URL", "supabase": "SUPABASE_URL"}.get(request.store)
    needs_it = request.host and name and not request.signed
    return f"{name}={request.host} " if needs_it else ""


def _is_asset(uri: str) -> bool:
    """Such a name says nothing to anybody but the service."""
    return uri.startswith("asset:")


@asynccontextmanager
async def _opened(request: UploadRequest) -> AsyncIterator[PublicStore]:
    """The store of a request."""
    # here, since the libraries behind the stores load slowly
    found, bucket = request.secrets(), request.bucket or ""
    if request.store == "s3":
        from lipsync_core.stores.s3 import S3Store

        yield S3Store(bucket, request.folder, endpoint_url=request.host)
    elif request.store == "supabase":
        from lipsync_core.stores.supabase import SupabaseStore

        url = found["SUPABASE_URL"].get_secret_value()
        yield SupabaseStore(bucket, request.folder, url=url, key=found["SUPABASE_KEY"])
    else:
        from lipsync_core.services.sync_so.client import SyncClient
        from lipsync_core.services.sync_so.http import BASE_URL
        from lipsync_core.stores.sync_assets import SyncAssetStore

        base_url = found.get("SYNC_BASE_URL", SecretStr(BASE_URL)).get_secret_value()
        async with aclosing(SyncClient(found["SYNC_API_KEY"], base_url)) as client:
            yield SyncAssetStore(client)


if __name__ == "__main__":
    run_command(upload, UploadRequest, positional=["paths"], check=UploadRequest.check)
