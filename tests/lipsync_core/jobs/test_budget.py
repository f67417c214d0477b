"""A budget holds for a run, not for each of its films."""

from __future__ import annotations

import pytest

from lipsync_core.errors import BudgetExceeded, InputError
from lipsync_core.jobs.budget import Purse, Quote, price_of


def quoted(usd: float) -> Quote:
    return Quote("sync", segments=1, render_s=1, film_s=1, cost_usd=usd)


def test_films_are_let_through_until_the_budget_is_used_up() -> None:
    purse = Purse(10)
    purse.promise(quoted(6), "one")
    with pytest.raises(
        BudgetExceeded, match=r"two: .*\$5\.00 .*\$10\.00, of which \$4\.00 are left"
    ):
        purse.promise(quoted(5), "two")
    purse.promise(quoted(4), "three")
    with pytest.raises(BudgetExceeded):
        purse.promise(quoted(0.01), "four")


def test_what_a_person_approved_counts_too() -> None:
    purse = Purse(10)
    purse.approve(quoted(12))
    with pytest.raises(BudgetExceeded):
        purse.promise(quoted(1), "two")


def test_without_a_budget_everything_is_let_through() -> None:
    purse = Purse(None)
    purse.promise(quoted(1e6), "one")
    assert purse.promised_usd == 1e6


def test_an_engine_paid_by_time_is_quoted_by_the_frame_and_billed_by_the_second() -> None:
    price = price_of("infinitetalk", "L40S")
    assert price.usd_a_second == 0.00053
    assert price.usd == pytest.approx(0.00053 * 0.96)
    assert price_of("sync", "lipsync-2").usd_a_second is None


def test_a_card_without_a_price_is_told_with_those_that_have_one() -> None:
    with pytest.raises(InputError, match=r"no price is known for infinitetalk T4: .*4090, A6000"):
        price_of("infinitetalk", "T4")
