"""What Sync.so answers, read with patience: its eras name and shape the same facts differently."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

# Reasons for a failed job after which a new one could end better. What is not known is given the
# benefit of the doubt, a bounded number of times; a refusal of the input never is.
_PASSING = frozenset({
    "generation_pipeline_failed", "generation_unknown_error", "generation_infra_storage_error",
    "generation_infra_resource_exhausted", "generation_infra_service_unavailable",
    "generation_media_probe_timeout", "generation_media_probe_unavailable", "controller_timeout",
    "controller_unavailable", "controller_dependency_error", "internal_error",
    "usage_dependency_unavailable", "generation_timeout", "generation_database_error",
    "generation_unhandled_error", "elevenlabs_service_unavailable", "",
})  # fmt: skip
_LASTING = (
    "generation_input_", "generation_plan_", "generation_unsupported_", "generation_model_",
    "invalid_", "unsupported_", "asset_", "plan_", "account_", "free_tier_", "file_",
    "uploaded_file_", "generation_text_", "generation_audio_", "generation_video_",
    "generation_media_metadata_",
)  # fmt: skip

_QUERY = re.compile(r"(https?://[^\s?#]+)[?#]\S*", re.IGNORECASE)


def may_go_better(code: str) -> bool:
    """Whether a new job could succeed where one failed with this code."""
    return code in _PASSING or not code.startswith(_LASTING)


@dataclass(frozen=True)
class Generation:
    """One generation as the service tells it. ``raw`` is all it said."""

    id: str
    status: str
    created_at: datetime | None
    output_url: str
    output_file_name: str
    error: str
    error_code: str
    raw: Mapping[str, Any]

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Generation:
        """Read an answer of any era.

        Raises:
            ValueError: it names no job.
        """
        if not isinstance(answer.get("id"), str) or not answer["id"]:
            raise ValueError("an answer without a job id")
        return cls(
            id=answer["id"],
            status=text_of(answer, "status").upper(),
            created_at=_moment(answer),
            output_url=text_of(answer, "outputUrl", "segmentOutputUrl"),
            output_file_name=text_of(answer, "outputFileName"),
            error=said_in(answer, "error", "message"),
            error_code=text_of(answer, "errorCode", "error_code"),
            raw=answer,
        )


def text_of(answer: Mapping[str, Any], *names: str) -> str:
    """The first of these fields that holds a text or texts, in one line of bounded length."""
    for name in names:
        value = answer.get(name)
        if isinstance(value, list):
            value = "; ".join(str(part) for part in value)
        if isinstance(value, str) and value.strip():
            return value if value.startswith("http") else " ".join(value.split())[:300]
    return ""


def said_in(answer: Mapping[str, Any], *names: str) -> str:
    """The same for what people read: the addresses in it lose their queries, which may sign."""
    return _QUERY.sub(r"\1", text_of(answer, *names))[:300]


def _moment(answer: Mapping[str, Any]) -> datetime | None:
    text = text_of(answer, "createdAt", "created_at")
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
