"""The one error family. Every message is one line: what is wrong, where, what to do.

    LipsyncError
    ├── InputError            a bad file, manifest or option; never retried; exit code 2
    ├── MissingWeights        a checkpoint is not on this machine; exit code 2
    ├── TimelineBroken        a frame count, sound lag or picture check did not hold
    ├── RenderFailed          an engine could not render a segment; tried again
    │   └── EngineHung        … since it showed no sign of work; not tried again
    ├── OutOfMemory           not even the smallest batch fits; never by a lower resolution
    ├── StorageError          bytes could not be written (disk full, no permission)
    ├── RemoteRefused         an engine elsewhere said no for good; never retried
    │   └── KeyTaken          … since the order's key was used for another request before
    ├── RemoteUnavailable     an engine elsewhere does not answer, or not now; retried
    │   ├── TooFast           calls come faster than the account may make them
    │   ├── LanesFull         as many jobs as the account may have are under way
    │   └── OutcomeUnknown    nobody knows yet whether a job was accepted; counts as spent
    └── BudgetExceeded        the quote is over the budget; exit code 3

Whether an error may be retried is a property of its class (``retryable``), so no caller keeps a
list of its own.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError


class LipsyncError(Exception):
    """Base of the family; its text is one line meant for a person."""

    retryable = False
    exit_code = 1


class InputError(LipsyncError):
    """Something the person gave is unusable; trying again cannot help."""

    exit_code = 2


class MissingWeights(LipsyncError):
    """A checkpoint that is needed is not on this machine; the text names what fetches it."""

    exit_code = 2


class TimelineBroken(LipsyncError):
    """A finished film does not keep the timeline promise."""


class RenderFailed(LipsyncError):
    """An engine could not render a segment."""

    retryable = True


class EngineHung(RenderFailed):
    """An engine showed no sign of work for its time limit and was stopped."""

    retryable = False


class OutOfMemory(LipsyncError):
    """The memory of the machine or of its card does not suffice, even for one picture at a time."""


class StorageError(LipsyncError):
    """Bytes could not be stored: the disk is full or the folder refuses writes."""


class RemoteRefused(LipsyncError):
    """An engine elsewhere refused for good; ``code`` is its own name for the reason."""

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__(text)
        self.code = code


class KeyTaken(RemoteRefused):
    """The key of an order was used for another request before."""


class RemoteUnavailable(LipsyncError):
    """An engine elsewhere cannot answer now. ``retry_after_s`` is how long it asks to wait."""

    retryable = True

    def __init__(self, text: str, retry_after_s: float | None = None) -> None:
        super().__init__(text)
        self.retry_after_s = retry_after_s


class TooFast(RemoteUnavailable):
    """Calls come faster than the account may make them; nothing was accepted."""


class LanesFull(RemoteUnavailable):
    """The account has all the jobs under way that it may; ``limit`` is how many, where told."""

    def __init__(
        self, text: str, retry_after_s: float | None = None, limit: int | None = None
    ) -> None:
        super().__init__(text, retry_after_s)
        self.limit = limit


class OutcomeUnknown(RemoteUnavailable):
    """A paid request was sent, and whether it was accepted is not known; ``job_id`` may be."""

    def __init__(self, text: str, job_id: str | None = None) -> None:
        super().__init__(text)
        self.job_id = job_id


class BudgetExceeded(LipsyncError):
    """The quote is higher than the budget; nothing was submitted."""

    exit_code = 3


# A limit on file sizes (EFBIG) is a quota by another name.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_REFUSED = frozenset({errno.EACCES, errno.EROFS, errno.EPERM})
_NOWHERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG})


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the operating system's complaints while writing ``path`` into one line.

    Raises:
        StorageError: the disk or quota is full, or the folder is gone, is a file or refuses writes.
    """
    try:
        yield
    except OSError as error:  # av's errors are OSErrors too and carry the same errno
        if error.errno in _FULL:
            raise StorageError(
                f"disk full while writing {path}: free some space and rerun"
            ) from error
        if error.errno in _REFUSED:
            raise StorageError(f"cannot write {path}: choose a folder you may write to") from error
        if error.errno in _NOWHERE:
            raise StorageError(
                f"cannot write {path} ({error.strerror}): its folder is gone or is no folder"
            ) from error
        raise


def in_one_line(error: ValidationError) -> str:
    """The first problem of a model that did not fit."""
    first = error.errors()[0]
    place = "".join(f"{part} " for part in first["loc"][:1])
    message = first["msg"].removeprefix("Value error, ")
    return f"{place}{message[:1].lower() + message[1:]}"


def told(error: BaseException) -> str:
    """An error in one line: the family's own words, or the kind and first line of any other."""
    if isinstance(error, LipsyncError):
        return str(error)
    lines = str(error).splitlines() or [""]
    return f"unexpected {type(error).__name__}: {lines[0]}".rstrip(": ")
