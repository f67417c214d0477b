"""Results on a network volume, fetched by the S3 protocol from a server that keeps files so."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from web_server import WebServer, serving

from lipsync_core.errors import InputError, RemoteRefused, RemoteUnavailable
from lipsync_core.services.runpod.volume import NetworkVolume

SECRETS = {
    "RUNPOD_VOLUME_ID": "a-volume", "RUNPOD_S3_ENDPOINT": "", "RUNPOD_S3_ACCESS_KEY": "access",
    "RUNPOD_S3_SECRET_KEY": "hidden",
}  # fmt: skip
RESULT = "/runpod-volume/infinitetalk_task_1.mp4"


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebServer]:
    (tmp_path / "a-volume").mkdir()
    (tmp_path / "a-volume" / "infinitetalk_task_1.mp4").write_bytes(b"a film")
    with serving(tmp_path) as web:
        yield web


def volume(endpoint: str) -> NetworkVolume:
    told = SECRETS | {"RUNPOD_S3_ENDPOINT": endpoint}
    found = NetworkVolume.told({name: SecretStr(value) for name, value in told.items()})
    assert found is not None
    assert "hidden" not in repr(found)
    return found


def fetched(endpoint: str, path: str, out: Path) -> Path:
    asyncio.run(volume(endpoint).download(path, out))
    return out


def test_a_result_is_brought_whole(web: WebServer, tmp_path: Path) -> None:
    out = fetched(web.address, RESULT, tmp_path / "out.mp4")
    assert out.read_bytes() == b"a film"
    assert list(tmp_path.glob("*.part")) == []


def test_a_result_that_is_not_there_is_told(web: WebServer, tmp_path: Path) -> None:
    with pytest.raises(RemoteRefused, match="check RUNPOD_VOLUME_ID"):
        fetched(web.address, "/runpod-volume/other.mp4", tmp_path / "out.mp4")


def test_keys_that_are_refused_are_told_by_name(web: WebServer, tmp_path: Path) -> None:
    web.status = 403
    with pytest.raises(RemoteRefused, match="check RUNPOD_S3_ACCESS_KEY"):
        fetched(web.address, RESULT, tmp_path / "out.mp4")


def test_a_volume_in_trouble_may_be_asked_again(web: WebServer, tmp_path: Path) -> None:
    web.status = 503
    with pytest.raises(RemoteUnavailable):
        fetched(web.address, RESULT, tmp_path / "out.mp4")


def test_a_result_that_breaks_off_leaves_nothing(web: WebServer, tmp_path: Path) -> None:
    web.cuts = [3]
    with pytest.raises(RemoteUnavailable):
        fetched(web.address, RESULT, tmp_path / "out.mp4")
    assert list(tmp_path.glob("out*")) == []


@pytest.mark.parametrize("path", ["/tmp/film.mp4", "/runpod-volume/../etc/film.mp4", "film.mp4"])
def test_a_place_that_is_on_no_volume_is_refused(path: str, tmp_path: Path) -> None:
    with pytest.raises(RemoteRefused, match="no network volume"):
        fetched("http://127.0.0.1:1", path, tmp_path / "out.mp4")


def test_half_the_secrets_are_none() -> None:
    assert NetworkVolume.told({}) is None
    with pytest.raises(InputError, match="needs RUNPOD_S3_ENDPOINT too"):
        NetworkVolume.told({"RUNPOD_VOLUME_ID": SecretStr("a-volume")})
