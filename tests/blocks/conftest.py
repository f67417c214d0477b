"""Tests of what people enter in the Prefect UI, against a real server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect_server import PrefectServer, running_server


@pytest.fixture(scope="session")
def server() -> PrefectServer:
    return running_server()


@pytest.fixture
def with_server(server: PrefectServer) -> Iterator[PrefectServer]:
    """This process talks to the server."""
    with temporary_settings({PREFECT_API_URL: server.api}):
        yield server


@pytest.fixture
def without_server() -> Iterator[None]:
    """This process knows of no server."""
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        yield


@pytest.fixture(autouse=True)
def nothing_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable and no .env of the person who runs the tests is seen."""
    for name in [name for name in os.environ if name.startswith("LIPSYNC_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
