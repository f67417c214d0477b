"""The built-in workers: InfiniteTalk behind every endpoint, a job each at a time."""

from __future__ import annotations

import asyncio
import json
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from tests.emulators.runpod.faults import Fault
from tests.emulators.runpod.infinitetalk import films
from tests.emulators.runpod.infinitetalk.films import Flaw, Stopped, seed_of
from tests.emulators.runpod.infinitetalk.handler import NO_VIDEO, answer, told_exception
from tests.emulators.runpod.jobs import IN_PROGRESS, IN_QUEUE, Job, Jobs
from tests.emulators.runpod.lifecycle import Lifecycle
from tests.emulators.runpod.settings import Settings

_FLAWS = {Fault.SHORT_VIDEO: Flaw(kept=Fraction(4, 5)), Fault.WRONG_SIZE: Flaw(wider=16)}


@dataclass(frozen=True)
class _Run:
    job: Job
    task: asyncio.Task[None]
    stopped: threading.Event


class BuiltIn:
    """All workers of all endpoints; a run that was given up is stopped at its next frame."""

    def __init__(self, settings: Settings, jobs: Jobs, lifecycle: Lifecycle) -> None:
        self._settings, self._jobs, self._lifecycle = settings, jobs, lifecycle
        self._pool = ThreadPoolExecutor(max(2, settings.workers))
        self._runs: dict[tuple[str, int], _Run] = {}

    def take(self, under_way: Sequence[Job], now: float) -> None:
        """Give every job that has waited long enough to a worker that is free."""
        busy: defaultdict[str, set[str | None]] = defaultdict(set)
        for job in under_way:
            if job.status == IN_PROGRESS:
                busy[job.endpoint].add(job.worker)
        for job in under_way:
            if not is_ready(job, now, self._settings.queue_s):
                continue
            names = (f"{job.endpoint}-worker-{n}" for n in range(self._settings.workers))
            free = next((name for name in names if name not in busy[job.endpoint]), None)
            if free is not None:
                busy[job.endpoint].add(free)
                self.follow(self._lifecycle.begin(job, free))

    def follow(self, job: Job) -> None:
        """Do a run that has begun, in this process or in one that was killed."""
        stopped = threading.Event()
        task = asyncio.create_task(self._life(job, stopped))
        self._runs[job.id, job.runs] = _Run(job, task, stopped)
        task.add_done_callback(lambda _task: self._runs.pop((job.id, job.runs), None))

    def release(self) -> None:
        """Stop what nobody waits for any more."""
        for run in list(self._runs.values()):
            if not self._lifecycle.is_running(run.job):
                run.stopped.set()
                run.task.cancel()

    def close(self) -> None:
        """Stop everything; it is begun anew after a restart."""
        for run in self._runs.values():
            run.stopped.set()
            run.task.cancel()
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _life(self, run: Job, stopped: threading.Event) -> None:
        assert run.started_at is not None
        fault = run.active_fault
        job_input = json.loads(self._jobs.input_file(run.id).read_bytes())
        if fault is Fault.HANG:
            return  # the clock ends it
        # an empty input reaches the worker as none at all, which no worker survives
        dies = not job_input or fault is Fault.CRASH
        dies = dies or (fault is Fault.CRASH_ONCE and not run.retries)
        result = {} if dies else await self._result(run, job_input, stopped)
        if result is None:
            return
        await asyncio.sleep(run.started_at + self._settings.render_s - time.time())
        if dies:
            self._lifecycle.die(run)
        else:
            self._lifecycle.finish(run, result)

    async def _result(
        self, run: Job, job_input: dict[str, Any], stopped: threading.Event
    ) -> dict[str, Any] | None:
        """What the worker hands in; ``None`` if it was stopped."""
        fault, worker = run.active_fault, run.worker or ""
        if fault is Fault.FAILED_EMPTY_OUTPUT:
            return {"error": NO_VIDEO}
        if fault is Fault.FAILED_EXCEPTION:
            return {"error": told_exception(RuntimeError("CUDA error: device lost"), worker)}
        loop = asyncio.get_running_loop()
        try:
            returned = await loop.run_in_executor(self._pool, self._made, run, job_input, stopped)
        except Stopped:
            return None
        except Exception as error:  # as the SDK does: whatever is raised is told, and no more
            return {"error": told_exception(error, worker)}
        return returned if "error" in returned else {"output": returned}

    def _made(
        self, run: Job, job_input: dict[str, Any], stopped: threading.Event
    ) -> dict[str, Any]:
        work = self._settings.data / "work"
        work.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=work) as folder:
            flaw = _FLAWS.get(run.active_fault, Flaw()) if run.active_fault else Flaw()
            return answer(
                films.Job(
                    job_input, Path(folder), self._settings.volume, seed=seed_of(run.id),
                    is_fast=self._settings.is_fast, flaw=flaw, is_stopped=stopped.is_set,
                )
            )  # fmt: skip


def is_ready(job: Job, now: float, queue_s: float) -> bool:
    """Whether a worker may take the job."""
    is_stuck = job.active_fault is Fault.STUCK_IN_QUEUE
    return job.status == IN_QUEUE and not is_stuck and now >= job.queued_at + queue_s
