"""Refusals: REST answers are HTTP 400 with the real status inside, those of uploads plain text."""

from __future__ import annotations

import re

from starlette.responses import JSONResponse, PlainTextResponse, Response

_KEY = re.compile(r"[A-Za-z0-9_/!.*'()&$=@;:+,? -]+")


class Refused(Exception):
    """A refusal, as the storage words it."""

    def __init__(self, status: int, error: str, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.error, self.code, self.message = status, error, code, message

    def answer(self) -> Response:
        """As REST calls are told; only a 500 keeps its own status."""
        body = {"statusCode": str(self.status), "error": self.error, "message": self.message}
        return JSONResponse({**body, "code": self.code}, 500 if self.status == 500 else 400)

    def text(self) -> Response:
        """As resumable uploads are told, unless it is about who asks."""
        if self.status in (400, 403) and self.code in ("InvalidRequest", "AccessDenied"):
            return self.answer()
        message = "Maximum size exceeded" if self.status == 413 else self.message
        return PlainTextResponse(message, self.status)


def checked_key(key: str) -> str:
    """The key of an object, if it may be one."""
    if not _KEY.fullmatch(key):
        raise Refused(400, "InvalidKey", "InvalidKey", f"Invalid key: {key}")
    return key


def exists() -> Refused:
    """Something lies there, and may not be overwritten."""
    return Refused(409, "Duplicate", "KeyAlreadyExists", "The resource already exists")


def no_bucket() -> Refused:
    """There is no such bucket, for who asks."""
    return Refused(404, "Bucket not found", "NoSuchBucket", "Bucket not found")


def no_object() -> Refused:
    """There is no such object, for who asks."""
    return Refused(404, "not_found", "NoSuchKey", "Object not found")


def too_large() -> Refused:
    """Over a limit."""
    text = "The object exceeded the maximum allowed size"
    return Refused(413, "Payload too large", "EntityTooLarge", text)


def wrong_kind(kind: str) -> Refused:
    """A content type the bucket does not take."""
    text = f"mime type {kind} is not supported"
    return Refused(415, "invalid_mime_type", "InvalidMimeType", text)


def not_allowed() -> Refused:
    """Whoever asks may not write."""
    text = "new row violates row-level security policy"
    return Refused(403, "Unauthorized", "AccessDenied", text)


def bad_key() -> Refused:
    """No project knows this key, or it is dead."""
    return Refused(403, "Unauthorized", "AccessDenied", "signature verification failed")


def bad_token() -> Refused:
    """The signature in an address does not hold, or no longer."""
    return Refused(400, "InvalidJWT", "InvalidJWT", '"exp" claim timestamp check failed')


def no_key() -> Refused:
    """Nobody says who asks."""
    text = "headers must have required property 'authorization'"
    return Refused(400, "Error", "InvalidRequest", text)
