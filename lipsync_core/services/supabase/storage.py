"""The connection to Supabase Storage: who asks, and the few calls that publishing needs."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
from pydantic import SecretStr

from lipsync_core.errors import InputError, RemoteUnavailable
from lipsync_core.services.supabase.refusals import error_of, inner_status, is_no_storage

_GATEWAY = "/storage/v1"  # where a project's gateway keeps its storage; a bare server has none
_TIMEOUT = httpx.Timeout(60, connect=15, write=300)
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


class SupabaseStorage:
    """A connection to the storage of a project, to be closed in the end.

    ``url`` is the project's address (``https://REF.supabase.co``), the storage's own (ending in
    ``/storage/v1``) or that of a bare storage server on this machine. Keys that are JWTs go into
    two headers, ``apikey`` for the gateway and ``Authorization`` for the storage behind it; the
    newer ones, ``sb_…``, into ``apikey`` alone.

    Raises, from every method: InputError and RemoteRefused for what can never work,
    RemoteUnavailable for what may work later.
    """

    def __init__(self, url: str, key: SecretStr) -> None:
        self.base = storage_base(url)
        parts = urlsplit(self.base)
        self._may_be_bare = parts.hostname in _LOCAL and not urlsplit(url).path.strip("/")
        self.host = parts.netloc
        self.headers = headers_of(key)
        self._http = httpx.AsyncClient(headers=self.headers, timeout=_TIMEOUT, verify=_trust())

    async def __aenter__(self) -> SupabaseStorage:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def buckets(self) -> list[str]:
        """The names of the buckets this key sees."""
        found = _json(await self._answer("GET", "/bucket", f"the storage at {self.host}"))
        return [str(one.get("name", "")) for one in found] if isinstance(found, list) else []

    async def bucket(self, bucket: str) -> Mapping[str, Any]:
        """What a bucket is: its limits, and whether it is public."""
        return _object(await self._answer("GET", f"/bucket/{quote(bucket)}", self.called(bucket)))

    async def info(self, bucket: str, key: str) -> Mapping[str, Any] | None:
        """``size``, ``metadata`` and more of an object, or ``None`` where this key sees none."""
        path = f"/object/info/{quote(bucket)}/{quote(key)}"
        answer = await self._call("GET", path, self.called(bucket))
        if _is_missing(answer):
            return None
        return _object(self._successful(answer, self.called(bucket)))

    async def upload(
        self, bucket: str, key: str, content: bytes, kind: str, metadata: Mapping[str, str]
    ) -> None:
        """Put an object of the content type ``kind`` where there is none."""
        headers = {
            "content-type": kind, "x-upsert": "false",
            "x-metadata": base64.b64encode(json.dumps(metadata).encode()).decode(),
        }  # fmt: skip
        path = f"/object/{quote(bucket)}/{quote(key)}"
        await self._answer("POST", path, self.called(bucket), content=content, headers=headers)

    async def begin(
        self, bucket: str, key: str, size: int, kind: str, metadata: Mapping[str, str]
    ) -> str:
        """Begin a resumable upload of ``size`` bytes; its address.

        Of what the server tells as its address only the last part is believed: behind a gateway
        it may name another scheme or host.
        """
        facts = {
            "bucketName": bucket, "objectName": key, "contentType": kind, "cacheControl": "3600",
            "metadata": json.dumps(metadata),
        }  # fmt: skip
        headers = {
            "tus-resumable": "1.0.0", "upload-length": str(size), "x-upsert": "false",
            "upload-metadata": ",".join(
                f"{name} {base64.b64encode(value.encode()).decode()}"
                for name, value in facts.items()
            ),
        }  # fmt: skip
        path = "/upload/resumable"
        answer = await self._answer("POST", path, self.called(bucket), headers=headers)
        upload = urlsplit(answer.headers.get("location", "")).path.rpartition("/")[2]
        if not upload:
            raise RemoteUnavailable(f"{self.called(bucket)} does not tell where an upload goes")
        return f"{self.base}{path}/{upload}"

    async def sign(self, bucket: str, key: str, life_s: int) -> str | None:
        """An address that opens an object for so many seconds, or ``None`` where this key sees
        no such object."""
        path = f"/object/sign/{quote(bucket)}/{quote(key)}"
        answer = await self._call("POST", path, self.called(bucket), json={"expiresIn": life_s})
        if _is_missing(answer):
            return None
        signed = _object(self._successful(answer, self.called(bucket))).get("signedURL")
        if not isinstance(signed, str) or not signed.startswith("/"):
            raise RemoteUnavailable(f"{self.called(bucket)} answered no address")
        return self.base + signed

    def called(self, bucket: str) -> str:
        """A bucket in the words of an error."""
        return f"the bucket {bucket} at {self.host}"

    async def _answer(self, method: str, path: str, where: str, **call: Any) -> httpx.Response:
        return self._successful(await self._call(method, path, where, **call), where)

    async def _call(self, method: str, path: str, where: str, **call: Any) -> httpx.Response:
        try:
            answer = await self._http.request(method, self.base + path, **call)
            if self._may_be_bare and is_no_storage(answer.status_code, answer.content):
                self.base = self.base.removesuffix(_GATEWAY)
                answer = await self._http.request(method, self.base + path, **call)
        except httpx.HTTPError as error:
            raise RemoteUnavailable(
                f"{where} does not answer ({type(error).__name__}): check the network"
            ) from error
        self._may_be_bare = False
        return answer

    def _successful(self, answer: httpx.Response, where: str) -> httpx.Response:
        if answer.is_success:
            return answer
        wait = answer.headers.get("retry-after", "")
        raise error_of(where, answer.status_code, answer.content, wait)


def storage_base(url: str) -> str:
    """The address all calls begin with.

    Raises:
        InputError: it cannot be one. The text is not repeated: there may be a password in it.
    """
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        fits = fits and not any(letter.isspace() for letter in url)
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL):
        fits = False
    if fits:
        path = parts.path.rstrip("/")
        fits = not path or path.endswith(_GATEWAY)
    if not fits or parts.username or parts.password or parts.query or parts.fragment:
        raise InputError("SUPABASE_URL must be an address like https://REF.supabase.co")
    return f"{parts.scheme}://{parts.netloc}{path or _GATEWAY}"


def headers_of(key: SecretStr) -> dict[str, str]:
    """The headers a key goes into.

    Raises:
        InputError: it cannot be a key; it is not repeated.
    """
    secret = key.get_secret_value()
    if not secret or not all("!" <= letter <= "~" for letter in secret):
        raise InputError("SUPABASE_KEY must be a key from the project's settings, in one word")
    if secret.startswith("sb_"):
        return {"apikey": secret}
    return {"apikey": secret, "authorization": f"Bearer {secret}"}


@cache
def _trust() -> ssl.SSLContext:
    """Made once: it takes longer to read all authorities than to publish a word."""
    return httpx.create_ssl_context()


def _is_missing(answer: httpx.Response) -> bool:
    status, body = answer.status_code, answer.content
    return inner_status(status, body) == 404 and not is_no_storage(status, body)


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError as error:
        raise RemoteUnavailable(
            f"Supabase Storage answered no JSON ({answer.status_code})"
        ) from error


def _object(answer: httpx.Response) -> Mapping[str, Any]:
    found = _json(answer)
    if not isinstance(found, dict):
        raise RemoteUnavailable("Supabase Storage answered no object")
    return found
