"""What the jobs of every queue endpoint of RunPod share, in the words of all engines elsewhere.

RunPod keeps no files and knows no keys. Files go along within the order, or lie in a bucket; the
key of an order stands in the input, where the list of requests may tell it again.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from lipsync_core.errors import (
    InputError,
    OutcomeUnknown,
    RemoteRefused,
    RemoteUnavailable,
    StorageError,
)
from lipsync_core.jobs.remote import JobReport, Known, NotTaken, NotToldYet, Order, Progress
from lipsync_core.jobs.watch import LOST
from lipsync_core.services.runpod.answers import RunPodJob, input_of
from lipsync_core.services.runpod.client import BASE_URL, RunPodClient, check_size

NEEDS = ("RUNPOD_API_KEY", "RUNPOD_ENDPOINT_ID")
KNOWS = ("RUNPOD_BASE_URL",)
INLINE = "inline:"
"""How the address of a file begins that goes along within an order; its name follows."""
KEY = "lipsync_key"
"""The field of the input that holds an order's key; workers ignore what they do not know."""

# Results are gone half an hour after a job's end ("Result retention" in RunPod's documentation),
# and with them, as far as anybody knows, the job in the list of requests.
_RETENTION_S = 1800.0
_QUEUE_S = 3 * 3600.0  # a job waits for a worker, and workers for free cards
_SLACK_S = 300.0  # between the end of its time and our giving it up
_TTL_SLACK_S = 600.0  # between our giving it up and the service's, should nobody be there to do it
LEAST_TIMEOUT_S, LONGEST_S = 5.0, 7 * 86400.0
_AT_ONCE = 4  # calls about jobs, each of which may bring a result of 20 MB along
_SHORT_LIST = 10  # a list of fewer requests is no page of a longer one
_NOTHING_TAKEN = frozenset({"401", "402", "403", "404"})  # answers to an order, of the account
_LIST_PAUSE_S = 1.1  # the list of requests may be asked for ten times in ten seconds

_RAN_TOO_LONG = re.compile(r"execution\s*timeout", re.IGNORECASE)
_WORKER_GONE = re.compile(r"job timed out after \d+ retr", re.IGNORECASE)


def opened_client(secrets: Mapping[str, SecretStr]) -> tuple[RunPodClient, str]:
    """A client of the endpoint these secrets name, and what tells its account from another."""
    key, endpoint = (secrets[name] for name in NEEDS)
    base_url = secrets.get(KNOWS[0], SecretStr(BASE_URL)).get_secret_value()
    # the jobs belong to the endpoint: a key may be changed for another
    told = f"{base_url.rstrip('/')} {endpoint.get_secret_value()}"
    account = hashlib.sha256(told.encode()).hexdigest()
    return RunPodClient(key, endpoint.get_secret_value(), base_url), account


class RunPodJobs(ABC):
    """The jobs of one endpoint; see :class:`lipsync_core.jobs.remote.RemoteGenerator`.

    ``usd_a_second`` is what a second of work costs, for what a job is told to have cost.
    """

    name: str
    settings = "RUNPOD_ENDPOINT_ID"
    options: Mapping[str, Any]
    keeps_keys = False
    keeps_files = False
    can_search = False
    can_cancel = True
    look_s: float | None = 2.0
    grace_s = 150.0  # for which others have seen a new job not being found
    search_s = 150.0
    forgets = (
        "RunPod keeps results for 30 minutes only, and drops jobs that waited beyond their time; "
        "flows.resubmit orders it anew (it may have been paid)"
    )

    def __init__(
        self, client: RunPodClient, account: str, usd_a_second: float | None = None
    ) -> None:
        self.account = account
        self._client, self._usd_a_second = client, usd_a_second
        self._files: dict[str, Path] = {}
        self._worked_ms: dict[str, float] = {}
        self._calls = asyncio.Semaphore(_AT_ONCE)
        self._listing = _Listing(client)

    @abstractmethod
    def input_of(self, order: Order) -> dict[str, Any]:
        """What the worker is handed for an order; files stand in it as ``inline:…``."""

    @abstractmethod
    def timeout_s(self, order: Order) -> float:
        """How long a worker may be at an order."""

    @abstractmethod
    def missing_in(self, output: Any) -> tuple[str, str] | None:
        """The code and the words for a result that is none; ``None`` where there is one."""

    @abstractmethod
    async def bring(self, output: Any, out: Path) -> None:
        """Bring a result to ``out``, where it appears whole."""

    # What goes there

    async def keep(self, path: Path, name: str) -> str:
        """Remember where a file lies that is to go along with orders."""
        address = INLINE + name
        self._files[address] = path
        return address

    def body(self, order: Order) -> dict[str, Any]:
        """The request of an order. Files that go along stand in it by name, so nothing large and
        no place of this machine is written down."""
        timeout_s = self.timeout_s(order)
        ttl_s = min(LONGEST_S, self.deadline_s(order) + _TTL_SLACK_S)
        body = {
            "input": {**self.input_of(order), KEY: order.key},
            "policy": {"executionTimeout": _ms(timeout_s), "ttl": _ms(ttl_s)},
        }
        check_size(self._size(body))
        return body

    def deadline_s(self, order: Order) -> float:
        """The time in the queue, the time of the work, and some slack."""
        return _QUEUE_S + self.timeout_s(order) + _SLACK_S

    def _size(self, body: Mapping[str, Any]) -> int:
        """The bytes of a request once its files are in it, which need not be read for that."""
        size = len(json.dumps(body))
        for address in _inline(body):
            size += 4 * -(-_size_of(self._place(address)) // 3) - len(address)
        return size

    def _place(self, address: str) -> Path:
        if address not in self._files:
            raise InputError(f"the file {address} was not shown to {self.name} by this run")
        return self._files[address]

    def _whole(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The request with its files in it."""
        given = {
            name: _base64_of(self._place(value)) if _is_inline(value) else value
            for name, value in body["input"].items()
        }
        return {**body, "input": given}

    async def submit(self, key: str, body: Mapping[str, Any]) -> str:
        """Place an order with its files."""
        whole = await asyncio.to_thread(self._whole, body)
        try:
            return (await self._client.run(whole)).id
        except RemoteRefused as error:
            if error.code in _NOTHING_TAKEN:
                raise NotTaken(str(error), error.code) from error
            raise

    # What becomes of it

    async def find(
        self, key: str, body: Mapping[str, Any], since_s: float, known: Mapping[str, Known]
    ) -> str | None:
        """Look through the list of requests for the one with this key in its input.

        What that list holds is documented nowhere, and it may be a page of a longer one. So an
        order counts as not placed only where the list tells the input of every job that is not
        another's, demonstrably reaches back before the order, and is young enough to be still on
        it.
        """
        asked_s = time.time()
        listed = await self._listing.after(asked_s)
        if listed is not None:
            inputs = {str(one["id"]): input_of(one) for one in listed}
            for job_id, given in inputs.items():
                if given is not None and given.get(KEY) == key:
                    return job_id
            tells = all(given is not None for i, given in inputs.items() if i not in known)
            if not inputs:
                tells = await self._is_untouched()
            is_young = asked_s - since_s < _RETENTION_S
            if tells and is_young and self._reaches_back(inputs, since_s, known, asked_s):
                return None
        raise (OutcomeUnknown if listed is None else NotToldYet)(
            f"whether RunPod accepted this order of {self.name} is not known, and its list of "
            "requests does not tell: it counts as spent and is not placed again by itself"
        )

    def _reaches_back(
        self, listed: Collection[str], since_s: float, known: Mapping[str, Known], now_s: float
    ) -> bool:
        """Whether a list of jobs would hold one that was placed after a moment: it lacks none of
        those that it should have, and is too short for a page, or holds one of before."""
        before = [
            one.placed_s for i, one in known.items() if i in listed and one.placed_s < since_s
        ]  # fmt: skip
        if len(listed) >= _SHORT_LIST and not before:
            return False
        oldest_s = now_s - _RETENTION_S
        if len(listed) >= _SHORT_LIST:
            oldest_s = max(oldest_s, max(before))
        # a job is remembered for so long after its end, so for longer from its placing on; a new
        # one may not show yet
        newest_s = now_s - self.grace_s
        return all(
            job_id in listed
            for job_id, one in known.items()
            if one.sent_s > oldest_s and one.placed_s < newest_s and not one.is_lost
        )

    async def _is_untouched(self) -> bool:
        """Whether the endpoint never had a job, so that an empty list says so."""
        jobs = (await self._client.health()).get("jobs")
        return isinstance(jobs, dict) and bool(jobs) and not any(jobs.values())

    async def look(self, job_ids: Collection[str]) -> Mapping[str, JobReport]:
        """Ask for every job, few at a time. One of which no good answer came is still waited for,
        unless none came of any."""
        wanted = list(job_ids)
        found = await asyncio.gather(*map(self._reported, wanted), return_exceptions=True)
        reports: dict[str, JobReport] = {}
        bad: list[Exception] = []
        for job_id, answer in zip(wanted, found, strict=True):
            if isinstance(answer, Exception):
                bad.append(answer)
                reports[job_id] = JobReport(job_id, Progress.WAITING)
            elif isinstance(answer, BaseException):
                raise answer
            elif answer is not None:
                reports[job_id] = answer
        if bad and len(bad) == len(wanted):
            raise next((one for one in bad if isinstance(one, RemoteUnavailable)), bad[0])
        return reports

    async def _reported(self, job_id: str) -> JobReport | None:
        """How a job stands; what it made is let go at once, since it is large."""
        async with self._calls:
            job = await self._asked(job_id)
            return None if job is None else self._report_of(job)

    async def _asked(self, job_id: str) -> RunPodJob | None:
        job = await self._client.status(job_id)
        if job is not None and job.execution_ms is not None:
            self._worked_ms[job_id] = job.execution_ms
        return job

    def _report_of(self, job: RunPodJob) -> JobReport:
        if not job.has_ended:
            return JobReport(job.id, Progress.WAITING)
        if job.status == "COMPLETED":
            missing = self.missing_in(job.output)
            if missing is None:
                return JobReport(job.id, Progress.COMPLETED)
            code, error = missing
        else:
            code, error = _code_of(job), job.error
        if code in _BETTER_WORDS:
            error = _BETTER_WORDS[code]
        return JobReport(
            job.id, Progress.FAILED, code=code, error=error or _USUAL_WORDS[code],
            again=code not in _FOR_GOOD, cost_usd=self._cost_of(job.id),
        )  # fmt: skip

    async def cancel(self, job_id: str) -> bool:
        """Call a job off."""
        job = await self._client.cancel(job_id)
        if job is not None and job.execution_ms is not None:
            self._worked_ms[job_id] = job.execution_ms
        return job is not None and job.status == "CANCELLED"

    async def fetch(self, job_id: str, url: str, out: Path) -> None:
        """Ask for the result and write it down."""
        job = await self._asked(job_id)
        if job is None:
            raise RemoteRefused(
                f"{self.name} does not know job {job_id} any more: {self.forgets}", LOST
            )
        missing = self.missing_in(job.output)
        if missing is not None:
            raise RemoteRefused(f"{self.name} job {job_id}: {missing[1]}", missing[0])
        await self.bring(job.output, out)

    async def cost_usd(self, job_id: str) -> float | None:
        """The time of work at the price of a second; starting a worker and its idling, which the
        account is billed too, are not told by job."""
        if job_id not in self._worked_ms:
            await self._asked(job_id)
        return self._cost_of(job_id)

    def _cost_of(self, job_id: str) -> float | None:
        worked_ms = self._worked_ms.get(job_id)
        if worked_ms is None or self._usd_a_second is None:
            return None
        return worked_ms / 1000 * self._usd_a_second


class _Listing:
    """The list of requests, which may be asked for seldom: who asks while it is asked for shares
    the next answer."""

    def __init__(self, client: RunPodClient) -> None:
        self._client = client
        self._one_at_a_time = asyncio.Lock()
        self._at_s = 0.0
        self._listed: list[Mapping[str, Any]] | None = None

    async def after(self, moment_s: float) -> list[Mapping[str, Any]] | None:
        """The list as it was at some time after a moment; ``None`` where the service has none."""
        async with self._one_at_a_time:
            if self._at_s < moment_s:
                await asyncio.sleep(max(0.0, self._at_s + _LIST_PAUSE_S - time.time()))
                asked_s = time.time()
                try:
                    self._listed = await self._client.requests()
                except RemoteRefused as error:
                    if error.code not in ("404", "405", "501"):
                        raise
                    self._listed = None
                self._at_s = asked_s
            return self._listed


def _code_of(job: RunPodJob) -> str:
    """Why a job ended without a result. Only the service's own words are read, never a worker's."""
    if job.status == "CANCELLED":
        return "cancelled"
    if _RAN_TOO_LONG.search(job.error):
        return "execution_timeout"
    if job.status == "TIMED_OUT":
        return "execution_timeout" if job.execution_ms else "expired"
    return "worker_crashed" if _WORKER_GONE.search(job.error) else "worker_failed"


# Codes after which the same order would end the same way, or somebody wished it to end.
_FOR_GOOD = frozenset({"cancelled", "execution_timeout", "no_output", "bad_output"})
_BETTER_WORDS = {  # than the service's own, which say no more than the code
    "execution_timeout": "the work took longer than it may: allow more with --options "
    "execution_timeout_s=SECONDS",
}
_USUAL_WORDS = {
    "cancelled": "somebody called it off",
    "expired": "no worker took it up in time: look at the endpoint's workers",
    "worker_crashed": "the worker died twice",
    "worker_failed": "the worker failed without a reason",
}


def _is_inline(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(INLINE)


def _inline(body: Mapping[str, Any]) -> list[str]:
    return [value for value in body["input"].values() if _is_inline(value)]


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise StorageError(f"cannot read {path} ({error.strerror}): make it again") from error


def _base64_of(path: Path) -> str:
    try:
        return base64.b64encode(path.read_bytes()).decode("ascii")
    except OSError as error:
        raise StorageError(f"cannot read {path} ({error.strerror}): make it again") from error


def _ms(seconds: float) -> int:
    return round(1000 * seconds)
