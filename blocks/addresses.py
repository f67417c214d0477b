"""Files elsewhere: an address that opens one now, and whether there is one at all."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from blocks.bucket import opened_bucket
from lipsync_core.errors import InputError, LipsyncError, RemoteRefused
from lipsync_core.jobs.manifest import Source
from lipsync_core.services.web import WebFile, look_up, open_web
from lipsync_core.stores.address import WEB, Address
from lipsync_core.stores.public import PublicStore

_AT_ONCE = 8


async def on_the_web(address: Address, opened: dict[str, PublicStore] | None = None) -> Address:
    """The address itself, or a freshly signed one of what lies in a bucket of ours.

    ``opened`` remembers the buckets between calls, since opening one takes a while.

    Raises:
        InputError: the file was not published by this product, or the bucket cannot be opened.
    """
    if address.scheme in WEB:
        return address
    where, _, _ = str(address).rsplit("/", 2)
    if address.sha256 is None:
        raise InputError(
            f"{address} was not uploaded by flows.upload: give an https address of the file"
        )
    opened = {} if opened is None else opened
    if where not in opened:
        opened[where] = await asyncio.to_thread(opened_bucket, where)
    return Address(await opened[where].address(str(address)))


def looked_for(sources: Iterable[Source]) -> dict[Source, WebFile | LipsyncError]:
    """What lies at those sources that are addresses, or why it cannot be had; nothing is fetched.

    Raises:
        InputError: the bucket of one of them cannot be opened.
    """
    addresses = dict.fromkeys(source for source in sources if isinstance(source, Address))
    return asyncio.run(_looked_for(list(addresses))) if addresses else {}


def expect(sources: Iterable[Source]) -> None:
    """Make sure that something lies at those sources that are addresses.

    Raises:
        InputError: nothing lies at one of them, or nothing that may be read.
        RemoteUnavailable: a server does not answer now.
    """
    for found in looked_for(sources).values():
        if isinstance(found, RemoteRefused):
            raise InputError(str(found)) from found
        if isinstance(found, LipsyncError):
            raise found


async def _looked_for(addresses: list[Address]) -> dict[Source, WebFile | LipsyncError]:
    at_once = asyncio.Semaphore(_AT_ONCE)
    opened: dict[str, PublicStore] = {}

    async def look(address: Address) -> WebFile | LipsyncError:
        async with at_once:
            try:
                signed = await on_the_web(address, opened)
                return await look_up(web, signed.whole, str(address))
            except LipsyncError as error:
                return error

    async with open_web() as web:
        found = await asyncio.gather(*map(look, addresses))
    return dict(zip(addresses, found, strict=True))
