"""The emulator's webhooks: the status document, tried three times."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from runpod_service import RunPodService

SMALL = {"width": 32, "height": 32, "max_frame": 3}
LIMIT_S = 20


class Listener:
    """What is called; ``answers`` are the next status codes, 200 when they run out."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.calls: queue.Queue[dict[str, Any]] = queue.Queue()
        self.answers: list[int] = []


@pytest.fixture
def listener() -> Iterator[Listener]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(listener.answers.pop(0) if listener.answers else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()
            listener.calls.put(json.loads(body) | {"path": self.path})

        def log_message(self, *_arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener = Listener(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield listener
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunPodService]:
    options = ("--fast", "--queue-s", "0", "--render-s", "0.1", "--webhook-gap-s", "0.1")
    service = RunPodService(tmp_path_factory.mktemp("runpod"), *options)
    yield service
    service.stop()


def test_a_webhook_is_told_what_the_status_says(service: RunPodService, listener: Listener) -> None:
    with service.desk() as desk:
        for fault in ("", "failed_exception", "crash"):
            if fault:
                service.next(fault)
            job = desk.submitted(SMALL, webhook=f"{listener.address}/secret?of=mine")
            told = listener.calls.get(timeout=LIMIT_S)
            assert told == desk.status(job) | {"path": "/secret?of=mine"}
            assert told["status"] == ("FAILED" if fault else "COMPLETED")


def test_a_webhook_is_tried_until_it_answers_200(
    service: RunPodService, listener: Listener
) -> None:
    listener.answers = [500, 302]
    with service.desk() as desk:
        job = desk.submitted(SMALL, webhook=listener.address)
        told = [listener.calls.get(timeout=LIMIT_S) for _ in range(3)]
        assert [each["id"] for each in told] == [job] * 3
        with pytest.raises(queue.Empty):
            listener.calls.get(timeout=0.3)


def test_a_webhook_is_given_up_after_three_tries(
    service: RunPodService, listener: Listener
) -> None:
    listener.answers = [500] * 4
    with service.desk() as desk:
        job = desk.submitted(SMALL, webhook=listener.address)
        for _ in range(3):
            listener.calls.get(timeout=LIMIT_S)
        with pytest.raises(queue.Empty):
            listener.calls.get(timeout=0.3)
        (billed,) = (each for each in service.bill if each["id"] == job)
        assert billed["webhook_tries"] == 3
        assert desk.status(job)["status"] == "COMPLETED"


def test_a_webhook_elsewhere_is_never_called(service: RunPodService) -> None:
    with service.desk() as desk:
        job = desk.submitted(SMALL, webhook="http://elsewhere.invalid/hook")
        desk.ended(job)
        (billed,) = (each for each in service.bill if each["id"] == job)
        assert billed["webhook_tries"] == 0
