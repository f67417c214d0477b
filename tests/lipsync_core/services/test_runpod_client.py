"""The calls to RunPod: what an answer means, above all whether an order may have been accepted."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pydantic import SecretStr

from lipsync_core.errors import (
    InputError,
    LipsyncError,
    OutcomeUnknown,
    RemoteRefused,
    RemoteUnavailable,
    TooFast,
)
from lipsync_core.services.runpod import client as module
from lipsync_core.services.runpod.client import RunPodClient

KEY = "a-secret-key"
HTML = b"<html>bad gateway</html>"
TOO_LARGE = {"status": 400, "title": "Bad Request",
             "detail": "bad request: body: exceeded max body size of 10MiB"}  # fmt: skip


@dataclass
class Service:
    """Answers every call alike, or breaks off; ``asked`` are the calls that came."""

    address: str = ""
    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    breaks_off: bool = False
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)


@contextmanager
def serving() -> Iterator[Service]:
    service = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            service.asked.append((self.command, self.path, dict(self.headers), sent))
            if service.breaks_off:
                return self.connection.shutdown(socket.SHUT_RDWR)
            body = service.body
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(service.status)
            for name, value in {**service.headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    service.address = f"http://127.0.0.1:{server.server_address[1]}"
    yield service
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def service() -> Iterator[Service]:
    with serving() as service:
        yield service


def call(service: Service, work: Callable[[RunPodClient], Awaitable[Any]]) -> Any:
    async def whole() -> Any:
        client = RunPodClient(SecretStr(KEY), "an endpoint", f"{service.address}/v2/")
        assert KEY not in repr(client)
        async with aclosing(client):
            return await work(client)

    return asyncio.run(whole())


def order(service: Service) -> Any:
    return call(service, lambda client: client.run({"input": {"a": 1}}))


def refusal_of(service: Service, work: Callable[[Service], Any]) -> LipsyncError:
    with pytest.raises(LipsyncError) as caught:
        work(service)
    assert KEY not in str(caught.value)
    assert "html" not in str(caught.value)
    assert "\n" not in str(caught.value)
    return caught.value


def test_an_order_is_posted_with_the_key_in_its_head(service: Service) -> None:
    service.body = {"id": "4711-u1", "status": "IN_QUEUE"}
    assert order(service).id == "4711-u1"
    [(method, path, headers, sent)] = service.asked
    assert (method, path) == ("POST", "/v2/an%20endpoint/run")
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert json.loads(sent) == {"input": {"a": 1}}


@pytest.mark.parametrize(
    ("status", "body"),
    [(500, {}), (502, HTML), (524, HTML), (408, HTML), (200, HTML), (200, {"status": 200}),
     (200, [1])],
)  # fmt: skip
def test_an_order_that_may_have_been_accepted_is_said_to_be_unknown(
    status: int, body: Any, service: Service
) -> None:
    service.status, service.body = status, body
    assert isinstance(refusal_of(service, order), OutcomeUnknown)


def test_a_connection_that_breaks_after_the_order_leaves_it_unknown(service: Service) -> None:
    service.breaks_off = True
    assert isinstance(refusal_of(service, order), OutcomeUnknown)


def test_a_service_that_cannot_be_reached_was_sent_nothing() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        service = Service(f"http://127.0.0.1:{nobody.getsockname()[1]}")
        error = refusal_of(service, order)
    assert isinstance(error, RemoteUnavailable)
    assert not isinstance(error, OutcomeUnknown)


@pytest.mark.parametrize("status", [400, 502])
def test_what_is_too_large_is_refused_with_advice_even_by_the_network_before_it(
    status: int, service: Service
) -> None:
    service.status, service.body = status, TOO_LARGE
    error = refusal_of(service, order)
    assert isinstance(error, RemoteRefused)
    assert error.code == "too_large"
    assert "--upload" in str(error)


def test_what_is_too_large_is_not_even_sent(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 10)
    assert isinstance(refusal_of(service, order), InputError)
    assert service.asked == []


@pytest.mark.parametrize("work", [order, lambda s: call(s, lambda client: client.health())])
def test_a_wrong_key_is_told_by_the_name_of_its_secret(
    work: Callable[[Service], Any], service: Service
) -> None:
    service.status = 401
    error = refusal_of(service, work)
    assert isinstance(error, RemoteRefused)
    assert "check RUNPOD_API_KEY" in str(error)


def test_too_many_calls_are_waited_out_as_long_as_asked(service: Service) -> None:
    service.status, service.headers = 429, {"Retry-After": "7"}
    error = refusal_of(service, order)
    assert isinstance(error, TooFast)
    assert error.retry_after_s == 7


def test_an_endpoint_that_is_not_there_is_told(service: Service) -> None:
    service.status, service.body = 404, {"status": 404, "detail": "endpoint not found"}
    error = refusal_of(service, order)
    assert isinstance(error, RemoteRefused)
    assert "RUNPOD_ENDPOINT_ID" in str(error)


def test_a_job_that_is_not_known_is_none_and_no_error(service: Service) -> None:
    service.status, service.body = 404, {"status": 404, "detail": "job not found"}
    assert call(service, lambda client: client.status("a/b")) is None
    assert call(service, lambda client: client.cancel("a/b")) is None
    assert [path for _, path, _, _ in service.asked] == [
        "/v2/an%20endpoint/status/a%2Fb", "/v2/an%20endpoint/cancel/a%2Fb"
    ]  # fmt: skip


@pytest.mark.parametrize(("status", "body"), [(502, HTML), (200, HTML), (200, {"status": 200})])
def test_a_free_call_without_a_good_answer_may_be_made_again(
    status: int, body: Any, service: Service
) -> None:
    service.status, service.body = status, body
    error = refusal_of(service, lambda s: call(s, lambda client: client.status("j")))
    assert isinstance(error, RemoteUnavailable)
    assert not isinstance(error, OutcomeUnknown)


def test_an_address_that_is_none_is_told() -> None:
    error = refusal_of(Service("gopher://runpod"), order)
    assert str(error) == "RUNPOD_BASE_URL is no address on the web: correct it"


DEEP = b"[" * 100_000


def test_an_answer_that_is_nested_without_end_is_one_that_makes_no_sense(service: Service) -> None:
    service.body = DEEP
    error = refusal_of(service, lambda s: call(s, lambda client: client.status("j")))
    assert isinstance(error, RemoteUnavailable)
    assert isinstance(refusal_of(service, order), OutcomeUnknown)
    service.status = 400
    assert isinstance(refusal_of(service, order), RemoteRefused)
