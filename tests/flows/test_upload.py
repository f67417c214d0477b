"""Films and speech into a store: nothing twice, nothing overwritten, and a manifest of it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from in_process import Here
from pydantic import ValidationError
from real_command import Command, Ran
from swift_server import Swift, running_swift
from sync_service import SyncService

from flows.upload import UploadRequest, upload
from lipsync_core.demo.film import DemoFilm
from lipsync_core.errors import InputError
from lipsync_core.jobs.manifest import read_manifest


@pytest.fixture
def films(faceless_film: DemoFilm, tmp_path: Path) -> Path:
    """A folder of two takes, the second film a copy of the first."""
    folder = tmp_path / "takes"
    folder.mkdir()
    for take in ("take 1", "take 2"):
        shutil.copy(faceless_film.video, folder / f"{take}.mp4")
    shutil.copy(faceless_film.speech, folder / "de 1.wav")
    (folder / "de 2.wav").write_bytes(faceless_film.speech.read_bytes() + b"\0\0")
    return folder


@pytest.fixture(scope="module")
def swift() -> Swift:
    return running_swift()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[SyncService]:
    service = SyncService(tmp_path / "service")
    yield service
    service.stop()


def keys(swift: Swift) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": swift.access_key, "AWS_SECRET_ACCESS_KEY": swift.secret_key,
        "AWS_ENDPOINT_URL": swift.endpoint_url, "AWS_DEFAULT_REGION": swift.region,
    }  # fmt: skip


def uploaded(command: Command, films: Path, *where: str | Path) -> Ran:
    return command(films, *where, "--json", module="flows.upload")


def test_a_folder_is_uploaded_once_and_its_manifest_is_dubbed(
    command: Command, here: Here, swift: Swift, films: Path, tmp_path: Path
) -> None:
    command, here = command.given(**keys(swift)), here.given(**keys(swift))
    bucket, manifest = swift.new_bucket(), tmp_path / "uploaded_urls.txt"
    where = ("--store", "s3", "--bucket", bucket, "--folder", "takes", "--out", manifest)
    ran = uploaded(command, films, *where)
    assert ran.code == 0, ran.err
    listed = [pair.video for pair in read_manifest(manifest)], manifest.read_text()
    assert listed[0][0] == listed[0][1]  # two takes of the same bytes
    assert listed[1].count(f"s3://{bucket}/takes/") == 4
    assert manifest.stat().st_mode & 0o077 == 0

    def kept() -> dict[str, object]:
        objects = swift.client.list_objects_v2(Bucket=bucket)["Contents"]
        return {one["Key"]: one["LastModified"] for one in objects}

    first = kept()
    assert len(first) == 3
    same = {"store": "s3", "bucket": bucket, "folder": "takes", "out": manifest}
    again = here.run(upload, UploadRequest(paths=[films], **same))
    assert again.exit_code == 0, again
    assert kept() == first
    plan = here(manifest=manifest, only="2", out=tmp_path / "out", dry_run=True)
    assert plan.code == 0, plan.err
    assert plan.film.frames > 0


def test_signed_addresses_open_the_files_to_anybody(
    command: Command, swift: Swift, films: Path, tmp_path: Path
) -> None:
    manifest = tmp_path / "uploaded_urls.txt"
    where = ("--store", "s3", "--bucket", swift.new_bucket(), "--signed", "--out", manifest)
    ran = uploaded(command.given(**keys(swift)), films, *where)
    assert ran.code == 0, ran.err
    first, *_ = [line for line in manifest.read_text().splitlines() if line.startswith("http")]
    assert httpx.get(first).content == (films / "take 1.mp4").read_bytes()
    assert "Signature" not in ran.err


def test_a_bucket_that_is_not_there_is_told_once(
    command: Command, swift: Swift, films: Path, tmp_path: Path
) -> None:
    manifest = tmp_path / "uploaded_urls.txt"
    where = ("--store", "s3", "--bucket", "no-such-bucket", "--out", manifest)
    ran = uploaded(command.given(**keys(swift)), films, *where)
    assert ran.code == 2
    assert ran.err.count("there is not the bucket no-such-bucket") == 1
    assert not manifest.exists()


def test_what_could_not_be_uploaded_is_named_and_its_pair_not_listed(
    command: Command, swift: Swift, films: Path, tmp_path: Path
) -> None:
    """Something lies there under the name of a speech, and is another one."""
    bucket, manifest = swift.new_bucket(), tmp_path / "uploaded_urls.txt"
    sha256 = hashlib.sha256((films / "de 2.wav").read_bytes()).hexdigest()
    name = f"{sha256[:2]}/{sha256}.wav"
    swift.client.put_object(Bucket=bucket, Key=name, Body=b"another speech")
    where = ("--store", "s3", "--bucket", bucket, "--out", manifest)
    ran = uploaded(command.given(**keys(swift)), films, *where)
    assert ran.code == 1, ran.err
    first, second = json.loads(ran.out)["pairs"]
    assert first["error"] == ""
    assert f"another content lies at s3://{bucket}/{name}" in second["error"]
    assert len(read_manifest(manifest)) == 1
    assert swift.client.get_object(Bucket=bucket, Key=name)["Body"].read() == b"another speech"


def test_files_may_go_into_the_store_of_the_service(
    command: Command, here: Here, service: SyncService, films: Path, tmp_path: Path
) -> None:
    manifest, key = tmp_path / "uploaded_urls.txt", {"A_KEY_OF_MINE": "a-key-for-tests"}
    where = (
        "--store", "sync-assets", "--host", service.address, "--key-env", "A_KEY_OF_MINE",
        "--out", manifest, "--concurrency", "1",
    )  # fmt: skip
    first = uploaded(command.given(**key), films, *where)
    assert first.code == 0, first.err
    listed = manifest.read_text()
    assert listed.count(service.address) == 4
    same = UploadRequest(
        paths=[films], store="sync-assets", host=service.address, key_env="A_KEY_OF_MINE",
        out=manifest, concurrency=1,
    )  # fmt: skip
    again = here.given(**key).run(upload, same)
    assert again.exit_code == 0, again
    assets = httpx.get(
        f"{service.address}/v2/assets", headers={"x-api-key": "a-key-for-tests"}
    ).json()["items"]  # fmt: skip
    assert len(assets) == 3


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ({"store": "sync-assets"}, "sync needs SYNC_API_KEY"),
        ({"store": "sync-assets", "key_env": "NOWHERE"}, "NOWHERE is not set"),
        ({"store": "supabase", "bucket": "films"}, "supabase needs SUPABASE_URL"),
    ],
)
def test_a_key_that_is_nowhere_is_told_before_anything_is_started(
    films: Path, tmp_path: Path, where: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("SYNC_API_KEY", "SUPABASE_URL", "SUPABASE_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InputError, match=said):
        UploadRequest(paths=[films], **where).check()


@pytest.mark.parametrize(
    "where",
    [{"store": "s3"}, {"store": "sync-assets", "bucket": "b"},
     {"store": "s3", "bucket": "b", "key_env": "K"}],
)  # fmt: skip
def test_what_does_not_go_together_is_refused(films: Path, where: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"--bucket goes with|--key-env: S3 finds"):
        UploadRequest(paths=[films], **where)


def test_the_pairs_can_be_looked_at_first(command: Command, films: Path) -> None:
    ran = command(films, "--store", "s3", "--bucket", "b", "--dry-run", module="flows.upload")
    assert ran.code == 0, ran.err
    assert ran.out.splitlines() == [
        f"{films / 'take 1.mp4'} + {films / 'de 1.wav'}",
        f"{films / 'take 2.mp4'} + {films / 'de 2.wav'}",
    ]
