"""What can go wrong, by name, and which run call it strikes."""

from __future__ import annotations

import random
import sqlite3
from dataclasses import dataclass
from enum import StrEnum

from tests.emulators.runpod.state import counted


class Fault(StrEnum):
    """One thing that goes wrong with a run call, or with the job it made."""

    LOST_RESPONSE = "lost_response"
    """The job is accepted; the connection breaks without an answer."""
    SERVER_ERROR = "server_error"
    """The answer is 500 and no job is accepted."""
    BAD_GATEWAY = "bad_gateway"
    """The answer is 502 with a page of HTML and no job is accepted."""
    TOO_MANY = "too_many"
    """The answer is 429 and no job is accepted."""
    SLOW_ACCEPT = "slow_accept"
    """The job is accepted at once; the answer takes three seconds."""
    UNSEEN_AT_FIRST = "unseen_at_first"
    """The job cannot be found for ``--unseen-s`` seconds."""
    FLAKY_STATUS = "flaky_status"
    """The first looks at the job's status are answered with 502, then with 429."""
    FAILED_EMPTY_OUTPUT = "failed_empty_output"
    """The worker finds that nothing was rendered, and says so in Korean."""
    FAILED_EXCEPTION = "failed_exception"
    """The worker raises."""
    CRASH = "crash"
    """The worker dies, and so does the one that is given the job next."""
    CRASH_ONCE = "crash_once"
    """The worker dies; the one that is given the job next completes it."""
    HANG = "hang"
    """The job runs until its execution timeout."""
    OVERSIZE = "oversize"
    """The result is too large: the job is COMPLETED without output."""
    WRONG_SIZE = "wrong_size"
    """The film is sixteen pixels wider than asked."""
    SHORT_VIDEO = "short_video"
    """The last fifth of the film is missing."""
    STUCK_IN_QUEUE = "stuck_in_queue"
    """No worker ever takes the job."""
    LOST_RESULT = "lost_result"
    """The job completes, but cannot be found any more from then on."""


SLOW_ACCEPT_S = 3.0

# What strikes the call before a job is accepted.
REFUSALS = frozenset({Fault.SERVER_ERROR, Fault.BAD_GATEWAY, Fault.TOO_MANY})


@dataclass(frozen=True)
class FaultPlan:
    """Which run call gets which fault: asked for by a test first, otherwise drawn.

    A draw depends on the seed and the number of the call alone, so a run can be repeated. Only
    calls that would be accepted are counted.
    """

    database: sqlite3.Connection
    rate: float
    seed: int

    def strike(self) -> tuple[int, Fault | None]:
        """The number of the run call that would be accepted now, and its fault."""
        number = counted(self.database, "run_calls")
        fault = self._asked_for() or self._drawn(number)
        if fault is not None:
            self.database.execute(
                "INSERT INTO strikes VALUES (?, 1)"
                " ON CONFLICT (fault) DO UPDATE SET times = times + 1",
                (fault.value,),
            )
        return number, fault

    def ask(self, fault: Fault, count: int) -> None:
        """The next ``count`` run calls shall have that fault."""
        self.database.executemany(
            "INSERT INTO next_faults (fault) VALUES (?)", [(fault.value,)] * count
        )

    def struck(self) -> dict[str, int]:
        """How often each fault struck."""
        times = {fault.value: 0 for fault in Fault}
        for row in self.database.execute("SELECT fault, times FROM strikes"):
            times[row["fault"]] = row["times"]
        return times

    def _asked_for(self) -> Fault | None:
        row = self.database.execute(
            "DELETE FROM next_faults WHERE place = (SELECT MIN(place) FROM next_faults)"
            " RETURNING fault"
        ).fetchone()
        return Fault(row["fault"]) if row else None

    def _drawn(self, number: int) -> Fault | None:
        dice = random.Random(f"{self.seed}:{number}")
        return dice.choice(list(Fault)) if dice.random() < self.rate else None
