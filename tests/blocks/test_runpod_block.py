"""An endpoint of RunPod that a person entered in Prefect, or in the environment."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect_server import PrefectServer
from pydantic import SecretStr
from runpod_service import RunPodService

from blocks import RunPodCredentials
from blocks.credentials import secrets_for
from blocks.settings import DEFAULT_BLOCK
from lipsync_core.errors import InputError, RemoteRefused, RemoteUnavailable
from lipsync_core.generators.infinitetalk import InfiniteTalk

KEY, HIDDEN = "a-hidden-key-for-tests", "a-hidden-secret-for-tests"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunPodService]:
    service = RunPodService(tmp_path_factory.mktemp("service"))
    yield service
    service.stop()


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*InfiniteTalk().needs, *InfiniteTalk().knows):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def default_block(with_server: PrefectServer) -> Iterator[RunPodCredentials]:
    block = RunPodCredentials(
        api_key=SecretStr(KEY), endpoint_id="an-endpoint", volume_id="a-volume",
        s3_endpoint="https://s3api-eu-ro-1.runpod.io", s3_access_key=SecretStr("access"),
        s3_secret_key=SecretStr(HIDDEN),
    )  # fmt: skip
    block.save(DEFAULT_BLOCK, _sync=True)
    yield block
    RunPodCredentials.delete(DEFAULT_BLOCK, _sync=True)


@pytest.mark.usefixtures("default_block")
def test_the_default_block_opens_an_endpoint_and_is_seen_nowhere(
    default_block: RunPodCredentials, server: PrefectServer
) -> None:
    found = secrets_for(InfiniteTalk())
    assert found["RUNPOD_API_KEY"].get_secret_value() == KEY
    assert set(found) == {*InfiniteTalk().needs, *InfiniteTalk().knows}
    for secret in (KEY, HIDDEN):
        assert secret not in f"{default_block!r} {default_block} {found}"
    path = f"block_types/slug/runpod-credentials/block_documents/name/{DEFAULT_BLOCK}"
    assert not {KEY, HIDDEN} & {str(value) for value in server.get(path)["data"].values()}


def test_what_is_left_empty_is_not_said() -> None:
    block = RunPodCredentials(api_key=SecretStr(KEY), endpoint_id="e")
    assert set(block.secrets()) == {"RUNPOD_API_KEY", "RUNPOD_ENDPOINT_ID", "RUNPOD_BASE_URL"}


@pytest.mark.usefixtures("without_server")
def test_the_file_env_is_asked_and_what_is_nowhere_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"RUNPOD_API_KEY={KEY}\n")
    with pytest.raises(InputError) as told:
        secrets_for(InfiniteTalk())
    assert str(told.value) == (
        "infinitetalk needs RUNPOD_ENDPOINT_ID: set it in the environment or in .env, or make a "
        "block RunPod Credentials called default"
    )


def block_of(service: RunPodService, **changes: str) -> RunPodCredentials:
    told = service.environment
    given = {"api_key": told["RUNPOD_API_KEY"], "endpoint_id": told["RUNPOD_ENDPOINT_ID"],
             "base_url": told["RUNPOD_BASE_URL"]} | changes  # fmt: skip
    return RunPodCredentials.model_validate(given)


def test_a_block_is_verified_by_one_free_call(service: RunPodService) -> None:
    assert asyncio.run(block_of(service).verify())["idle"] == 2
    assert service.every_job == []


def test_a_block_with_a_wrong_key_endpoint_or_address_says_so(service: RunPodService) -> None:
    with pytest.raises(RemoteRefused, match="check RUNPOD_API_KEY"):
        asyncio.run(block_of(service, api_key="bad-key").verify())
    with pytest.raises(RemoteRefused, match="check RUNPOD_ENDPOINT_ID"):
        asyncio.run(block_of(service, endpoint_id="no-such").verify())
    with pytest.raises(RemoteUnavailable):
        asyncio.run(block_of(service, base_url="http://127.0.0.1:1/v2").verify())
