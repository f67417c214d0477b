"""Checkpoints on this machine: list them, fetch one, verify what is there.

    python -m lipsync_core.weights list
    python -m lipsync_core.weights fetch NAME [--source FILE]
    python -m lipsync_core.weights verify [NAME …]

They lie in the folder LIPSYNC_WEIGHTS. Exit codes: 0 done, 1 a download failed or a file is not
what its name says, 2 bad usage.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import NoReturn

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from lipsync_core.errors import LipsyncError
from lipsync_core.weights.fetch import fetch
from lipsync_core.weights.fingerprint import Standing, finding
from lipsync_core.weights.registry import CHECKPOINTS, Checkpoint, checkpoint


def main(arguments: list[str] | None = None) -> int:
    """Run the command; its exit code."""
    given = _parser().parse_args(arguments)
    try:
        chosen = [checkpoint(name) for name in given.names] or list(CHECKPOINTS)
        if given.verb == "fetch":
            return _fetch(chosen[0], given.source)
        return _list(chosen) if given.verb == "list" else _verify(chosen, bool(given.names))
    except LipsyncError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("error: stopped; the same command goes on with the download", file=sys.stderr)
        return 130


def _list(chosen: list[Checkpoint]) -> int:
    for known in chosen:
        found = finding(known)
        size = f"{known.size / 1e6:.0f} MB" if known.size else "size not stated"
        print(f"{known.name}: {found.told}\n    {found.path}\n    {size}; {known.page}")
        print(f"    licence: {known.licence}")
    return 0


def _fetch(known: Checkpoint, source: Path | None) -> int:
    print(f"{known.file}, licence: {known.licence}", file=sys.stderr)
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(
        *columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal
    ) as shown:
        bar = shown.add_task(known.file, total=known.size)
        found = fetch(known, source, lambda here, of: shown.update(bar, completed=here, total=of))
    print(f"{found.path}: {found.told}")
    return 0


def _verify(chosen: list[Checkpoint], are_asked_for: bool) -> int:
    found = [finding(known) for known in chosen]
    for one in found:
        print(f"{one.name}: {one.told} ({one.path})")
    wrong = {Standing.OTHER, Standing.ABSENT} if are_asked_for else {Standing.OTHER}
    return int(any(one.standing in wrong for one in found))


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        print(f"error: {message} (--help lists the options)", file=sys.stderr)
        sys.exit(2)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m lipsync_core.weights", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    verbs = parser.add_subparsers(dest="verb", required=True, parser_class=_Parser)
    for verb in ("list", "verify"):
        verbs.add_parser(verb).add_argument("names", nargs="*", metavar="NAME")
    one = verbs.add_parser("fetch")
    one.add_argument("names", nargs=1, metavar="NAME")
    one.add_argument("--source", type=Path, help="a file to copy in place of a download")
    return parser


if __name__ == "__main__":
    sys.exit(main())
