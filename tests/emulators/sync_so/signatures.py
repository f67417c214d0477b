"""Signatures: of addresses that expire, and of webhook calls."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from math import ceil
from urllib.parse import urlencode


class Verdict(Enum):
    """What a bucket thinks of a signed address."""

    GOOD = "good"
    EXPIRED = "expired"
    FORGED = "forged"


@dataclass(frozen=True)
class Signer:
    """Signs what may be done at a path of the bucket, and until when."""

    secret: str

    def signed(self, method: str, path: str, expires_at: float, extra: str = "") -> str:
        """The path with its query. ``extra`` is signed too: the content type of an upload."""
        expires = str(ceil(expires_at))
        query = {"Expires": expires, "Signature": self._signature(method, path, expires, extra)}
        return f"{path}?{urlencode(query)}"

    def verdict(
        self, method: str, path: str, query: Mapping[str, str], now: float, extra: str = ""
    ) -> Verdict:
        """Whether a request may do what it asks."""
        expires = query.get("Expires", "")
        expected = self._signature(method, path, expires, extra)
        if not hmac.compare_digest(expected.encode(), query.get("Signature", "").encode()):
            return Verdict.FORGED
        return Verdict.GOOD if now < int(expires) else Verdict.EXPIRED

    def _signature(self, method: str, path: str, expires: str, extra: str) -> str:
        text = "\n".join((method, path, expires, extra))
        digest = hmac.new(self.secret.encode(), text.encode(), hashlib.sha256).digest()
        return base64.b64encode(digest).decode()


def webhook_signature(secret: str, body: bytes, moment: int) -> str:
    """The ``Sync-Signature`` of a webhook's raw body at a Unix time in seconds.

    The key is the whole secret as text, with its ``whsec_``.
    """
    message = f"{moment}.".encode() + body
    digest = hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
    return f"t={moment},v1={digest}"
