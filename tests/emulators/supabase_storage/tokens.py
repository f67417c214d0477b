"""JSON web tokens, HS256 (RFC 7519): the keys of a project and the signatures in addresses."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

PROJECT_SECRET = "the secret of a project that lives in tests only"
SECRET_KEY = "sb_secret_of-a-project-that-lives-in-tests-only"
YEAR_S = 365 * 86400


def made(claims: dict[str, Any], life_s: float = YEAR_S, secret: str = PROJECT_SECRET) -> str:
    """A token that lives so many seconds (fewer than none: a dead one)."""
    now = int(time.time())
    head = _packed({"alg": "HS256", "typ": "JWT"})
    body = f"{head}.{_packed({**claims, 'iat': now, 'exp': int(now + life_s)})}"
    return f"{body}.{_signature(body, secret)}"


def key_of(role: str) -> str:
    """The key of a role: ``service_role``, ``authenticated`` or ``anon``."""
    return made({"role": role, "iss": "supabase"})


def read(token: str) -> dict[str, Any] | None:
    """The claims of a good token that is still alive."""
    body, _, signature = token.rpartition(".")
    if not hmac.compare_digest(signature.encode(), _signature(body, PROJECT_SECRET).encode()):
        return None
    claims: dict[str, Any] = json.loads(_unpacked(body.partition(".")[2]))
    return claims if claims.get("exp", 0) > time.time() else None


def _signature(body: str, secret: str) -> str:
    digest = hmac.digest(secret.encode(), body.encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _packed(value: dict[str, Any]) -> str:
    text = json.dumps(value, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _unpacked(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
