"""The Sync.so API: one method a call, answers as plain values, refusals as errors.

It never repeats a call by itself; who pays decides what to try again, and under which key.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from pydantic import SecretStr

from lipsync_core.errors import OutcomeUnknown, RemoteUnavailable
from lipsync_core.services.sync_so.answers import Generation
from lipsync_core.services.sync_so.assets import SyncAssets
from lipsync_core.services.sync_so.batches import SyncBatches
from lipsync_core.services.sync_so.http import (
    BASE_URL,
    SyncHttp,
    an_object,
    listed,
    read_json,
)
from lipsync_core.services.sync_so.refusals import error_of
from lipsync_core.services.web import download

PAGE = 100  # generations in one answer at most


class SyncClient:
    """A connection to the service, to be closed in the end.

    Raises, from every method: RemoteRefused for what can never work, RemoteUnavailable for what
    may work later.
    """

    def __init__(self, key: SecretStr, base_url: str = BASE_URL) -> None:
        self._http = SyncHttp(key, base_url)
        self.assets = SyncAssets(self._http)
        self.batches = SyncBatches(self._http)

    async def aclose(self) -> None:
        """Let the connections go."""
        await self._http.aclose()

    # Generations

    async def create(
        self, body: Mapping[str, Any], key: str, files: Mapping[str, Path] | None = None
    ) -> Generation:
        """Place a paid order under an idempotency ``key``.

        Small ``files`` (``video``, ``audio``, ``image``: under 20 MB together) may come along.

        Raises:
            LanesFull: nothing was accepted, the account has all the jobs it may.
            OutcomeUnknown: the order was sent, and what became of it is not known.
        """
        headers, doing = {"Idempotency-Key": key}, "placing a job"
        call: dict[str, Any] = {"json": body}
        if files:
            call = {
                "data": {k: v if isinstance(v, str) else json.dumps(v) for k, v in body.items()},
                "files": {name: (path.name, path.read_bytes()) for name, path in files.items()},
            }
        try:
            answer = await self._http.inside.post("/v2/generate", headers=headers, **call)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise RemoteUnavailable(f"Sync.so cannot be reached, {doing}: {error}") from error
        except httpx.HTTPError as error:
            raise OutcomeUnknown(
                f"Sync.so, {doing}: the answer was lost ({type(error).__name__})"
            ) from error
        if answer.is_success:
            try:
                return Generation.of(an_object(read_json(answer)))
            except (ValueError, RemoteUnavailable) as error:
                raise OutcomeUnknown(f"Sync.so, {doing}: its answer makes no sense") from error
        refusal = error_of(answer, doing)
        if answer.status_code >= 500 and not isinstance(refusal, OutcomeUnknown):
            # a server that breaks down over an order may have accepted it before
            raise OutcomeUnknown(str(refusal))
        raise refusal

    async def generation(self, job_id: str, wait_s: int = 0) -> Generation:
        """One job; with ``wait_s`` (1 to 10) the answer comes when the job is done, if sooner."""
        query = {"wait": "true", "timeout": str(wait_s)} if wait_s else {}
        found = await self._http.get(f"/v2/generate/{quote(job_id)}", "reading a job", query)
        return Generation.of(an_object(found))

    async def generations(
        self,
        *,
        ids: Collection[str] = (),
        status: Sequence[str] = (),
        limit: int = PAGE,
        cursor: str = "",
    ) -> list[Generation]:
        """Jobs, newest first; ``cursor`` is the last id of the page before."""
        query = {
            "ids": ",".join(ids), "status": ",".join(status), "limit": str(limit), "cursor": cursor
        }  # fmt: skip
        found = await self._http.get("/v2/generations", "listing jobs", query)
        return [Generation.of(one) for one in listed(found)]

    async def fresh_url(self, job_id: str) -> str:
        """A new address of a finished job's result."""
        path = f"/v2/generations/{quote(job_id)}/download"
        answer = await self._http.answer("GET", path, "asking where a result lies")
        return answer.text.strip().strip('"')

    async def delete(self, job_id: str) -> None:
        """Forget a finished job."""
        await self._http.answer("DELETE", f"/v2/generations/{quote(job_id)}", "deleting a job")

    async def download(self, url: str, out: Path) -> None:
        """Bring a result to ``out``; it appears there whole or not at all.

        Raises:
            RemoteRefused: the address has died.
            RemoteUnavailable: the connection broke off.
        """
        await download(self._http.elsewhere, url, out, "the result of a job of Sync.so")

    # Prices

    async def cost(self, job_id: str) -> Mapping[str, Any]:
        """What a job cost, as the service tells it: ``totalCostUsd`` and ``availability``."""
        path = f"/v2/generate/{quote(job_id)}/costs"
        return an_object(await self._http.get(path, "reading a cost"))

    async def price_of(self, body: Mapping[str, Any]) -> float:
        """US dollars a whole request would cost, by the service's own analysis."""
        answer = await self._http.post("/v2/analyze/cost", "asking for a price", body)
        rows = answer if isinstance(answer, list) else [answer]
        return sum(float(an_object(row).get("estimatedGenerationCost") or 0) for row in rows)

    async def estimate(self, model: str, duration_s: float, fps: float) -> float:
        """US dollars for so many seconds, by the service's own table."""
        body = {"model": model, "duration": duration_s, "fps": fps}
        answer = await self._http.post("/v2/generations/estimate", "asking for a price", body)
        return float(an_object(answer).get("estimatedGenerationCost") or 0)

    # What there is

    async def models(self) -> list[Mapping[str, Any]]:
        """The models on offer. Free: it shows whether the key is good."""
        return listed(await self._http.get("/v2/models", "listing models"))

    async def error_catalogue(self) -> list[Mapping[str, Any]]:
        """The codes of errors, with advice."""
        return listed(await self._http.get("/v2/errors", "listing errors"))

    async def webhook_secret(self) -> SecretStr:
        """What webhooks are signed with."""
        path = "/v2/organizations/webhook/secret"
        answer = an_object(await self._http.get(path, "asking for the webhook secret"))
        return SecretStr(str(answer.get("secret", "")))
