"""The store in a bucket, against a real Swift: sent once, never overwritten, open for a while."""

from __future__ import annotations

import asyncio
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from botocore.config import Config
from pydantic import SecretStr
from swift_server import Swift, running_swift

from lipsync_core.errors import (
    InputError,
    LipsyncError,
    RemoteRefused,
    RemoteUnavailable,
    StorageError,
)
from lipsync_core.stores import s3
from lipsync_core.stores.public import DEFAULT_LIFE_S, PublicStore
from lipsync_core.stores.s3 import LONGEST_LIFE_S, S3Store

MB = 1024 * 1024


@pytest.fixture(scope="module")
def swift() -> Swift:
    return running_swift()


@pytest.fixture
def bucket(swift: Swift) -> str:
    return swift.new_bucket()


@pytest.fixture
def store(swift: Swift, bucket: str) -> PublicStore:
    return opened(swift, bucket)


def opened(swift: Swift, bucket: str, prefix: str = "a-run/films") -> S3Store:
    return S3Store(
        bucket, prefix, endpoint_url=swift.endpoint_url, region=swift.region,
        access_key=SecretStr(swift.access_key), secret_key=SecretStr(swift.secret_key),
    )  # fmt: skip


def clip(folder: Path, content: bytes = b"frames", name: str = "it's a clip.mp4") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def published(store: PublicStore, path: Path) -> str:
    return asyncio.run(store.publish(path, digest(path)))


def address(store: PublicStore, uri: str, life_s: float = DEFAULT_LIFE_S) -> str:
    return asyncio.run(store.address(uri, life_s))


@dataclass
class Call:
    """A request on its way."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def part(self) -> int:
        """The number of the part of a large file, or 0."""
        return int(parse_qs(urlsplit(self.path).query).get("partNumber", ["0"])[0])


@dataclass
class Answer:
    """What came back, or what the wire says in place of the server."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes = b""


class Lost(Exception):
    """The wire breaks."""


class Wire:
    """Stands between the store and the server: notes every request, and does harm where asked."""

    def __init__(self, swift: Swift) -> None:
        self.calls: list[Call] = []
        self.before: Callable[[Call], Answer | None] = lambda call: None
        self.after: Callable[[Call, Answer], None] = lambda call, answer: None
        server = urlsplit(swift.endpoint_url).netloc
        wire = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do(self) -> None:
                self.close_connection = True
                size = int(self.headers.get("Content-Length", 0))
                call = Call(self.command, self.path, dict(self.headers), self.rfile.read(size))
                wire.calls.append(call)
                try:
                    answer = wire.before(call) or passed_on(server, call)
                except Lost:
                    return
                wire.after(call, answer)
                self.send_response_only(answer.status)
                for name, value in [*answer.headers, ("Connection", "close")]:
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.body)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = do  # noqa: N815

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()
        self.end = replace(swift, endpoint_url=f"http://127.0.0.1:{self.server.server_port}")

    def stop(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def methods(self) -> list[str]:
        """What was asked since the last time."""
        asked = [call.method for call in self.calls]
        self.calls.clear()
        return asked


def passed_on(server: str, call: Call) -> Answer:
    connection = http.client.HTTPConnection(server, timeout=30)
    try:
        connection.putrequest(call.method, call.path, skip_host=True, skip_accept_encoding=True)
        for name, value in call.headers.items():
            if name.lower() not in ("expect", "connection"):
                connection.putheader(name, value)
        connection.endheaders(call.body)
        answer = connection.getresponse()
        kept = [
            (name, value)
            for name, value in answer.getheaders()
            if name.lower() not in ("connection", "transfer-encoding")
        ]
        return Answer(answer.status, kept, answer.read())
    finally:
        connection.close()


@pytest.fixture
def wire(swift: Swift) -> Iterator[Wire]:
    wire = Wire(swift)
    yield wire
    wire.stop()


def refusal(status: int, code: str = "", **headers: str) -> Answer:
    body = f"<Error><Code>{code}</Code><Message>so it is</Message></Error>".encode()
    told = [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))]
    return Answer(status, told + list(headers.items()), body)


def test_a_file_is_published_under_the_hash_of_its_content(
    swift: Swift, bucket: str, tmp_path: Path
) -> None:
    path = clip(tmp_path)
    name = f"{digest(path)[:2]}/{digest(path)}.mp4"
    assert published(opened(swift, bucket, "films"), path) == f"s3://{bucket}/films/{name}"
    assert published(opened(swift, bucket, ""), path) == f"s3://{bucket}/{name}"
    assert published(opened(swift, bucket, "/a/b/"), path) == f"s3://{bucket}/a/b/{name}"


def test_the_address_opens_exactly_the_bytes_to_anybody(store: PublicStore, tmp_path: Path) -> None:
    path = clip(tmp_path, os.urandom(100_000))
    answer = httpx.get(address(store, published(store, path)))
    assert answer.status_code == 200
    assert answer.content == path.read_bytes()
    assert answer.headers["Content-Type"] == "video/mp4"


def test_nobody_gets_in_without_a_signature(store: PublicStore, tmp_path: Path) -> None:
    signed = address(store, published(store, clip(tmp_path)))
    assert httpx.get(signed.partition("?")[0]).status_code in (400, 403)
    assert httpx.get(signed[:-1] + ("0" if signed[-1] != "0" else "1")).status_code == 403


def test_a_published_file_is_not_sent_again(wire: Wire, bucket: str, tmp_path: Path) -> None:
    path, same = clip(tmp_path), clip(tmp_path, name="another name.mp4")
    first = published(opened(wire.end, bucket), path)
    assert wire.methods() == ["HEAD", "PUT", "HEAD"]
    assert published(opened(wire.end, bucket), same) == first
    assert wire.methods() == ["HEAD"]


def test_a_file_of_20_mb_goes_in_parts_and_arrives_whole(
    wire: Wire, bucket: str, tmp_path: Path
) -> None:
    store = opened(wire.end, bucket)
    path = clip(tmp_path, os.urandom(20 * MB))
    uri = published(store, path)
    parts = [call for call in wire.calls if call.part]
    assert sorted(len(part.body) for part in parts) == [4 * MB, 8 * MB, 8 * MB]
    assert sha256(httpx.get(address(store, uri)).content).hexdigest() == digest(path)
    wire.calls.clear()
    assert published(store, path) == uri
    assert wire.methods() == ["HEAD"]


def test_the_smallest_file_in_parts_and_an_empty_one_arrive(
    store: PublicStore, tmp_path: Path
) -> None:
    for size in (8 * MB, 8 * MB - 1, 1, 0):
        path = clip(tmp_path, os.urandom(size), f"{size}.wav")
        assert httpx.get(address(store, published(store, path))).content == path.read_bytes()


def test_an_upload_that_was_killed_between_its_parts_is_made_up_for(
    swift: Swift, wire: Wire, bucket: str, tmp_path: Path
) -> None:
    path = clip(tmp_path, os.urandom(20 * MB))
    arrived, killed = threading.Event(), threading.Event()

    def hold_the_later_parts(call: Call) -> None:
        if call.part > 1:
            killed.wait(30)
            raise Lost

    def see_the_first_part(call: Call, answer: Answer) -> None:
        if call.part == 1 and answer.status == 200:
            arrived.set()

    wire.before, wire.after = hold_the_later_parts, see_the_first_part
    process = publishing(wire.end, bucket, path)
    try:
        assert arrived.wait(30)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        killed.set()
    [left] = swift.client.list_multipart_uploads(Bucket=bucket)["Uploads"]
    assert digest(path) in left["Key"]
    assert swift.client.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    wire.before = lambda call: None
    uri = published(opened(wire.end, bucket), path)
    content = httpx.get(address(opened(swift, bucket), uri)).content
    assert sha256(content).hexdigest() == digest(path)


def publishing(swift: Swift, bucket: str, path: Path) -> subprocess.Popen[bytes]:
    """Another process that publishes a file."""
    program = (
        "import asyncio, sys\nfrom pathlib import Path\nfrom pydantic import SecretStr\n"
        "from lipsync_core.stores.s3 import S3Store\n"
        "bucket, url, access, secret, path, digest = sys.argv[1:]\n"
        "store = S3Store(bucket, 'a-run/films', endpoint_url=url,\n"
        "    access_key=SecretStr(access), secret_key=SecretStr(secret))\n"
        "asyncio.run(store.publish(Path(path), digest))\n"
    )
    given = [bucket, swift.endpoint_url, swift.access_key, swift.secret_key, path, digest(path)]
    return subprocess.Popen([sys.executable, "-c", program, *given])


def test_two_runs_publish_the_same_large_file_at_once(
    swift: Swift, bucket: str, tmp_path: Path
) -> None:
    path = clip(tmp_path, os.urandom(9 * MB))
    one, two = opened(swift, bucket), opened(swift, bucket)

    async def both() -> list[str]:
        return await asyncio.gather(
            one.publish(path, digest(path)), two.publish(path, digest(path))
        )

    first, second = asyncio.run(both())
    assert first == second
    assert httpx.get(address(one, first)).content == path.read_bytes()


def test_who_is_overtaken_uses_what_the_other_one_published(
    swift: Swift, wire: Wire, bucket: str, tmp_path: Path
) -> None:
    path = clip(tmp_path)

    def be_faster(call: Call) -> None:
        if call.method == "PUT":
            published(opened(swift, bucket), path)

    wire.before = be_faster
    statuses: list[int] = []
    wire.after = lambda call, answer: statuses.append(answer.status)
    uri = published(opened(wire.end, bucket), path)
    assert statuses == [404, 412, 200]
    assert httpx.get(address(opened(swift, bucket), uri)).content == path.read_bytes()


@pytest.mark.parametrize("other", [b"other!", b"longer than it"])
@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_another_content_under_the_name_is_refused_and_left_alone(
    other: bytes, when: str, swift: Swift, wire: Wire, bucket: str, tmp_path: Path
) -> None:
    path = clip(tmp_path)
    key = f"a-run/films/{digest(path)[:2]}/{digest(path)}.mp4"

    def put_other(call: Call) -> None:
        if call.method == ("HEAD" if when == "before" else "PUT"):
            wire.before = lambda call: None
            swift.client.put_object(Bucket=bucket, Key=key, Body=other)

    wire.before = put_other
    with pytest.raises(StorageError, match=rf"another content lies at s3://{bucket}/{key}: remove"):
        published(opened(wire.end, bucket), path)
    assert swift.client.get_object(Bucket=bucket, Key=key)["Body"].read() == other


def test_a_file_that_is_not_what_its_hash_says_is_never_published(
    wire: Wire, bucket: str, tmp_path: Path
) -> None:
    store = opened(wire.end, bucket)
    path = clip(tmp_path)
    with pytest.raises(StorageError, match="changed since its hash was taken"):
        asyncio.run(store.publish(path, "0" * 64))
    with pytest.raises(StorageError, match=r"cannot read .*gone\.mp4"):
        asyncio.run(store.publish(tmp_path / "gone.mp4", digest(path)))
    with pytest.raises(InputError, match="plain suffix"):
        asyncio.run(store.publish(tmp_path / "a.m p4", digest(path)))
    assert wire.calls == []


@pytest.mark.parametrize("size", [10, 9 * MB])
def test_a_file_that_vanishes_before_it_is_sent_is_told(
    size: int, wire: Wire, bucket: str, tmp_path: Path
) -> None:
    path = clip(tmp_path, bytes(size))
    wire.after = lambda call, answer: path.unlink()
    with pytest.raises(StorageError, match=r"cannot read .*a clip\.mp4 any more \(No such file"):
        published(opened(wire.end, bucket), path)
    assert {call.method for call in wire.calls} == {"HEAD"}


def test_bytes_harmed_on_the_way_are_not_accepted(
    swift: Swift, wire: Wire, bucket: str, tmp_path: Path
) -> None:
    path = clip(tmp_path, b"frames" * 1000)

    def harm(call: Call) -> None:
        if call.method == "PUT":
            call.body = b"F" + call.body[1:]

    wire.before = harm
    with pytest.raises(RemoteUnavailable, match="cannot do it now"):
        published(opened(wire.end, bucket), path)
    assert swift.client.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_a_server_that_knows_no_conditions_is_served_too(
    wire: Wire, bucket: str, tmp_path: Path
) -> None:
    def know_none(call: Call) -> Answer | None:
        return refusal(501, "NotImplemented") if "If-None-Match" in call.headers else None

    wire.before = know_none
    store, path = opened(wire.end, bucket), clip(tmp_path)
    uri = published(store, path)
    assert wire.methods() == ["HEAD", "PUT", "PUT", "HEAD"]
    assert httpx.get(address(store, uri)).content == path.read_bytes()


def test_a_server_may_spell_its_headers_as_it_likes(
    wire: Wire, bucket: str, tmp_path: Path
) -> None:
    def capitals(call: Call, answer: Answer) -> None:
        answer.headers = [(name.title(), value) for name, value in answer.headers]

    wire.after = capitals
    published(opened(wire.end, bucket), clip(tmp_path))
    assert wire.methods() == ["HEAD", "PUT", "HEAD"]


def test_an_upload_that_is_not_there_afterwards_is_told(
    wire: Wire, bucket: str, tmp_path: Path
) -> None:
    done = Answer(200, [("Content-Length", "0")])
    wire.before = lambda call: done if call.method == "PUT" else None
    with pytest.raises(RemoteUnavailable, match=f"sent, and still not there: s3://{bucket}/"):
        published(opened(wire.end, bucket), clip(tmp_path))


def test_an_expired_address_opens_nothing(store: PublicStore, tmp_path: Path) -> None:
    uri = published(store, clip(tmp_path))
    short = address(store, uri, 1)
    time.sleep(2.1)
    assert httpx.get(short).status_code == 403
    assert httpx.get(address(store, uri)).status_code == 200


def test_an_address_is_signed_anew_for_every_use(store: PublicStore, tmp_path: Path) -> None:
    uri = published(store, clip(tmp_path))
    first = address(store, uri)
    time.sleep(1.1)  # a signature tells whole seconds
    second = address(store, uri)
    assert first != second
    assert [httpx.get(one).content for one in (first, second)] == [b"frames"] * 2


def test_an_address_lives_as_long_as_was_asked(store: PublicStore, tmp_path: Path) -> None:
    uri = published(store, clip(tmp_path))
    assert lives(address(store, uri)) == DEFAULT_LIFE_S == LONGEST_LIFE_S - 3600
    assert lives(address(store, uri, LONGEST_LIFE_S)) == LONGEST_LIFE_S
    assert lives(address(store, uri, 0.5)) == 1


def lives(address: str) -> float:
    return float(parse_qs(urlsplit(address).query)["X-Amz-Expires"][0])


@pytest.mark.parametrize("life_s", [LONGEST_LIFE_S + 1, 0, -1, float("nan"), float("inf")])
def test_no_address_lives_longer_than_a_signature_may(store: PublicStore, life_s: float) -> None:
    with pytest.raises(InputError, match=r"lives up to 604800 s \(7 days\), not"):
        address(store, "s3://any/thing", life_s)


def test_only_what_the_store_published_gets_an_address(
    store: S3Store, bucket: str, tmp_path: Path
) -> None:
    uri = published(store, clip(tmp_path))
    key = uri.removeprefix(f"s3://{bucket}/")
    name = key.removeprefix("a-run/films/")
    for hostile in (
        f"s3://other/{key}", f"s3://{bucket}x/{key}", f"s3://{bucket}/{name}", f"https://a.b/{key}",
        f"s3://{bucket}/a-run/films/../secrets", f"s3://{bucket}/a-run/films/../films/{name}",
        f"{uri}/..", f"{uri}?versionId=1", f"{uri}#", f"{uri}\n", uri.upper(), key, "",
        f"s3://{bucket}/a-run/films/00/{name[3:]}", f"s3://{bucket}/a-run/films//{name}",
    ):  # fmt: skip
        with pytest.raises(InputError, match="was not published in s3://"):
            address(store, hostile)


def test_the_bucket_is_verified_by_one_call(wire: Wire, bucket: str) -> None:
    asyncio.run(opened(wire.end, bucket).verify())
    assert [(call.method, call.path.rstrip("/")) for call in wire.calls] == [("HEAD", f"/{bucket}")]


def test_a_bucket_in_another_region_is_told(wire: Wire, bucket: str) -> None:
    wire.after = lambda call, answer: answer.headers.append(("x-amz-bucket-region", "eu-west-3"))
    with pytest.raises(InputError, match="lies in the region eu-west-3, not in us-east-1: name"):
        asyncio.run(opened(wire.end, bucket).verify())


def failures(store: S3Store, folder: Path) -> list[LipsyncError]:
    """What publishing a small file, a large one and a question for the bucket end with."""
    small, large = clip(folder), clip(folder, bytes(9 * MB), "large.mp4")
    found = []
    for attempt in (
        lambda: published(store, small),
        lambda: published(store, large),
        lambda: asyncio.run(store.verify()),
    ):
        with pytest.raises(LipsyncError) as caught:
            attempt()
        found.append(caught.value)
    return found


@pytest.mark.parametrize("wrong", ["secret_key", "access_key"])
def test_wrong_keys_are_refused_for_good_with_what_to_check(
    wrong: str, swift: Swift, bucket: str, tmp_path: Path
) -> None:
    keys: dict[str, str] = {wrong: "test:wrong"}
    for error in failures(opened(replace(swift, **keys), bucket), tmp_path):
        assert type(error) is RemoteRefused
        assert "refuses these keys" in str(error)
        assert "check them" in str(error)
        assert not error.retryable


def test_a_missing_bucket_is_named(swift: Swift, tmp_path: Path) -> None:
    for error in failures(opened(swift, "no-such-films"), tmp_path):
        assert type(error) is InputError
        assert "the bucket no-such-films at 127.0.0.1" in str(error)
        assert "create it" in str(error)


def test_a_server_that_is_away_is_asked_again_later(
    swift: Swift, bucket: str, tmp_path: Path
) -> None:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        away = replace(swift, endpoint_url=f"http://127.0.0.1:{place.getsockname()[1]}")
    for error in failures(opened(away, bucket), tmp_path):
        assert type(error) is RemoteUnavailable
        assert "does not answer" in str(error)
        assert error.retryable


def test_a_server_that_breaks_off_is_asked_again_later(
    wire: Wire, bucket: str, tmp_path: Path
) -> None:
    def break_off(call: Call) -> None:
        raise Lost

    wire.before = break_off
    with pytest.raises(RemoteUnavailable, match="does not answer"):
        published(opened(wire.end, bucket), clip(tmp_path))
    assert len(wire.calls) == 3  # the library's own attempts


@pytest.mark.parametrize("size", [10, 9 * MB])
def test_a_server_that_falls_silent_is_asked_again_later(
    size: int, wire: Wire, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasty = Config(read_timeout=0.5, retries={"total_max_attempts": 1})
    monkeypatch.setattr(s3, "_CONFIG", s3._CONFIG.merge(hasty))
    over = threading.Event()

    def say_nothing(call: Call) -> None:
        if call.method != "HEAD":
            over.wait(30)
            raise Lost

    wire.before = say_nothing
    with pytest.raises(RemoteUnavailable, match=r"does not answer \(ReadTimeoutError\)"):
        published(opened(wire.end, bucket), clip(tmp_path, bytes(size)))
    over.set()


@pytest.mark.parametrize(
    ("status", "code"),
    [(503, "SlowDown"), (500, "InternalError"), (429, "TooManyRequests"), (400, "RequestTimeout")],
)
def test_a_server_that_is_busy_is_asked_again_when_it_says(
    status: int, code: str, wire: Wire, bucket: str, tmp_path: Path
) -> None:
    answer = refusal(status, code, **{"Retry-After": "7"})
    wire.before = lambda call: answer if call.method == "PUT" else None
    with pytest.raises(RemoteUnavailable, match=rf"cannot do it now \({code}\)") as caught:
        published(opened(wire.end, bucket), clip(tmp_path))
    assert caught.value.retry_after_s == 7


def test_one_lost_part_does_not_lose_the_file(wire: Wire, bucket: str, tmp_path: Path) -> None:
    def lose_one(call: Call) -> None:
        if call.part == 2:
            wire.before = lambda call: None
            raise Lost

    wire.before = lose_one
    store, path = opened(wire.end, bucket), clip(tmp_path, os.urandom(17 * MB))
    assert httpx.get(address(store, published(store, path))).content == path.read_bytes()
    assert len([call for call in wire.calls if call.part == 2]) == 2


def test_any_other_refusal_is_for_good_and_has_its_name(
    wire: Wire, bucket: str, tmp_path: Path
) -> None:
    wire.before = lambda call: refusal(400, "EntityTooLarge") if call.method == "PUT" else None
    with pytest.raises(RemoteRefused, match=r"refuses for good \(EntityTooLarge\)") as caught:
        published(opened(wire.end, bucket), clip(tmp_path))
    assert caught.value.code == "EntityTooLarge"


def test_no_secret_is_in_what_the_store_says_of_itself_or_of_its_errors(
    swift: Swift, bucket: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "a-secret-nobody-may-read"
    store = opened(replace(swift, secret_key=secret), bucket)
    told = [repr(store), str(store), str(vars(store))]
    with caplog.at_level("INFO"):
        for error in failures(store, tmp_path):
            told.append("".join(traceback.format_exception(error)))
            told.append(repr(error))
    assert "refuses these keys" in told[-2]
    assert secret not in "".join(told) + caplog.text
    assert all("\n" not in str(error) for error in failures(store, tmp_path))


def test_without_keys_the_ordinary_chain_of_aws_is_asked(
    swift: Swift, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    path = clip(tmp_path)

    def chained() -> S3Store:
        return S3Store(bucket, endpoint_url=swift.endpoint_url)

    with pytest.raises(InputError, match=r"no keys for the bucket .*: set AWS_ACCESS_KEY_ID"):
        published(chained(), path)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", swift.access_key)
    with pytest.raises(InputError, match="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        published(chained(), path)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", swift.secret_key)
    assert httpx.get(address(chained(), published(chained(), path))).content == b"frames"
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(InputError, match=r"\(ProfileNotFound\): check the AWS settings"):
        chained()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"bucket": "a/b"}, "cannot be the name of a bucket"),
        ({"bucket": "../films"}, "cannot be the name of a bucket"),
        ({"bucket": ""}, "cannot be the name of a bucket"),
        ({"prefix": "films/../secrets"}, "the prefix 'films/../secrets'"),
        ({"prefix": "films//more"}, "the prefix"),
        ({"prefix": "it's films"}, "the prefix"),
        ({"secret_key": None}, "give both the access key and the secret key"),
        ({"endpoint_url": "s3.example.com"}, "must be an address like https://"),
        ({"endpoint_url": "ftp://s3.example.com"}, "must be an address like https://"),
        ({"endpoint_url": "https://me:hush@s3.example.com"}, "must be an address like https://"),
        ({"endpoint_url": "https://s3.example.com:port"}, "must be an address like https://"),
        ({"endpoint_url": "https://s3 example.com"}, "must be an address like https://"),
        ({"region": "no region!"}, r"\(InvalidRegionError\): check the AWS settings"),
    ],
)
def test_a_store_that_cannot_be_is_refused_at_once(change: dict[str, Any], complaint: str) -> None:
    given: dict[str, Any] = {
        "bucket": "films", "endpoint_url": "https://s3.example.com",
        "access_key": SecretStr("access"), "secret_key": SecretStr("secret"),
    }  # fmt: skip
    S3Store(**given)
    with pytest.raises(InputError, match=complaint) as caught:
        S3Store(**given | change)
    assert "hush" not in str(caught.value)
