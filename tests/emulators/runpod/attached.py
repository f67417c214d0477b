"""Workers that attached themselves: what they hold, and when they were heard of last."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field

from tests.emulators.runpod.jobs import Job

_KNOWN_S = 120.0  # after its last call a worker that holds nothing is forgotten


@dataclass
class Attached:
    """Kept in memory only; after a restart the workers are given time to be heard of again."""

    dead_after_s: float
    since: float = field(default_factory=time.time)
    heard: dict[str, float] = field(default_factory=dict)
    alive: dict[str, float] = field(default_factory=dict)
    held: defaultdict[tuple[str, str], set[str]] = field(default_factory=lambda: defaultdict(set))

    def calls(self, endpoint: str, worker: str) -> None:
        """A worker was heard of."""
        self.heard[f"{endpoint}/{worker}"] = time.time()

    def takes(self, run: Job) -> None:
        """A worker was given a job."""
        self.held[run.endpoint, run.worker or ""].add(run.id)

    def works_on(self, job_ids: list[str]) -> None:
        """A worker says that it is busy with these jobs."""
        self.alive |= dict.fromkeys(job_ids, time.time())

    def is_dead(self, run: Job, now: float) -> bool:
        """Whether the worker that runs a job has been silent about it for too long."""
        heard = max(self.alive.get(run.id, 0.0), run.started_at or 0.0, self.since)
        return now > heard + self.dead_after_s

    def known(self, endpoint: str) -> set[str]:
        """The workers of an endpoint that were heard of lately."""
        earliest, prefix = time.time() - _KNOWN_S, f"{endpoint}/"
        return {
            place.removeprefix(prefix)
            for place, heard in self.heard.items()
            if heard > earliest and place.startswith(prefix)
        }
