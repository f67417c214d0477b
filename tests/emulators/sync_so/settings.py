"""What the command line sets."""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

WEEK_S = 7 * 24 * 3600.0


@dataclass(frozen=True)
class Settings:
    """How this emulator behaves.

    ``data`` is the folder of all it keeps, gone at the end if it ``is_temporary``.
    ``fault_rate`` is the share of create calls that get a fault. ``rate_per_minute`` 0 means no
    limit. ``cost_object`` answers ``/v2/analyze/cost`` with a bare object, not with an array.
    """

    data: Path
    is_temporary: bool
    port: int
    job_seconds: float
    concurrency: int
    fault_rate: float
    seed: int
    render: str
    era: str
    rate_per_minute: int
    webhook_secret: str | None
    url_seconds: float
    cost_object: bool

    @property
    def is_old(self) -> bool:
        """Whether it speaks as the vendor did until May 2026 (era B)."""
        return self.era == "B"


def parsed(arguments: list[str] | None) -> Settings:
    """The settings of a command line; a temporary folder is made where none is named."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.emulators.sync_so",
        description="Emulate the Sync.so Generate API on 127.0.0.1.",
    )
    add = parser.add_argument
    add("--port", type=int, default=0, help="0 picks a free one")
    add("--job-seconds", type=float, default=2.0, help="from acceptance to the end of a job")
    add("--concurrency", type=int, default=15, help="jobs under way per API key")
    add("--faults", type=float, default=0.0, help="share of create calls with a fault, 0 to 1")
    add("--seed", type=int, default=1, help="of the faults")
    add("--data", type=Path, help="folder of all state; without it a temporary one")
    add("--render", choices=("copy", "rewrite"), default="copy")
    add("--era", choices=("B", "C"), default="C", help="which edition of the API to speak")
    add("--rate-per-minute", type=int, default=0, help="create calls per API key; 0: no limit")
    add("--webhook-secret", help="whsec_…; without it one is made and kept")
    add("--url-seconds", type=float, default=WEEK_S, help="life of a signed address")
    add("--cost-object", action="store_true", help="analyze/cost answers a bare object")
    chosen = parser.parse_args(arguments)
    data = chosen.data or Path(tempfile.mkdtemp(prefix="sync-so-emulator-"))
    return Settings(
        data=data.absolute(), is_temporary=chosen.data is None, port=chosen.port,
        job_seconds=chosen.job_seconds, concurrency=chosen.concurrency, fault_rate=chosen.faults,
        seed=chosen.seed, render=chosen.render, era=chosen.era,
        rate_per_minute=chosen.rate_per_minute, webhook_secret=chosen.webhook_secret,
        url_seconds=chosen.url_seconds, cost_object=chosen.cost_object,
    )  # fmt: skip
