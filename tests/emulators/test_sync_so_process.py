"""The emulator as a process: what outlives it, what it leaves behind, how it ends."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.emulators.sync_so.faults import Fault

if TYPE_CHECKING:
    from tests.emulators.conftest import Fetched, Place, Started

ROOT = Path(__file__).parents[2]


def test_nothing_is_forgotten_when_it_is_killed(
    place: Place, tmp_path: Path, fetched: Fetched, started: Started
) -> None:
    emulator = started(tmp_path, "--job-seconds", "1")
    with emulator.client("one") as client:
        done = client.created(place.body(outputFileName="a"), "key-a")
        client.ended(done)
        client.next_has(Fault.LOST_RESPONSE)
        with pytest.raises(httpx.RemoteProtocolError):
            client.create(place.body(outputFileName="b"), "key-b")
        client.next_has(Fault.FAILED_OPAQUE)
        before = client.get("/_bill").json()
        emulator.stop(signal.SIGKILL)
    assert before["jobs"][1]["status"] in ("PENDING", "PROCESSING")
    emulator = started(tmp_path, "--port", emulator.address.rsplit(":", 1)[1])
    with emulator.client("one") as client:
        after = client.get("/_bill").json()
        assert after["paid"] == before["paid"] == 2
        assert [job["id"] for job in after["jobs"]] == [job["id"] for job in before["jobs"]]
        assert client.created(place.body(outputFileName="a"), "key-a") == done
        lost = client.created(place.body(outputFileName="b"), "key-b")
        assert lost == before["jobs"][1]["id"]
        assert client.ended(lost)["status"] == "COMPLETED"
        fetched(client.ended(done)["outputUrl"])
        assert client.ended(client.created(place.body()))["status"] == "FAILED"


def test_it_ends_quickly_while_somebody_waits(
    place: Place, tmp_path: Path, started: Started
) -> None:
    emulator = started(tmp_path, "--job-seconds", "60")
    with emulator.client() as client, ThreadPoolExecutor(1) as pool:
        job = client.created(place.body())
        waiting = pool.submit(
            client.get, f"/v2/generate/{job}", params={"wait": "true", "timeout": 9}
        )
        time.sleep(0.3)
        before = time.monotonic()
        assert emulator.stop() == 0
        assert time.monotonic() - before < 4
        assert waiting.exception() is not None or waiting.result().status_code == 500


def test_without_a_folder_it_leaves_nothing_behind(tmp_path: Path) -> None:
    ran = subprocess.Popen(
        [sys.executable, "-m", "tests.emulators.sync_so"],
        cwd=ROOT, stdout=subprocess.PIPE, env=os.environ | {"TMPDIR": str(tmp_path)},
    )  # fmt: skip
    with ran:
        assert ran.stdout is not None
        assert ran.stdout.readline()
        assert list(tmp_path.iterdir())
        ran.terminate()
    assert ran.returncode == 0
    assert not list(tmp_path.iterdir())


def test_no_api_key_is_kept(place: Place, tmp_path: Path, started: Started) -> None:
    emulator = started(tmp_path)
    with emulator.client("sk-not-to-be-written") as client:
        client.created(place.body())
        assert emulator.stop() == 0
    with sqlite3.connect(tmp_path / "state.db") as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"jobs" in kept
    assert b"sk-not-to-be-written" not in kept
