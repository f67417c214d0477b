"""Tell the people in the Prefect UI what a command prints on a terminal."""

from __future__ import annotations

from prefect import task
from prefect.artifacts import create_markdown_artifact


@task(name="tell")
def tell(key: str, text: str) -> None:
    """Keep ``text`` as the newest version of the artifact ``key``."""
    create_markdown_artifact(f"```text\n{text}\n```", key=key)
