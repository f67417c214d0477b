"""What the input of a job says: which keys count, what stands in for those that are missing.

Nothing is validated, as the worker does not; unknown keys are ignored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

WAYS = ("path", "url", "base64")
"""How a medium may be given, the first that is there counts."""

_EXTRA_FRAMES = 81
_SIZE_STEP = 16


@dataclass(frozen=True)
class Given:
    """One medium of an input: ``way`` is one of ``WAYS``, and ``value`` what stood there."""

    way: str
    value: Any


def medium(job_input: dict[str, Any], name: str, number: str = "") -> Given | None:
    """What a job gives for ``image``, ``video`` or ``wav``; ``number`` is ``_2`` for the second.

    ``None`` where none of its keys is there: then the worker takes its bundled sample.
    """
    for way in WAYS:
        key = f"{name}_{way}{number}"
        if key in job_input:
            return Given(way, job_input[key])
    return None


def shown(job_input: dict[str, Any]) -> str:
    """Which medium is to be shown, ``image`` or ``video``."""
    return "image" if job_input.get("input_type", "image") == "image" else "video"


def is_for_two(job_input: dict[str, Any]) -> bool:
    """Whether two people speak."""
    return bool(job_input.get("person_count", "single") != "single")


def samples_in(job_input: dict[str, Any]) -> int:
    """How many bundled samples the worker will silently render for this input: 0, 1 or 2."""
    needed = (shown(job_input), "wav")
    return sum(medium(job_input, name) is None for name in needed)


def size_of(job_input: dict[str, Any]) -> tuple[int, int]:
    """Width and height of the film: whole steps of 16, rounded down."""
    width, height = (int(job_input.get(name, 512)) for name in ("width", "height"))
    return width // _SIZE_STEP * _SIZE_STEP, height // _SIZE_STEP * _SIZE_STEP


def most_frames(job_input: dict[str, Any], voice_s: float) -> int:
    """The cap on the frames; ``voice_s`` is 0 where the length of the voice cannot be read."""
    return int(job_input.get("max_frame", int(voice_s * 25) + _EXTRA_FRAMES))
