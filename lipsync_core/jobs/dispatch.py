"""Placing orders with an engine elsewhere so that each is paid once, whatever happens in between.

The intent is in the ledger before a request goes out, and the request carries the intent's key.
What was once sent is never sent blindly again: first the engine is asked for a job of that name.
Where an engine cannot be trusted to tell, an order stands as unknown from before it is sent until
its job is known, and is not placed a second time by itself.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from lipsync_core.errors import (
    KeyTaken,
    LanesFull,
    LipsyncError,
    OutcomeUnknown,
    RemoteRefused,
    RemoteUnavailable,
    RenderFailed,
    TooFast,
)
from lipsync_core.jobs.lanes import Lanes
from lipsync_core.jobs.ledger import LEASE_S, OPEN, Entry, JobStatus, Ledger, owner_of_this_run
from lipsync_core.jobs.remote import (
    JobReport,
    Known,
    NotTaken,
    NotToldYet,
    Order,
    Progress,
    RemoteGenerator,
)
from lipsync_core.jobs.watch import LOST, Overdue, Watcher
from lipsync_core.stores.public import PublicStore

T = TypeVar("T")

MOST_ATTEMPTS = 3
PATIENCE = 6  # calls that cost nothing are tried so often
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 30.0
_OTHERS_S = 1.0  # how often a job of another run is looked at
_LONGEST_SEARCH_PAUSE_S = 10.0
_DOWNLOADS = _UPLOADS = 8
NOT_SENT = "not_sent"  # the code of an unknown entry whose request surely came to nothing
CANCELLED = "cancelled"
_NO_RESULT = frozenset({"bad_output", "no_output", LOST})  # a completed job without one


@dataclass(frozen=True)
class Quoted:
    """An order with what it will cost at most, and what a person calls it."""

    order: Order
    label: str
    usd: float


class Dispatcher:
    """Places the orders of one run; see :func:`dispatching`.

    Once more than ``most_failures`` orders were refused or failed, nothing new is placed; what was
    placed is still brought home. The same holds once the account takes no orders. A job that failed
    is not placed again where all tries that failed would then cost more than ``most_retry_usd``.
    ``say`` is told what a person would wonder about.
    """

    def __init__(
        self,
        engine: RemoteGenerator,
        ledger: Ledger,
        lanes: Lanes,
        store: PublicStore | None = None,
    ) -> None:
        self.engine, self.ledger, self.lanes, self.store = engine, ledger, lanes, store
        self.watcher = Watcher(engine)
        self.owner = owner_of_this_run()
        self.most_failures, self._failures = math.inf, 0
        self.most_retry_usd: float | None = None
        self.say: Callable[[str], None] = logging.getLogger(__name__).warning
        self._retried_usd, self._has_said = 0.0, False
        self._not_taken: NotTaken | None = None
        self._one_at_a_time: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._downloads = asyncio.Semaphore(_DOWNLOADS)
        self._uploads = asyncio.Semaphore(_UPLOADS)

    async def keep(self, path: Path, sha256: str) -> str:
        """Hand a file over, to the store or else to the engine itself; what an order calls it."""
        store = self.store
        async with self._uploads:
            if store is not None:
                return await self._patiently(lambda: store.publish(path, sha256))
            return await self._patiently(lambda: self.engine.keep(path, sha256 + path.suffix))

    @property
    def keeps_files(self) -> bool:
        """Whether what :meth:`keep` handed over is still there for another process."""
        return self.store is not None or self.engine.keeps_files

    async def _body(self, order: Order) -> dict[str, Any]:
        """The request of an order; addresses are signed in this moment, for the longest queue."""
        if self.store is not None:
            order = replace(
                order,
                video=await self.store.address(order.video),
                speech=await self.store.address(order.speech),
            )
        return self.engine.body(order)

    async def rendered(self, quoted: Quoted, out: Path) -> Entry:
        """Bring the result of an order to ``out``: placed now, or by any run before.

        A job that failed in passing is placed again under the key of another attempt.

        Raises:
            RemoteRefused: the engine refused the order for good.
            RenderFailed: the job failed.
            RemoteUnavailable: the engine does not answer; nothing is lost, try later.
        """
        before: Entry | None = None
        for number in range(1, MOST_ATTEMPTS + 1):
            order = quoted.order.attempt(number)
            if before is not None and not self._may_retry(order, before):
                raise RenderFailed(
                    f"{self._failure(before)}; it was not tried again, since the run could then "
                    "cost more than its budget: allow more with --budget and run the same command "
                    "again"
                )
            async with self._one_at_a_time[order.key]:
                entry, url = await self._ended(order, quoted, number)
            if entry.status is not JobStatus.FAILED or not entry.again:
                break
            before = entry
        if entry.status is JobStatus.REFUSED:
            raise RemoteRefused(f"{self.engine.name} refused: {_why(entry)}", entry.code)
        if entry.status is JobStatus.FAILED:
            raise RenderFailed(self._failure(entry))
        return await self._fetched(entry, url, out)

    def _failure(self, entry: Entry) -> str:
        times = f" {entry.attempt} times" if entry.attempt > 1 else ""
        return f"{self.engine.name} failed{times}: {_why(entry)}"

    def _may_retry(self, order: Order, failed: Entry) -> bool:
        """Whether there is money for placing an order once more: beyond its quote, it costs what
        the try that failed did."""
        if self.ledger.get(order.key) is not None:  # it is placed already
            return True
        cost_usd = failed.spent_usd
        most_usd = math.inf if self.most_retry_usd is None else self.most_retry_usd
        if cost_usd and self._retried_usd + cost_usd > most_usd + 1e-9:
            self._failures += 1
            return False
        self._retried_usd += cost_usd
        return True

    async def _ended(self, order: Order, quoted: Quoted, number: int) -> tuple[Entry, str]:
        """The entry of an order once it has ended, and where its result lies, if that is known."""
        while True:
            async with self.lanes.lane():
                entry = self.ledger.get(order.key)
                is_new = entry is None
                if is_new and self._failures > self.most_failures:
                    raise RenderFailed("not ordered, since too many others failed")
                if is_new and self._not_taken is not None:
                    raise self._not_taken
                entry = entry or self.ledger.intend(
                    order.key, engine=self.engine.name, label=quoted.label, attempt=number,
                    body=unsigned(await self._body(order)), quoted_usd=quoted.usd, owner=self.owner,
                    account=self.engine.account, options=self.engine.options,
                )  # fmt: skip
                if entry.status not in OPEN:
                    return entry, ""
                is_new = is_new and entry.owner == self.owner
                mine = entry if is_new else self.ledger.claim(order.key, self.owner)
                if mine is not None:
                    if not is_new and await self._is_anothers(mine):
                        raise RemoteRefused(another_account(self.engine, mine))
                    job_id = mine.job_id or await self._placed(order, mine, is_new)
                    url = await self._watched(order, job_id) if job_id else ""
                    ended = self._entry(order.key)
                    may_go_on = ended.again and number < MOST_ATTEMPTS
                    if ended.status in (JobStatus.REFUSED, JobStatus.FAILED) and not may_go_on:
                        self._failures += 1
                    return ended, url
            await asyncio.sleep(_OTHERS_S)  # another run is at it

    async def _is_anothers(self, entry: Entry) -> bool:
        return await self._patiently(lambda: is_anothers(self.engine, entry))

    async def _placed(self, order: Order, entry: Entry, is_new: bool) -> str:
        """Place an order; its job id, or nothing if it was refused."""
        is_known_new = is_new or not may_be_placed(self.engine, entry)
        job_id = None if is_known_new else await self._adopted(entry)
        tries = 0
        while job_id is None:
            await self.lanes.may_submit()
            if self._not_taken is not None:
                raise self._not_taken
            try:
                body = await self._body(order)
                self._mark_sending(order.key)
                job_id = await self.engine.submit(order.key, body)
            except LanesFull as error:
                self._mark(order.key, NOT_SENT, str(error))
                await self.lanes.full(error.limit, error.retry_after_s)
            except TooFast as error:
                self._mark(order.key, NOT_SENT, str(error))
                await self.lanes.too_fast(error.retry_after_s)
            except (OutcomeUnknown, KeyTaken) as error:
                self.ledger.record(order.key, JobStatus.UNKNOWN, code="", error=str(error))
                job_id = getattr(error, "job_id", None)
                if job_id is None:
                    await self._wait(tries, error)
                    job_id = await self._adopted(entry)
                tries += 1
            except RemoteUnavailable as error:  # it was not even sent
                self._mark(order.key, NOT_SENT, str(error))
                await self._wait(tries, error)
                tries += 1
            except NotTaken as error:
                self.ledger.record(
                    order.key, JobStatus.UNKNOWN, code=NOT_SENT, error=str(error)
                )  # fmt: skip
                self._not_taken = NotTaken(
                    f"{error}; it was not ordered: once that is put right, run the same command "
                    "again",
                    error.code,
                )  # fmt: skip
            except RemoteRefused as error:
                self.ledger.record(
                    order.key, JobStatus.REFUSED, code=error.code, error=str(error)
                )  # fmt: skip
                return ""
        self.ledger.record(
            order.key, JobStatus.SUBMITTED, job_id=job_id, code="", error="", placed_s=time.time()
        )
        await self.lanes.went_well()
        return job_id

    def _mark_sending(self, key: str) -> None:
        """Write down that an order is being sent, where only the ledger can tell it after a sudden
        end, or tells otherwise."""
        if not self.engine.can_search or self._entry(key).code == NOT_SENT:
            self.ledger.record(
                key, JobStatus.UNKNOWN, code="", error="it was being placed", sent_s=time.time(),
                account=self.engine.account, options=self.engine.options,
            )  # fmt: skip

    def _mark(self, key: str, code: str, error: str) -> None:
        """Write down that an order was not sent after all."""
        if not self.engine.can_search:
            self.ledger.record(key, JobStatus.UNKNOWN, code=code, error=error)

    async def _wait(self, tries: int, error: LipsyncError) -> None:
        if tries >= PATIENCE:
            if not self.engine.can_search and not isinstance(error, OutcomeUnknown):
                raise RemoteUnavailable(
                    f"{error}; nothing was ordered: run the same command again later"
                ) from error
            raise RemoteUnavailable(
                f"{error}; whether the job was accepted is not known, so it counts as spent: run "
                "the same command again to find out"
            ) from error
        await asyncio.sleep(_pause_s(tries, error))

    async def _adopted(self, entry: Entry) -> str | None:
        """The job that this order became, although its answer never came.

        An engine that keeps no keys would take the same order for another one, so it is given
        time to tell of a job that it was still accepting when the answer was lost, or does not show
        at first.

        Raises:
            OutcomeUnknown: the engine does not tell.
        """
        now = self._entry(entry.key)
        # an answer may be lost long after the sending began, as large as some orders are
        until = max(now.sent_s, now.updated_s) + self.engine.search_s
        pause_s = _OTHERS_S
        while True:
            is_last = time.time() >= until
            job_id = None
            try:
                job_id = await self._patiently(lambda: found(self.engine, self.ledger, now))
            except OutcomeUnknown as error:
                if is_last or not isinstance(error, NotToldYet):
                    self.ledger.record(entry.key, JobStatus.UNKNOWN, code="", error=str(error))
                    raise
            else:
                if job_id is not None or self.engine.keeps_keys or is_last:
                    return job_id
            self._say_that_it_waits(until - time.time())
            await asyncio.sleep(max(0.0, min(pause_s, until - time.time())))
            pause_s = min(_LONGEST_SEARCH_PAUSE_S, 1.5 * pause_s)

    def _say_that_it_waits(self, for_s: float) -> None:
        if not self._has_said:
            self._has_said = True
            self.say(
                f"whether {self.engine.name} accepted an order is not known: waiting up to "
                f"{max(1.0, for_s):.0f} s for it to show, so that it is not paid twice"
            )

    async def _watched(self, order: Order, job_id: str) -> str:
        """Wait for a job's end and write it down; where its result lies."""
        entry = self._entry(order.key)
        age_s = max(0.0, time.time() - (entry.placed_s or entry.updated_s))
        deadline_s = self.engine.deadline_s(order)
        try:
            report = await self.watcher.ended(job_id, order.seconds, deadline_s, age_s)
        except Overdue as error:
            report = await self._given_up(job_id, error)
        if report.code == LOST:  # it may yet be billed
            with suppress(Overdue):
                report = await self._given_up(job_id, Overdue(report.error))
        recorded(self.ledger, order.key, report)
        return report.url

    async def _given_up(self, job_id: str, overdue: Overdue) -> JobReport:
        """Call a job off that takes too long, since it would go on being billed; it may have ended
        in the meantime.

        Raises:
            Overdue: it cannot be called off, or nobody confirmed it.
        """
        if not self.engine.can_cancel:
            raise overdue
        try:
            report = await self._patiently(lambda: ended_by_force(self.engine, job_id))
        except RemoteUnavailable:
            raise overdue from None
        if report is None or report.progress is Progress.WAITING:
            raise overdue
        if report.code != CANCELLED:
            return report
        return replace(
            report, code="given_up", again=True, error="it took too long and was called off"
        )

    async def _fetched(self, entry: Entry, url: str, out: Path) -> Entry:
        async with self._downloads:
            try:
                await self._patiently(lambda: self.engine.fetch(entry.job_id, url, out))
            except RemoteRefused as error:
                if entry.account not in ("", self.engine.account):
                    raise RemoteRefused(another_account(self.engine, entry)) from error
                if error.code not in _NO_RESULT or entry.status is not JobStatus.COMPLETED:
                    raise
                report = JobReport(
                    entry.job_id, Progress.FAILED, code=error.code, error=str(error),
                    cost_usd=await self._cost(entry.job_id),
                )  # fmt: skip
                recorded(self.ledger, entry.key, report)
                raise RenderFailed(self._failure(self._entry(entry.key))) from error
            cost = await self._cost(entry.job_id) if entry.cost_usd is None else entry.cost_usd
        self.ledger.record(entry.key, JobStatus.FETCHED, cost_usd=cost)
        return self._entry(entry.key)

    async def _cost(self, job_id: str) -> float | None:
        with suppress(RemoteUnavailable):
            return await self.engine.cost_usd(job_id)
        return None

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """The answer to a call that costs nothing, however often it is made."""
        for tries in range(PATIENCE):
            try:
                return await call()
            except OutcomeUnknown:  # no answer is an answer
                raise
            except RemoteUnavailable as error:
                await asyncio.sleep(_pause_s(tries, error))
        return await call()

    def _entry(self, key: str) -> Entry:
        entry = self.ledger.get(key)
        assert entry is not None
        return entry

    async def hold_on(self) -> None:
        """Keep the leases of this run for as long as it lives."""
        while True:
            await asyncio.sleep(LEASE_S / 3)
            self.ledger.renew(self.owner)


@asynccontextmanager
async def dispatching(
    engine: RemoteGenerator, ledger: Ledger, lanes: Lanes, store: PublicStore | None = None
) -> AsyncIterator[Dispatcher]:
    """A dispatcher with its watcher at work; in the end the run lets go of what it still holds.

    Files go through ``store``, or else to the engine itself.
    """
    dispatcher = Dispatcher(engine, ledger, lanes, store)
    beside = [
        asyncio.create_task(dispatcher.watcher.watch()), asyncio.create_task(dispatcher.hold_on())
    ]  # fmt: skip
    try:
        yield dispatcher
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        ledger.release(dispatcher.owner)


def unsigned(body: Any) -> Any:
    """A request without the signatures of its addresses, which open what they point at."""
    if isinstance(body, dict):
        return {name: unsigned(value) for name, value in body.items()}
    if isinstance(body, list):
        return [unsigned(value) for value in body]
    is_address = isinstance(body, str) and body.startswith(("https://", "http://"))
    return body.partition("?")[0] if is_address else body


def may_be_placed(engine: RemoteGenerator, entry: Entry) -> bool:
    """Whether an open order may have become a job of which the ledger does not know."""
    if entry.code == NOT_SENT:
        return False
    return engine.can_search or entry.status is JobStatus.UNKNOWN


async def found(engine: RemoteGenerator, ledger: Ledger, entry: Entry) -> str | None:
    """The job that an order became, if the engine has one."""
    known = {
        other.job_id: Known(
            other.sent_s or other.intended_s, other.placed_s or other.updated_s,
            is_lost=other.code == LOST,
        )
        for other in ledger.entries()
        if other.job_id and other.engine == engine.name
        and other.account in ("", engine.account)
    }  # fmt: skip
    return await engine.find(entry.key, entry.body, entry.sent_s or entry.intended_s, known)


async def is_anothers(engine: RemoteGenerator, entry: Entry) -> bool:
    """Whether an open order went to another account than this one, which has no such job: here it
    can neither be asked for nor placed."""
    is_so = entry.account not in ("", engine.account)
    if not is_so or not (entry.job_id or may_be_placed(engine, entry)):
        return False
    return not entry.job_id or entry.job_id not in await engine.look([entry.job_id])


def another_account(engine: RemoteGenerator, entry: Entry) -> str:
    """What a person is told of an order of another account."""
    return (
        f"job {entry.key[:12]} was ordered from another account or endpoint of {engine.name} "
        f"({entry.account[:8]}) than the one that is set now ({engine.account[:8]}): set "
        f"{engine.settings} back to bring it home; it is neither asked for nor ordered here"
    )


async def ended_by_force(engine: RemoteGenerator, job_id: str) -> JobReport | None:
    """Call a job off: its end, which may be another one, or how it stands; ``None`` where the
    engine does not know it."""
    is_off = False
    with suppress(RemoteRefused):  # as one that has ended may be; the look tells
        is_off = await engine.cancel(job_id)
    if not is_off:
        return (await engine.look([job_id])).get(job_id)
    cost_usd = None
    with suppress(RemoteUnavailable, RemoteRefused):
        cost_usd = await engine.cost_usd(job_id)
    return JobReport(job_id, Progress.FAILED, code=CANCELLED, cost_usd=cost_usd)


def recorded(ledger: Ledger, key: str, report: JobReport) -> None:
    """Write down what an engine says of a job; nothing while it is waited for. One that is lost
    may have been paid, so it counts as that."""
    cost_usd = report.cost_usd
    if cost_usd is None and report.code == LOST and (entry := ledger.get(key)) is not None:
        cost_usd = entry.quoted_usd
    facts: dict[str, Any] = {"code": report.code, "error": report.error}
    if cost_usd is not None:
        facts["cost_usd"] = cost_usd
    if report.progress is Progress.COMPLETED:
        ledger.record(key, JobStatus.COMPLETED)
    elif report.progress is Progress.REFUSED:
        ledger.record(key, JobStatus.REFUSED, **facts)
    elif report.progress is Progress.FAILED:
        ledger.record(key, JobStatus.FAILED, again=report.again, **facts)


def _pause_s(tries: int, error: LipsyncError) -> float:
    """As long as was asked for, else twice as long each time."""
    asked = getattr(error, "retry_after_s", None)
    return min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2**tries) if asked is None else asked


def _why(entry: Entry) -> str:
    error = entry.error or "no reason given"
    return f"{error} ({entry.code})" if entry.code and entry.code not in error else error
