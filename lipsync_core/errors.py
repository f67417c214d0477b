"""The one error family. Every message is one line: what is wrong, where, what to do.

    LipsyncError
    ├── InputError            a bad file, manifest or option; never retried; exit code 2
    ├── TimelineBroken        a frame count, sound lag or picture check did not hold
    ├── RenderFailed          an engine could not render a segment
    ├── StorageError          bytes could not be written (disk full, no permission)
    └── BudgetExceeded        the quote is over the budget; exit code 3

Whether an error may be retried is a property of its class (``retryable``), so no caller keeps a
list of its own.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class LipsyncError(Exception):
    """Base of the family; its text is one line meant for a person."""

    retryable = False
    exit_code = 1


class InputError(LipsyncError):
    """Something the person gave is unusable; trying again cannot help."""

    exit_code = 2


class TimelineBroken(LipsyncError):
    """A finished film does not keep the timeline promise."""


class RenderFailed(LipsyncError):
    """An engine could not render a segment."""

    retryable = True


class StorageError(LipsyncError):
    """Bytes could not be stored: the disk is full or the folder refuses writes."""


class BudgetExceeded(LipsyncError):
    """The quote is higher than the budget; nothing was submitted."""

    exit_code = 3


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the operating system's complaints while writing ``path`` into one line.

    Raises:
        StorageError: the disk is full, the quota is used up or the folder is read-only.
    """
    try:
        yield
    except OSError as error:  # av's errors are OSErrors too and carry the same errno
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageError(
                f"disk full while writing {path}: free some space and rerun"
            ) from error
        if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
            raise StorageError(f"cannot write {path}: choose a folder you may write to") from error
        raise
