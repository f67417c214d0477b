"""How many jobs may be under way at once: learned from the account itself.

The limit starts at what the person allows. The account's own "too many" lowers it; a long enough
row of accepted jobs raises it again, one at a time. A "too fast" stops new jobs for a while and
leaves the limit alone.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext

RAISE_AFTER = 3  # times the limit: so many successes in a row open another lane
_IN_ROW = 3  # for each lane: one job that is under way, two that are next
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0


class Lanes:
    """Slots for jobs, at most ``most`` and at least one.

    ``shared`` gives what else must be held while a job is under way: a limit that others keep, too.
    """

    def __init__(
        self,
        most: int,
        seed: int | None = None,
        shared: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
    ) -> None:
        self._shared = shared
        self.most = self.limit = max(1, most)
        self.under_way = 0
        self._good = 0
        self._pause_s = FIRST_PAUSE_S
        self._quiet_until = 0.0
        self._changed = asyncio.Condition()
        self._row = asyncio.Semaphore(_IN_ROW * self.most)
        self._random = random.Random(seed)

    @asynccontextmanager
    async def row(self) -> AsyncIterator[None]:
        """Stand in the row for a slot, which is short: a thousand orders that begin together would
        hold up the first of them."""
        async with self._row:
            yield

    @asynccontextmanager
    async def lane(self) -> AsyncIterator[None]:
        """Hold a slot for as long as a job is under way."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.under_way < self.limit)
            self.under_way += 1
        try:
            async with self._shared():
                yield
        finally:
            async with self._changed:
                self.under_way -= 1
                self._changed.notify_all()

    async def may_submit(self) -> None:
        """Return when nothing asks to wait any more."""
        while (wait := self._quiet_until - _now()) > 0:
            await asyncio.sleep(wait)

    async def full(self, told: int | None, retry_after_s: float | None) -> None:
        """The account said that it has all the jobs it may; ``told`` is how many that are.

        The job that was turned away keeps its slot and waits; so it is not counted. Fewer than
        ``told`` may be this run's: others use the account, or jobs that were given up go on there.
        """
        async with self._changed:
            self.limit = max(1, min(self.limit, told or self.limit, self.under_way - 1))
            self._good = 0
        await self._rest(retry_after_s)

    async def too_fast(self, retry_after_s: float | None) -> None:
        """The account said that calls come too fast, or is in trouble: all wait."""
        wait = self._next_pause(retry_after_s)
        self._quiet_until = max(self._quiet_until, _now() + wait)
        await self.may_submit()

    async def went_well(self) -> None:
        """A job was accepted."""
        self._pause_s = FIRST_PAUSE_S
        async with self._changed:
            self._good += 1
            if self._good >= RAISE_AFTER * self.limit and self.limit < self.most:
                self.limit, self._good = self.limit + 1, 0
                self._changed.notify_all()

    async def _rest(self, retry_after_s: float | None) -> None:
        await asyncio.sleep(self._next_pause(retry_after_s))

    def _next_pause(self, retry_after_s: float | None) -> float:
        """What was asked for, else twice as long each time; a fifth more at random, so that a
        crowd does not come back at once."""
        pause = self._pause_s if retry_after_s is None else retry_after_s
        self._pause_s = min(LONGEST_PAUSE_S, 2 * self._pause_s)
        return pause * (1 + 0.2 * self._random.random())


def _now() -> float:
    return asyncio.get_running_loop().time()
