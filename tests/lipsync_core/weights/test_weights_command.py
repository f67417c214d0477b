"""Checkpoints listed, fetched and verified, as the command does it; the server is on loopback."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lipsync_core.errors import MissingWeights, RemoteRefused, RemoteUnavailable
from lipsync_core.weights import registry
from lipsync_core.weights.__main__ import main
from lipsync_core.weights.fetch import fetch
from lipsync_core.weights.fingerprint import Standing, finding
from lipsync_core.weights.registry import CHECKPOINTS, checkpoint, located
from tests.web_server import WebServer, serving

CONTENT = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19" + bytes(range(256)) * 4000
SYNCNET, WAV2LIP = checkpoint("syncnet"), checkpoint("wav2lip")
PUBLISHED = replace(SYNCNET, size=len(CONTENT), sha256=hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture(autouse=True)
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of checkpoints, empty."""
    folder = tmp_path / "weights"
    monkeypatch.setenv("LIPSYNC_WEIGHTS", str(folder))
    return folder


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebServer]:
    served = tmp_path / "served"
    served.mkdir()
    (served / "syncnet_v2.model").write_bytes(CONTENT)
    with serving(served) as server:
        yield server


def at(web: WebServer) -> registry.Checkpoint:
    return replace(PUBLISHED, url=web.url("syncnet_v2.model"))


def test_a_checkpoint_is_fetched_once_and_checked(web: WebServer, weights: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    path = fetch(at(web), on_bytes=lambda here, of: seen.append((here, of))).path
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [file.name for file in weights.iterdir()] == ["syncnet_v2.model"]
    asked = len(web.asked)
    assert fetch(at(web)).path == path
    assert len(web.asked) == asked
    assert located("syncnet") == path


def test_a_download_that_broke_off_is_gone_on_with(web: WebServer, weights: Path) -> None:
    def gone() -> None:
        web.status = 503

    web.cuts, web.on_cut = [600_000], gone
    with pytest.raises(RemoteUnavailable, match="cannot be had now"):
        fetch(at(web))
    assert not (weights / "syncnet_v2.model").exists()
    web.status, web.sent_bytes = 0, 0
    assert fetch(at(web)).path.read_bytes() == CONTENT
    assert web.sent_bytes == len(CONTENT) - 2 * 2**18  # in blocks
    assert [file.name for file in weights.iterdir()] == ["syncnet_v2.model"]


@pytest.mark.parametrize(
    ("sent", "told"),
    [(b"<html>gone</html>", "not syncnet_v2.model but a web page"),
     (CONTENT[:-1], "cut short, or another file: 1,024,013 bytes and not 1,024,014"),
     (CONTENT[:-1] + b"!", "another file: sha256")],
)  # fmt: skip
def test_another_file_is_refused_and_nothing_kept(
    sent: bytes, told: str, web: WebServer, weights: Path
) -> None:
    (web.folder / "syncnet_v2.model").write_bytes(sent)
    with pytest.raises(RemoteRefused, match=told):
        fetch(at(web))
    assert list(weights.iterdir()) == []


def test_what_has_no_address_is_taken_from_a_file(
    tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fetch", "wav2lip"]) == 2
    told = capsys.readouterr().err
    assert "licence: research and personal use only, nothing commercial" in told
    assert "has no direct address: get it by way of https://github.com/Rudrabha/Wav2Lip" in told
    mine = tmp_path / "download.pth"
    mine.write_bytes(CONTENT)
    assert main(["fetch", "wav2lip", "--source", str(mine)]) == 0
    assert (weights / "wav2lip.pth").read_bytes() == CONTENT
    assert finding(WAV2LIP).standing is Standing.UNKNOWN
    assert main(["fetch", "wav2lip", "--source", str(tmp_path / "nowhere")]) == 2


def test_the_command_lists_and_verifies(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    told = capsys.readouterr().out
    for known in CHECKPOINTS:
        assert f"{known.name}: not here" in told
        assert known.licence in told
    assert main(["verify"]) == 0
    assert main(["verify", "syncnet"]) == 1  # who asks for it by name needs it
    weights.mkdir()
    (weights / "syncnet_v2.model").write_bytes(CONTENT)
    assert main(["verify", "syncnet"]) == 1
    assert (
        "cut short, or another file: 1,024,014 bytes and not 54,573,114" in capsys.readouterr().out
    )


def test_a_slip_of_the_pen_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "lipnet"]) == 2
    told = capsys.readouterr().err
    assert told == (
        "error: no checkpoint called 'lipnet': choose one of syncnet, wav2lip, wav2lip-gan\n"
    )
    with pytest.raises(SystemExit) as stopped:
        main(["delete"])
    assert stopped.value.code == 2
    assert capsys.readouterr().err.startswith("error: argument verb: invalid choice")


def test_what_is_missing_names_the_command_that_fetches_it(weights: Path) -> None:
    with pytest.raises(MissingWeights, match=r"python -m lipsync_core\.weights fetch syncnet"):
        located("syncnet")
