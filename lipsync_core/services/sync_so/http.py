"""The connection to Sync.so: who asks, how answers are read, which errors they stand for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
from pydantic import SecretStr

from lipsync_core.errors import RemoteUnavailable
from lipsync_core.services.sync_so.refusals import error_of
from lipsync_core.services.web import open_web

BASE_URL = "https://api.sync.so"
_TIMEOUT = httpx.Timeout(60, connect=15, write=300)


class SyncHttp:
    """Two connections: ``inside`` carries the key, ``elsewhere`` never does.

    Results and uploads lie with others, under signed addresses.
    """

    def __init__(self, key: SecretStr, base_url: str = BASE_URL) -> None:
        self.inside = httpx.AsyncClient(
            base_url=base_url.rstrip("/"), headers={"x-api-key": key.get_secret_value()},
            timeout=_TIMEOUT, limits=httpx.Limits(max_connections=32),
        )  # fmt: skip
        self.elsewhere = open_web()

    async def aclose(self) -> None:
        """Let the connections go."""
        await self.inside.aclose()
        await self.elsewhere.aclose()

    async def get(self, path: str, doing: str, query: Mapping[str, str] | None = None) -> Any:
        """What lies at a path, as JSON; empty values of the query are left out."""
        given = {name: value for name, value in (query or {}).items() if value}
        return read_json(await self.answer("GET", path, doing, params=given))

    async def post(self, path: str, doing: str, body: Mapping[str, Any]) -> Any:
        """The JSON that answers a JSON body."""
        return read_json(await self.answer("POST", path, doing, json=body))

    async def answer(self, method: str, path: str, doing: str, **call: Any) -> httpx.Response:
        """The successful answer to a call that costs nothing.

        Raises:
            RemoteRefused: it can never work.
            RemoteUnavailable: it may work later.
        """
        async with asking(doing):
            answer = await self.inside.request(method, path, **call)
        if not answer.is_success:
            raise error_of(answer, doing)
        return answer


@asynccontextmanager
async def asking(doing: str) -> AsyncIterator[None]:
    """What goes wrong on the way is worth another try."""
    try:
        yield
    except httpx.HTTPError as error:
        raise RemoteUnavailable(f"Sync.so, {doing}: no answer ({type(error).__name__})") from error


def read_json(answer: httpx.Response) -> Any:
    """The body of an answer."""
    try:
        return answer.json()
    except ValueError as error:
        raise RemoteUnavailable(f"Sync.so answered no JSON ({answer.status_code})") from error


def listed(answer: Any) -> list[Mapping[str, Any]]:
    """The objects of a bare or wrapped list."""
    if isinstance(answer, dict):
        answer = answer.get("items", answer.get("data"))
    if not isinstance(answer, list):
        raise RemoteUnavailable("Sync.so answered no list")
    return [an_object(one) for one in answer]


def an_object(answer: Any) -> Mapping[str, Any]:
    """The answer, if it is one object."""
    if not isinstance(answer, dict):
        raise RemoteUnavailable("Sync.so answered no object")
    return answer
