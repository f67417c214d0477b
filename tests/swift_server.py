"""A real OpenStack Swift with its S3 door, of the tests' own: four processes, no root needed."""

from __future__ import annotations

import atexit
import importlib.util
import os
import pwd
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

START_LIMIT_S = 60.0
KINDS = ("account", "container", "object")
ACCESS_KEY, SECRET_KEY, REGION = "test:tester", "testing", "us-east-1"


@dataclass(frozen=True)
class Swift:
    """Where it answers, and the keys it knows."""

    endpoint_url: str
    access_key: str = ACCESS_KEY
    secret_key: str = SECRET_KEY
    region: str = REGION

    @cached_property
    def client(self) -> Any:
        """What tests look into it with, past the code they test."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3", endpoint_url=self.endpoint_url, region_name=self.region,
            aws_access_key_id=self.access_key, aws_secret_access_key=self.secret_key,
            config=Config(s3={"addressing_style": "path"}, signature_version="s3v4"),
        )  # fmt: skip

    def new_bucket(self) -> str:
        """The name of an empty bucket."""
        name = f"films-{uuid.uuid4().hex[:12]}"
        self.client.create_bucket(Bucket=name)
        return name


@cache
def running_swift() -> Swift:
    """The server, started once (about ten seconds).

    A process beside the tests keeps it and listens at a pipe; when the pipe closes, be it since
    the tests were killed, Swift ends and its folder goes.
    """
    import pytest

    if importlib.util.find_spec("swift") is None:
        pytest.skip("needs OpenStack Swift: pip install swift")
    if not _has_attributes():
        pytest.skip("needs user xattrs (ext4, xfs) in the folder for temporary files")
    keeper = subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    assert keeper.stdin is not None
    assert keeper.stdout is not None
    atexit.register(keeper.stdout.close)
    atexit.register(keeper.wait)
    atexit.register(keeper.stdin.close)
    line = keeper.stdout.readline().strip()
    if not line.startswith("http://"):
        raise RuntimeError(f"Swift did not start:\n{line}\n{keeper.stdout.read()[-3000:]}")
    swift = Swift(line)
    _wait_for(lambda: swift.client.list_buckets() is not None, "answers to signed requests")
    return swift


def _has_attributes() -> bool:
    with tempfile.NamedTemporaryFile() as file:
        try:
            os.setxattr(file.name, "user.swift.metadata", b"x" * 1024)
        except (AttributeError, OSError):  # no Linux, or a file system without them
            return False
    return True


def _keep() -> None:
    """Run Swift until the pipe closes that this process reads from."""
    with tempfile.TemporaryDirectory(prefix="swift-") as name, ExitStack() as running:
        folder = Path(name)
        account, container, object_, proxy, closed = _free_ports(5)
        ports = dict(zip(KINDS, (account, container, object_), strict=True))
        _configure(folder, ports, proxy, closed)
        _make_rings(folder / "etc", ports)
        for kind in (*KINDS, "proxy"):
            running.enter_context(_started(folder, kind))
        for port in (*ports.values(), proxy):
            _wait_for(lambda port=port: _listens(port), f"listens at port {port}", folder)
        print(f"http://127.0.0.1:{proxy}", flush=True)
        sys.stdin.read()


def _configure(folder: Path, ports: dict[str, int], proxy: int, closed: int) -> None:
    etc, devices = folder / "etc", folder / "srv"
    etc.mkdir()
    (devices / "sdb1").mkdir(parents=True)
    (folder / "cache").mkdir()
    (etc / "swift.conf").write_text(
        "[swift-hash]\nswift_hash_path_prefix = of\nswift_hash_path_suffix = tests\n"
        "[storage-policy:0]\nname = Policy-0\ndefault = yes\n"
    )
    common = (
        f"[DEFAULT]\nbind_ip = 127.0.0.1\nworkers = 0\nswift_dir = {etc}\n"
        f"user = {pwd.getpwuid(os.geteuid()).pw_name}\n"
    )
    for kind, port in ports.items():
        (etc / f"{kind}-server.conf").write_text(
            f"{common}bind_port = {port}\ndevices = {devices}\nmount_check = false\n"
            f"fallocate_reserve = 0\nrecon_cache_path = {folder / 'cache'}\n"
            f"[pipeline:main]\npipeline = {kind}-server\n"
            f"[app:{kind}-server]\nuse = egg:swift#{kind}\n"
        )
    plain = "".join(
        f"[filter:{name}]\nuse = egg:swift#{name.replace('-', '_')}\n"
        for name in ("catch_errors", "proxy-logging", "bulk", "slo", "dlo")
    )
    (etc / "proxy-server.conf").write_text(
        f"{common}bind_port = {proxy}\n[pipeline:main]\n"
        "pipeline = catch_errors proxy-logging cache bulk s3api tempauth slo dlo "
        "proxy-logging proxy-server\n"
        "[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\n"
        f"[filter:s3api]\nuse = egg:swift#s3api\ns3_acl = false\nlocation = {REGION}\n"
        "check_bucket_owner = false\n"
        f"[filter:tempauth]\nuse = egg:swift#tempauth\nuser_test_tester = {SECRET_KEY} .admin\n"
        # it works without a cache, and nobody listens there
        f"[filter:cache]\nuse = egg:swift#memcache\nmemcache_servers = 127.0.0.1:{closed}\n{plain}"
    )


def _make_rings(etc: Path, ports: dict[str, int]) -> None:
    """What ``swift-ring-builder`` does with ``create 4 1 0``, ``add`` and ``rebalance``; that
    program would take nine starts of a second each."""
    from swift.common.ring import RingBuilder

    for kind, port in ports.items():
        builder = RingBuilder(part_power=4, replicas=1, min_part_hours=0)
        builder.add_dev(
            {"region": 1, "zone": 1, "ip": "127.0.0.1", "port": port, "device": "sdb1",
             "weight": 1.0, "replication_ip": "127.0.0.1", "replication_port": port, "meta": ""}
        )  # fmt: skip
        builder.rebalance()
        builder.get_ring().save(str(etc / f"{kind}.ring.gz"))


@contextmanager
def _started(folder: Path, kind: str) -> Iterator[None]:
    program = Path(sys.executable).with_name(f"swift-{kind}-server")
    with (folder / f"{kind}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, program, folder / "etc" / f"{kind}-server.conf"],
            cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_ports(count: int) -> Sequence[int]:
    with ExitStack() as places:
        sockets = [places.enter_context(socket.socket()) for _ in range(count)]
        for place in sockets:
            place.bind(("127.0.0.1", 0))
        return [place.getsockname()[1] for place in sockets]


def _listens(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=1):
        return True


def _wait_for(is_so: Callable[[], bool], what: str, logs: Path | None = None) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while True:
        try:
            if is_so():
                return
        except Exception:  # whatever a server says that is about to start
            if time.monotonic() > deadline:
                for log in sorted(logs.glob("*.log")) if logs else ():
                    print(f"{log.name}: {log.read_text()[-700:]}", flush=True)
                raise TimeoutError(f"Swift never {what}") from None
        time.sleep(0.1)


if __name__ == "__main__":
    _keep()
