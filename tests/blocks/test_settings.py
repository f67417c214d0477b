from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect_server import PrefectServer

from blocks.settings import DEFAULT_BLOCK, LipsyncSettings
from flows.request import BulkRequest
from lipsync_core.errors import InputError


@pytest.fixture
def default_block(with_server: PrefectServer) -> Iterator[LipsyncSettings]:
    block = LipsyncSettings(out=Path("/films/done"), budget=20)
    block.save(DEFAULT_BLOCK, _sync=True)
    yield block
    LipsyncSettings.delete(DEFAULT_BLOCK, _sync=True)


@pytest.mark.usefixtures("without_server")
class TestWithoutAServer:
    def test_nothing_is_said_when_nobody_says_anything(self) -> None:
        assert LipsyncSettings.resolve().said() == {}

    def test_every_setting_can_come_from_the_environment(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        given = {
            "OUT": "films", "STORE": "scratch", "GENERATOR": "rewrite", "SCORER": "landmark",
            "MAX_WORKERS": "3", "SEGMENT_SECONDS": "7.5", "BUDGET": "0",
        }  # fmt: skip
        for name, value in given.items():
            monkeypatch.setenv(f"LIPSYNC_{name}", value)
        assert LipsyncSettings.resolve().said() == {
            "out": Path("films"), "store": "scratch", "generator": "rewrite", "scorer": "landmark",
            "max_workers": 3, "segment_seconds": 7.5, "budget": 0.0,
        }  # fmt: skip

    def test_a_file_named_env_stands_in_for_the_environment_which_wins(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / ".env").write_text("LIPSYNC_OUT=from-file\nLIPSYNC_BUDGET=5\nOTHER=1\n")
        monkeypatch.setenv("LIPSYNC_OUT", "from-environment")
        assert LipsyncSettings.resolve().said() == {"out": Path("from-environment"), "budget": 5}

    def test_an_empty_variable_says_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LIPSYNC_MAX_WORKERS", "")
        assert LipsyncSettings.resolve().said() == {}

    def test_a_bad_variable_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LIPSYNC_MAX_WORKERS", "many")
        with pytest.raises(InputError, match=r"^LIPSYNC_MAX_WORKERS .*integer"):
            LipsyncSettings.resolve()


class TestWithAServer:
    def test_the_block_a_run_names_wins_over_the_environment(
        self, with_server: PrefectServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        LipsyncSettings(out=Path("/films/night"), max_workers=2).save("night", _sync=True)
        monkeypatch.setenv("LIPSYNC_OUT", "elsewhere")
        monkeypatch.setenv("LIPSYNC_SEGMENT_SECONDS", "6")
        assert LipsyncSettings.resolve("night").said() == {
            "out": Path("/films/night"), "max_workers": 2, "segment_seconds": 6.0,
        }  # fmt: skip

    def test_the_default_block_applies_when_none_is_named(
        self, default_block: LipsyncSettings
    ) -> None:
        assert LipsyncSettings.resolve().said() == default_block.said()

    def test_a_server_without_a_default_block_leaves_it_to_the_environment(
        self, with_server: PrefectServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LIPSYNC_BUDGET", "7")
        assert LipsyncSettings.resolve().said() == {"budget": 7.0}

    def test_a_block_that_is_not_there_is_named_in_one_line(
        self, with_server: PrefectServer
    ) -> None:
        with pytest.raises(InputError, match="no settings block called 'nigth'") as told:
            LipsyncSettings.resolve("nigth")
        assert "\n" not in str(told.value)

    def test_the_ui_offers_it_once_it_is_registered(self, server: PrefectServer) -> None:
        said = server.prefect("block", "register", "-m", "blocks")
        assert "Successfully registered 4 blocks" in said
        kind = server.get("block_types/slug/lipsync-settings")
        assert kind["name"] == "Lipsync Settings"
        assert "films go" in kind["description"]


class TestAServerThatDoesNotAnswer:
    @pytest.fixture(autouse=True)
    def closed_port(self) -> Iterator[str]:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))  # bound but not listening: every connection is refused
            address = f"http://127.0.0.1:{taken.getsockname()[1]}/api"
            with temporary_settings({PREFECT_API_URL: address}):
                yield address

    def test_is_no_error_when_no_block_was_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LIPSYNC_BUDGET", "7")
        assert LipsyncSettings.resolve().said() == {"budget": 7.0}

    def test_is_told_when_one_was(self) -> None:
        with pytest.raises(InputError, match=r"block 'night', the Prefect server does not answer"):
            LipsyncSettings.resolve("night")


def test_importing_the_blocks_asks_no_server(server: PrefectServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        address = f"http://127.0.0.1:{listening.getsockname()[1]}/api"
        subprocess.run(
            [sys.executable, "-c", "import blocks, flows.request"],
            env=server.environment | {"PREFECT_API_URL": address}, check=True,
        )  # fmt: skip
        with pytest.raises(BlockingIOError):  # nobody knocked
            listening.accept()


class TestARequest:
    @pytest.fixture(autouse=True)
    def house_rules(self, without_server: None, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LIPSYNC_OUT", "house")
        monkeypatch.setenv("LIPSYNC_SEGMENT_SECONDS", "6")

    def test_takes_from_the_settings_what_it_leaves_open(self) -> None:
        request = BulkRequest(video=Path("a.mp4"), audio=Path("a.wav")).with_settings()
        assert (request.out, request.segment_seconds) == (Path("house"), 6.0)
        assert request.generator == "rewrite"  # said nowhere: the default of the main job

    def test_keeps_what_a_person_said_even_where_it_is_the_default(self) -> None:
        said = {"video": "a.mp4", "audio": "a.wav", "out": "out", "segment_seconds": 10}
        request = BulkRequest.model_validate(said).with_settings()
        assert (request.out, request.segment_seconds) == (Path("out"), 10.0)

    def test_is_refused_when_the_settings_do_not_fit_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LIPSYNC_SEGMENT_SECONDS", "600")
        with pytest.raises(InputError, match=r"^LIPSYNC_SEGMENT_SECONDS .*60"):
            BulkRequest(video=Path("a.mp4"), audio=Path("a.wav")).with_settings()
