"""What a run will cost and how long it will take, before anything is rendered.

The prices are data with a date, ``prices.json`` beside this module, or the file that
``LIPSYNC_PRICES`` names: dollars for a frame of output. A line of an engine that is paid by time
holds instead what a second of work costs, and how many seconds a frame takes.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from lipsync_core.errors import BudgetExceeded, InputError
from lipsync_core.timeline import SpanKind, Timeline

VARIABLE = "LIPSYNC_PRICES"


@dataclass(frozen=True)
class Quote:
    """The price of a plan. ``render_s`` is the length of the film that gets a new mouth."""

    generator: str
    segments: int
    render_s: float
    film_s: float
    cost_usd: float
    dated: str = ""


@dataclass
class Purse:
    """What a run may cost, and what its films were let through for so far."""

    budget_usd: float | None
    promised_usd: float = 0.0

    def promise(self, quote: Quote, name: str) -> None:
        """Let a film through.

        Raises:
            BudgetExceeded: with it, the run would cost more than it may.
        """
        left = math.inf if self.budget_usd is None else self.budget_usd - self.promised_usd
        if quote.cost_usd > left:
            before = f", of which ${left:.2f} are left" if self.promised_usd else ""
            raise BudgetExceeded(
                f"{name}: the quote of ${quote.cost_usd:.2f} is over the budget of "
                f"${self.budget_usd:.2f}{before}; nothing was submitted"
            )
        self.approve(quote)

    def approve(self, quote: Quote) -> None:
        """Let a film through whatever is left."""
        self.promised_usd += quote.cost_usd


@dataclass(frozen=True)
class Price:
    """Dollars for a frame of output, and the date of the table they stand in; ``usd_a_second`` is
    the price of a second of work, where an engine is paid by time."""

    usd: float = 0.0
    dated: str = ""
    usd_a_second: float | None = None


def price_of(engine: str, line: str) -> Price:
    """What a frame costs.

    Raises:
        InputError: the table cannot be read, or does not know the engine.
    """
    given = os.environ.get(VARIABLE)
    table = _table(Path(given) if given else None)
    try:
        told, dated = table["engines"][engine][line], str(table["dated"])
        if not isinstance(told, dict):
            return Price(float(told), dated)
        usd_a_second = float(told["usd_a_second"])
        return Price(usd_a_second * float(told["seconds_a_frame"]), dated, usd_a_second)
    except (KeyError, TypeError, ValueError) as error:
        lines = table.get("engines", {}).get(engine)
        known = f" ({', '.join(lines)} are in it)" if isinstance(lines, dict) and lines else ""
        raise InputError(
            f"no price is known for {engine} {line}: add it to a copy of the table{known} and name "
            f"that in {VARIABLE}"
        ) from error


def quote(
    generator: str, timeline: Timeline, price: Price | None = None, seam_frames: int = 0
) -> Quote:
    """Price a plan. Engines on this machine cost nothing but time; passthrough spans cost nothing
    at all. ``seam_frames`` are rendered on either side of every place where two segments meet."""
    rendered = [s for s in timeline.segments if s.kind is SpanKind.LIPSYNC]
    price = price or Price()
    ends = [(s.first_frame - seam_frames, s.last_frame + seam_frames) for s in rendered]
    frames = sum(min(timeline.frames, last) - max(0, first) for first, last in ends)
    return Quote(
        generator=generator,
        segments=len(rendered),
        render_s=sum(timeline.seconds(s.frames) for s in rendered),
        film_s=timeline.seconds(timeline.frames),
        cost_usd=price.usd * frames,
        dated=price.dated,
    )


@lru_cache(maxsize=8)
def _table(path: Path | None) -> dict[str, Any]:
    try:
        place = resources.files("lipsync_core.jobs") / "prices.json" if path is None else path
        table: dict[str, Any] = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read the price table {path}: correct {VARIABLE}") from error
    return table
