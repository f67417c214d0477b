"""A budget holds for a run, not for each of its films."""

from __future__ import annotations

import pytest

from lipsync_core.errors import BudgetExceeded
from lipsync_core.jobs.budget import Purse, Quote


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
