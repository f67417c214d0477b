"""One watcher for all jobs of a run: it asks an engine how many jobs stand with a single call.

A job is due to be looked at again after a sixteenth of its age, so that the end of a short one is
noticed at once and a long one costs few calls; where some have ended, a young one is let be for as
long as none of them ended so soon. Whatever job is due, the call asks for the others,
too, since that costs no more; an engine that must be called for every job is asked for those alone
that are due, and less often. A webhook may wake the watcher sooner.

How long a job may take is what its engine says, and not more than four times as long as the
slowest of those that have ended, or as their pace says of one of its length: where jobs end within
seconds, one that takes minutes is stuck. An engine that queues jobs and can call them off is given
all the time it says. A job that its engine does not know is lost after a while, and at once where
it is older than it may become.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from dataclasses import dataclass

from lipsync_core.errors import RemoteUnavailable, RenderFailed
from lipsync_core.jobs.remote import JobReport, Progress, RemoteGenerator

SOONEST_S, LATEST_S = 0.1, 10.0
_SHARE_OF_AGE = 1 / 16
_AT_ONCE = 100  # jobs in one call
_YOUNG = 0.8  # of the age of the one that ended soonest
_LOST_AFTER_S = 30.0  # for which the engine did not know a job that is past its grace
_KNOWN_FROM = 5  # ended jobs from which on the slowest says something
_TIMES_SLOWEST, _LEAST_PATIENCE_S = 4, 8.0


LOST = "lost"  # the code of a job that its engine has forgotten


class Overdue(RenderFailed):
    """A job is older than it may become, and has not ended."""


@dataclass
class _Watched:
    report: asyncio.Future[JobReport]
    since: float
    due: float
    seconds: float
    deadline_s: float
    is_fresh: bool
    known_at: float


class Watcher:
    """Watches jobs until they end. Run :meth:`watch` as a task beside them."""

    def __init__(self, engine: RemoteGenerator) -> None:
        self._engine = engine
        self._jobs: dict[str, _Watched] = {}
        self._wake = asyncio.Event()
        self._trouble = 0
        self._slowest_s, self._slowest_pace, self._ended = 0.0, 0.0, 0
        self._fastest_s = math.inf

    async def ended(
        self, job_id: str, seconds: float, deadline_s: float, age_s: float = 0.0
    ) -> JobReport:
        """The report of the end of a job for ``seconds`` of film that is ``age_s`` old.

        Raises:
            Overdue: it is older than it may become.
            RenderFailed: the engine does not know it.
        """
        now = _now()
        is_fresh = age_s <= SOONEST_S
        first_look = now + self._soonest_s if is_fresh else now
        waiting: asyncio.Future[JobReport] = asyncio.get_running_loop().create_future()
        watched = _Watched(waiting, now - age_s, first_look, seconds, deadline_s, is_fresh, now)
        self._jobs[job_id] = watched
        self._wake.set()
        try:
            return await watched.report
        finally:
            self._jobs.pop(job_id, None)

    def wake(self, job_id: str) -> None:
        """Somebody heard that this job has ended."""
        if job_id in self._jobs:
            self._jobs[job_id].due = _now()
            self._wake.set()

    async def watch(self) -> None:
        """Look at jobs for ever."""
        while True:
            soonest = min((job.due for job in self._jobs.values()), default=None)
            now = _now()
            if soonest is not None and soonest <= now:
                await self._look(self._wanted(now))
                continue
            self._wake.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(
                    self._wake.wait(), None if soonest is None else soonest - now
                )

    @property
    def _soonest_s(self) -> float:
        """The shortest pause between two looks at a job."""
        return SOONEST_S if self._engine.look_s is None else self._engine.look_s

    def _wanted(self, now: float) -> list[str]:
        """The jobs to ask for now, the longest due first."""
        jobs = sorted(self._jobs, key=lambda job_id: self._jobs[job_id].due)
        if self._engine.look_s is not None:
            jobs = [job_id for job_id in jobs if self._jobs[job_id].due <= now]
        return jobs[:_AT_ONCE]

    async def _look(self, job_ids: list[str]) -> None:
        try:
            reports = await self._engine.look(job_ids)
        except RemoteUnavailable as error:
            self._trouble = min(6, self._trouble + 1)
            await asyncio.sleep(error.retry_after_s or SOONEST_S * 2**self._trouble)
            reports = {}
        except Exception as error:  # a key that was withdrawn, say: whoever waits must hear of it
            for job_id in job_ids:
                self._end(job_id, error)
            return
        else:
            self._trouble = 0
        for job_id in job_ids:
            if (job := self._jobs.get(job_id)) is not None:
                self._seen(job_id, job, reports.get(job_id))

    def _seen(self, job_id: str, job: _Watched, report: JobReport | None) -> None:
        now = _now()
        age_s = now - job.since
        if report is not None and report.progress is not Progress.WAITING:
            if job.is_fresh:  # when another ended that was not watched all along, nobody knows
                self._slowest_s = max(self._slowest_s, age_s)
                self._fastest_s = min(self._fastest_s, age_s)
                self._slowest_pace = max(self._slowest_pace, age_s / max(job.seconds, 1.0))
                self._ended += 1
            self._end(job_id, report)
            return
        if report is not None or self._trouble:
            job.known_at = now
        is_unknown, is_overdue = job.known_at < now, age_s >= self._patience_s(job)
        is_lost = (is_overdue and bool(self._engine.forgets)) or now - job.known_at >= _LOST_AFTER_S
        if is_unknown and is_lost and age_s >= self._engine.grace_s:
            self._end(job_id, self._lost(job_id))
        elif is_overdue:
            self._end(job_id, Overdue(
                f"{self._engine.name} job {job_id} is not done after {age_s / 60:.1f} minutes: "
                "run the same command again later, it is looked at and not paid again"
            ))  # fmt: skip
        else:
            job.due = now + self._pause_s(age_s)

    def _lost(self, job_id: str) -> JobReport | Exception:
        """What a job is that its engine does not know: failed for good where it forgets them."""
        text = f"{self._engine.name} does not know job {job_id}"
        if not self._engine.forgets:
            return RenderFailed(text)
        error = f"{text} any more: {self._engine.forgets}"
        return JobReport(job_id, Progress.FAILED, code=LOST, error=error)

    def _pause_s(self, age_s: float) -> float:
        """Until a job of this age is looked at again; a young one is let be while no other has
        ever ended so soon."""
        pause_s = max(self._soonest_s, _SHARE_OF_AGE * age_s)
        if self._ended >= _KNOWN_FROM:
            pause_s = max(pause_s, _YOUNG * self._fastest_s - age_s)
        return min(LATEST_S, pause_s)

    def _patience_s(self, job: _Watched) -> float:
        if self._ended < _KNOWN_FROM or self._engine.can_cancel:
            return job.deadline_s
        slowest_s = max(self._slowest_s, self._slowest_pace * job.seconds)
        return min(job.deadline_s, max(_LEAST_PATIENCE_S, _TIMES_SLOWEST * slowest_s))

    def _end(self, job_id: str, how: JobReport | Exception) -> None:
        job = self._jobs.pop(job_id, None)
        if job is None or job.report.done():  # whoever waited has gone
            return
        if isinstance(how, JobReport):
            job.report.set_result(how)
        else:
            job.report.set_exception(how)


def _now() -> float:
    return asyncio.get_running_loop().time()
