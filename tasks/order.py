"""Order: one segment rendered elsewhere, paid once, brought home."""

from __future__ import annotations

import hashlib
import json
import time

from prefect import task

from lipsync_core.jobs.dispatch import MOST_ATTEMPTS, Dispatcher, Quoted
from lipsync_core.jobs.ledger import Entry, JobStatus, Ledger
from lipsync_core.jobs.remote import Order
from tasks.cut_out import is_sent_as_still
from tasks.policy import CACHED, NO_CONTENT, content_key
from tasks.values import Kept, Returned, SegmentJob, store_at

VERSION = 1


def order_key(job: SegmentJob) -> str:
    """What an order is paid under: all that its result depends on, and nothing else.

    The bytes of the files that are sent are not in it: another machine's encoder may write other
    ones for the same frames. So a film that was made of one picture goes by what it was made of.
    """
    film = job.film.video.sha256 if job.film.still is None else job.film.still.made_of
    options = {name: value for name, value in job.options.items() if name not in NO_CONTENT}
    content = {
        "film": film, "frames": [job.first_frame, job.last_frame],
        "speech": job.heard, "engine": job.generator, "version": job.generator_version,
        "options": options, "attempt": job.attempt,
    }  # fmt: skip
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def latest_attempt(job: SegmentJob, ledger: Ledger) -> int:
    """The number of the newest attempt at a segment that was ever ordered, or 1."""
    number = 1
    while ledger.get(_placed_key(job.model_copy(update={"attempt": number + 1}))) is not None:
        number += 1
    return number


def last_entry(job: SegmentJob, ledger: Ledger) -> Entry | None:
    """The entry of the last try at an attempt."""
    return next(reversed(_tries(job, ledger)), None)


def spent_on(job: SegmentJob, ledger: Ledger) -> float | None:
    """What all tries at all attempts up to this one cost, or may yet cost; ``None`` where the
    ledger knows none."""
    attempts = (job.model_copy(update={"attempt": number}) for number in range(1, job.attempt + 1))
    found = [entry for attempt in attempts for entry in _tries(attempt, ledger)]
    return sum(entry.spent_usd for entry in found) if found else None


def _tries(job: SegmentJob, ledger: Ledger) -> list[Entry]:
    entries = [ledger.get(_placed_key(job, number)) for number in range(1, MOST_ATTEMPTS + 1)]
    return [entry for entry in entries if entry is not None]


def has_failed(entry: Entry | None) -> bool:
    """Whether an attempt with this last entry failed and is not tried any more."""
    if entry is None or entry.status is not JobStatus.FAILED:
        return False
    return not entry.again or entry.attempt >= MOST_ATTEMPTS


def _placed_key(job: SegmentJob, number: int = 1) -> str:
    return Order(order_key(job), "", "", 0, 0).attempt(number).key


def _label(job: SegmentJob) -> str:
    """What a person calls it; a film made of one picture has no name of its own."""
    still, name = job.film.still, job.film.video.uri.rpartition("/")[2]
    called = name if still is None else f"portrait {still.made_of[:8]}"
    return f"{called} {job.first_frame}-{job.last_frame}"


@task(
    name="order",
    task_run_name="order {job.first_frame}-{job.last_frame}",
    cache_key_fn=content_key("order", VERSION),
    **CACHED,
)
async def order(
    job: SegmentJob, kept: Kept, usd_a_frame: float, *, dispatcher: Dispatcher, store: str
) -> Returned:
    """Place the order, or find it placed; wait for its end and fetch the result.

    Waiting out troubles is the dispatcher's business, which knows what was already sent.
    """
    keep = store_at(store)
    segment, rate, info = job.segment(), job.film.rate, job.material(keep).info
    placed = Order(
        key=order_key(job), video=kept.video, speech=kept.speech,
        seconds=float(segment.frames / rate), frame_rate=float(rate),
        is_still=is_sent_as_still(job), width=info.width, height=info.height,
    )  # fmt: skip
    quoted = Quoted(placed, _label(job), usd_a_frame * segment.frames)
    started = time.monotonic()
    with keep.workspace() as folder:
        entry = await dispatcher.rendered(quoted, folder / "returned.mp4")
        file = keep.add(folder / "returned.mp4")
    return Returned(
        file=file,
        job_id=entry.job_id,
        cost_usd=entry.quoted_usd if entry.cost_usd is None else entry.cost_usd,
        seconds=round(time.monotonic() - started, 2),
        placed_now=entry.owner == dispatcher.owner,
    )
