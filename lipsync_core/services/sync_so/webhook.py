"""What Sync.so calls when a job has ended: believed only with a fresh and true signature.

``Sync-Signature: t=<moment>,v1=<hex>``, where v1 is the HMAC-SHA256 of ``<moment>.<raw body>``
under the account's secret, the whole ``whsec_…`` text. The call is a hint to look, not the truth:
it may come twice, late or never.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections import OrderedDict
from collections.abc import Callable

from pydantic import SecretStr

from lipsync_core.errors import InputError
from lipsync_core.services.sync_so.answers import Generation

TOLERANCE_S = 300.0
_HEADER = re.compile(r"t=(\d{1,16}),v1=([0-9a-f]{64})")
_MILLISECONDS = 10**11  # a later moment than this is counted in milliseconds
_REMEMBERED = 10_000


def signed_job(
    raw: bytes, header: str, secret: SecretStr, now_s: float, tolerance_s: float = TOLERANCE_S
) -> Generation:
    """The job a call speaks of. ``now_s`` is Unix time.

    Raises:
        InputError: not signed with this secret, too old, or no job.
    """
    found = _HEADER.fullmatch(header.replace(" ", ""))
    if found is None:
        raise InputError("a webhook without a signature")
    moment = int(found[1])
    if abs(now_s - (moment / 1000 if moment > _MILLISECONDS else moment)) > tolerance_s:
        raise InputError("a webhook signed too long ago")
    key = secret.get_secret_value().encode()
    expected = hmac.new(key, found[1].encode() + b"." + raw, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, found[2]):
        raise InputError("a webhook signed with another secret")
    try:
        return Generation.of(json.loads(raw))
    except (ValueError, AttributeError, UnicodeDecodeError) as error:
        raise InputError("a webhook about no job") from error


class WebhookReceiver:
    """Takes calls, tells each job's end once. Mounted by whatever speaks HTTP."""

    def __init__(self, secret: SecretStr, wake: Callable[[str], None]) -> None:
        self._secret, self._wake = secret, wake
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def receive(self, raw: bytes, header: str, now_s: float) -> bool:
        """Whether the call told something new.

        Raises:
            InputError: it is not to be believed.
        """
        job = signed_job(raw, header, self._secret, now_s)
        if (job.id, job.status) in self._known:
            return False
        self._known[job.id, job.status] = None
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        self._wake(job.id)
        return True
