"""How often a key may call an operation of an endpoint within ten seconds."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from dataclasses import dataclass, field

from tests.emulators.runpod.refusals import Refused

WINDOW_S = 10.0
CALLS = {
    "run": 1000, "runsync": 2000, "status": 2000, "stream": 2000, "cancel": 100,
    "purge-queue": 2, "requests": 10,
}  # fmt: skip
"""The documented numbers; the dynamic ones, which only raise them, are not emulated."""


@dataclass(frozen=True)
class RateLimits:
    """Sliding windows for each key, endpoint and operation; a ``share`` of 0 means no limits."""

    share: float
    _calls: defaultdict[tuple[str, str, str], deque[float]] = field(
        default_factory=lambda: defaultdict(deque)
    )

    def admit(self, key: str, endpoint: str, operation: str) -> None:
        """Count a call.

        Raises:
            Refused: 429, the window is full.
        """
        if not self.share or operation not in CALLS:
            return
        calls, now = self._calls[key, endpoint, operation], time.monotonic()
        while calls and calls[0] <= now - WINDOW_S:
            calls.popleft()
        if len(calls) >= max(1, int(CALLS[operation] * self.share)):
            raise Refused(429, "too many requests")
        calls.append(now)
