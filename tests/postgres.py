"""A PostgreSQL server of the tests' own, where its programs are installed."""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path

import pytest

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin")) or [Path("/usr/local/bin")]


@cache
def postgres_url() -> str:
    """The address of a running server; it ends with the tests."""
    psycopg = pytest.importorskip(
        "psycopg", reason="needs psycopg: pip install 'lipsync-flows[postgres]'"
    )
    programs = PROGRAMS[-1]
    if not (programs / "initdb").exists():
        pytest.skip("needs PostgreSQL: apt-get install postgresql")
    # it refuses to run as root, and Debian makes it a user of its own
    user = "postgres" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    if user:
        shutil.chown(folder, user)
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        port = place.getsockname()[1]
    data = folder / "data"
    subprocess.run(
        [programs / "initdb", "-D", data, "-U", "tester", "-A", "trust", "--no-sync"],
        check=True, user=user, capture_output=True, cwd=folder,
    )  # fmt: skip
    process = subprocess.Popen(
        [programs / "postgres", "-D", data, "-p", str(port), "-k", folder, "-h", "127.0.0.1"],
        user=user, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(process.wait)
    atexit.register(process.terminate)
    url = f"postgresql://tester@127.0.0.1:{port}/postgres"
    for _ in range(100):
        try:
            psycopg.connect(url, connect_timeout=2).close()
            return url
        except psycopg.OperationalError:
            if process.poll() is not None:
                raise
            time.sleep(0.1)
    raise TimeoutError("PostgreSQL does not answer")
