"""Pairs of films and speech, before a run: are they fit, and what are they called?

    python -m flows.pairs check FILMS.csv          every pair, and what is wrong with it
    python -m flows.pairs rename FOLDER --dry-run  vid_01, aud_01, vid_02, … in natural order

check looks at files of this machine whole, and at what lies elsewhere from outside: whether it is
there, what it is, and when its signature dies. Nothing is sent anywhere, and nothing is paid.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field

from blocks.addresses import looked_for
from flows.command import run_command
from flows.engine import Engine
from lipsync_core.errors import InputError
from lipsync_core.jobs.manifest import examine_manifest
from lipsync_core.pairs.check import PairCheck
from lipsync_core.pairs.numbering import Renaming, numbered, rename

_AT_ONCE = 4


class PairsRequest(BaseModel):
    """What to do with which pairs."""

    action: Literal["check", "rename"] = Field(description="what to do")
    paths: list[Path] = Field(
        min_length=1, description="a manifest to check; files and folders to rename"
    )
    generator: str = Field("rewrite", description="check: engine that is to take the films")
    tolerance: float = Field(
        0.5, ge=0, description="check: seconds by which a speech may be longer or shorter"
    )
    first: int = Field(1, ge=1, description="rename: the first number")
    dry_run: bool = Field(False, description="rename: show the new names and leave the old ones")


class CheckedPair(BaseModel):
    """A pair of the manifest, counted from 1, and what was found out about it."""

    number: int
    name: str
    video: str
    audio: str
    video_s: float | None
    audio_s: float | None
    problems: list[str]
    notes: list[str]

    def as_text(self) -> str:
        """A line for the pair, and one for everything found."""
        seconds = " and ".join(
            "unknown" if length is None else f"{length:.2f} s"
            for length in (self.video_s, self.audio_s)
        )
        lines = [f"{self.number:4d}  {'look' if self.problems else 'good'}  {self.name}  {seconds}"]
        lines += [f"      problem: {problem}" for problem in self.problems]
        return "\n".join(lines + [f"      note: {note}" for note in self.notes])


class PairsResult(BaseModel):
    """The pairs of a manifest, and the rows that are none; or the names that were given."""

    pairs: list[CheckedPair] = []
    bad_rows: list[str] = []
    renamed: dict[str, str] = {}

    @property
    def exit_code(self) -> int:
        """1 where a person should look at something, else 0."""
        return int(bool(self.bad_rows) or any(pair.problems for pair in self.pairs))

    def as_text(self) -> str:
        """A few lines for a terminal."""
        if self.renamed:
            return "\n".join(f"{old}  ->  {new}" for old, new in self.renamed.items())
        good = sum(not pair.problems for pair in self.pairs)
        lines = [pair.as_text() for pair in self.pairs]
        lines += [f"      problem: {row}" for row in self.bad_rows]
        return "\n".join([*lines, f"{good} of {len(self.pairs) + len(self.bad_rows)} are good"])


def pairs(request: PairsRequest) -> PairsResult:
    """Check the pairs of a manifest, or rename files to numbered pairs."""
    return _checked(request) if request.action == "check" else _renamed(request)


def _checked(request: PairsRequest) -> PairsResult:
    if len(request.paths) != 1:
        raise InputError("which manifest? name one file with pairs")
    engine = Engine.chosen(request.generator, {})
    good, bad_rows = examine_manifest(request.paths[0], check_files=False)
    checks = [PairCheck(pair) for pair in good]
    elsewhere = looked_for(source for pair in good for source in (pair.video, pair.audio))

    def look(check: PairCheck) -> None:
        info = check.look(elsewhere, request.tolerance)
        if info is not None and (objection := engine.objection(info.width, info.height)):
            check.problems.append(objection)

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        list(threads.map(look, checks))
    told = [
        CheckedPair(
            number=number, name=check.pair.name, video=str(check.pair.video),
            audio=str(check.pair.audio), video_s=check.video_s, audio_s=check.audio_s,
            problems=check.problems, notes=check.notes,
        )
        for number, check in enumerate(checks, 1)
    ]  # fmt: skip
    return PairsResult(pairs=told, bad_rows=bad_rows)


def _renamed(request: PairsRequest) -> PairsResult:
    renamings = numbered(request.paths, request.first)
    if not request.dry_run:
        rename(renamings)
    return PairsResult(renamed=dict(map(_shown, renamings)))


def _shown(renaming: Renaming) -> tuple[str, str]:
    return str(renaming.old), str(renaming.new)


if __name__ == "__main__":
    run_command(pairs, PairsRequest, positional=["action", "paths"])
