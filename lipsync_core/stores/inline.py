"""Files that come inside a request, as ``data:`` URIs (RFC 2397) in base64."""

from __future__ import annotations

import binascii
import re
from collections.abc import Collection

from lipsync_core.errors import InputError

LARGEST = 64 << 20
"""Bytes that a file inside a request may have."""

# The media types that are taken, and what the names of such files end in.
SUFFIXES = {
    "image/png": ".png", "image/jpeg": ".jpg", "image/jpg": ".jpg", "image/webp": ".webp",
    "image/bmp": ".bmp", "image/tiff": ".tif", "image/gif": ".gif", "image/avif": ".avif",
    "audio/wav": ".wav", "audio/x-wav": ".wav", "audio/wave": ".wav", "audio/vnd.wave": ".wav",
    "audio/mpeg": ".mp3", "audio/mp3": ".mp3", "audio/mp4": ".m4a", "audio/x-m4a": ".m4a",
    "audio/m4a": ".m4a", "audio/aac": ".aac", "audio/ogg": ".ogg", "audio/opus": ".opus",
    "audio/flac": ".flac", "audio/x-flac": ".flac", "audio/webm": ".webm",
}  # fmt: skip

_LONGEST_HEAD = 200
_TOKEN = r"[A-Za-z0-9!#$&^_.+-]+"
_HEAD = re.compile(
    rf'data:(?P<type>{_TOKEN}/{_TOKEN})(;{_TOKEN}=({_TOKEN}|"[^"]*"))*;base64', re.IGNORECASE
)


def is_inline(text: str) -> bool:
    """Whether a text is a file itself and no path or address, or means to be."""
    return text[:5].lower() == "data:"


def read_inline(text: str, kinds: Collection[str] = ("image", "audio")) -> tuple[bytes, str]:
    """The bytes of a ``data:`` URI, and what the name of such a file ends in (``.png``).

    ``kinds`` are what is wanted: ``image``, ``audio`` or both. Base64 is taken as RFC 4648 has it,
    padded and without a stray character; line breaks are stray.

    Raises:
        InputError: it is no such URI, of another kind, broken, empty or over 64 MiB. The data are
            not repeated.
    """
    comma = text.find(",", 0, _LONGEST_HEAD)
    head = _HEAD.fullmatch(text[: max(0, comma)])
    if head is None:
        raise InputError("inline file is no data URI: write data:image/png;base64,… or the like")
    media_type = head["type"].lower()
    suffix = SUFFIXES.get(media_type, "")
    wanted = [name for name in SUFFIXES if name.partition("/")[0] in kinds]
    if media_type not in wanted:
        raise InputError(f"inline file is {media_type}: give one of {', '.join(wanted)}")
    place = f"inline file ({media_type})"
    written = len(text) - comma - 1
    padding = text[max(comma + 1, len(text) - 2) :].count("=")
    if written // 4 * 3 - padding > LARGEST:
        raise InputError(
            f"{place} is over {LARGEST >> 20} MiB: put it where it can be fetched and give its "
            "address"
        )
    if not written:
        raise InputError(f"{place} is empty: give the bytes in base64 after the comma")
    try:
        coded = text[comma + 1 :].encode("ascii")
        content = binascii.a2b_base64(coded, strict_mode=True)
        # bits behind the end that are not zero: cut off, or not made by an encoder
        is_whole = binascii.b2a_base64(content[-(len(content) % 3 or 3) :], newline=False)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise InputError(
            f"{place} is no base64 of RFC 4648: no spaces or line breaks, + and / for the last "
            "two digits, padded with ="
        ) from error
    if coded[-4:] != is_whole:
        raise InputError(f"{place} is cut off or damaged: its base64 ends with stray bits")
    return content, suffix
