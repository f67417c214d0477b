"""A quote over the budget: a person is asked where there is a page to ask on."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.flow_runs import pause_flow_run
from prefect.input import RunInput
from prefect.runtime import flow_run
from pydantic import Field

from flows.progress import progress
from lipsync_core.errors import BudgetExceeded
from lipsync_core.jobs.budget import Purse, Quote

PATIENCE_S = 3 * 24 * 3600


class Approval(RunInput):
    """What the page of the paused run asks."""

    approve: bool = Field(False, title="Approve", description="spend this much on this film")


def keep_to_budget(quote: Quote, purse: Purse, name: str) -> None:
    """Make sure that a film may cost what it will cost, after those before it.

    A run of a deployment pauses for three days and shows a form; a command has nobody to ask.

    Raises:
        BudgetExceeded: nobody approved it; nothing was submitted.
    """
    try:
        purse.promise(quote, name)
    except BudgetExceeded as error:
        if not _has_a_page():
            raise
        question = Approval.with_initial_data(
            description=f"**{error}.** {quote.segments} segments, {quote.render_s:.0f} s of film, "
            f"by the prices of {quote.dated}.",
            approve=False,
        )
        progress.say(f"{name}: waiting for an approval of ${quote.cost_usd:.2f}")
        answer = cast(Any, pause_flow_run)(wait_for_input=question, timeout=PATIENCE_S)
        if not answer.approve:
            raise
        purse.approve(quote)


def _has_a_page() -> bool:
    """Whether this run was started from a deployment, so that somebody looks after it."""
    root = flow_run.get_root_flow_run_id()
    if not root:
        return False
    with get_client(sync_client=True) as client:
        return client.read_flow_run(UUID(str(root))).deployment_id is not None
