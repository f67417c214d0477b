"""From one status to the next: what is written when a job begins, ends, dies or is given up."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from tests.emulators.runpod.faults import Fault
from tests.emulators.runpod.jobs import (
    CANCELLED,
    COMPLETED,
    FAILED,
    IN_PROGRESS,
    IN_QUEUE,
    TIMED_OUT,
    Job,
    Jobs,
    compact,
)

_RETRIES = 1  # by the service itself, after the death of a worker


class Lifecycle:
    """The changes a job can go through; a change that no longer fits its status is left out.

    ``on_end`` is told of every job that has ended.
    """

    def __init__(
        self, jobs: Jobs, result_limit: int, timeout_status: str, on_end: Callable[[Job], None]
    ) -> None:
        self._jobs, self._result_limit = jobs, result_limit
        self._timeout_status, self._on_end = timeout_status, on_end

    def begin(self, job: Job, worker: str) -> Job:
        """A worker takes the job."""
        self._jobs.change(
            job.id, status=IN_PROGRESS, worker=worker, started_at=time.time(), runs=job.runs + 1
        )
        begun = self._jobs.get(job.id)
        assert begun is not None
        return begun

    def is_running(self, run: Job) -> bool:
        """Whether a run that began as ``run`` is still the job's present one."""
        job = self._jobs.get(run.id)
        return bool(job and job.status == IN_PROGRESS and job.gone is None and job.runs == run.runs)

    def finish(self, run: Job, result: dict[str, Any]) -> bool:
        """A worker hands in what it made, ``output`` or ``error`` or both.

        Returns whether the service takes it; of one that is too large it keeps nothing, and says
        that the job is complete.
        """
        if not self.is_running(run):
            return True
        fits = len(compact(result)) <= self._result_limit and run.active_fault != Fault.OVERSIZE
        if fits and "output" in result:
            self._jobs.keep_output(run.id, compact(result["output"]))
        error = result.get("error") if fits else None
        self._end(
            run,
            FAILED if error else COMPLETED,
            error=None if not error else error if isinstance(error, str) else json.dumps(error),
            has_output=int(fits and "output" in result),
        )
        return fits

    def die(self, run: Job) -> None:
        """The worker is gone without a word: the job is queued once more, or has failed."""
        if not self.is_running(run):
            return
        if run.retries >= _RETRIES:
            self._end(run, FAILED, error=f"job timed out after {_RETRIES} retries")
            return
        now = time.time()
        self._jobs.change(
            run.id, status=IN_QUEUE, retries=run.retries + 1, queued_at=now, started_at=None,
            worker=None, progress=None, billed_ms=run.billed_ms + run.execution_ms(now),
        )  # fmt: skip

    def time_out(self, run: Job) -> None:
        """It ran for too long."""
        error = "executionTimeout exceeded" if self._timeout_status != TIMED_OUT else None
        self._end(run, self._timeout_status, error=error)

    def cancel(self, job: Job) -> None:
        """Somebody gave it up; a job that is over stays as it is."""
        if not job.is_over:
            self._end(job, CANCELLED)

    def drop(self, job: Job, reason: str) -> None:
        """Delete it, whether it waits, runs or is over; its row stays for the bill."""
        more = {}
        if job.status == IN_PROGRESS:
            now = time.time()
            more = {"ended_at": now, "billed_ms": job.billed_ms + job.execution_ms(now)}
        self._jobs.change(job.id, gone=reason, **more)
        self._jobs.forget_files(job.id)

    def queue_again(self, job: Job) -> None:
        """Somebody asks for another try of a job that failed."""
        self._jobs.output_file(job.id).unlink(missing_ok=True)
        self._jobs.change(
            job.id, status=IN_QUEUE, queued_at=time.time(), started_at=None, ended_at=None,
            worker=None, error=None, has_output=0, progress=None, retries=0,
            reruns=job.reruns + 1, webhook_done=0, webhook_tries=0,
        )  # fmt: skip

    def _end(self, job: Job, status: str, **columns: Any) -> None:
        now = time.time()
        billed = job.billed_ms + job.execution_ms(now)
        self._jobs.change(
            job.id, status=status, ended_at=now, billed_ms=billed, progress=None, **columns
        )
        ended = self._jobs.get(job.id)
        assert ended is not None
        self._on_end(ended)
