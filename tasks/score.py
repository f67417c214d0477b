"""Score the whole film: all rendered segments together, before and after."""

from __future__ import annotations

from prefect import task

from lipsync_core.sync import load_scorer
from tasks.values import Looked, ScannedFilm


@task(name="score film")
def score_film(
    looks: list[Looked], film: ScannedFilm, scorer: str, store: str
) -> tuple[dict[str, object] | None, dict[str, object] | None]:
    """The score of the source's rendered parts with their own sound, and of the new ones."""
    judge = load_scorer(scorer)
    sources = [look.source for look in looks if look.source is not None]
    said = {"scorer": judge.name, "remark": judge.remark}
    before = judge.score(sources).as_dict() | said if sources else None
    after = judge.score([look.rendered for look in looks]).as_dict() | said if looks else None
    return before, after
