"""What the command line sets."""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

MIB = 1024 * 1024


@dataclass(frozen=True)
class Settings:
    """How this emulator behaves. Sizes are in bytes.

    ``data`` is the folder of all it keeps, gone at the end if it ``is_temporary``. ``location`` is
    the scheme of the addresses it tells for uploads, which a proxy in between makes a wrong one.
    """

    data: Path
    is_temporary: bool
    port: int
    gateway: bool
    size_limit: int
    upload_seconds: float
    location: str

    @property
    def prefix(self) -> str:
        """What every path of the vendor's begins with."""
        return "/storage/v1" if self.gateway else ""


def parsed(arguments: list[str] | None) -> Settings:
    """The settings of a command line; a temporary folder is made where none is named."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.emulators.supabase_storage",
        description="Emulate Supabase Storage on 127.0.0.1.",
    )
    add = parser.add_argument
    add("--port", type=int, default=0, help="0 picks a free one")
    add("--data", type=Path, help="folder of all state; without it a temporary one")
    add("--gateway", action="store_true", help="lie under /storage/v1, and take keys sb_secret_…")
    add("--size-limit", type=int, default=50 * MIB, help="bytes of a file, in all buckets")
    add("--upload-seconds", type=float, default=3600.0, help="life of an unfinished upload")
    add("--location", choices=("http", "https"), default="http", help="scheme told for uploads")
    chosen = parser.parse_args(arguments)
    data = chosen.data or Path(tempfile.mkdtemp(prefix="supabase-storage-emulator-"))
    return Settings(
        data=data.absolute(), is_temporary=chosen.data is None, port=chosen.port,
        gateway=chosen.gateway, size_limit=chosen.size_limit,
        upload_seconds=chosen.upload_seconds, location=chosen.location,
    )  # fmt: skip
