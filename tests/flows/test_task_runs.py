"""The shared rules of all tasks, seen at work in real runs against a real server."""

from __future__ import annotations

from pathlib import Path

import pytest
from prefect import flow, task

from lipsync_core.errors import InputError, RenderFailed
from lipsync_core.stores import MediaRef
from tasks.policy import CACHED, RETRYING, content_key, may_retry

pytestmark = pytest.mark.usefixtures("with_server")

tried: list[str] = []


@task(retry_condition_fn=may_retry, **RETRYING | {"retry_delay_seconds": 0})
def failing(error: str) -> None:
    tried.append(error)
    raise {"input": InputError, "render": RenderFailed, "unknown": ValueError}[error]("as asked")


@flow
def trying(error: str) -> None:
    failing(error)


@pytest.mark.parametrize(
    ("error", "times", "kind"),
    [("input", 1, InputError), ("render", 3, RenderFailed), ("unknown", 2, ValueError)],
)
def test_work_is_tried_again_only_where_its_error_says_that_this_can_help(
    error: str, times: int, kind: type[Exception]
) -> None:
    tried.clear()
    with pytest.raises(kind, match="as asked"):
        trying(error)
    assert len(tried) == times


def test_work_is_not_done_again_for_the_same_content(tmp_path: Path) -> None:
    done: list[str] = []

    @task(cache_key_fn=content_key("measured", 1), **CACHED)
    def measured(file: MediaRef, store: str) -> int:
        done.append(file.uri)
        return file.size

    @flow(result_storage=tmp_path)
    def measuring(*files: MediaRef) -> list[int]:
        return [measured(file, "anywhere") for file in files]

    here, there, other = (
        MediaRef(uri=uri, sha256=content * 64, size=7)
        for uri, content in (("file:///a", "f"), ("file:///b", "f"), ("file:///c", "0"))
    )
    assert measuring(here, there, other) == [7, 7, 7]
    assert done == ["file:///a", "file:///c"]
