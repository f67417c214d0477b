"""The names of files and folders, built and parsed in one place.

Everything the product writes is called by a name from here, so that no two rooms can disagree on
how a name looks. The words follow the film: ``vid_01.mp4`` and ``aud_01.wav`` are the numbered
halves of a pair (counted from 1), ``seg_0007`` is the segment with index 7 (counted from 0), and
every film has a folder named after it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

MAX_FOLDER_BYTES = 80
"""Longest folder name in UTF-8: well under the 255 of every file system, with room for a path."""

_NAMELESS = "film"
_RESERVED = re.compile(r"CON|PRN|AUX|NUL|COM\d|LPT\d", re.IGNORECASE)
_NUMBERED = re.compile(r"(vid|aud)_([0-9]{2,})((?:\.[0-9A-Za-z]+)?)")
_SUFFIX = re.compile(r"(?:\.[0-9A-Za-z]+)?")

MediaKind = Literal["vid", "aud"]


def film_folder(name: str, taken: Collection[str] = ()) -> str:
    """A folder name for a film, safe on every file system and still readable.

    Letters and digits of any script and hyphens stay; every run of anything else becomes one
    underscore, none at the ends. Compatibility forms are folded (NFKC: a full-width ``／`` is a
    slash), so a name looks the same on file systems that normalise and on those that do not. The
    result holds 1 to ``MAX_FOLDER_BYTES`` bytes of UTF-8 and depends on the arguments alone.

    Names that Windows keeps for devices, and names of which nothing is left, get ``film`` in
    front. A name in ``taken`` (compared without case, as macOS and Windows do) gets ``_2``,
    ``_3``, … behind.
    """
    folder = _shortened(_readable(name), MAX_FOLDER_BYTES) or _NAMELESS
    if _RESERVED.fullmatch(folder):
        folder = f"{_NAMELESS}_{folder}"
    used = {_folded(other) for other in taken}
    unique, count = folder, 1
    while _folded(unique) in used:
        count += 1
        suffix = f"_{count}"
        unique = _shortened(folder, MAX_FOLDER_BYTES - len(suffix)) + suffix
    return unique


def _readable(name: str) -> str:
    kept: list[str] = []
    for char in unicodedata.normalize("NFKC", name):
        category = unicodedata.category(char)
        if category[0] in "LN" or char == "-":
            kept.append(char)
        elif category in ("Mn", "Mc") and kept and kept[-1] not in "_-" and not _is_selector(char):
            kept.append(char)  # a vowel sign or an accent belongs to the letter before it
        elif kept and kept[-1] != "_":
            kept.append("_")
    return "".join(kept).strip("_-")


def _is_selector(char: str) -> bool:
    """Whether the mark is an invisible variation selector, as emoji carry them."""
    return "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef"


def _shortened(name: str, limit: int) -> str:
    """The longest beginning of ``name`` that takes at most ``limit`` bytes."""
    return name.encode()[:limit].decode(errors="ignore").rstrip("_-")


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()


@dataclass(frozen=True)
class NumberedName:
    """One half of a numbered pair; ``suffix`` is the file suffix with its dot, or empty.

    Raises:
        ValueError: the number is below 1, or the suffix is not a dot with letters and digits.
    """

    kind: MediaKind
    number: int
    suffix: str

    def __post_init__(self) -> None:
        if self.number < 1:
            raise ValueError(f"pairs are counted from 1, not {self.number}")
        if not _SUFFIX.fullmatch(self.suffix):
            raise ValueError(f"not a file suffix: {self.suffix!r}")

    def __str__(self) -> str:
        return f"{self.kind}_{self.number:02d}{self.suffix}"


def video_name(number: int, suffix: str) -> str:
    """``vid_01.mp4`` for 1 and ``.mp4``: two digits at least, more from 100 on."""
    return str(NumberedName("vid", number, suffix))


def audio_name(number: int, suffix: str) -> str:
    """``aud_01.wav`` for 1 and ``.wav``: two digits at least, more from 100 on."""
    return str(NumberedName("aud", number, suffix))


def parse_numbered(name: str) -> NumberedName | None:
    """What ``video_name`` or ``audio_name`` was given for ``name``.

    ``None`` for every other name, also for near misses such as ``vid_1.mp4`` or ``vid_001.mp4``:
    if two spellings meant the same number, two files could claim one place in the pairing.
    """
    found = _NUMBERED.fullmatch(name)
    if not found or int(found[2]) < 1:
        return None
    numbered = NumberedName("vid" if found[1] == "vid" else "aud", int(found[2]), found[3])
    return numbered if str(numbered) == name else None


def segment_stem(index: int) -> str:
    """``seg_0007`` for 7: four digits at least, so that a thousand segments sort by name."""
    return f"seg_{index:04d}"
