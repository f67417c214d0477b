"""The store ``sync-assets``: files that Sync.so keeps for an account."""

from __future__ import annotations

import asyncio
from pathlib import Path

from lipsync_core.errors import InputError, RemoteUnavailable, StorageError
from lipsync_core.services.sync_so.client import SyncClient
from lipsync_core.services.sync_so.request import ASSET
from lipsync_core.stores.public import DEFAULT_LIFE_S, content_type, found_whole


class SyncAssetStore:
    """An account's files; see :class:`lipsync_core.stores.public.PublicStore`.

    The service gives every file an entry of its own and overwrites none. A file whose content was
    handed over before is found by its name and size, since it is called by its hash.
    """

    name = "sync-assets"

    def __init__(self, client: SyncClient) -> None:
        self._client = client

    async def verify(self) -> None:
        """List the models on offer, which costs nothing and shows whether the key is good."""
        await self._client.models()

    async def publish(self, path: Path, sha256: str) -> str:
        """Hand a finished file over; its URI, ``asset:…``."""
        ref = await asyncio.to_thread(found_whole, path, sha256)
        name = sha256 + path.suffix
        page = await self._client.assets.page(search=name)
        for asset in page.get("items") or ():
            if asset.get("name") == name:
                return _uri_of(asset, ref.size)
        asset = await self._client.assets.upload(path, name, content_type(path))
        return _uri_of(asset, ref.size)

    async def address(self, uri: str, life_s: float = DEFAULT_LIFE_S) -> str:
        """Where the service keeps a file; how long the address lives is the service's business."""
        if not uri.startswith(ASSET):
            raise InputError(f"{uri!r} is no file that Sync.so keeps: publish it again")
        asset = await self._client.assets.get(uri.removeprefix(ASSET))
        if not asset.get("url"):
            raise RemoteUnavailable(f"Sync.so does not tell where it keeps {uri}")
        return str(asset["url"])


def _uri_of(asset: object, size: int) -> str:
    """The URI of a file that is kept whole; an earlier era of the service tells no sizes."""
    assert isinstance(asset, dict)
    told = asset.get("size")
    if told is not None and int(told) != size:
        raise StorageError(
            f"Sync.so keeps {told} of {size} bytes of {asset.get('name')}: delete it"
        )
    return f"{ASSET}{asset['id']}"
