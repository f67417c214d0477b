"""Batches: 20 to 500 requests at a time, for within a day, on the larger plans."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from lipsync_core.errors import InputError
from lipsync_core.services.sync_so.http import SyncHttp, an_object, asking, listed, read_json
from lipsync_core.services.sync_so.refusals import error_of

FEWEST, MOST, LARGEST_BYTES = 20, 500, 5_000_000


class SyncBatches:
    """Batches, as calls.

    The service knows no idempotency here: a batch whose answer was lost must be looked for in
    :meth:`all` before it is placed again.
    """

    def __init__(self, http: SyncHttp) -> None:
        self._http = http

    async def create(
        self, requests: Sequence[tuple[str, Mapping[str, Any]]], *, dry_run: bool = False
    ) -> Mapping[str, Any]:
        """Place requests, each with a name of its own; ``dry_run`` only has them looked at.

        Raises:
            InputError: too few, too many or too much for one batch.
        """
        lines = [
            json.dumps({"request_id": name, "endpoint": "/v2/generate", "payload": dict(body)})
            for name, body in requests
        ]
        sent = "\n".join(lines).encode()
        if not FEWEST <= len(lines) <= MOST or len(sent) > LARGEST_BYTES:
            raise InputError(
                f"{len(lines)} requests of {len(sent)} bytes make no batch: "
                f"{FEWEST} to {MOST} requests of {LARGEST_BYTES} bytes together do"
            )
        answer = await self._http.answer(
            "POST", "/v2/batch", "placing a batch",
            files={"input": ("batch.jsonl", sent, "application/jsonl")},
            data={"dry_run": "true" if dry_run else "false"},
        )  # fmt: skip
        return an_object(read_json(answer))

    async def get(self, batch_id: str) -> Mapping[str, Any]:
        """One batch."""
        return an_object(await self._http.get(f"/v2/batch/{quote(batch_id)}", "reading a batch"))

    async def all(self) -> list[Mapping[str, Any]]:
        """All batches, newest first."""
        return listed(await self._http.get("/v2/batch", "listing batches"))

    async def results(self, output_url: str) -> list[Mapping[str, Any]]:
        """What came of a finished batch, one object a request."""
        doing = "reading a batch's results"
        async with asking(doing):
            answer = await self._http.inside.get(output_url, follow_redirects=False)
            if answer.is_redirect:  # to a signed address, which must not see the key
                answer = await self._http.elsewhere.get(answer.headers["Location"])
        if not answer.is_success:
            raise error_of(answer, doing)
        return [an_object(json.loads(line)) for line in answer.text.splitlines() if line.strip()]
