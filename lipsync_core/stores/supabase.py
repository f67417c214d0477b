"""The store ``supabase``: a bucket in the storage of a Supabase project."""

from __future__ import annotations

import asyncio
import math
import re
from pathlib import Path

from pydantic import SecretStr

from lipsync_core.errors import InputError, LipsyncError, RemoteUnavailable, StorageError
from lipsync_core.services.supabase.resumable import CHUNK_BYTES, send_in_chunks
from lipsync_core.services.supabase.storage import SupabaseStorage, headers_of, storage_base
from lipsync_core.stores import MediaRef
from lipsync_core.stores.public import (
    DEFAULT_LIFE_S,
    content_name,
    content_type,
    folder_in_bucket,
    found_whole,
    key_of,
)

_BUCKET = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_!.*'()&$=@;:+, -]{0,99}")
_DIGEST = "sha256"  # under which the object's metadata tells its content


class SupabaseStore:
    """A bucket; see :class:`lipsync_core.stores.public.PublicStore`.

    ``url`` and ``key`` are the project's, as :class:`SupabaseStorage` takes them. The bucket may be
    private: every address is signed.

    How bytes are proven: the file's own SHA-256 goes along as metadata, and after an upload the
    object is asked for its size and for that. The storage tells no hash of its own of what
    arrived; on the way, TLS watches over the bytes.

    Files above 6 MiB go in chunks, and on after a break; see
    :mod:`lipsync_core.services.supabase.resumable`.

    Raises:
        InputError: an argument cannot be.
    """

    name = "supabase"

    def __init__(self, bucket: str, prefix: str = "", *, url: str, key: SecretStr) -> None:
        if not _BUCKET.fullmatch(bucket):
            raise InputError(f"{bucket!r} cannot be the name of a bucket")
        self.bucket = bucket
        self.prefix = folder_in_bucket(prefix)
        storage_base(url)
        headers_of(key)
        self._url, self._key = url, key

    def __repr__(self) -> str:
        return f"SupabaseStore({self._uri_of(self.prefix)})"

    def _opened(self) -> SupabaseStorage:
        """A connection for one piece of work: a store may serve many event loops, one after
        another, and a connection only the one it was made in."""
        return SupabaseStorage(self._url, self._key)

    async def verify(self) -> None:
        """Ask for the bucket, which costs nothing.

        Raises:
            InputError: there is no such bucket, or this key does not see it.
            RemoteRefused: the key is not good.
            RemoteUnavailable: it does not answer now.
        """
        async with self._opened() as storage:
            await storage.bucket(self.bucket)

    async def publish(self, path: Path, sha256: str) -> str:
        """Hand a finished file over; its URI."""
        ref = await asyncio.to_thread(found_whole, path, sha256)
        key = self.prefix + content_name(sha256, path.suffix)
        async with self._opened() as storage:
            if not await self._holds(storage, key, ref):
                trouble = await self._trouble_of_sending(storage, path, key, ref)
                # the answer may be lost and the file there, or another run was faster
                if not await self._holds(storage, key, ref):
                    raise trouble or RemoteUnavailable(
                        f"sent, and still not there: {self._uri_of(key)}"
                    )
        return self._uri_of(key)

    async def address(self, uri: str, life_s: float = DEFAULT_LIFE_S) -> str:
        """An address that opens a published file for so many seconds (rounded up).

        Raises:
            StorageError: it is not there any more.
        """
        if not 0 < life_s < math.inf:
            raise InputError(f"an address cannot live for {life_s:.0f} s")
        key = key_of(uri, self._uri_of(""), self.prefix)
        async with self._opened() as storage:
            found = await storage.sign(self.bucket, key, math.ceil(life_s))
        if found is None:
            raise StorageError(f"not there any more, or hidden from this key: {uri}")
        return found

    def _uri_of(self, key: str) -> str:
        return f"supabase://{self.bucket}/{key}"

    async def _holds(self, storage: SupabaseStorage, key: str, ref: MediaRef) -> bool:
        """Whether the content lies there, by its size and the hash that was told at its upload.

        Raises:
            StorageError: another one does.
        """
        found = await storage.info(self.bucket, key)
        if found is None:
            return False
        told = found.get("metadata")
        digest = told.get(_DIGEST) if isinstance(told, dict) else None
        if (found.get("size"), digest) == (ref.size, ref.sha256):
            return True
        raise StorageError(
            f"another content lies at {self._uri_of(key)}: remove it, or choose another prefix"
        )

    async def _trouble_of_sending(
        self, storage: SupabaseStorage, path: Path, key: str, ref: MediaRef
    ) -> LipsyncError | None:
        kind, metadata = content_type(path), {_DIGEST: ref.sha256}
        try:
            if ref.size > CHUNK_BYTES:
                await send_in_chunks(storage, path, self.bucket, key, kind, metadata)
            else:
                content = await asyncio.to_thread(path.read_bytes)
                await storage.upload(self.bucket, key, content, kind, metadata)
        except LipsyncError as error:
            return error
        except OSError as error:
            return StorageError(f"cannot read {path} any more ({error.strerror}): make it again")
        return None
