"""Buckets whose keys a person entered in Prefect: a real block on a real server, a real S3."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect_server import running_server
from swift_server import running_swift

from blocks.bucket import opened_bucket
from lipsync_core.errors import InputError

prefect_aws = pytest.importorskip(
    "prefect_aws", reason="needs prefect-aws: pip install 'lipsync-flows[aws]'"
)


@pytest.fixture
def with_server() -> Iterator[None]:
    with temporary_settings({PREFECT_API_URL: running_server().api}):
        yield


def credentials(kind: str, swift: Any) -> Any:
    given: dict[str, Any] = {
        "region_name": swift.region,
        "aws_client_parameters": prefect_aws.AwsClientParameters(endpoint_url=swift.endpoint_url),
    }
    if kind == "aws":
        keys = {"aws_access_key_id": swift.access_key, "aws_secret_access_key": swift.secret_key}
        return prefect_aws.AwsCredentials(**given, **keys)
    keys = {"minio_root_user": swift.access_key, "minio_root_password": swift.secret_key}
    return prefect_aws.MinIOCredentials(**given, **keys)


@pytest.mark.usefixtures("with_server")
@pytest.mark.parametrize("kind", ["aws", "minio"])
def test_a_block_opens_its_bucket(kind: str, tmp_path: Path) -> None:
    swift = running_swift()
    bucket = swift.new_bucket()
    prefect_aws.S3Bucket(
        bucket_name=bucket, bucket_folder="films", credentials=credentials(kind, swift)
    ).save(f"of-{kind}")  # fmt: skip
    path = tmp_path / "word.wav"
    path.write_bytes(b"a word")
    store = opened_bucket(f"s3-bucket/of-{kind}")
    uri = asyncio.run(store.publish(path, hashlib.sha256(b"a word").hexdigest()))
    assert uri.startswith(f"s3://{bucket}/films/")
    assert httpx.get(asyncio.run(store.address(uri))).content == b"a word"
    assert swift.secret_key not in repr(store)


@pytest.mark.usefixtures("with_server")
def test_a_block_that_is_not_there_is_told() -> None:
    with pytest.raises(InputError, match="cannot read the block s3-bucket/nowhere: make one in"):
        opened_bucket("s3-bucket/nowhere")


def test_without_a_server_there_are_no_blocks() -> None:
    with pytest.raises(InputError, match="look at PREFECT_API_URL"):
        opened_bucket("s3-bucket/films")


@pytest.mark.parametrize("where", ["a/folder", "s3://", "gs://bucket", "s3-buckets/x"])
def test_what_is_no_bucket_is_told(where: str) -> None:
    with pytest.raises(InputError, match=r"write s3://bucket/folder"):
        opened_bucket(where)
