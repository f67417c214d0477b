"""The engine ``sync``: lip sync by Sync.so, paid by the frame of film.

Orders, jobs and results are put in the words every engine elsewhere shares.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError

from lipsync_core.errors import InputError, RemoteRefused, in_one_line
from lipsync_core.jobs.remote import (
    Hears,
    JobReport,
    Known,
    NotTaken,
    Order,
    Progress,
    off_the_grid,
)
from lipsync_core.services.sync_so.answers import Generation, may_go_better
from lipsync_core.services.sync_so.client import PAGE, SyncClient
from lipsync_core.services.sync_so.http import BASE_URL
from lipsync_core.services.sync_so.options import SyncOptions
from lipsync_core.services.sync_so.request import (
    ASSET,
    AudioInput,
    GenerationRequest,
    ImageInput,
    VideoInput,
)

# Minutes that thirty seconds of film usually take, at the upper end of what the vendor tells.
_USUAL_MINUTES = {
    "lipsync-1.9.0-beta": 1, "lipsync-2": 3, "lipsync-2-pro": 5, "react-1": 2, "sync-3": 15
}  # fmt: skip
_LARGEST = (4096, 2160)
_WAITING = frozenset({"PENDING", "PROCESSING"})
_QUEUE_S = 600.0
_PATIENCE = 4
_CONTENT_TYPES = {".mp4": "video/mp4", ".wav": "audio/wav", ".png": "image/png"}
# Answers to an order that are about the account, which a person can put right.
_NOTHING_TAKEN = frozenset(
    {"401", "402", "403", "account_payment_required", "account_on_hold",
     "free_tier_generations_exhausted"}
)  # fmt: skip
_CLOCK_SKEW_S = 300.0  # between this machine and the service, when jobs are looked for by time


@dataclass(frozen=True)
class SyncSo:
    """The generator ``sync``; see :class:`lipsync_core.jobs.remote.RemoteEngine`."""

    name: str = "sync"
    version: int = 1
    needs: tuple[str, ...] = ("SYNC_API_KEY",)
    knows: tuple[str, ...] = ("SYNC_BASE_URL",)
    grid: int = 2
    seam_frames: int = 0
    hears: Hears | None = None

    def checked(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options in full."""
        try:
            found = SyncOptions.model_validate(dict(options))
        except ValidationError as error:
            raise InputError(f"sync: {in_one_line(error)}") from error
        return found.model_dump(mode="json", exclude_none=True)

    def objection(self, width: int, height: int) -> str:
        """The service documents the largest picture it takes; its films have even sizes."""
        longer, shorter = _LARGEST
        if max(width, height) <= longer and min(width, height) <= shorter:
            return off_the_grid(self.name, self.grid, width, height)
        return (
            f"the picture is {width}x{height}: sync takes {longer}x{shorter} at most, scale it down"
        )

    def takes_stills(self, options: Mapping[str, Any]) -> bool:
        """One model does, where nobody asks it to find out who speaks."""
        chosen = SyncOptions.model_validate(dict(options))
        detection = chosen.active_speaker_detection
        return chosen.model == "sync-3" and not (detection and detection.auto_detect)

    def price_of(self, options: Mapping[str, Any]) -> str:
        """The model decides."""
        return str(options["model"])

    def work(self, width: int, height: int, options: Mapping[str, Any]) -> float:
        """A frame costs the same at every size."""
        return 1.0

    @asynccontextmanager
    async def opened(
        self, options: Mapping[str, Any], secrets: Mapping[str, SecretStr]
    ) -> AsyncIterator[SyncJobs]:
        """A connection to the account."""
        key = secrets["SYNC_API_KEY"]
        base_url = secrets.get("SYNC_BASE_URL", SecretStr(BASE_URL)).get_secret_value()
        account = hashlib.sha256(f"{base_url} {key.get_secret_value()}".encode()).hexdigest()
        async with aclosing(SyncClient(key, base_url)) as client:
            yield SyncJobs(client, account, SyncOptions.model_validate(dict(options)))


class SyncJobs:
    """The jobs of one account; see :class:`lipsync_core.jobs.remote.RemoteGenerator`."""

    name = "sync"
    settings = "SYNC_API_KEY"
    keeps_files = True
    can_search = True
    can_cancel = False
    look_s: float | None = None
    grace_s = 30.0
    search_s = 10.0
    forgets = ""

    def __init__(
        self,
        client: SyncClient,
        account: str,
        options: SyncOptions,
        webhook_url: str | None = None,
    ) -> None:
        self.account = account
        self.keeps_keys = False
        self._client, self._options, self._webhook_url = client, options, webhook_url
        self.options = options.model_dump(mode="json", exclude_none=True)

    async def keep(self, path: Path, name: str) -> str:
        """Hand a file over to the service's own store; the address for an order."""
        kind = _CONTENT_TYPES.get(path.suffix, "application/octet-stream")
        asset = await self._client.assets.upload(path, name, kind)
        return ASSET + str(asset["id"])

    def body(self, order: Order) -> dict[str, Any]:
        """The request of an order; the key is the name of its result."""
        picture = ImageInput if order.is_still else VideoInput
        return GenerationRequest(
            model=self._options.model, options=self._options,
            input=(picture.at(order.video), AudioInput.at(order.speech)),
            output_file_name=order.key, webhook_url=self._webhook_url,
        ).body()  # fmt: skip

    async def submit(self, key: str, body: Mapping[str, Any]) -> str:
        """Place an order under its key."""
        try:
            made = await self._client.create(body, key)
        except RemoteRefused as error:
            if error.code in _NOTHING_TAKEN:
                raise NotTaken(str(error), error.code) from error
            raise
        self._learn_era([made])
        return made.id

    async def find(
        self, key: str, body: Mapping[str, Any], since_s: float, known: Mapping[str, Known]
    ) -> str | None:
        """Look through the account's jobs, newest first, for the one with this name.

        An earlier era of the service does not tell names; there a job with the same input is it.
        """
        oldest = datetime.fromtimestamp(since_s - _CLOCK_SKEW_S, UTC)
        cursor = ""
        while True:
            page = await self._client.generations(cursor=cursor)
            self._learn_era(page)
            for job in page:
                if job.output_file_name:
                    is_it = job.output_file_name.removesuffix(".mp4") == key
                else:
                    is_it = job.id not in known and _same_input(job.raw, body)
                if is_it:
                    return job.id
            made = [job.created_at for job in page if job.created_at is not None]
            # an earlier era of the service answers with all jobs at once
            if len(page) != PAGE or (made and _aware(min(made)) < oldest):
                return None
            cursor = page[-1].id

    def _learn_era(self, jobs: Sequence[Generation]) -> None:
        """The era that tells the names of results is the one that keeps keys."""
        self.keeps_keys = self.keeps_keys or any(job.output_file_name for job in jobs)

    async def look(self, job_ids: Collection[str]) -> Mapping[str, JobReport]:
        """Ask for all jobs with one call a page; where that is not known, one by one."""
        wanted = list(job_ids)
        found: dict[str, JobReport] = {}
        for start in range(0, len(wanted), PAGE):
            page = wanted[start : start + PAGE]
            jobs = await self._client.generations(ids=page)
            found |= {job.id: report_of(job) for job in jobs if job.id in page}
        missing = [job_id for job_id in wanted if job_id not in found]
        one_by_one = await asyncio.gather(*map(self._one, missing))
        return found | {report.job_id: report for report in one_by_one if report is not None}

    async def _one(self, job_id: str) -> JobReport | None:
        try:
            return report_of(await self._client.generation(job_id))
        except RemoteRefused:  # no such job
            return None

    async def cancel(self, job_id: str) -> bool:
        """The service knows no such call."""
        return False

    async def fetch(self, job_id: str, url: str, out: Path) -> None:
        """Bring the result; its address may have died since it was told."""
        try:
            if url:
                return await self._client.download(url, out)
        except RemoteRefused:
            pass
        await self._client.download(await self._client.fresh_url(job_id), out)

    async def cost_usd(self, job_id: str) -> float | None:
        """What the service has recorded; an earlier era of it records nothing."""
        try:
            told = await self._client.cost(job_id)
        except RemoteRefused:
            return None
        known = told.get("availability") == "complete" and told.get("totalCostUsd") is not None
        return float(told["totalCostUsd"]) if known else None

    def deadline_s(self, order: Order) -> float:
        """Four times the usual time, and ten minutes in the queue."""
        usual_s = 60 * _USUAL_MINUTES[self._options.model] * max(1.0, order.seconds / 30)
        return _QUEUE_S + _PATIENCE * usual_s


def report_of(job: Generation) -> JobReport:
    """How a job stands. A state nobody knows is an end, and a bad one."""
    if job.status in _WAITING:
        return JobReport(job.id, Progress.WAITING)
    if job.status == "COMPLETED":
        return JobReport(job.id, Progress.COMPLETED, url=job.output_url)
    error = job.error or f"it ended as {job.status or 'nothing'} without a reason"
    if job.status == "REJECTED":
        return JobReport(job.id, Progress.REFUSED, code=job.error_code, error=error)
    again = job.status == "FAILED" and may_go_better(job.error_code)
    return JobReport(job.id, Progress.FAILED, code=job.error_code, error=error, again=again)


def _same_input(job: Mapping[str, Any], body: Mapping[str, Any]) -> bool:
    echoed = job.get("input")
    if job.get("model") != body["model"] or not isinstance(echoed, list):
        return False
    return all(
        any(isinstance(one, dict) and sent.items() <= one.items() for one in echoed)
        for sent in body["input"]
    )


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
