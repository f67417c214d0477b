from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lipsync_core.errors import InputError
from lipsync_core.jobs.manifest import Pair, examine_manifest, read_manifest
from lipsync_core.stores.address import Address

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a manifest beside the films a, b, c (.mp4) and their speech (.wav)."""
    for stem in "abc":
        (tmp_path / f"{stem}.mp4").write_bytes(b"film")
        (tmp_path / f"{stem}.wav").write_bytes(b"speech")

    def written(text: str | bytes, name: str = "films.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return written


def files(pairs: list[Pair]) -> list[tuple[str, str]]:
    return [(pair.video.name, pair.audio.name) for pair in pairs]


def complaint(path: Path, *, check_files: bool = True) -> str:
    with pytest.raises(InputError) as caught:
        read_manifest(path, check_files=check_files)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_table_gives_one_pair_a_row(write: Write, tmp_path: Path) -> None:
    path = write("video,audio,name\na.mp4,a.wav,Opening\nb.mp4,b.wav,\n")
    assert read_manifest(path) == [
        Pair(tmp_path / "a.mp4", tmp_path / "a.wav", "Opening", 2),
        Pair(tmp_path / "b.mp4", tmp_path / "b.wav", "b", 3),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "video,audio\na.mp4,a.wav\nb.mp4,b.wav",
        "\ufeffvideo,audio\r\na.mp4,a.wav\r\nb.mp4,b.wav\r\n",
        "video,audio\ra.mp4,a.wav\rb.mp4,b.wav\r",
        "\n\nvideo,audio\n\na.mp4,a.wav\n , \n,\nb.mp4,b.wav\n\n",
        "Audio , Video\na.wav , a.mp4\n b.wav,b.mp4\n",
        "image,audio\na.mp4,a.wav\nb.mp4,b.wav\n",
        '{"image": "a.mp4", "audio": "a.wav"}\n{"video": "b.mp4", "audio": "b.wav"}',
        "IMAGES\na.mp4\nb.mp4\n\nAUDIOS\na.wav\nb.wav\n",
        "video;audio\na.mp4;a.wav\nb.mp4;b.wav\n",
        '"video","audio"\n"a.mp4","a.wav"\n"b.mp4","b.wav"\n',
        '{"video": "a.mp4", "audio": "a.wav"}\n{"audio": "b.wav", "video": "b.mp4", "name": null}',
        '\ufeff\n{"video": "a.mp4", "audio": "a.wav"}\r\n\r\n{"video": "b.mp4", "audio": "b.wav"}',
        "VIDEOS\na.mp4\nb.mp4\n\nAUDIOS\na.wav\nb.wav\n",
        "\ufeffVIDEOS:\r\n\r\na.mp4\r\nb.mp4\r\n\r\nAUDIOS:\r\na.wav\r\nb.wav",
        "VIDEOS =\na.mp4\nb.mp4\nAUDIOS =\na.wav\nb.wav",
        "audios\na.wav\nb.wav\nvideos\na.mp4\nb.mp4",
        "VIDEOS: a.mp4\nb.mp4\nAUDIOS: a.wav\nb.wav",
        'VIDEOS = ["a.mp4", "b.mp4"]\nAUDIOS = ["a.wav", "b.wav"]\n',
        "VIDEOS = [\n  'a.mp4',\n  'b.mp4',\n]\n\nAUDIOS = [\n  'a.wav',\n  'b.wav'\n]\n",
        "VIDEOS [a.mp4, b.mp4],\nAUDIOS [a.wav,\nb.wav]\n",
        "VIDEOS\n[\na.mp4,\nb.mp4\n]\nAUDIOS\n[\na.wav,\nb.wav,\n]\n",
        "VIDEOS\n._a.mp4\na.mp4\nb.mp4\nAUDIOS\na.wav\n._a.wav\nb.wav\n",
    ],
)
def test_the_same_two_pairs_may_be_written_in_many_ways(write: Write, text: str) -> None:
    pairs = read_manifest(write(text, "films.txt"))
    assert files(pairs) == [("a.mp4", "a.wav"), ("b.mp4", "b.wav")]
    assert [pair.name for pair in pairs] == ["a", "b"]


def test_every_pair_knows_its_line(write: Write) -> None:
    table = "\nvideo,audio\n\na.mp4,a.wav\n\n\nb.mp4,b.wav\n"
    assert [pair.line for pair in read_manifest(write(table))] == [4, 7]
    lists = "VIDEOS\na.mp4\n\nb.mp4\nAUDIOS\na.wav\nb.wav\n"
    assert [pair.line for pair in read_manifest(write(lists))] == [2, 4]


def test_paths_may_hold_commas_quotes_brackets_and_spaces(write: Write, tmp_path: Path) -> None:
    hostile = ["one, two.mp4", 'say "hi".mp4', "[final] it's.mp4"]
    for name in hostile:
        (tmp_path / name).write_bytes(b"film")
    quoted = ['"' + name.replace('"', '""') + '"' for name in hostile]
    table = "video,audio\n" + "".join(f"{name},a.wav\n" for name in quoted)
    assert [pair.video.name for pair in read_manifest(write(table))] == hostile
    lists = "\n".join(["VIDEOS", *hostile, "AUDIOS", "a.wav", "a.wav", "a.wav"])
    assert [pair.video.name for pair in read_manifest(write(lists))] == hostile


def test_absolute_paths_stay_and_relative_ones_start_at_the_manifest(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    pairs = read_manifest(write(f"video,audio\n{tmp_path / 'a.mp4'},./a.wav\n"))
    assert pairs[0].video == tmp_path / "a.mp4"
    assert pairs[0].audio == tmp_path / "a.wav"


def test_one_speech_may_go_with_many_films_in_every_form(write: Write) -> None:
    expected = [("a.mp4", "a.wav"), ("b.mp4", "a.wav")]
    assert files(read_manifest(write("video,audio\na.mp4,a.wav\nb.mp4,a.wav\n"))) == expected
    lists = "VIDEOS\na.mp4\nb.mp4\nAUDIOS\na.wav\na.wav\n"
    assert files(read_manifest(write(lists))) == expected


def test_a_name_given_twice_becomes_two_names(write: Write) -> None:
    text = "video,audio,name\na.mp4,a.wav,My Film\nb.mp4,b.wav,my film\nc.mp4,c.wav,My Film\n"
    assert [pair.name for pair in read_manifest(write(text))] == [
        "My_Film", "my_film_2", "My_Film_3"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("video,audio\na.mp4,a.wav\n\nb.mp4\n",
         "films.csv line 4: no audio given: add it or delete the row"),
        ("video,audio\n,a.wav\n", "films.csv line 2: no video given: add it or delete the row"),
        ("video,audio\na.mp4,gone.wav\n",
         "films.csv line 2: no such audio file: gone.wav: correct the path or delete the row"),
        ("video,audio,speaker\na.mp4,a.wav,x\n",
         "films.csv line 1: unknown column 'speaker': "
         "the first line must be video,audio or video,audio,name"),
        ("video,video,audio\na.mp4,a.mp4,a.wav\n", "line 1: column 'video' is there twice"),
        ("video,name\na.mp4,x\n", "films.csv line 1: no column 'audio'"),
        ("a.mp4,a.wav\n", "films.csv line 1: unknown column 'a.mp4'"),
        ("video,audio\none, two.mp4,a.wav\n", "line 2: 3 cells under 2 columns: quote a path"),
        ('video,audio\na.mp4,a.wav\n"b.mp4,b.wav\n', "films.csv line 3: not a table row"),
        ('video,audio\n"a\nb.mp4",a.wav\nb.mp4,\n',
         "films.csv line 2: no such video file: a\\nb.mp4"),
        ("video,audio\na.mp4,a.wav\nb.mp4,b.wav\n./a.mp4,a.wav\n",
         "films.csv line 4: the same pair as line 2: delete one of the two rows"),
        ('{"video": "a.mp4", "audio": "a.wav"}\n{"video": "b.mp4",\n',
         "films.csv line 2: not a JSON object"),
        ('{"video": "a.mp4", "audio": "a.wav"}\n[1]\n', "films.csv line 2: not a JSON object"),
        ('{"video": "a.mp4"}\n', "films.csv line 1: no audio given"),
        ('{"video": "a.mp4", "audio": 3}\n', "films.csv line 1: 'audio' is not a text"),
        ('{"video": "a.mp4", "audio": "a.wav", "speaker": "x"}',
         "films.csv line 1: unknown key 'speaker'"),
        ('{"video": "a.mp4", "audio": "\\u0000.wav"}', "no such audio file: \\x00.wav"),
        ("VIDEOS\na.mp4\nb.mp4\nc.mp4\n\nAUDIOS\na.wav\n",
         "films.csv line 3: 3 videos but 1 audios: no audio for b.mp4: add it or delete the line"),
        ("VIDEOS\na.mp4\nAUDIOS\na.wav\nb.wav\n",
         "films.csv line 5: 1 videos but 2 audios: no video for b.wav"),
        ('VIDEOS = ["a.mp4", "a.mp4"]\nAUDIOS = ["a.wav", "a.wav"]\n',
         "films.csv line 1: the same pair as line 1"),
        ("VIDEOS\na.mp4\n", "films.csv line 2: 1 videos but 0 audios: no audio for a.mp4"),
        ("VIDEOS\n'tis.mp4\nAUDIOS\na.wav\n", "films.csv line 2: no such video file: 'tis.mp4"),
        (f"video,audio\n{'x' * 5000}.mp4,a.wav\n", "films.csv line 2: no such video file: xxx"),
    ],
)  # fmt: skip
def test_a_bad_row_is_named_by_file_and_line(write: Write, text: str, message: str) -> None:
    assert message in complaint(write(text))


@pytest.mark.parametrize("address", ["https://cdn.example/a.mp4", "s3://films/a.mp4", "HTTP://x/y"])
@pytest.mark.parametrize("form", ["video,audio\n{},a.wav", "VIDEOS\n{}\nAUDIOS\na.wav"])
def test_a_film_may_lie_elsewhere(write: Write, address: str, form: str) -> None:
    [pair] = read_manifest(write(form.format(address)))
    assert pair.video == Address(address)
    assert pair.name == Path(address).stem


@pytest.mark.parametrize("address", ["ftp://cdn.example/a.mp4", "file:///a.mp4", "s3://films"])
def test_an_address_nothing_can_be_fetched_from_is_refused(write: Write, address: str) -> None:
    message = complaint(write(f"video,audio\n{address},a.wav"), check_files=False)
    assert message.startswith(f"films.csv line 2: {address} is no address of a file")


def test_the_same_film_signed_twice_is_the_same_film(write: Write) -> None:
    row = "https://cdn.example/a.mp4?signature={},a.wav\n"
    assert "line 3: the same pair as line 2" in complaint(
        write("video,audio\n" + row.format("one") + row.format("two"))
    )


def test_the_first_problem_is_told_and_the_others_are_counted(write: Write) -> None:
    path = write("video,audio\na.mp4,gone.wav\nb.mp4\ngone.mp4,gone.wav\nc.mp4,c.wav\n")
    assert complaint(path).startswith("films.csv line 2: no such audio file: gone.wav")
    assert complaint(path).endswith("(and 3 more)")
    pairs, problems = examine_manifest(path)
    assert files(pairs) == [("c.mp4", "c.wav")]
    assert [problem.split(":")[0] for problem in problems] == [
        "films.csv line 2", "films.csv line 3", "films.csv line 4", "films.csv line 4"
    ]  # fmt: skip


def test_files_need_not_exist_when_nobody_asks(write: Write) -> None:
    pairs = read_manifest(write("video,audio\ngone.mp4,gone.wav\n"), check_files=False)
    assert files(pairs) == [("gone.mp4", "gone.wav")]


def test_a_folder_is_not_a_film(write: Write, tmp_path: Path) -> None:
    (tmp_path / "folder.mp4").mkdir()
    assert "no such video file" in complaint(write("video,audio\nfolder.mp4,a.wav\n"))


@pytest.mark.parametrize("text", ["", "\ufeff", "\n \n", "video,audio\n", "VIDEOS\n\nAUDIOS\n"])
def test_an_empty_manifest_is_refused(write: Write, text: str) -> None:
    assert complaint(write(text)).startswith("films.csv names no pairs")


def test_bytes_that_are_no_text_are_refused_with_their_line(write: Write) -> None:
    latin = "video,audio\na.mp4,a.wav\nGröße.mp4,b.wav\n".encode("latin-1")
    assert complaint(write(latin)) == "films.csv line 3: not UTF-8: save it as UTF-8 text"


def test_a_manifest_that_is_not_there_or_no_file_is_refused(tmp_path: Path) -> None:
    assert complaint(tmp_path / "gone.csv") == f"no such manifest: {tmp_path / 'gone.csv'}"
    assert complaint(tmp_path).startswith(f"cannot read the manifest {tmp_path}")


paths = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Zs", "Zl", "Zp"]), min_size=1
).filter(lambda text: "://" not in text)


@given(st.lists(st.tuples(paths, paths), min_size=1, max_size=5, unique=True))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_json_lines_of_any_paths_are_read_back(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    path = tmp_path / "films.jsonl"
    lines = [json.dumps({"video": f"v/{v}", "audio": f"a/{a}"}) for v, a in rows]
    path.write_text("\n".join(lines), encoding="utf-8")
    pairs, problems = examine_manifest(path, check_files=False)
    assert all("the same pair" in problem for problem in problems)
    assert len(pairs) + len(problems) == len(rows)
    assert len({pair.name.casefold() for pair in pairs}) == len(pairs)
    for pair in pairs:
        video, audio = rows[pair.line - 1]
        assert pair.video == tmp_path / f"v/{video}"
        assert pair.audio == tmp_path / f"a/{audio}"
