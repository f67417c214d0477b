"""The parts of one running emulator, and what goes on in it between the calls."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Coroutine
from typing import Any

import httpx

from tests.emulators.runpod.attached import Attached
from tests.emulators.runpod.built_in import BuiltIn, is_ready
from tests.emulators.runpod.faults import Fault, FaultPlan
from tests.emulators.runpod.jobs import COMPLETED, IN_PROGRESS, TERMINAL, Job, Jobs
from tests.emulators.runpod.lifecycle import Lifecycle
from tests.emulators.runpod.limits import RateLimits
from tests.emulators.runpod.refusals import not_found
from tests.emulators.runpod.settings import Settings
from tests.emulators.runpod.state import opened
from tests.emulators.runpod.webhooks import tell

TICK_S = 0.03
_SWEEP_S = 1.0


class Emulator:
    """One running emulator."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database = opened(settings.data)
        self.jobs = Jobs(self.database, settings.data)
        self.faults = FaultPlan(self.database, settings.fault_rate, settings.seed)
        self.limits = RateLimits(settings.rate_share)
        self.lifecycle = Lifecycle(
            self.jobs, settings.result_limit, settings.timeout_status, self._tell
        )
        self.built_in = BuiltIn(settings, self.jobs, self.lifecycle)
        self.attached = Attached(settings.dead_after_s)
        self.client = httpx.AsyncClient(trust_env=False, verify=False)
        self._tasks: set[asyncio.Task[None]] = set()
        self._swept_at = 0.0

    def resume(self) -> None:
        """Take up what a stopped process left, and go on from there."""
        for job in self.jobs.where("webhook IS NOT NULL AND webhook_done = 0 AND gone IS NULL"):
            if job.status in TERMINAL:
                self._tell(job)
        if not self.settings.are_workers_external:
            for job in self.jobs.under_way():
                if job.status == IN_PROGRESS:
                    self.built_in.follow(job)
        self._start(self._clock())

    async def close(self) -> None:
        """Stop; runs under way are begun anew by :meth:`resume`."""
        for task in self._tasks:
            task.cancel()
        self.built_in.close()
        await self.client.aclose()
        self.database.close()

    # -- what calls ask for --------------------------------------------------------------------

    def found(self, endpoint: str, job_id: str) -> Job:
        """A job under its id.

        Raises:
            Refused: 404, there is none, or none to be seen.
        """
        job = self.jobs.get(job_id)
        if job is None or job.endpoint != endpoint or not self.shows(job):
            raise not_found()
        return job

    def shows(self, job: Job) -> bool:
        """Whether a job can be seen now."""
        kept, unseen = self.settings.retention_s, self.settings.unseen_s
        return job.is_visible(time.time(), retention_s=kept, unseen_s=unseen)

    async def over(self, job_id: str, wait_s: float) -> None:
        """Wait until a job is over, or for so long."""
        until = time.monotonic() + wait_s
        while time.monotonic() < until:
            job = self.jobs.get(job_id)
            if job is None or job.is_over:
                return
            await asyncio.sleep(TICK_S)

    def taken(self, endpoint: str, worker: str) -> Job | None:
        """The job that an attached worker is given, if one waits."""
        now = time.time()
        for job in self.jobs.under_way():
            if job.endpoint == endpoint and is_ready(job, now, self.settings.queue_s):
                run = self.lifecycle.begin(job, worker)
                self.attached.takes(run)
                return run
        return None

    # -- what happens by itself ----------------------------------------------------------------

    async def _clock(self) -> None:
        while True:
            try:
                self._tick(time.time())
            except Exception:  # one bad job must not stop the clock of all others
                traceback.print_exc()
            await asyncio.sleep(TICK_S)

    def _tick(self, now: float) -> None:
        for job in self.jobs.under_way():
            is_running = job.status == IN_PROGRESS
            if now >= job.expires_at:
                self.lifecycle.drop(job, "ttl")
            elif is_running and now >= job.times_out_at(self.settings.policy_scale):
                self.lifecycle.time_out(job)
            elif is_running and self._has_lost_its_worker(job, now):
                self.lifecycle.die(job)
        if not self.settings.are_workers_external:
            self.built_in.release()
            self.built_in.take(self.jobs.under_way(), now)
        if now > self._swept_at + _SWEEP_S:
            self._sweep(now)

    def _has_lost_its_worker(self, job: Job, now: float) -> bool:
        return self.settings.are_workers_external and self.attached.is_dead(job, now)

    def _sweep(self, now: float) -> None:
        """Delete the results that nobody can fetch any more."""
        self._swept_at = now
        owed = "(webhook IS NULL OR webhook_done = 1)"
        ended = f"gone IS NULL AND ended_at < ? AND {owed}"
        for job in self.jobs.where(ended, now - self.settings.retention_s):
            self.lifecycle.drop(job, "retention")

    def _tell(self, job: Job) -> None:
        is_lost = job.active_fault is Fault.LOST_RESULT and job.status == COMPLETED
        if job.webhook and not is_lost:
            self._start(tell(self.client, self.jobs, job.id, self.settings.webhook_gap_s))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
