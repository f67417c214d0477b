"""multipart/form-data, read from a whole body (RFC 7578)."""

from __future__ import annotations

from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser

from tests.emulators.sync_so.refusals import INVALID, Refused


@dataclass(frozen=True)
class Part:
    """One part; ``file_name`` is ``None`` for a plain field."""

    name: str
    file_name: str | None
    content_type: str
    body: bytes

    @property
    def text(self) -> str:
        """The body of a plain field."""
        return self.body.decode("utf-8", "replace")


def is_form(content_type: str) -> bool:
    """Whether a request says that its body is a form with files."""
    return content_type.lower().startswith("multipart/form-data")


def read_form(content_type: str, body: bytes) -> list[Part]:
    """The parts of a body.

    Raises:
        Refused: 400, the body is not what its content type says.
    """
    head = Message()
    head["Content-Type"] = content_type
    boundary = head.get_boundary()
    if not boundary:
        raise Refused(400, INVALID, "Multipart: Boundary not found")
    parts: list[Part] = []
    for chunk in (b"\r\n" + body).split(b"\r\n--" + boundary.encode())[1:]:
        if chunk.startswith(b"--"):
            return parts
        parts.append(_part(chunk))
    raise Refused(400, INVALID, "Unexpected end of form")


def _part(chunk: bytes) -> Part:
    head, _, content = chunk.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    headers = BytesParser().parsebytes(head, headersonly=True)
    name = headers.get_param("name", header="content-disposition")
    return Part(str(name or ""), headers.get_filename(), headers.get_content_type(), content)
