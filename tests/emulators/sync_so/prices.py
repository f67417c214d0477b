"""The models and what a frame of their output costs."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

# Dollars for a second of output at 25 frames a second, as the smaller plans pay (2026). No price
# of react-1 is known; it is taken to cost what lipsync-2-pro does.
_USD_A_SECOND = {
    "sync-3": Fraction("0.133"),
    "lipsync-2-pro": Fraction("0.083"),
    "lipsync-2": Fraction("0.05"),
    "lipsync-1.9.0-beta": Fraction("0.025"),
    "react-1": Fraction("0.083"),
}

MODELS: tuple[dict[str, Any], ...] = tuple(
    {
        "id": f"model-{name}",
        "name": name,
        "type": "react" if name.startswith("react") else "lipsync",
        "version": name.split("-", 1)[1],
    }
    for name in _USD_A_SECOND
)
MODEL_NAMES = frozenset(_USD_A_SECOND)


def price_usd(model: str, frames: int) -> float:
    """What so many frames of output cost."""
    return round(float(_USD_A_SECOND[model] / 25 * frames), 6)
