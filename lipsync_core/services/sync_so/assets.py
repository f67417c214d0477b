"""Files that Sync.so keeps: room is asked for, the bytes go there, the file is registered."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lipsync_core.services.sync_so.http import SyncHttp, an_object, asking
from lipsync_core.services.sync_so.refusals import error_of

PAGE = 100
_BLOCK_BYTES = 1 << 18


class SyncAssets:
    """The service's own store, as calls."""

    def __init__(self, http: SyncHttp) -> None:
        self._http = http

    async def upload(self, path: Path, name: str, content_type: str) -> Mapping[str, Any]:
        """Hand a file over; the asset with its ``id`` and ``url``."""
        size, doing = path.stat().st_size, f"uploading {name}"
        room = {"fileName": name, "contentType": content_type, "size": size}
        place = an_object(await self._http.post("/v2/assets/upload", doing, room))
        # the signature of the place covers the content type, so it must be the same again
        headers = {"Content-Type": content_type, "Content-Length": str(size)}
        async with asking(doing):
            sent = await self._http.elsewhere.put(
                str(place["uploadUrl"]), content=_blocks(path), headers=headers
            )
        if not sent.is_success:
            raise error_of(sent, doing)
        return an_object(await self._http.post("/v2/assets", doing, {"url": place["url"]}))

    async def get(self, asset_id: str) -> Mapping[str, Any]:
        """One asset."""
        doing = "reading a file's entry"
        return an_object(await self._http.get(f"/v2/assets/{quote(asset_id)}", doing))

    async def page(self, search: str = "", cursor: str = "") -> Mapping[str, Any]:
        """Some assets: ``items``, and ``nextCursor`` where there are more."""
        query = {"searchQuery": search, "cursor": cursor, "limit": str(PAGE)}
        return an_object(await self._http.get("/v2/assets", "listing files", query))

    async def delete(self, asset_id: str) -> None:
        """Forget an asset."""
        await self._http.answer("DELETE", f"/v2/assets/{quote(asset_id)}", "deleting a file")


async def _blocks(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            yield block
