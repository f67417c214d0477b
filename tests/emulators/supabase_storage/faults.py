"""What can go wrong, by name."""

from __future__ import annotations

from enum import StrEnum


class Fault(StrEnum):
    """One thing that goes wrong with a call."""

    NONE = "none"
    """Nothing goes wrong; a later call is meant."""
    LOST_ANSWER = "lost_answer"
    """The call does what it should; the connection breaks without an answer."""
    FORGOTTEN = "forgotten"
    """The answer is that it is done, and nothing is done."""
    OVERTAKEN = "overtaken"
    """Somebody else does the very same just before."""
    DROPPED = "dropped"
    """The connection breaks when half of the body has come."""
    SILENT = "silent"
    """The call does nothing, and nothing is answered for a minute."""
    SERVER_ERROR = "server_error"
    """The answer is 500 and nothing is done."""
    BUSY = "busy"
    """The database is short of connections: 429, and when to come back."""
    LOCKED = "locked"
    """Somebody else is at the same object: 423."""
