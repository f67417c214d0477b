"""What happens between a request and its answer, and after it: accept, render, tell."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import ceil
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

import httpx

from lipsync_core.errors import told
from tests.emulators.sync_so.bodies import CreateBody, checked
from tests.emulators.sync_so.faults import (
    ENDINGS,
    KEPT_SHARE,
    LATE_WEBHOOK_S,
    OF_THE_CALL,
    Fault,
    FaultPlan,
)
from tests.emulators.sync_so.inputs import Input, check_together, fetch, looked_at, spoken
from tests.emulators.sync_so.jobs import ACTIVE, PENDING_SHARE, REJECTED, Job, Jobs
from tests.emulators.sync_so.library import STORAGE, Library
from tests.emulators.sync_so.limits import RateWindow
from tests.emulators.sync_so.refusals import Refused
from tests.emulators.sync_so.renders import Order, render
from tests.emulators.sync_so.settings import Settings
from tests.emulators.sync_so.shapes import notification
from tests.emulators.sync_so.signatures import Signer
from tests.emulators.sync_so.state import kept_secret, opened
from tests.emulators.sync_so.webhooks import deliver

_RENDERS_AT_ONCE, _FETCHES_AT_ONCE = 2, 8
_RENDER_LOOK_S = 0.05  # how often to look whether a render is there, once the clock has run out
_BATCH_INPUT_S = 30.0
OUTPUT = "/_output"


class Emulator:
    """One running emulator; ``address`` is where it listens."""

    def __init__(self, settings: Settings, address: str) -> None:
        self.settings, self.address = settings, address
        self.database = opened(settings.data)
        self.jobs = Jobs(self.database)
        self.library = Library(self.database, settings.data / "assets")
        self.faults = FaultPlan(self.database, settings.fault_rate, settings.seed, settings.is_old)
        self.signer = Signer(kept_secret(self.database, "addresses"))
        self.webhook_secret = settings.webhook_secret or kept_secret(
            self.database, "webhooks", "whsec_"
        )
        self.rate = RateWindow(settings.rate_per_minute)
        self.client = httpx.AsyncClient(follow_redirects=True, trust_env=False)
        self.keys: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()
        self._pool = ThreadPoolExecutor(_RENDERS_AT_ONCE)
        self._fetching = asyncio.Semaphore(_FETCHES_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()

    def resume(self) -> None:
        """Take up what a stopped process left."""
        owed = "render = 'waiting' OR (webhook_url IS NOT NULL AND webhook_sent = 0)"
        for job in self.jobs.where(f"deleted = 0 AND ({owed})"):
            self.follow(job)

    async def close(self) -> None:
        """Stop; renders under way are given up and begun anew by :meth:`resume`."""
        for task in self._tasks:
            task.cancel()
        self._pool.shutdown(wait=False, cancel_futures=True)
        await self.client.aclose()
        self.database.close()

    # -- before the answer ---------------------------------------------------------------------

    def under_key(self, owner: str, key: str) -> asyncio.Lock:
        """The lock that calls with the same Idempotency-Key pass one after the other."""
        return self.keys.setdefault((owner, key), asyncio.Lock())

    def check_lanes(self, owner: str) -> None:
        """Make sure the key may have one more job under way.

        Raises:
            Refused: 429, its concurrency is used up.
        """
        now = time.time()
        active = self.jobs.active(owner, now)
        limit = self.settings.concurrency
        if len(active) >= limit:
            ends = [job.ends_at for job in active if job.ends_at is not None]
            raise Refused(
                429, "concurrency_limit_reached",
                f"Concurrency limit reached: {len(active)} of {limit} generations are under way.",
                activeGenerations=len(active), concurrencyLimit=limit,
                retryAfterSeconds=max(1, ceil(min(ends, default=now) - now)),
                upgradeUrl="https://sync.so/billing/subscription",
            )  # fmt: skip

    async def fetched(self, owner: str, body: CreateBody, folder: Path) -> list[Input]:
        """The inputs of a body as files: its visual first. What is fetched goes to ``folder``.

        Raises:
            Refused: 404 or 422, one of them is not there, cannot be read or does not fit.
        """
        folder.mkdir(parents=True, exist_ok=True)
        inputs = []
        try:
            for number, item in enumerate((body.visual, *body.voices)):
                inputs.append(await self._input(owner, item, folder / f"input-{number}"))
            check_together(body, inputs[0])
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return inputs

    async def _input(self, owner: str, item: dict[str, Any], out: Path) -> Input:
        kind = item["type"]
        if kind == "text":
            return spoken(item)
        asset_id = item.get("assetId") or self.asset_in(item["url"])
        url = item.get("url")
        if asset_id:
            asset = self.library.owned(owner, asset_id, is_registered=bool(item.get("assetId")))
            if asset.type.lower() != kind:
                raise Refused(422, "generation_input_asset_type_mismatch", field="input")
            if asset.external_url is None:
                path = self.library.file(asset)
                return await asyncio.to_thread(looked_at, kind, path, item.get("refId"))
            url = asset.external_url
        await asyncio.to_thread(fetch, str(url), kind, out)
        return await asyncio.to_thread(looked_at, kind, out, item.get("refId"))

    def asset_in(self, url: str) -> str | None:
        """The id of the uploaded file that an address of this emulator's storage names."""
        if not url.startswith(f"{self.address}{STORAGE}/"):
            return None
        return urlsplit(url).path.removeprefix(f"{STORAGE}/").split("/")[0]

    # -- the moment of acceptance --------------------------------------------------------------

    def accepted(
        self,
        owner: str,
        body: CreateBody,
        *,
        job_id: str,
        inputs: Sequence[Input],
        number: int,
        fault: Fault | None,
        key: str | None = None,
        fingerprint: str = "",
        batch_id: str | None = None,
        request_id: str | None = None,
    ) -> Job:
        """A new job, on disk and under way."""
        now, lasting = time.time(), self.settings.job_seconds
        ends = fault is not Fault.STUCK
        comes_to_output = ends and fault not in ENDINGS
        job = Job(
            id=job_id, owner=owner, number=number, key=key, fingerprint=fingerprint,
            model=body.model, body=json.dumps(body.echo),
            inputs=json.dumps([each.as_json() for each in inputs]),
            output_name=body.output_name or "", project_id=body.project_id,
            webhook_url=body.webhook_url, batch_id=batch_id, request_id=request_id,
            fault=fault.value if fault else None, accepted_at=now,
            pending_until=now + PENDING_SHARE * lasting,
            ends_at=now + lasting if ends else None,
            render="waiting" if comes_to_output else "none",
        )  # fmt: skip
        self.jobs.add(job)
        if not comes_to_output:
            shutil.rmtree(self.work(job_id), ignore_errors=True)
        self.follow(job)
        return job

    def strike(self, *, in_batch: bool = False) -> tuple[int, Fault | None]:
        """The number and the fault of a create call that would be accepted now."""
        number, fault = self.faults.strike()
        return number, None if in_batch and fault in OF_THE_CALL else fault

    # -- after the answer ----------------------------------------------------------------------

    def follow(self, job: Job) -> None:
        """Render a job and call its webhook, beside everything else."""
        if job.render == "waiting" or job.webhook_url:
            self.start(self._life(job))

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside everything else."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settled(self, job_id: str, until: float | None = None) -> Job | None:
        """A job once it has ended, or as it stands at a Unix time; ``None`` if it is deleted."""
        while True:
            job, now = self.jobs.get(job_id), time.time()
            if job is None or job.status(now) not in ACTIVE:
                return job
            if until is not None and now >= until:
                return job
            due = job.next_change(now) or now + _RENDER_LOOK_S
            if job.ends_at is None:
                due = max(due, now + 1)
            await asyncio.sleep((due if until is None else min(due, until)) - now)

    def work(self, job_id: str) -> Path:
        """The folder of a job's inputs and of what is made on the way to its output."""
        return self.settings.data / "work" / job_id

    def output(self, job_id: str) -> Path:
        """The finished film of a job."""
        return self.settings.data / "outputs" / f"{job_id}.mp4"

    def output_url(self, job: Job, expires_at: float) -> str:
        """A signed address of a job's output."""
        path = f"{OUTPUT}/{job.id}/{job.output_name or job.id}.mp4"
        return self.address + self.signer.signed("GET", path, expires_at)

    async def _life(self, job: Job) -> None:
        if job.render == "waiting":
            await self._render(job)
        if job.webhook_url and not job.webhook_sent and job.fault != Fault.WEBHOOK_MISSING:
            ended = await self.settled(job.id)
            # whether a refusal is told to a webhook is not known; a client must poll anyway
            if ended is not None and ended.status(time.time()) != REJECTED:
                await self._tell(ended)

    async def _tell(self, job: Job) -> None:
        assert job.webhook_url is not None
        if job.fault == Fault.WEBHOOK_LATE:
            await asyncio.sleep(LATE_WEBHOOK_S)
        payload = notification(self, job, time.time())
        for _ in range(2 if job.fault == Fault.WEBHOOK_DUPLICATE else 1):
            await deliver(self.client, job.webhook_url, payload, self.webhook_secret)
        self.jobs.change(job.id, webhook_sent=1)

    async def _render(self, job: Job) -> None:
        # a job that waits costs nothing yet, so a burst of create calls is answered quickly
        await asyncio.sleep(job.pending_until - time.time())
        body, folder, out = checked(json.loads(job.body)), self.work(job.id), self.output(job.id)
        out.parent.mkdir(exist_ok=True)
        try:
            inputs = await self._inputs_of(job, body)
            order = Order(
                inputs[0], inputs[1:], body.segments, body.sync_mode,
                engine="copy" if job.fault == Fault.NO_OP else self.settings.render,
                folder=folder / "render", kept=KEPT_SHARE if job.fault == Fault.WRONG_LENGTH else 1,
            )  # fmt: skip
            made = await asyncio.get_running_loop().run_in_executor(self._pool, render, order, out)
            done: dict[str, Any] = {"render": "done", "frames": made.frames}
            done["seconds"] = made.seconds
        except Refused as refusal:
            done = {"render": "failed", "error": refusal.line, "error_code": refusal.code}
        except Exception as error:  # whatever an engine meets ends the job, not the emulator
            done = {"render": "failed", "error": told(error)}
            done["error_code"] = "generation_pipeline_failed"
        self.jobs.change(job.id, rendered_at=time.time(), **done)
        shutil.rmtree(folder, ignore_errors=True)

    async def _inputs_of(self, job: Job, body: CreateBody) -> list[Input]:
        """Where a job's inputs lie; those of a batch are fetched only now."""
        listed = [Input(**each) for each in json.loads(job.inputs)]
        if listed:
            return listed
        async with self._fetching:
            inputs = await self.fetched(job.owner, body, self.work(job.id))
        if any(each.seconds > _BATCH_INPUT_S for each in inputs):
            raise Refused(422, "generation_input_duration_greater_than_max_duration")
        return inputs
