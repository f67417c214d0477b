"""What can go wrong, by name, and which create call it strikes."""

from __future__ import annotations

import random
import sqlite3
from dataclasses import dataclass
from enum import StrEnum

from tests.emulators.sync_so.state import counted


class Fault(StrEnum):
    """One thing that goes wrong with a create call, or with the job it made."""

    LOST_RESPONSE = "lost_response"
    """The job is accepted; the connection breaks without an answer."""
    OUTCOME_UNKNOWN = "outcome_unknown"
    """The job is accepted; the answer is 503 IDEMPOTENCY_OUTCOME_UNKNOWN."""
    OUTCOME_UNKNOWN_WITH_ID = "outcome_unknown_with_id"
    """The same, and the answer names the job as ``generationId``."""
    SERVER_ERROR = "server_error"
    """The answer is 500 and no job is accepted."""
    SLOW_ACCEPT = "slow_accept"
    """The job is accepted at once; the answer takes three seconds."""
    FAILED_EMPTY = "failed_empty"
    """The job ends FAILED with an empty error and no code."""
    FAILED_TRANSIENT = "failed_transient"
    """The job ends FAILED with a code that another try can cure."""
    FAILED_OPAQUE = "failed_opaque"
    """The job ends FAILED with "An unknown error occurred." and no code."""
    REJECTED = "rejected"
    """The job is refused before it is processed."""
    STUCK = "stuck"
    """The job never ends."""
    NO_OP = "no_op"
    """The job completes; its picture is the source's, under the new speech."""
    WRONG_LENGTH = "wrong_length"
    """The job completes; the last fifth of its frames is missing."""
    TRUNCATED_DOWNLOAD = "truncated_download"
    """The first download of the output breaks off in the middle."""
    EXPIRED_URL = "expired_url"
    """The job's ``outputUrl`` has expired when it is first told; ``/download`` gives a good one."""
    WEBHOOK_DUPLICATE = "webhook_duplicate"
    """The webhook is called twice."""
    WEBHOOK_LATE = "webhook_late"
    """The webhook is called three seconds after the job ended."""
    WEBHOOK_MISSING = "webhook_missing"
    """The webhook is never called."""


SLOW_ACCEPT_S = 3.0
LATE_WEBHOOK_S = 3.0
KEPT_SHARE = 0.8  # of the frames, by WRONG_LENGTH

# What strikes the create call itself; a batch has none of its own for each job.
OF_THE_CALL = frozenset(
    {Fault.LOST_RESPONSE, Fault.OUTCOME_UNKNOWN, Fault.OUTCOME_UNKNOWN_WITH_ID,
     Fault.SERVER_ERROR, Fault.SLOW_ACCEPT}
)  # fmt: skip
# What the older API cannot do: it knows no idempotency and cannot sign an address anew.
_NEWER_ONLY = frozenset({Fault.OUTCOME_UNKNOWN, Fault.OUTCOME_UNKNOWN_WITH_ID, Fault.EXPIRED_URL})


@dataclass(frozen=True)
class Ending:
    """How a job ends that does not complete."""

    status: str
    error: str
    code: str | None


ENDINGS = {
    Fault.FAILED_EMPTY: Ending("FAILED", "", None),
    Fault.FAILED_TRANSIENT: Ending(
        "FAILED", "No capacity was left for this job.", "generation_infra_resource_exhausted"
    ),
    Fault.FAILED_OPAQUE: Ending("FAILED", "An unknown error occurred.", None),
    Fault.REJECTED: Ending(
        "REJECTED", "The input was refused by the content policy.",
        "generation_input_validation_failed",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class FaultPlan:
    """Which create call gets which fault: asked for by a test first, otherwise drawn.

    A draw depends on the seed and the number of the create call alone, so a run can be repeated.
    Only calls that would be accepted are counted.
    """

    database: sqlite3.Connection
    rate: float
    seed: int
    is_old: bool

    def strike(self) -> tuple[int, Fault | None]:
        """The number of the create call that is being accepted, and its fault."""
        number = counted(self.database, "create_calls")
        fault = self._asked_for() or self._drawn(number)
        if fault is not None:
            self.database.execute(
                "INSERT INTO strikes VALUES (?, 1)"
                " ON CONFLICT (fault) DO UPDATE SET times = times + 1",
                (fault,),
            )
        return number, fault

    def ask(self, fault: Fault, count: int) -> None:
        """The next ``count`` create calls shall have that fault."""
        self.database.executemany(
            "INSERT INTO next_faults (fault) VALUES (?)", [(fault.value,)] * count
        )

    def struck(self) -> dict[str, int]:
        """How often each fault struck."""
        times = dict.fromkeys(Fault, 0)
        for row in self.database.execute("SELECT fault, times FROM strikes"):
            times[Fault(row["fault"])] = row["times"]
        return {fault.value: count for fault, count in times.items()}

    def _asked_for(self) -> Fault | None:
        row = self.database.execute(
            "DELETE FROM next_faults WHERE place = (SELECT MIN(place) FROM next_faults)"
            " RETURNING fault"
        ).fetchone()
        return Fault(row["fault"]) if row else None

    def _drawn(self, number: int) -> Fault | None:
        dice = random.Random(f"{self.seed}:{number}")
        if dice.random() >= self.rate:
            return None
        return dice.choice([f for f in Fault if not (self.is_old and f in _NEWER_ONLY)])
