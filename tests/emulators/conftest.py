"""The Sync.so emulator as a running command, its clients, and a place that it fetches films from.

One command serves every test of a process that does not ask for its own; each test speaks to it
under an API key of its own, and so sees nothing of the others.
"""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import cv2
import httpx
import numpy as np
import pytest
from media_factory import bursts, make_film, number_of, write_sound

from lipsync_core.media.frames import read_frames
from lipsync_core.media.probe import probe
from tests.emulators.sync_so.faults import Fault

ROOT = Path(__file__).parents[2]
LIMIT_S = 30.0
# on loopback, where no proxy is wanted and nobody asks for the certificates that take long to load
PLAIN: dict[str, Any] = {"trust_env": False, "verify": False, "timeout": 20}
Found = TypeVar("Found")
# the functions that fixtures give
Until = Callable[[Callable[[], Any], Callable[[Any], bool]], Any]
Started = Callable[..., "Emulator"]
Fetched = Callable[[str], Path]
Numbers = Callable[[Path], list[int]]
Batch = Callable[[Sequence[Any]], dict[str, Any]]
_keys = (f"key-{number}" for number in count())


def until(look: Callable[[], Found], is_so: Callable[[Found], bool]) -> Found:
    """What ``look`` finds once ``is_so`` of it."""
    deadline = time.monotonic() + LIMIT_S
    while not is_so(found := look()):
        assert time.monotonic() < deadline, f"it never came to be: {found}"
        time.sleep(0.03)
    return found


@pytest.fixture(name="until")
def _until() -> Until:
    """``until(look, is_so)``: what ``look`` finds once ``is_so`` of it."""
    return until


class Emulator:
    """A running command, and a client of an organisation of its own for every test."""

    job_s, lanes = 0.4, 4

    def __init__(self, data: Path, *options: str) -> None:
        self.data = data
        command = [sys.executable, "-m", "tests.emulators.sync_so", "--data", str(data)]
        given = ("--job-seconds", str(self.job_s), "--concurrency", str(self.lanes), *options)
        self.process = subprocess.Popen(
            [*command, *given], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert "listening on http://127.0.0.1:" in line
        self.address = line.split()[-1]

    def __enter__(self) -> Emulator:
        return self

    def __exit__(self, *_error: object) -> None:
        """Leave no process behind, whatever became of the test."""
        if self.process.poll() is None:
            self.stop(signal.SIGKILL)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it; its exit code."""
        self.process.send_signal(number)
        code = self.process.wait(LIMIT_S)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    def client(self, api_key: str | None = None) -> Client:
        return Client(self, api_key or next(_keys))


class Client(httpx.Client):
    """What a test says to the emulator under one API key."""

    def __init__(self, emulator: Emulator, api_key: str) -> None:
        super().__init__(base_url=emulator.address, headers={"x-api-key": api_key}, **PLAIN)

    def create(self, body: dict[str, Any], key: str | None = None) -> httpx.Response:
        headers = {"Idempotency-Key": key} if key else {}
        return self.post("/v2/generate", json=body, headers=headers)

    def created(self, body: dict[str, Any], key: str | None = None) -> str:
        """The id of a job that was accepted."""
        answer = self.create(body, key)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def generation(self, job_id: str) -> dict[str, Any]:
        return dict(self.get(f"/v2/generate/{job_id}").raise_for_status().json())

    def ended(self, job_id: str) -> dict[str, Any]:
        """The generation once it has a terminal status."""
        under_way = ("PENDING", "PROCESSING")
        return until(lambda: self.generation(job_id), lambda job: job["status"] not in under_way)

    def uploaded(self, path: Path, content_type: str) -> dict[str, Any]:
        """The asset that the three steps end with."""
        size = path.stat().st_size
        asked = {"fileName": path.name, "contentType": content_type, "size": size}
        told = self.post("/v2/assets/upload", json=asked)
        assert told.status_code == 201, told.text
        put = httpx.put(
            told.json()["uploadUrl"], content=path.read_bytes(),
            headers={"Content-Type": content_type}, **PLAIN,
        )  # fmt: skip
        assert put.status_code == 200, put.text
        registered = self.post("/v2/assets", json={"url": told.json()["url"]})
        assert registered.status_code == 201, registered.text
        return dict(registered.json())

    def next_has(self, fault: Fault, times: int = 1) -> None:
        body = {"fault": fault.value, "count": times}
        self.post("/_next", json=body).raise_for_status()

    def billed(self, job_id: str) -> dict[str, Any]:
        """The line of the bill for a job."""
        return next(job for job in self.get("/_bill").json()["jobs"] if job["id"] == job_id)


@dataclass(frozen=True)
class Place:
    """A web server with films to fetch, which also takes webhooks; ``calls`` holds those."""

    folder: Path
    address: str
    calls: queue.Queue[tuple[str, bytes]]
    frames: int = 25  # of film.mp4, one second

    def url(self, name: str) -> str:
        return f"{self.address}/{quote(name)}"

    def body(self, video: str = "film.mp4", audio: str = "speech.wav", **more: Any) -> Any:
        """A create body over addresses."""
        given = [
            {"type": "video", "url": self.url(video)},
            {"type": "audio", "url": self.url(audio)},
        ]
        return {"model": "lipsync-2", "input": given, "options": {"sync_mode": "cut_off"}} | more

    def lines(self, number: int = 20) -> list[Any]:
        """The lines of a batch, each with such a body."""
        return [
            {"request_id": f"r{n}", "endpoint": "/v2/generate", "payload": self.body()}
            for n in range(number)
        ]

    def call(self) -> tuple[str, bytes]:
        """The signature and the body of the next webhook call."""
        return self.calls.get(timeout=LIMIT_S)

    def stays_silent(self, seconds: float) -> bool:
        """Whether no webhook is called for so long."""
        try:
            self.calls.get(timeout=seconds)
        except queue.Empty:
            return True
        return False


class _Handler(SimpleHTTPRequestHandler):
    calls: queue.Queue[tuple[str, bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.calls.put((self.headers["Sync-Signature"], body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments: Any) -> None:
        pass


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A film of one second, its new speech, and a few odd files, on loopback."""
    folder = tmp_path_factory.mktemp("place")
    make_film(folder / "film.mp4", frames=Place.frames)
    write_sound(folder / "speech.wav", bursts(1, 48_000), 48_000)
    write_sound(folder / "short.wav", bursts(0.6, 48_000), 48_000)
    write_sound(folder / "long.wav", bursts(1.8, 48_000), 48_000)
    cv2.imwrite(str(folder / "face.png"), np.full((90, 121, 3), 90, np.uint8))
    (folder / "page.mp4").write_text("<html>not a film</html>")
    calls: queue.Queue[tuple[str, bytes]] = queue.Queue()
    handler = type("Handler", (_Handler,), {"calls": calls})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield Place(folder, f"http://127.0.0.1:{server.server_port}", calls)
    server.shutdown()
    thread.join()
    server.server_close()


def running(folder: Path, *options: str) -> Iterator[Emulator]:
    with Emulator(folder, *options) as emulator:
        yield emulator
        assert emulator.stop() == 0


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    yield from running(tmp_path_factory.mktemp("emulator"))


@pytest.fixture(scope="module")
def brief(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """One whose addresses die after a second, that takes three calls a minute."""
    options = ("--url-seconds", "1", "--rate-per-minute", "3", "--cost-object")
    yield from running(tmp_path_factory.mktemp("brief"), *options)


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """One that speaks as the vendor did before it knew idempotency."""
    yield from running(tmp_path_factory.mktemp("old"), "--era", "B")


@pytest.fixture
def client(emulator: Emulator) -> Iterator[Client]:
    with emulator.client() as client:
        yield client


@pytest.fixture
def started() -> Iterator[Started]:
    """``started(folder, *options)``: a command of the test's own, ended with it at the latest."""
    with ExitStack() as commands:
        yield lambda folder, *options: commands.enter_context(Emulator(folder, *options))


@pytest.fixture(scope="session")
def anyone() -> Iterator[httpx.Client]:
    """A client without an API key, as signed addresses want it."""
    with httpx.Client(**PLAIN) as client:
        yield client


@pytest.fixture
def fetched(anyone: httpx.Client, tmp_path: Path) -> Fetched:
    """``fetched(url)``: what lies there, as a file."""
    names = (tmp_path / f"fetched-{number}.mp4" for number in count())

    def fetched(url: str) -> Path:
        out = next(names)
        out.write_bytes(anyone.get(url).raise_for_status().content)
        return out

    return fetched


@pytest.fixture(scope="session")
def numbers() -> Numbers:
    """``numbers(film)``: which frames of ``film.mp4`` it shows."""
    return lambda film: [number_of(frame) for frame in read_frames(probe(film))]


@pytest.fixture(scope="session")
def batch() -> Batch:
    """``batch(lines)``: the file of a batch, as a form has it."""

    def batch(lines: Sequence[Any]) -> dict[str, Any]:
        text = "".join(f"{json.dumps(line)}\n" for line in lines)
        return {"input": ("batch.jsonl", text.encode(), "application/jsonl")}

    return batch
