"""Ids, and the organisation behind an API key."""

from __future__ import annotations

import hashlib
import uuid


def new_id() -> str:
    """An id, as the vendor makes them."""
    return str(uuid.uuid4())


def owner_of(api_key: str) -> str:
    """The organisation behind an API key, so that no key is kept."""
    return hashlib.sha256(api_key.encode()).hexdigest()[:16]
