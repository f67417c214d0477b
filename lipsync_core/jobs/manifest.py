"""The manifest: which film gets which speech. Three ways to write it, told apart by content.

A table, whose first line names the columns (``name`` may be left out)::

    video,audio,name
    films/talk.mp4,speech/talk_de.wav,talk_de

One JSON object a line::

    {"video": "films/talk.mp4", "audio": "speech/talk_de.wav", "name": "talk_de"}

For portraits the first column is ``image``. Two lists, of which the first video (or image) goes
with the first audio and so on::

    VIDEOS
    films/talk.mp4

    AUDIOS
    speech/talk_de.wav

The lists are the form of the earlier bulk toolkit for Sync.so; as there, blank lines and the
``._`` files that macOS scatters are passed over. Unlike there, a path given twice counts twice,
so one speech may go with many films. ``VIDEOS:`` and ``VIDEOS = ["a.mp4", "b.mp4"]`` are read too.

Relative paths are relative to the manifest's folder; what lies elsewhere is given by its address
(``https://…``, ``s3://…``, ``supabase://…``). Files are UTF-8, with or without a byte order mark,
with any line ends. Every complaint names the file and the line.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lipsync_core.errors import InputError
from lipsync_core.naming import film_folder
from lipsync_core.stores.address import Address, is_remote
from lipsync_core.whole import write_whole

_COLUMNS = ("video", "audio", "name")
_HEADER_RULE = "the first line must be video,audio or video,audio,name"

_SAME = {"image": "video", "IMAGES": "VIDEOS"}

_LIST_HEAD = re.compile(r"(VIDEOS|IMAGES|AUDIOS)\s*(?:[:=]\s*(.*)|(\[.*))?", re.IGNORECASE)
_QUOTED = re.compile(r"""(["'])(.*?)\1""")


Source = Path | Address


@dataclass(frozen=True)
class Pair:
    """One row of a manifest: a film and the new speech for it.

    ``name`` is unique within the manifest and fit to be a folder name; ``line`` is the row's
    (for lists: the video's) line in the file, counted from 1.
    """

    video: Source
    audio: Source
    name: str
    line: int


def source_of(given: str, folder: Path = Path()) -> Source:
    """What a text names: an address elsewhere, or a file seen from ``folder``.

    Raises:
        InputError: it looks like an address and is none.
    """
    return Address(given) if is_remote(given) else folder / given


def read_manifest(path: Path, *, check_files: bool = True) -> list[Pair]:
    """The pairs of a manifest, in the order they are written.

    With ``check_files`` every video and audio file of this machine must exist.

    Raises:
        InputError: the manifest cannot be read, names no pairs, or has bad rows; the line tells
            the first problem and how many more there are.
    """
    pairs, problems = examine_manifest(path, check_files=check_files)
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise InputError(problems[0] + more)
    return pairs


def examine_manifest(path: Path, *, check_files: bool = True) -> tuple[list[Pair], list[str]]:
    """The good pairs of a manifest, and one line for every problem, in the order of the file.

    Raises:
        InputError: the manifest cannot be read at all, or there is nothing in it.
    """
    pairs: list[Pair] = []
    problems: list[_Problem] = []
    seen: dict[tuple[str, str], int] = {}
    for entry in _entries(_text(path)):
        if isinstance(entry, _Problem):
            problems.append(entry)
            continue
        wrong = list(_wrong(entry, path.parent, check_files))
        if wrong:
            problems += wrong
            continue
        video, audio = (source_of(text, path.parent) for text in (entry.video, entry.audio))
        place = _place(video), _place(audio)
        if place in seen:
            what = f"the same pair as line {seen[place]}: delete one of the two rows"
            problems.append(_Problem(entry.line, what))
            continue
        seen[place] = entry.line
        name = film_folder(entry.name or Path(video.name).stem, [pair.name for pair in pairs])
        pairs.append(Pair(video, audio, name, entry.line))
    if not pairs and not problems:
        raise InputError(f"{path.name} names no pairs: write a line video,audio, then one a film")
    problems.sort(key=lambda problem: problem.line)
    return pairs, [f"{path.name} line {problem.line}: {problem.text}" for problem in problems]


def write_lists(path: Path, pairs: Iterable[tuple[str, str]]) -> None:
    """Write pairs of a video and an audio as two lists; the file appears whole or not at all.

    Raises:
        StorageError: it cannot be written.
    """
    videos, audios = zip(*pairs, strict=True)
    text = "\n".join(["VIDEOS", *videos, "", "AUDIOS", *audios, ""])
    write_whole(path, text, is_private=True)  # addresses in it may open the files


@dataclass(frozen=True)
class _Row:
    """What a manifest says in one row, unchecked."""

    line: int
    video: str
    audio: str
    name: str = ""


@dataclass(frozen=True)
class _Problem:
    line: int
    what: str

    @property
    def text(self) -> str:
        """The complaint in one line, whatever stood in the file."""
        return "".join(char if char.isprintable() else repr(char)[1:-1] for char in self.what)


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"no such manifest: {path}") from error
    except OSError as error:
        raise InputError(f"cannot read the manifest {path}: {error.strerror}") from error
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise InputError(f"{path.name} line {line}: not UTF-8: save it as UTF-8 text") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _entries(text: str) -> Iterator[_Row | _Problem]:
    first = next((line.strip() for line in text.split("\n") if line.strip()), "")
    if first.startswith("{"):
        return _json_rows(text)
    if _LIST_HEAD.fullmatch(first):
        return _listed_rows(text)
    return _table_rows(text, ";" if ";" in first and "," not in first else ",")


def _table_rows(text: str, delimiter: str) -> Iterator[_Row | _Problem]:
    """CSV; the semicolon is what spreadsheets write where the comma is the decimal sign."""
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    columns: list[str] | None = None
    line = 1
    try:
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            if not any(cells):
                pass
            elif columns is None:
                columns = [_SAME.get(cell.lower(), cell.lower()) for cell in cells]
                complaints = list(_wrong_columns(columns))
                yield from (_Problem(line, what) for what in complaints)
                if complaints:
                    return
            elif len(cells) > len(columns):
                what = f"{len(cells)} cells under {len(columns)} columns: quote a path with commas"
                yield _Problem(line, what)
            else:
                row = dict(zip(columns, cells, strict=False))
                yield _Row(line, row.get("video", ""), row.get("audio", ""), row.get("name", ""))
            line = reader.line_num + 1
    except csv.Error as error:
        yield _Problem(line, f"not a table row ({error}): check the quotes")


def _wrong_columns(columns: list[str]) -> Iterator[str]:
    for column in columns:
        if column not in _COLUMNS:
            yield f"unknown column '{column}': {_HEADER_RULE}"
        elif columns.count(column) > 1:
            yield f"column '{column}' is there twice: delete one"
    for column in _COLUMNS[:2]:
        if column not in columns:
            yield f"no column '{column}': {_HEADER_RULE}"


def _json_rows(text: str) -> Iterator[_Row | _Problem]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            reason = error.msg if isinstance(error, json.JSONDecodeError) else "too deeply nested"
            yield _Problem(number, f"not a JSON object ({reason}): write one object a line")
            continue
        if not isinstance(row, dict):
            yield _Problem(number, 'not a JSON object: write {"video": "…", "audio": "…"}')
            continue
        row = {_SAME.get(key, key): value for key, value in row.items() if value is not None}
        wrong = [key for key in row if key not in _COLUMNS]
        unreadable = [key for key in row if key in _COLUMNS and not isinstance(row[key], str)]
        if wrong:
            yield _Problem(number, f"unknown key '{wrong[0]}': use video, audio and name")
        elif unreadable:
            yield _Problem(number, f"'{unreadable[0]}' is not a text: put it in quotes")
        else:
            yield _Row(number, row.get("video", ""), row.get("audio", ""), row.get("name", ""))


def _listed_rows(text: str) -> Iterator[_Row | _Problem]:
    listed: dict[str, list[tuple[int, str]]] = {"VIDEOS": [], "AUDIOS": []}
    section, bracketed = "VIDEOS", False
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.strip()
        if head := _LIST_HEAD.fullmatch(line):
            section, bracketed = _SAME.get(head[1].upper(), head[1].upper()), False
            line = head[2] or head[3] or ""
        if line.startswith("[") and (head or line == "["):
            line, bracketed = line[1:].strip(), True
        items = _items(line, bracketed)
        if bracketed and line.rstrip(",").endswith("]"):
            items, bracketed = _items(line.rstrip(",")[:-1], bracketed), False
        listed[section] += [(number, item) for item in items]
    videos, audios = listed["VIDEOS"], listed["AUDIOS"]
    if len(videos) == len(audios):
        for (number, video), (_, audio) in zip(videos, audios, strict=True):
            yield _Row(number, video, audio)
        return
    longer, other = (videos, "audio") if len(videos) > len(audios) else (audios, "video")
    number, item = longer[min(len(videos), len(audios))]
    counts = f"{len(videos)} videos but {len(audios)} audios"
    yield _Problem(number, f"{counts}: no {other} for {item}: add it or delete the line")


def _items(line: str, bracketed: bool) -> list[str]:
    """The paths in one line of a list: one, or several as a programmer writes them."""
    if _QUOTED.search(line) and not _QUOTED.sub("", line).strip(", "):
        paths = [path for _, path in _QUOTED.findall(line)]
    else:
        paths = line.split(",") if bracketed else [line.rstrip(",")]
    paths = [path.strip() for path in paths]
    return [path for path in paths if path and not Path(path).name.startswith("._")]


def _wrong(row: _Row, folder: Path, check_files: bool) -> Iterator[_Problem]:
    for kind, given in (("video", row.video), ("audio", row.audio)):
        if not given:
            yield _Problem(row.line, f"no {kind} given: add it or delete the row")
        elif is_remote(given):
            try:
                Address(given)
            except InputError as error:
                yield _Problem(row.line, str(error))
        elif check_files and not _is_file(folder / given):
            what = f"no such {kind} file: {given}: correct the path or delete the row"
            yield _Problem(row.line, what)


def _place(source: Source) -> str:
    """The same text for what is the same file."""
    return source.lasting if isinstance(source, Address) else os.path.normpath(source)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name longer than the file system allows, a folder that may not be read
        return False
