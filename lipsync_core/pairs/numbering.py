"""Films and speech of any names, renamed to ``vid_01`` and ``aud_01``, ``vid_02`` and so on.

They are paired in the order a person reads their names, in which ``take 10`` follows ``take 9``.
Nothing is ever overwritten, and a table of old and new names is written before the first renaming,
so that it can be undone.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lipsync_core.errors import InputError, writing
from lipsync_core.media.parts import FILM_SUFFIXES
from lipsync_core.naming import audio_name, video_name
from lipsync_core.stores.address import is_remote

SPEECH_SUFFIXES = frozenset({".wav", ".mp3", ".m4a", ".aac", ".flac", ".ogg", ".opus", ".aif"})
TABLE = "renamed.csv"


@dataclass(frozen=True)
class Renaming:
    """A file, and the name it gets in its own folder."""

    old: Path
    name: str

    @property
    def new(self) -> Path:
        """Where it will lie."""
        return self.old.with_name(self.name)

    @property
    def aside(self) -> Path:
        """Where it waits while another file still has that name."""
        return self.old.with_name(self.old.name + ".renaming")


def natural(name: str) -> list[tuple[int, str]]:
    """A sort key for the order a person reads names in: numbers count as numbers."""
    parts = re.split(r"([0-9]+)", name.casefold())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def films_and_speech(paths: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """The films and the speech among files and in folders, each in natural order.

    Raises:
        InputError: a path is not there, or is neither; or there are not as many of one as of the
            other, since then nobody knows what belongs together.
    """
    films: list[Path] = []
    speech: list[Path] = []
    for path in dict.fromkeys(paths):
        if not path.exists():
            shown = "(an address)" if is_remote(str(path)) else path
            raise InputError(f"no such file or folder: {shown}")
        inside = sorted(path.iterdir()) if path.is_dir() else [path]
        for file in inside:
            if file in films or file in speech:
                continue
            kind = file.suffix.lower()
            if not file.is_file() or file.name.startswith("."):
                continue
            if kind in FILM_SUFFIXES:
                films.append(file)
            elif kind in SPEECH_SUFFIXES:
                speech.append(file)
            elif path == file:
                raise InputError(f"{file} is called neither as a film nor as speech")
    films.sort(key=lambda file: natural(str(file)))
    speech.sort(key=lambda file: natural(str(file)))
    if not films or len(films) != len(speech):
        raise InputError(
            f"{len(films)} films and {len(speech)} speech files: give as many of one as of the "
            "other"
        )
    return films, speech


def numbered(paths: Iterable[Path], first: int = 1) -> list[Renaming]:
    """What every file would be called, counted from ``first``; films and speech in turn.

    Raises:
        InputError: see :func:`films_and_speech`; or another file has one of the new names.
    """
    films, speech = films_and_speech(paths)
    renamings = []
    for number, (film, sound) in enumerate(zip(films, speech, strict=True), first):
        renamings.append(Renaming(film, video_name(number, film.suffix.lower())))
        renamings.append(Renaming(sound, audio_name(number, sound.suffix.lower())))
    moving = {renaming.old for renaming in renamings}
    for renaming in renamings:
        if renaming.aside.exists():
            raise InputError(
                f"{renaming.aside} is left from a renaming that was killed: give it a name again"
            )
        if renaming.new.exists() and renaming.new not in moving:
            raise InputError(f"{renaming.new} is already there: move it away first")
    return renamings


def rename(renamings: Iterable[Renaming]) -> None:
    """Rename; files that change names among each other step aside first.

    Raises:
        StorageError: a folder refuses writes.
    """
    due = [renaming for renaming in renamings if renaming.old != renaming.new]
    for folder in {renaming.old.parent for renaming in due}:
        _write_table(folder / TABLE, [one for one in due if one.old.parent == folder])
    aside = []
    taken = {renaming.new for renaming in due}
    for renaming in due:
        waiting = renaming.old
        if waiting in taken:
            waiting = renaming.aside
            with writing(waiting):
                renaming.old.rename(waiting)
        aside.append((waiting, renaming.new))
    for waiting, new in aside:
        with writing(new):
            waiting.rename(new)


def _write_table(path: Path, renamings: list[Renaming]) -> None:
    """Old and new names, one a line, behind those of earlier times."""
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    if not path.exists():
        rows.writerow(["old", "new"])
    rows.writerows([one.old.name, one.name] for one in renamings)
    with writing(path), path.open("a", encoding="utf-8") as file:
        file.write(table.getvalue())
