"""The API of one endpoint: one method a call, answers as plain values, refusals as errors.

It never repeats a call by itself; who pays decides what to try again.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import httpx
from pydantic import SecretStr

from lipsync_core.errors import InputError, OutcomeUnknown, RemoteRefused, RemoteUnavailable
from lipsync_core.services.runpod.answers import RunPodJob, requests_in
from lipsync_core.services.runpod.refusals import SMALLER, TOO_LARGE, error_of

BASE_URL = "https://api.runpod.ai/v2"
MOST_BYTES = int(9.5 * 2**20)
"""Of one request; the service takes 10 MiB, and its own envelope is not told."""

_TIMEOUT = httpx.Timeout(60, connect=15, write=300)
_MOST_AT_ONCE = 32


class RunPodClient:
    """A connection to one endpoint of an account, to be closed in the end.

    Raises, from every method: RemoteRefused for what can never work, RemoteUnavailable for what
    may work later.
    """

    def __init__(self, key: SecretStr, endpoint_id: str, base_url: str = BASE_URL) -> None:
        try:
            self._http = httpx.AsyncClient(
                base_url=f"{base_url.rstrip('/')}/{quote(endpoint_id, safe='')}/",
                headers={
                    "Authorization": f"Bearer {key.get_secret_value()}",
                    "User-Agent": "lipsync-flows",
                },
                timeout=_TIMEOUT, limits=httpx.Limits(max_connections=_MOST_AT_ONCE),
            )  # fmt: skip
        except (httpx.InvalidURL, UnicodeEncodeError) as error:
            raise InputError(
                "RUNPOD_BASE_URL or RUNPOD_API_KEY holds what cannot be sent: correct it"
            ) from error

    def __repr__(self) -> str:
        return f"RunPodClient({self._http.base_url})"

    async def aclose(self) -> None:
        """Let the connections go."""
        await self._http.aclose()

    async def run(self, body: Mapping[str, Any]) -> RunPodJob:
        """Place an order, which may be paid from then on.

        Raises:
            InputError: it is larger than the service takes; nothing was sent.
            RemoteUnavailable: nothing was sent, or nothing accepted.
            OutcomeUnknown: it was sent, and what became of it is not known.
        """
        doing, content = "placing a job", json.dumps(body).encode()
        check_size(len(content))
        try:
            answer = await self._http.post(
                "run", content=content, headers={"Content-Type": "application/json"}
            )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise RemoteUnavailable(
                f"RunPod cannot be reached, {doing} ({type(error).__name__})"
            ) from error
        except httpx.UnsupportedProtocol as error:
            raise InputError("RUNPOD_BASE_URL is no address on the web: correct it") from error
        except httpx.HTTPError as error:
            raise OutcomeUnknown(
                f"RunPod, {doing}: the answer was lost ({type(error).__name__})"
            ) from error
        if answer.is_success:
            try:
                return RunPodJob.of(_an_object(answer))
            except (ValueError, RemoteUnavailable) as error:
                raise OutcomeUnknown(f"RunPod, {doing}: its answer makes no sense") from error
        refusal = error_of(answer, doing)
        is_clear = isinstance(refusal, RemoteRefused) and refusal.code == TOO_LARGE
        if not is_clear and (answer.status_code >= 500 or answer.status_code == 408):
            # a server that breaks down over an order may have accepted it before
            raise OutcomeUnknown(str(refusal))
        raise refusal

    async def status(self, job_id: str) -> RunPodJob | None:
        """One job with its output; ``None`` where the service knows none of this id, which holds
        for a while after it was placed, and half an hour after it ended."""
        path, doing = f"status/{quote(job_id, safe='')}", "reading a job"
        return await self._about(job_id, "GET", path, doing)

    async def cancel(self, job_id: str) -> RunPodJob | None:
        """Call a job off; how it stands now, ``None`` where there is none."""
        path, doing = f"cancel/{quote(job_id, safe='')}", "calling a job off"
        return await self._about(job_id, "POST", path, doing)

    async def health(self) -> Mapping[str, Any]:
        """How many jobs and workers there are. Free: it shows whether key and endpoint are good."""
        return _an_object(await self._answer("GET", "health", "asking how the endpoint is"))

    async def requests(self) -> list[Mapping[str, Any]] | None:
        """The requests the service still knows, with their ids; ``None`` where it tells no list.

        That there is such a call is documented; what it answers is not.
        """
        answer = await self._answer("GET", "requests", "listing requests")
        return requests_in(_json(answer))

    async def _about(self, job_id: str, method: str, path: str, doing: str) -> RunPodJob | None:
        try:
            answer = await self._answer(method, path, doing)
        except RemoteRefused as error:
            if error.code == "404":
                return None
            raise
        try:
            return RunPodJob.of(_an_object(answer), job_id)
        except ValueError as error:
            raise RemoteUnavailable(f"RunPod, {doing}: it answered {error}") from error

    async def _answer(self, method: str, path: str, doing: str) -> httpx.Response:
        """The successful answer to a call that costs nothing."""
        async with _asking(doing):
            answer = await self._http.request(method, path)
        if not answer.is_success:
            raise error_of(answer, doing)
        return answer


def check_size(size: int) -> None:
    """Make sure that a request of so many bytes would be taken.

    Raises:
        InputError: it would not.
    """
    if size > MOST_BYTES:
        raise InputError(
            f"a request of {size / 2**20:.1f} MiB is too large for RunPod, which takes "
            f"{MOST_BYTES / 2**20:.1f} MiB: {SMALLER}"
        )


@asynccontextmanager
async def _asking(doing: str) -> AsyncIterator[None]:
    try:
        yield
    except httpx.UnsupportedProtocol as error:
        raise InputError("RUNPOD_BASE_URL is no address on the web: correct it") from error
    except httpx.HTTPError as error:
        raise RemoteUnavailable(f"RunPod, {doing}: no answer ({type(error).__name__})") from error


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except (ValueError, RecursionError) as error:
        raise RemoteUnavailable(f"RunPod answered no JSON ({answer.status_code})") from error


def _an_object(answer: httpx.Response) -> Mapping[str, Any]:
    found = _json(answer)
    if not isinstance(found, dict):
        raise RemoteUnavailable("RunPod answered no object")
    return found
