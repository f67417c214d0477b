"""A webhook is believed only when its signature is true and fresh, and told once."""

from __future__ import annotations

import hashlib
import hmac
import json

import pytest
from pydantic import SecretStr

from lipsync_core.errors import InputError
from lipsync_core.services.sync_so.webhook import WebhookReceiver, signed_job

SECRET = SecretStr("whsec_not-a-real-one")
NOW = 1_790_000_000
BODY = json.dumps({"id": "j1", "status": "COMPLETED", "error_code": None}).encode()


def signature(raw: bytes = BODY, moment: int = NOW, secret: str = "whsec_not-a-real-one") -> str:
    text = f"{moment}.".encode() + raw
    return f"t={moment},v1={hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()}"


def test_a_true_one_tells_its_job() -> None:
    assert signed_job(BODY, signature(), SECRET, NOW + 10).id == "j1"
    assert signed_job(BODY, signature(moment=NOW * 1000), SECRET, NOW).id == "j1"


@pytest.mark.parametrize(
    ("raw", "header", "said"),
    [
        (BODY, "", "without a signature"),
        (BODY, "t=1,v1=00", "without a signature"),
        (BODY, signature(secret="whsec_another"), "with another secret"),
        (BODY + b" ", signature(), "with another secret"),
        (BODY, signature(moment=NOW - 301), "too long ago"),
        (BODY, signature(moment=NOW + 301), "too long ago"),
        (b"[]", signature(b"[]"), "about no job"),
        (b"\xff", signature(b"\xff"), "about no job"),
        (b'{"status": "FAILED"}', signature(b'{"status": "FAILED"}'), "about no job"),
    ],
)
def test_any_other_is_not_believed(raw: bytes, header: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        signed_job(raw, header, SECRET, NOW)


def test_what_comes_twice_wakes_once() -> None:
    woken: list[str] = []
    receiver = WebhookReceiver(SECRET, woken.append)
    assert receiver.receive(BODY, signature(), NOW)
    assert not receiver.receive(BODY, signature(moment=NOW + 1), NOW + 1)
    assert woken == ["j1"]


def test_the_secret_is_in_no_error() -> None:
    with pytest.raises(InputError) as error:
        signed_job(BODY, signature(secret="whsec_another"), SECRET, NOW)
    assert "whsec" not in str(error.value)
