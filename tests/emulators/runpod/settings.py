"""What the command line sets."""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """How this emulator behaves; times are seconds.

    ``data`` is the folder of all it keeps, gone at the end if it ``is_temporary``. ``queue_s`` is
    how long a job waits at least, ``render_s`` how long it runs at least. ``fault_rate`` is the
    share of run calls that get a fault. ``policy_scale`` shortens the times a job's policy asks
    for, ``rate_share`` the numbers of calls that may be made (0: no limit). ``timeout_status`` is
    what a job ends with that ran too long.
    """

    data: Path
    is_temporary: bool
    port: int
    workers: int
    queue_s: float
    render_s: float
    is_fast: bool
    are_workers_external: bool
    dead_after_s: float
    retention_s: float
    result_limit: int
    fault_rate: float
    seed: int
    unseen_s: float
    webhook_gap_s: float
    policy_scale: float
    rate_share: float
    has_requests: bool
    timeout_status: str

    @property
    def volume(self) -> Path:
        """The network volume that the workers share."""
        return self.data / "volume"


def parsed(arguments: list[str] | None) -> Settings:
    """The settings of a command line; a temporary folder is made where none is named."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.emulators.runpod",
        description="Emulate RunPod's serverless endpoints with InfiniteTalk on 127.0.0.1.",
    )
    add = parser.add_argument
    add("--port", type=int, default=0, help="0 picks a free one")
    add("--data", type=Path, help="folder of all state; without it a temporary one")
    add("--workers", type=int, default=2, help="jobs that an endpoint runs at once")
    add("--queue-s", type=float, default=0.2, help="least time in the queue")
    add("--render-s", type=float, default=0.5, help="least time of a run")
    add("--fast", action="store_true", help="render a still picture and a moving bar")
    add("--external-workers", action="store_true", help="jobs wait for workers that attach")
    add("--dead-after-s", type=float, default=30.0, help="an attached worker without pings is dead")
    add("--retention-s", type=float, default=1800.0,
        help="how long results stay; those of /runsync a thirtieth of it")  # fmt: skip
    add("--result-limit", type=int, default=20_000_000, help="bytes of a result")
    add("--faults", type=float, default=0.0, help="share of run calls with a fault, 0 to 1")
    add("--seed", type=int, default=1, help="of the faults")
    add("--unseen-s", type=float, default=2.0, help="how long unseen_at_first hides a job")
    add("--webhook-gap-s", type=float, default=10.0, help="between the tries of a webhook")
    add("--policy-scale", type=float, default=1.0, help="shortens executionTimeout and ttl")
    add("--rate-share", type=float, default=1.0, help="of the documented call rates; 0: no limit")
    add("--no-requests", action="store_true", help="there is no /requests")
    add("--timeout-status", choices=("FAILED", "TIMED_OUT"), default="FAILED")
    chosen = parser.parse_args(arguments)
    data = chosen.data or Path(tempfile.mkdtemp(prefix="runpod-emulator-"))
    return Settings(
        data=data.absolute(), is_temporary=chosen.data is None, port=chosen.port,
        workers=chosen.workers, queue_s=chosen.queue_s, render_s=chosen.render_s,
        is_fast=chosen.fast, are_workers_external=chosen.external_workers,
        dead_after_s=chosen.dead_after_s, retention_s=chosen.retention_s,
        result_limit=chosen.result_limit, fault_rate=chosen.faults, seed=chosen.seed,
        unseen_s=chosen.unseen_s, webhook_gap_s=chosen.webhook_gap_s,
        policy_scale=chosen.policy_scale, rate_share=chosen.rate_share,
        has_requests=not chosen.no_requests, timeout_status=chosen.timeout_status,
    )  # fmt: skip
