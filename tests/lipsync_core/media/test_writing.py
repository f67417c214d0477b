"""Disks that are full and folders that refuse: one clear line, and nothing half left behind."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from media_factory import bursts, make_film, write_sound

from lipsync_core.errors import InputError, StorageError
from lipsync_core.media.audio import Track, lay_track
from lipsync_core.media.join import join_film
from lipsync_core.media.probe import FilmInfo, probe
from lipsync_core.media.split import split_film
from lipsync_core.timeline import Segment

FULL = Path("/dev/full")


@pytest.fixture
def info(tmp_path: Path) -> FilmInfo:
    return probe(make_film(tmp_path / "film.mp4", frames=80))


@pytest.fixture
def speech(tmp_path: Path, info: FilmInfo) -> Track:
    source = write_sound(tmp_path / "speech.wav", bursts(3.2, 48_000), 48_000)
    return lay_track(source, tmp_path / "laid.wav", frames=80, frame_rate=info.frame_rate)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def fill_the_disk_under(path: Path) -> None:
    """Whatever is written to the part of ``path`` meets the kernel's "no space left"."""
    if not FULL.exists():
        pytest.skip("needs /dev/full, which only Linux has")
    path.with_name(path.name + ".part").symlink_to(FULL)


@contextmanager
def nobody() -> Iterator[None]:
    """The administrator, whom no permission stops, is nobody for a while."""
    administrator = os.geteuid() == 0
    if administrator:
        os.seteuid(65534)
    try:
        yield
    finally:
        if administrator:
            os.seteuid(0)


def test_a_full_disk_stops_the_join(info: FilmInfo, speech: Track, out: Path) -> None:
    fill_the_disk_under(out / "final.mp4")
    with pytest.raises(StorageError) as caught:
        join_film(info, [], speech, out / "final.mp4")
    assert str(caught.value) == (
        f"disk full while writing {out / 'final.mp4'}: free some space and rerun"
    )
    assert list(out.iterdir()) == []


def test_a_full_disk_keeps_the_film_of_the_last_run(
    info: FilmInfo, speech: Track, out: Path
) -> None:
    (out / "final.mp4").write_bytes(b"the film of the last run")
    fill_the_disk_under(out / "final.mp4")
    with pytest.raises(StorageError):
        join_film(info, [], speech, out / "final.mp4")
    assert (out / "final.mp4").read_bytes() == b"the film of the last run"
    assert [path.name for path in out.iterdir()] == ["final.mp4"]


def test_a_full_disk_leaves_the_pieces_that_were_whole(
    info: FilmInfo, speech: Track, out: Path
) -> None:
    fill_the_disk_under(out / "vid_02.mp4")
    with pytest.raises(StorageError, match=r"disk full while writing .*vid_02\.mp4"):
        split_film(info, [Segment(0, 0, 40), Segment(1, 40, 80)], speech, out)
    assert sorted(path.name for path in out.iterdir()) == ["aud_01.wav", "vid_01.mp4"]


def test_a_full_disk_stops_a_sound_file(info: FilmInfo, speech: Track, out: Path) -> None:
    fill_the_disk_under(out / "laid.wav")
    with pytest.raises(StorageError, match=r"cannot write .*laid\.wav: free some space and rerun"):
        lay_track(speech.path, out / "laid.wav", frames=80, frame_rate=info.frame_rate)
    assert list(out.iterdir()) == []


def test_a_folder_that_refuses_is_named() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, out = Path(name), Path(name) / "out"
        folder.chmod(0o755)
        info = probe(make_film(folder / "film.mp4", frames=80))
        sound = write_sound(folder / "speech.wav", bursts(3.2, 48_000), 48_000)
        speech = lay_track(sound, folder / "laid.wav", frames=80, frame_rate=info.frame_rate)
        out.mkdir(mode=0o500)
        reason = r"cannot write .*: choose a folder you may write to"
        with nobody():
            with pytest.raises(StorageError, match=reason):
                join_film(info, [], speech, out / "final.mp4")
            with pytest.raises(StorageError, match=reason):
                lay_track(sound, out / "laid.wav", frames=80, frame_rate=info.frame_rate)


def test_a_film_nobody_may_read_is_named() -> None:
    with tempfile.TemporaryDirectory() as name:
        film = make_film(Path(name) / "film.mp4", frames=2)
        film.chmod(0)
        for mode in (0o755, 0o600):  # the file refuses, then its folder does
            Path(name).chmod(mode)
            with nobody(), pytest.raises(InputError, match=r"may not read .*film\.mp4"):
                probe(film)
        Path(name).chmod(0o700)


def test_a_join_that_is_interrupted_leaves_nothing(
    info: FilmInfo, speech: Track, out: Path
) -> None:
    def interrupt(frame: int) -> None:
        if frame == 40:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        join_film(info, [], speech, out / "final.mp4", on_frame=interrupt)
    assert list(out.iterdir()) == []
