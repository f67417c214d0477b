"""The store in a folder: bytes by content, rooms for work, and nothing left by killed runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from lipsync_core.errors import InputError, StorageError
from lipsync_core.stores import MediaRef, ref_of
from lipsync_core.stores.local import LocalStore, make_writable


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "a store's root")


def made(store: LocalStore, content: bytes, name: str = "clip.mkv") -> MediaRef:
    """What a task makes and hands over."""
    with store.workspace() as folder:
        path = folder / name
        path.write_bytes(content)
        return store.add(path)


def test_a_file_is_kept_under_the_hash_of_its_content(store: LocalStore) -> None:
    ref = made(store, b"frames")
    digest = sha256(b"frames").hexdigest()
    assert ref == MediaRef(uri=f"objects/{digest[:2]}/{digest}.mkv", sha256=digest, size=6)
    assert store.path(ref).read_bytes() == b"frames"


def test_the_same_content_is_kept_once(store: LocalStore) -> None:
    assert made(store, b"frames", "one.mkv") == made(store, b"frames", "two.mkv")
    assert len([path for path in (store.root / "objects").rglob("*") if path.is_file()]) == 1


def test_a_file_moves_into_the_store(store: LocalStore) -> None:
    with store.workspace() as folder:
        (folder / "clip.mkv").write_bytes(b"frames")
        store.add(folder / "clip.mkv")
        assert list(folder.iterdir()) == []


def test_the_whole_store_may_be_moved(store: LocalStore, tmp_path: Path) -> None:
    ref = made(store, b"frames")
    store.root.rename(tmp_path / "elsewhere")
    assert LocalStore(tmp_path / "elsewhere").path(ref).read_bytes() == b"frames"


def test_a_source_film_stays_where_it_lies(store: LocalStore, tmp_path: Path) -> None:
    film = tmp_path / "it's 100% a film #1 é.mp4"
    film.write_bytes(b"film")
    assert store.path(ref_of(film)) == film
    assert not store.root.exists()


def test_files_with_other_names_are_the_same_by_content(tmp_path: Path) -> None:
    for name in ("one.mp4", "two.mp4"):
        (tmp_path / name).write_bytes(b"film")
    assert ref_of(tmp_path / "one.mp4").sha256 == ref_of(tmp_path / "two.mp4").sha256


def test_a_file_that_was_written_anew_has_a_new_hash(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(b"one")
    before = ref_of(film)
    film.write_bytes(b"two")
    os.utime(film, ns=(1, 1))
    assert ref_of(film).sha256 == sha256(b"two").hexdigest() != before.sha256


@pytest.mark.parametrize("harm", ["gone", "cut short", "a folder"])
def test_bytes_that_are_lost_are_told_with_advice(store: LocalStore, harm: str) -> None:
    ref = made(store, b"frames")
    path = store.path(ref)
    if harm == "cut short":
        path.write_bytes(b"fra")
    else:
        path.unlink()
    if harm == "a folder":
        path.mkdir()
    with pytest.raises(StorageError, match=r"missing or changed since it was stored: .*; delete"):
        store.path(ref)


def test_what_a_text_speaks_of_and_is_gone_is_named(store: LocalStore) -> None:
    kept, lost = made(store, b"kept"), made(store, b"lost", "faces.npy")
    store.path(lost).unlink()
    text = f'{{"file": {{"uri": "{kept.uri}"}}, "faces": {{"uri": "{lost.uri}"}}}}'
    assert store.lost(text) == [lost.uri]
    assert store.lost("file:///films/objects/talk.mp4") == []


def test_a_workspace_lies_in_the_store_and_is_gone_afterwards(store: LocalStore) -> None:
    with store.workspace() as folder:
        assert store.root in folder.parents
        (folder / "half").write_bytes(b"...")
    assert not folder.exists()
    with pytest.raises(RuntimeError), store.workspace() as folder:
        raise RuntimeError
    assert not folder.exists()


def test_workspaces_stand_side_by_side(store: LocalStore) -> None:
    with store.workspace() as one, store.workspace() as two:
        assert one != two


def test_what_killed_runs_left_is_swept(store: LocalStore) -> None:
    process = working(store.root)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert len(list((store.root / "work").iterdir())) == 1
    store.sweep()
    assert list((store.root / "work").iterdir()) == []


def test_a_run_at_work_is_not_swept_away(store: LocalStore) -> None:
    process = working(store.root)
    try:
        store.sweep()
        [folder] = (store.root / "work").iterdir()
        assert (folder / "half").read_bytes() == b"half"
    finally:
        process.communicate(b"\n")
    assert list((store.root / "work").iterdir()) == []


def test_sweeping_where_nothing_is_makes_nothing(store: LocalStore) -> None:
    store.sweep()
    assert not store.root.exists()


def test_sweeping_keeps_what_is_stored(store: LocalStore) -> None:
    ref = made(store, b"frames")
    store.sweep()
    assert store.path(ref).read_bytes() == b"frames"


def working(root: Path) -> subprocess.Popen[bytes]:
    """Another process that has begun a file in a workspace and waits for a line."""
    program = (
        "import sys\nfrom pathlib import Path\nfrom lipsync_core.stores.local import LocalStore\n"
        "with LocalStore(Path(sys.argv[1])).workspace() as folder:\n"
        "    (folder / 'half').write_bytes(b'half')\n    print('ready', flush=True)\n"
        "    sys.stdin.readline()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


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


def test_a_folder_to_write_to_is_made(tmp_path: Path) -> None:
    make_writable(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_a_file_is_no_folder_to_write_to(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(InputError, match=r"cannot write to the folder .*out .*: choose another"):
        make_writable(tmp_path / "out")
    with pytest.raises(InputError, match="choose another one"):
        make_writable(tmp_path / "out" / "deeper")


def test_a_folder_that_refuses_is_told_before_any_work(tmp_path: Path) -> None:
    for folder in (tmp_path, *list(tmp_path.parents)[:2]):
        folder.chmod(0o755)
    (tmp_path / "mine").mkdir(mode=0o555)
    with nobody(), pytest.raises(InputError, match="Permission denied"):
        make_writable(tmp_path / "mine")


def test_a_store_that_refuses_is_told(store: LocalStore, tmp_path: Path) -> None:
    for folder in (tmp_path, *list(tmp_path.parents)[:2]):
        folder.chmod(0o755)
    store.root.mkdir(mode=0o555)
    with nobody(), pytest.raises(StorageError, match="choose a folder"), store.workspace():
        pass
