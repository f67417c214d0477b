"""Films and speech that lie elsewhere, and the pairs of a manifest before a run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from in_process import Here
from media_factory import make_film
from real_command import Command, Ran

from flows.pairs import PairsRequest, pairs
from flows.request import BulkRequest
from lipsync_core.demo.film import DemoFilm
from lipsync_core.errors import InputError
from tests.web_server import WebServer, serving


@pytest.fixture
def web(faceless_film: DemoFilm, tmp_path: Path) -> Iterator[WebServer]:
    """A server with a film and its speech; it wants a signature and refuses HEAD, as stores do."""
    folder = tmp_path / "served"
    folder.mkdir()
    shutil.copy(faceless_film.video, folder / "vid_01.mp4")
    shutil.copy(faceless_film.speech, folder / "aud_01.wav")
    with serving(folder) as server:
        server.secret, server.refuses_head = "nobody-may-see-this", True
        server.kinds["aud_01.wav"] = "audio/wav"
        yield server


def listed(web: WebServer, path: Path, *more: str) -> Path:
    """The manifest that an upload writes."""
    videos = [web.url("vid_01.mp4"), *(f"{web.address}/{name}.mp4" for name in more)]
    audios = [web.url("aud_01.wav"), *(f"{web.address}/{name}.wav" for name in more)]
    path.write_text("\n".join(["VIDEOS", *videos, "", "AUDIOS", *audios, ""]))
    return path


def planned(command: Command, manifest: Path, out: Path) -> Ran:
    return command("--manifest", manifest, "--out", out, "--dry-run", "--json")


def test_a_film_is_fetched_once_and_its_signature_shown_nowhere(
    command: Command, web: WebServer, tmp_path: Path
) -> None:
    manifest, out = listed(web, tmp_path / "uploaded_urls.txt"), tmp_path / "out"
    ran = planned(command, manifest, out)
    assert ran.code == 0, ran.err
    assert ran.film.name == "vid_01"
    web.sent_bytes = 0
    again = planned(command, manifest, out)
    assert again.film.frames == ran.film.frames
    assert web.sent_bytes < 10  # a byte of each file, by which it was looked for
    written = [path for path in out.rglob("*") if path.is_file() and path.suffix != ".mp4"]
    assert len(written) > 4
    for path in written:
        assert web.secret.encode() not in path.read_bytes(), path
    assert web.secret not in ran.out + ran.err + again.out + again.err


def test_a_film_given_by_its_address_is_dubbed_like_any_other(
    here: Here, web: WebServer, faceless_film: DemoFilm, tmp_path: Path
) -> None:
    ran = here(video=web.url("vid_01.mp4"), audio=faceless_film.speech, out=tmp_path)
    assert ran.code == 0, ran.err
    assert ran.film.output == str(tmp_path / "vid_01" / "final.mp4")
    assert ran.film.checks is not None
    assert ran.film.checks.frames_equal


def test_a_film_that_is_not_there_is_told_before_anything_is_started(
    web: WebServer, tmp_path: Path
) -> None:
    web.secret = ""
    request = BulkRequest(manifest=listed(web, tmp_path / "films.txt", "gone"), out=tmp_path)
    with pytest.raises(InputError, match=r"gone\.mp4 is not there: check the address"):
        request.checked()
    assert web.sent_bytes < 10


def test_without_looking_first_the_good_films_are_worked_on(
    here: Here, web: WebServer, tmp_path: Path
) -> None:
    web.secret = ""
    manifest = listed(web, tmp_path / "films.txt", "gone")
    ran = here(manifest=manifest, out=tmp_path / "out", dry_run=True, no_exists_check=True)
    assert ran.code == 1
    assert [film.name for film in ran.summary.films] == ["vid_01"]
    assert [film.name for film in ran.summary.failed] == ["gone"]


def test_some_films_of_a_manifest_can_be_chosen(web: WebServer, tmp_path: Path) -> None:
    manifest = listed(web, tmp_path / "films.txt", "two", "three")
    for only, names in (("1", ["vid_01"]), ("3,1-2", ["three", "vid_01", "two"])):
        pairs = BulkRequest(manifest=manifest, only=only).pairs()
        assert [pair.name for pair in pairs] == names
    for only, said in (("2-4", "there is no pair 4"), ("0", "there is no pair 0"),
                       (",", "names no pair"), ("all", "all is no number")):  # fmt: skip
        with pytest.raises(InputError, match=said):
            BulkRequest(manifest=manifest, only=only).pairs()


def test_the_pairs_of_a_manifest_are_checked(
    command: Command, web: WebServer, faceless_film: DemoFilm, tmp_path: Path
) -> None:
    manifest = tmp_path / "films.csv"
    manifest.write_text(
        "video,audio\n"
        f"{web.url('vid_01.mp4')},{web.url('aud_01.wav')}\n"
        f"{faceless_film.video},{faceless_film.speech}\n"
        f"{faceless_film.speech},{tmp_path / 'gone.wav'}\n"
        f"{web.address}/gone.mp4?signature={web.secret},{faceless_film.speech}\n"
        ",a.wav\n"
    )  # fmt: skip
    ran = command("check", manifest, "--json", module="flows.pairs")
    assert ran.code == 1
    told = json.loads(ran.out)
    assert [len(pair["problems"]) for pair in told["pairs"]] == [0, 0, 2, 1]
    assert told["bad_rows"] == ["films.csv line 6: no video given: add it or delete the row"]
    assert told["pairs"][1]["video_s"] is not None
    assert web.secret not in ran.out
    shown = pairs(PairsRequest(action="check", paths=[manifest]))
    assert "2 of 5 are good" in shown.as_text()


@pytest.fixture
def large_film(tmp_path: Path) -> Path:
    """A second of a picture no service takes."""
    return make_film(tmp_path / "large.mp4", frames=5, size=(4112, 2176))


def test_a_picture_that_is_too_large_for_the_engine_is_told_beforehand(
    here: Here, large_film: Path, faceless_film: DemoFilm, tmp_path: Path
) -> None:
    manifest = tmp_path / "films.csv"
    manifest.write_text(f"video,audio\n{large_film},{faceless_film.speech}\n")
    told = "sync takes 4096x2160 at most, scale it down"
    found = pairs(PairsRequest(action="check", paths=[manifest], generator="sync"))
    assert found.exit_code == 1
    assert told in found.as_text()
    nowhere = here.given(SYNC_API_KEY="x", SYNC_BASE_URL="http://127.0.0.1:9")
    run = nowhere(manifest=manifest, out=tmp_path / "out", generator="sync")
    assert run.code == 2
    assert told in run.err


def test_files_are_renamed_to_pairs_and_a_dry_run_renames_none(
    command: Command, tmp_path: Path
) -> None:
    folder = tmp_path / "takes"
    folder.mkdir()
    for name in ("take 2.mp4", "take 10.mp4", "de 2.wav", "de 10.wav"):
        (folder / name).write_text(name)
    shown = pairs(PairsRequest(action="rename", paths=[folder], dry_run=True))
    assert shown.exit_code == 0
    assert (folder / "take 2.mp4").exists()
    ran = command("rename", folder, "--json", module="flows.pairs")
    assert json.loads(ran.out)["renamed"] == {
        str(folder / "take 2.mp4"): str(folder / "vid_01.mp4"),
        str(folder / "de 2.wav"): str(folder / "aud_01.wav"),
        str(folder / "take 10.mp4"): str(folder / "vid_02.mp4"),
        str(folder / "de 10.wav"): str(folder / "aud_02.wav"),
    }
    assert (folder / "vid_02.mp4").read_text() == "take 10.mp4"
