"""What all tasks share: cache keys made of content, and the retry rule.

A key is made of the sha256 of the inputs, the parameters and the version of the core function. No
path and no time stamp is in it, so the same work is found again wherever it lies.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from prefect.client.schemas.objects import State
from prefect.context import TaskRunContext
from pydantic import BaseModel

from lipsync_core.errors import LipsyncError
from lipsync_core.stores import MediaRef

# What says where things lie or are made, what people call them, how long they took or what they
# cost, and not what they are.
NO_CONTENT = frozenset(
    {"store", "out", "seconds", "cost_usd", "placed_now", "usd_a_frame", "dispatcher", "remarks",
     "resources", "called"}
)  # fmt: skip
CACHED: dict[str, Any] = {
    "persist_result": True,
    "result_serializer": "json",
    "cache_result_in_memory": False,
}
RETRYING: dict[str, Any] = {"retries": 2, "retry_delay_seconds": 2}


@runtime_checkable
class DependsOn(Protocol):
    """A value that knows better than its fields what work on it depends on."""

    def content(self) -> dict[str, Any]:
        """The parts that make the work another work."""
        ...


def results_in(store: str | Path) -> Path:
    """Where the results of cached tasks are kept: beside the bytes they speak of."""
    return Path(store).resolve() / "results"


def content_key(name: str, version: int) -> Callable[[TaskRunContext, dict[str, Any]], str]:
    """A cache key function: ``name/vN-<sha256 of the parameters' content>``."""

    def key(context: TaskRunContext, parameters: dict[str, Any]) -> str:
        text = json.dumps(_content(parameters), sort_keys=True)
        return f"{name}/v{version}-{hashlib.sha256(text.encode()).hexdigest()}"

    return key


def _content(value: Any) -> Any:
    if isinstance(value, MediaRef):
        return value.sha256
    if isinstance(value, DependsOn):
        value = value.content()
    if isinstance(value, BaseModel):
        value = {name: getattr(value, name) for name in type(value).model_fields}
    if isinstance(value, dict):
        return {str(k): _content(v) for k, v in value.items() if k not in NO_CONTENT}
    if isinstance(value, (list, tuple)):
        return [_content(item) for item in value]
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise TypeError(f"a {type(value).__name__} has no content key")


def may_retry(task: Any, run: Any, state: State[Any]) -> bool:
    """Whether trying again can help: what the error's class says; an unknown error gets one try."""
    error = state.result(raise_on_failure=False)
    return error.retryable if isinstance(error, LipsyncError) else run.run_count < 2
