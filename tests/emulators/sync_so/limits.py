"""How often a key may ask within a minute."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from dataclasses import dataclass, field

from tests.emulators.sync_so.refusals import Refused

_WINDOW_S = 60.0


@dataclass(frozen=True)
class RateWindow:
    """A sliding minute per API key; 0 calls per minute means no limit."""

    per_minute: int
    _calls: defaultdict[str, deque[float]] = field(default_factory=lambda: defaultdict(deque))

    def admit(self, owner: str) -> None:
        """Count a call.

        Raises:
            Refused: 429, the minute is full.
        """
        if not self.per_minute:
            return
        calls, now = self._calls[owner], time.monotonic()
        while calls and calls[0] <= now - _WINDOW_S:
            calls.popleft()
        if len(calls) >= self.per_minute:
            raise Refused(429, "rate_limit_exceeded")
        calls.append(now)
