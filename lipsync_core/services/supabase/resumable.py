"""Large files for Supabase Storage, in chunks, by the protocol TUS 1.0.0 (https://tus.io).

Where an unfinished upload goes on is noted in a small file beside the source, ``NAME.upload``; so
a killed process that is started again within the life of the upload (24 hours on hosted projects)
sends only what is missing. The note goes when the file has arrived. Where none can be written, or
another process holds it, the upload begins at the first byte.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO, TypeVar

from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError
from tusclient.uploader import Uploader

from lipsync_core.errors import LipsyncError, RemoteUnavailable
from lipsync_core.services.supabase.refusals import error_of
from lipsync_core.services.supabase.storage import SupabaseStorage

CHUNK_BYTES = 6 * 1024 * 1024  # hosted projects take no other size, but for the last chunk

_CHUNK_LIMIT_S = 300.0  # tuspy's own connections would wait for ever
_BREAKS = 3  # in a row
_PAUSE_S = 1.0

T = TypeVar("T")


class _GivenUp(RemoteUnavailable):
    """The server knows an upload no more; the next one begins anew."""


async def send_in_chunks(
    storage: SupabaseStorage,
    path: Path,
    bucket: str,
    key: str,
    kind: str,
    metadata: Mapping[str, str],
) -> None:
    """Put a file of the content type ``kind`` where there is none, or go on where an earlier
    process broke off.

    Raises:
        RemoteRefused: it can never work, or something lies there already.
        RemoteUnavailable: it may work later.
        OSError: the file cannot be read.
    """
    where = storage.called(bucket)
    with path.open("rb") as file, _note_beside(path) as note:
        size = path.stat().st_size
        goal = f"{storage.base} {bucket}/{key} {size}"
        address = _noted(note, goal)
        uploader = await _taken_up(storage, address, file, where) if address else None
        if uploader is None:
            address = await storage.begin(bucket, key, size, kind, metadata)
            _write(note, goal, address)
            uploader = await _aside(lambda: _uploader(storage, address, file), where)
        await _send_the_rest(uploader, size, where)


async def _taken_up(
    storage: SupabaseStorage, address: str, file: BinaryIO, where: str
) -> Uploader | None:
    """The upload of an earlier process, or ``None`` where the server does not go on with it."""
    try:
        return await _aside(lambda: _uploader(storage, address, file), where)
    except LipsyncError as error:
        if error.retryable and not isinstance(error, _GivenUp):
            raise
        return None


def _uploader(storage: SupabaseStorage, address: str, file: BinaryIO) -> Uploader:
    """It asks at once how much has arrived."""
    # every chunk is asked again whether it may overwrite
    client = TusClient(storage.base, headers={**storage.headers, "x-upsert": "false"})
    return Uploader(file_stream=file, url=address, client=client, chunk_size=CHUNK_BYTES)


async def _send_the_rest(uploader: Uploader, size: int, where: str) -> None:
    breaks = 0
    while uploader.offset < size:
        before = uploader.offset
        try:
            if breaks:
                uploader.offset = await _aside(uploader.get_offset, where)
            if uploader.offset < size:
                await _aside(uploader.upload_chunk, where)
            if uploader.offset <= before:
                raise RemoteUnavailable(f"{where} takes no more of a file: try again later")
            breaks = 0
        except RemoteUnavailable as error:
            breaks += 1
            if breaks > _BREAKS or isinstance(error, _GivenUp):
                raise
            await asyncio.sleep(_PAUSE_S * breaks)


async def _aside(work: Callable[[], T], where: str) -> T:
    """A call of tuspy, which blocks and knows no limit of time, in a thread of its own.

    The thread of a call that was given up is left behind: it holds nobody up at the end.
    """
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()  # from now on the result is always wanted

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="upload", daemon=True).start()
    try:
        return await asyncio.wait_for(asyncio.wrap_future(future), _CHUNK_LIMIT_S)
    except TimeoutError as error:
        raise RemoteUnavailable(
            f"{where} does not answer (for {_CHUNK_LIMIT_S:.0f} s): check the network"
        ) from error
    except TusCommunicationError as error:
        raise _in_words(error, where) from error
    except (TypeError, ValueError) as error:  # no number where the offset should be
        raise RemoteUnavailable(f"{where} does not tell how much of a file has arrived") from error


def _in_words(error: TusCommunicationError, where: str) -> LipsyncError:
    status, body = error.status_code, error.response_content or b""
    if status is None:
        return RemoteUnavailable(f"{where} does not answer: check the network")
    if status == 409 and b"exists" not in body:  # the other kind: our offset is not the server's
        return RemoteUnavailable(f"{where} has another part of a file ({status})")
    if status in (404, 410):
        return _GivenUp(f"{where} has given up an unfinished upload ({status}): try again")
    if status < 300:
        return RemoteUnavailable(f"{where} does not tell how much of a file has arrived")
    return error_of(where, status, body)


# Notes


@contextmanager
def _note_beside(path: Path) -> Iterator[TextIO | None]:
    """The note of a file, held by this upload alone; ``None`` where that cannot be.

    It outlives a process that is killed, and what can be tried again.
    """
    place = path.with_name(path.name + ".upload")
    try:
        note = place.open("a+", encoding="utf-8")
    except OSError:  # a folder that refuses writes
        yield None
        return
    with note:
        try:
            fcntl.flock(note, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if not isinstance(error, BlockingIOError):  # a file system that knows no locks
                place.unlink()
            yield None
            return
        try:
            yield note
        except BaseException as error:
            may_go_on = not isinstance(error, Exception) or getattr(error, "retryable", False)
            if not (may_go_on and note.tell()):
                place.unlink(missing_ok=True)
            raise
        place.unlink(missing_ok=True)


def _noted(note: TextIO | None, goal: str) -> str:
    """The address of an upload of the same file to the same place, or nothing."""
    if note is None:
        return ""
    note.seek(0)
    try:
        told = json.load(note)
        same = told["goal"] == goal and told["address"].startswith(goal.partition(" ")[0] + "/")
        return str(told["address"]) if same else ""
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""


def _write(note: TextIO | None, goal: str, address: str) -> None:
    if note is not None:
        note.truncate(0)
        json.dump({"goal": goal, "address": address}, note)
        note.flush()
