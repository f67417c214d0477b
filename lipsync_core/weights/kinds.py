"""What a file is that is no checkpoint, told by its first bytes in plain words."""

from __future__ import annotations


def other_kind(head: bytes) -> str:
    """What a file with this beginning is in place of any kind of weights; nothing if it may be
    some."""
    if not head:
        return "an empty file"
    start = head.lstrip().lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "a web page, as a server sends in place of a file it will not give"
    if start.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS and not the file itself"
    return ""
