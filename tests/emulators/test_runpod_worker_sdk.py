"""The vendor's own worker SDK takes the emulator for the service, and InfiniteTalk's results come
back through it. It lives in a Python of its own, which ``LIPSYNC_RUNPOD_SDK`` names."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from media_factory import bursts, write_sound
from runpod_service import RunPodService

from lipsync_core.media.probe import probe
from tests.emulators.runpod import worker_handler

SDK = os.environ.get("LIPSYNC_RUNPOD_SDK", "")
SMALL = {"width": 64, "height": 64}

pytestmark = pytest.mark.skipif(
    not SDK, reason="LIPSYNC_RUNPOD_SDK names no Python that has runpod installed"
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunPodService]:
    options = ("--external-workers", "--dead-after-s", "5", "--queue-s", "0")
    service = RunPodService(tmp_path_factory.mktemp("runpod"), *options)
    yield service
    service.stop()


@contextmanager
def worker(
    service: RunPodService, endpoint: str, folder: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A worker of an endpoint, ended with the test."""
    given = service.environment
    attached = worker_handler.environment(
        given["RUNPOD_BASE_URL"], endpoint, "sdk-worker", given["RUNPOD_API_KEY"]
    )
    own = {"LIPSYNC_PYTHON": sys.executable, "LIPSYNC_FAST": "1", "LIPSYNC_VOLUME": str(folder)}
    with (folder / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            [SDK, "-P", worker_handler.__file__], cwd=folder, stdout=log, stderr=log,
            env={"PATH": os.environ["PATH"], "HOME": str(folder)} | attached | own,
            start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        # its process of pings is a child of its own
        os.killpg(process.pid, 9)
        process.wait(20)


def test_the_sdk_takes_jobs_and_hands_in_films(service: RunPodService, tmp_path: Path) -> None:
    sound = write_sound(tmp_path / "voice.wav", bursts(1, 16_000), 16_000)
    voice = {"wav_base64": base64.b64encode(sound.read_bytes()).decode()}
    with ExitStack() as stack:
        desk = stack.enter_context(service.desk())
        stack.enter_context(worker(service, desk.name, tmp_path))
        job = desk.submitted(SMALL | voice)
        ended = desk.ended(job)
        assert (ended["status"], ended["workerId"]) == ("COMPLETED", "sdk-worker"), ended
        out = tmp_path / "film.mp4"
        out.write_bytes(base64.b64decode(ended["output"]["video"]))
        assert (probe(out).frames, probe(out).width) == (25, 64)
        left = desk.ended(desk.submitted(SMALL | voice | {"network_volume": True}))
        name = Path(left["output"]["video_path"]).name
        assert probe(tmp_path / name).frames == 25
        refused = desk.ended(desk.submitted(SMALL | {"wav_path": "/gone.wav"}))
        assert refused["status"] == "FAILED"
        assert refused["error"] == "오디오 파일을 찾을 수 없습니다: /gone.wav"
        raised = desk.ended(desk.submitted(SMALL | {"wav_base64": "a"}))
        assert raised["status"] == "FAILED"
        assert '"worker_id": "sdk-worker"' in raised["error"]


def test_a_killed_sdk_is_missed_and_the_next_one_does_its_job(
    service: RunPodService, tmp_path: Path
) -> None:
    with service.desk() as desk:
        with worker(service, desk.name, tmp_path) as process:
            job = desk.submitted(SMALL)
            desk.running(job)
            process.kill()
        with worker(service, desk.name, tmp_path):
            ended = desk.ended(job)
    assert (ended["status"], ended["retries"]) == ("COMPLETED", 1)
