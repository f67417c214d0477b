"""Tell the people in the Prefect UI what a command prints on a terminal."""

from __future__ import annotations

import re

from prefect import task
from prefect.artifacts import create_markdown_artifact


def artifact_key(name: str, what: str) -> str:
    """The key of an artifact about a film: lower-case letters, digits and dashes."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "film"
    return f"{plain}-{what}"


@task(name="tell")
def tell(key: str, text: str) -> None:
    """Keep ``text`` as the newest version of the artifact ``key``."""
    create_markdown_artifact(f"```text\n{text}\n```", key=key)
