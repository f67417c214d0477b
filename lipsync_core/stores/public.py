"""Stores that engines elsewhere fetch from: what one must be able to do.

A file is published once, under a name made of its content. What is kept and cached is its URI,
which gives nobody anything; an address that opens it is signed anew for every use and dies alone.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Protocol

from lipsync_core.errors import InputError, RemoteRefused, StorageError
from lipsync_core.services.web import look_up, open_web
from lipsync_core.stores import MediaRef, ref_of

# An engine fetches its input when the job's turn comes, on a full account days after the order; an
# address that died in the queue is refused as if the film were bad. So an address lives as long as
# S3 signatures may, which is 7 days, but for an hour in which clocks may differ and calls be late.
DEFAULT_LIFE_S = 7 * 86400.0 - 3600.0

_SUFFIX = re.compile(r"(\.[A-Za-z0-9]{1,8})?")
_FOLDER = re.compile(r"([A-Za-z0-9_-][A-Za-z0-9._-]*/)*")
_NAME = re.compile(r"([0-9a-f]{2})/(\1[0-9a-f]{62})" + _SUFFIX.pattern)
_KINDS = {
    ".mp4": "video/mp4", ".mov": "video/quicktime", ".webm": "video/webm", ".wav": "audio/wav",
    ".mp3": "audio/mpeg", ".m4a": "audio/mp4", ".png": "image/png", ".jpg": "image/jpeg",
}  # fmt: skip


class PublicStore(Protocol):
    """Keeps bytes under the hash of their content, where the whole world can be let in to fetch.

    All methods raise RemoteUnavailable where trying again can help, and RemoteRefused or
    InputError where it cannot.
    """

    name: str

    async def verify(self) -> None:
        """Ask, free of charge, whether the store can be used.

        Raises:
            InputError: there is none, or its settings cannot be.
            RemoteRefused: these keys may not use it.
        """
        ...

    async def publish(self, path: Path, sha256: str) -> str:
        """Hand a finished file over; its URI (``s3://bucket/key``). Nothing is ever overwritten,
        and a file that is there already is not sent again.

        Raises:
            StorageError: the file is not the one with this hash, or the store holds another
                content under its name.
        """
        ...

    async def address(self, uri: str, life_s: float = DEFAULT_LIFE_S) -> str:
        """An ``https`` (or ``http``) address from which a published file can be fetched for so
        many seconds, signed anew at every call.

        Raises:
            InputError: the URI is not of this store, or no address can live so long.
        """
        ...


async def link(store: PublicStore, uri: str) -> str:
    """An address of a published file for people: a lasting one where anybody may fetch it, else a
    signed one, which dies after a week and lets in whoever knows it.

    Raises:
        RemoteUnavailable: the store does not answer.
    """
    signed = await store.address(uri)
    lasting = signed.partition("?")[0]
    async with open_web() as web:
        try:
            await look_up(web, lasting, uri)
        except RemoteRefused:
            return signed
    return lasting


def public_store(where: str) -> PublicStore:
    """The store at ``s3://bucket`` or ``s3://bucket/prefix``.

    Raises:
        InputError: nothing of the kind, or its settings cannot be.
    """
    scheme, _, rest = where.partition("://")
    if scheme != "s3" or not rest:
        raise InputError(f"cannot upload to {where}: write s3://bucket/folder or supabase://…")
    from lipsync_core.stores.s3 import S3Store  # here, since the library behind it loads slowly

    bucket, _, prefix = rest.partition("/")
    return S3Store(bucket, prefix)


def folder_in_bucket(given: str) -> str:
    """A folder as it stands before the names of a bucket: with a slash behind, or empty.

    Raises:
        InputError: it holds what not every store could keep.
    """
    folder = given.strip("/") + "/" if given.strip("/") else ""
    if not _FOLDER.fullmatch(folder):
        raise InputError(f"the prefix {given!r} may hold letters, digits, dots, - and _ only")
    return folder


def key_of(uri: str, bucket_uri: str, folder: str) -> str:
    """The key of a URI in a bucket (``s3://bucket/``): of nothing but what could have been
    published in that folder of it.

    Raises:
        InputError: it was not.
    """
    start = bucket_uri + folder
    if not (uri.startswith(start) and is_content_name(uri.removeprefix(start))):
        raise InputError(f"{uri!r} was not published in {start}: publish the file again")
    return uri.removeprefix(bucket_uri)


def found_whole(path: Path, sha256: str) -> MediaRef:
    """The file, after making sure that it has this hash and may be published.

    Raises:
        StorageError: it is gone, or another one by now.
        InputError: its suffix could not stand in an address.
    """
    if not _SUFFIX.fullmatch(path.suffix):
        raise InputError(f"{path} cannot be published: give it a plain suffix such as .mp4")
    try:
        ref = ref_of(path)
    except OSError as error:
        raise StorageError(f"cannot read {path} ({error.strerror}): make it again") from error
    if ref.sha256 != sha256:
        raise StorageError(f"changed since its hash was taken: {path}; run the same command again")
    return ref


def content_name(sha256: str, suffix: str) -> str:
    """The name of a content: ``ab/abcd….mp4``."""
    return f"{sha256[:2]}/{sha256}{suffix}"


def is_content_name(name: str) -> bool:
    """Whether a text is exactly what :func:`content_name` makes."""
    return _NAME.fullmatch(name) is not None


def content_type(path: Path) -> str:
    """What a file is, for those who fetch it; the same on every machine."""
    return _KINDS.get(path.suffix.lower(), "application/octet-stream")
