"""Buckets at Supabase whose key a person entered in Prefect, or in the environment."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prefect_server import PrefectServer
from pydantic import SecretStr

from blocks import SupabaseCredentials
from blocks.bucket import opened_bucket
from blocks.credentials import secrets_of
from blocks.settings import DEFAULT_BLOCK
from lipsync_core.errors import InputError, RemoteRefused
from tests.emulators.supabase_storage import tokens
from tests.emulators.supabase_storage.service import SERVICE_KEY, StorageService


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StorageService]:
    service = StorageService(tmp_path_factory.mktemp("project"), "--gateway")
    yield service
    service.stop()


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SUPABASE_URL", "SUPABASE_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def default_block(
    with_server: PrefectServer, project: StorageService
) -> Iterator[SupabaseCredentials]:
    block = SupabaseCredentials(url=project.address, key=SecretStr(tokens.SECRET_KEY))
    block.save(DEFAULT_BLOCK, _sync=True)
    yield block
    SupabaseCredentials.delete(DEFAULT_BLOCK, _sync=True)


def opens(where: str, folder: Path) -> str:
    """Publish a word there, and fetch it from its address; its URI."""
    path = folder / "word.wav"
    path.write_bytes(b"a word")
    store = opened_bucket(where)
    asyncio.run(store.verify())
    uri = asyncio.run(store.publish(path, hashlib.sha256(b"a word").hexdigest()))
    assert httpx.get(asyncio.run(store.address(uri))).content == b"a word"
    return uri


@pytest.mark.usefixtures("default_block")
def test_the_default_block_opens_a_bucket(project: StorageService, tmp_path: Path) -> None:
    bucket = project.new_bucket()
    assert opens(f"supabase://{bucket}/films", tmp_path).startswith(f"supabase://{bucket}/films/")
    assert opens(f"supabase://{bucket}", tmp_path).startswith(f"supabase://{bucket}/")


@pytest.mark.usefixtures("default_block")
def test_the_block_wins_over_the_environment(
    project: StorageService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPABASE_URL", "https://another.supabase.co")
    monkeypatch.setenv("SUPABASE_KEY", "another-key")
    opens(f"supabase://{project.new_bucket()}/films", tmp_path)


@pytest.mark.usefixtures("without_server")
def test_the_environment_opens_a_bucket(
    project: StorageService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPABASE_URL", project.address)
    monkeypatch.setenv("SUPABASE_KEY", SERVICE_KEY)
    opens(f"supabase://{project.new_bucket()}/films", tmp_path)


@pytest.mark.usefixtures("with_server")
def test_without_a_block_the_file_env_is_asked(project: StorageService, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        f"SUPABASE_URL={project.address}/storage/v1\nSUPABASE_KEY={SERVICE_KEY}\n"
    )
    opens(f"supabase://{project.new_bucket()}/films", tmp_path)


@pytest.mark.usefixtures("without_server")
@pytest.mark.parametrize("missing", ["SUPABASE_URL", "SUPABASE_KEY"])
def test_what_is_nowhere_is_named_with_where_to_put_it(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SUPABASE_URL", "SUPABASE_KEY"):
        if name != missing:
            monkeypatch.setenv(name, "https://hush.supabase.co")
    with pytest.raises(InputError) as told:
        opened_bucket("supabase://films")
    assert str(told.value) == (
        f"supabase needs {missing}: set it in the environment or in .env, or make a block "
        "Supabase Credentials called default"
    )


@pytest.mark.usefixtures("without_server")
@pytest.mark.parametrize("where", ["supabase://", "supabase:///folder"])
def test_a_place_without_a_bucket_is_told(where: str) -> None:
    with pytest.raises(InputError, match=r"write supabase://bucket/folder"):
        opened_bucket(where)


def test_a_block_is_verified_by_one_free_call(project: StorageService) -> None:
    bucket = project.new_bucket()
    before = len(project.calls)
    for key in (SERVICE_KEY, tokens.SECRET_KEY):
        block = SupabaseCredentials(url=project.address, key=SecretStr(key))
        assert bucket in asyncio.run(block.verify())
    assert [(call["method"], call["path"]) for call in project.calls[before:]] == [
        ("GET", "/storage/v1/bucket"),
        ("GET", "/storage/v1/bucket"),
    ]


def test_a_block_with_a_wrong_key_or_address_says_so(project: StorageService) -> None:
    block = SupabaseCredentials(url=project.address, key=SecretStr("sb_secret_wrong"))
    with pytest.raises(RemoteRefused, match=r"the storage at .* refuses this key"):
        asyncio.run(block.verify())
    nowhere = SupabaseCredentials(url=f"{project.address}/x/storage/v1", key=block.key)
    with pytest.raises(InputError, match=r"no Supabase Storage answers .* check SUPABASE_URL"):
        asyncio.run(nowhere.verify())


@pytest.mark.usefixtures("default_block")
def test_the_key_is_seen_nowhere(default_block: SupabaseCredentials, server: PrefectServer) -> None:
    key = tokens.SECRET_KEY
    store = opened_bucket("supabase://films")
    found = secrets_of("supabase", ("SUPABASE_URL", "SUPABASE_KEY"))
    assert found["SUPABASE_KEY"].get_secret_value() == key
    assert key not in f"{default_block!r} {default_block} {store!r} {vars(store)} {found}"
    shown = server.get(
        f"block_types/slug/supabase-credentials/block_documents/name/{DEFAULT_BLOCK}"
    )
    assert shown["data"]["key"] != key
