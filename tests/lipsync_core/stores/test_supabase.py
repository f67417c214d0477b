"""The store at Supabase, over real HTTP: sent once, never overwritten, open for a while."""

from __future__ import annotations

import asyncio
import base64
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from pydantic import SecretStr

from lipsync_core.errors import (
    InputError,
    LipsyncError,
    RemoteRefused,
    RemoteUnavailable,
    StorageError,
)
from lipsync_core.services.supabase import resumable
from lipsync_core.services.supabase import storage as connection
from lipsync_core.services.supabase.storage import SupabaseStorage, storage_base
from lipsync_core.stores.public import DEFAULT_LIFE_S, PublicStore
from lipsync_core.stores.supabase import SupabaseStore
from tests.emulators.supabase_storage import tokens
from tests.emulators.supabase_storage.service import SERVICE_KEY, StorageService

MB = 1024 * 1024


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StorageService]:
    service = StorageService(tmp_path_factory.mktemp("storage"))
    yield service
    service.stop()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StorageService]:
    """The same behind a gateway, which tells addresses as if it spoke https."""
    data = tmp_path_factory.mktemp("project")
    service = StorageService(data, "--gateway", "--location", "https")
    yield service
    service.stop()


@pytest.fixture
def bucket(storage: StorageService) -> str:
    return storage.new_bucket()


@pytest.fixture
def store(storage: StorageService, bucket: str) -> PublicStore:
    return opened(storage, bucket)


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resumable, "_PAUSE_S", 0.01)


def opened(
    storage: StorageService, bucket: str, prefix: str = "a-run/films", key: str = SERVICE_KEY
) -> SupabaseStore:
    return SupabaseStore(bucket, prefix, url=storage.address, key=SecretStr(key))


def clip(folder: Path, content: bytes = b"frames", name: str = "it's a clip.mp4") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def large(folder: Path, size: int = 15 * MB) -> Path:
    return clip(folder, os.urandom(size), "a large one.mp4")


def note_of(path: Path) -> Path:
    return path.with_name(path.name + ".upload")


def digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def name_of(path: Path) -> str:
    return f"{digest(path)[:2]}/{digest(path)}{path.suffix}"


def published(store: PublicStore, path: Path) -> str:
    return asyncio.run(store.publish(path, digest(path)))


def address(store: PublicStore, uri: str, life_s: float = DEFAULT_LIFE_S) -> str:
    return asyncio.run(store.address(uri, life_s))


def content(store: PublicStore, uri: str) -> bytes:
    answer = httpx.get(address(store, uri))
    assert answer.status_code == 200
    return answer.content


class Ear:
    """Hears what the storage was asked since it began to listen."""

    def __init__(self, storage: StorageService) -> None:
        self.storage, self.start = storage, len(storage.calls)

    def calls(self) -> list[dict[str, Any]]:
        return self.storage.calls[self.start :]

    def methods(self) -> list[str]:
        return [call["method"] for call in self.calls()]

    def chunks(self) -> list[int]:
        return [call["size"] for call in self.calls() if call["method"] == "PATCH"]


@pytest.fixture
def ear(storage: StorageService, bucket: str) -> Ear:
    return Ear(storage)


def test_a_file_is_published_under_the_hash_of_its_content(
    storage: StorageService, bucket: str, tmp_path: Path
) -> None:
    path = clip(tmp_path)
    name = name_of(path)
    assert published(opened(storage, bucket, "films"), path) == f"supabase://{bucket}/films/{name}"
    assert published(opened(storage, bucket, ""), path) == f"supabase://{bucket}/{name}"
    assert published(opened(storage, bucket, "/a/b/"), path) == f"supabase://{bucket}/a/b/{name}"


@pytest.mark.parametrize("is_public", [False, True])
def test_the_address_opens_exactly_the_bytes_to_anybody(
    is_public: bool, storage: StorageService, tmp_path: Path
) -> None:
    store = opened(storage, storage.new_bucket(public=is_public))
    path = clip(tmp_path, os.urandom(100_000))
    answer = httpx.get(address(store, published(store, path)))
    assert answer.status_code == 200
    assert answer.content == path.read_bytes()
    assert answer.headers["Content-Type"] == "video/mp4"


def test_nobody_gets_in_without_a_signature(store: PublicStore, tmp_path: Path) -> None:
    signed = address(store, published(store, clip(tmp_path)))
    assert httpx.get(signed.partition("?")[0]).status_code == 400
    middle = len(signed) - 10
    changed = signed[:middle] + ("a" if signed[middle] != "a" else "b") + signed[middle + 1 :]
    assert httpx.get(changed).status_code == 400


def test_a_published_file_is_not_sent_again(store: PublicStore, ear: Ear, tmp_path: Path) -> None:
    path, same = clip(tmp_path), clip(tmp_path, name="another name.mp4")
    first = published(store, path)
    assert ear.methods() == ["GET", "POST", "GET"]
    assert published(store, same) == first
    assert ear.methods() == ["GET", "POST", "GET", "GET"]


def test_up_to_6_mib_a_file_goes_in_one_piece(store: PublicStore, ear: Ear, tmp_path: Path) -> None:
    for size in (0, 1, 6 * MB):
        path = clip(tmp_path, os.urandom(size), f"{size}.wav")
        assert content(store, published(store, path)) == path.read_bytes()
    assert ear.chunks() == []


def test_a_larger_file_goes_in_chunks_of_6_mib_and_arrives_whole(
    store: PublicStore, ear: Ear, tmp_path: Path
) -> None:
    path = large(tmp_path, 20 * MB)
    uri = published(store, path)
    assert ear.chunks() == [6 * MB, 6 * MB, 6 * MB, 2 * MB]
    assert content(store, uri) == path.read_bytes()
    assert published(store, path) == uri
    assert len(ear.chunks()) == 4
    assert list(tmp_path.iterdir()) == [path]


def test_the_smallest_file_in_chunks_arrives(store: PublicStore, ear: Ear, tmp_path: Path) -> None:
    path = large(tmp_path, 6 * MB + 1)
    assert content(store, published(store, path)) == path.read_bytes()
    assert ear.chunks() == [6 * MB, 1]


@pytest.mark.usefixtures("no_pause")
def test_an_upload_goes_on_where_the_connection_broke(
    storage: StorageService, store: PublicStore, ear: Ear, tmp_path: Path
) -> None:
    path = large(tmp_path)
    storage.next("dropped", "PATCH")
    assert content(store, published(store, path)) == path.read_bytes()
    assert ear.chunks() == [6 * MB, 6 * MB, 6 * MB]  # of which the first came half: 3 + 6 + 6
    assert ear.methods().count("POST") == 2  # begun once; the other signs


@pytest.mark.usefixtures("no_pause")
@pytest.mark.parametrize(("size", "method"), [(10, "POST"), (7 * MB, "PATCH")])
def test_a_file_that_arrived_is_not_sent_again_because_the_answer_was_lost(
    size: int, method: str, storage: StorageService, store: PublicStore, ear: Ear, tmp_path: Path
) -> None:
    path = clip(tmp_path, os.urandom(size))
    storage.next("lost_answer", method)
    uri = published(store, path)
    sent = sum(call["size"] for call in ear.calls() if call["method"] == method)
    assert sent == size
    assert content(store, uri) == path.read_bytes()


@pytest.mark.usefixtures("no_pause")
def test_a_lost_answer_to_the_last_chunk_does_no_harm(
    storage: StorageService, store: PublicStore, ear: Ear, tmp_path: Path
) -> None:
    path = large(tmp_path, 6 * MB + 10)
    storage.next("none", "PATCH")
    storage.next("lost_answer", "PATCH")
    assert content(store, published(store, path)) == path.read_bytes()
    assert ear.chunks() == [6 * MB, 10]


@pytest.mark.usefixtures("no_pause")
def test_an_answer_that_does_not_tell_how_much_arrived_is_asked_about(
    storage: StorageService, store: PublicStore, ear: Ear, tmp_path: Path
) -> None:
    path = large(tmp_path, 7 * MB)
    storage.next("forgotten", "PATCH")
    assert content(store, published(store, path)) == path.read_bytes()
    assert ear.chunks() == [6 * MB, 6 * MB, MB]


def test_a_killed_process_goes_on_where_it_was_though_the_server_was_killed_too(
    tmp_path: Path,
) -> None:
    service = StorageService(tmp_path / "data")
    try:
        bucket, path = service.new_bucket(), large(tmp_path, 20 * MB)
        ear = Ear(service)
        service.next("none", "PATCH")
        service.next("silent", "PATCH")
        process = publishing(service, bucket, path)
        try:
            while len(ear.chunks()) < 2:
                time.sleep(0.02)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert note_of(path).exists()
        service.stop(signal.SIGKILL)
        service.start_again()
        store, ear = opened(service, bucket), Ear(service)
        uri = published(store, path)
        assert ear.methods()[:2] == ["GET", "HEAD"]
        assert ear.chunks() == [6 * MB, 6 * MB, 2 * MB]
        assert content(store, uri) == path.read_bytes()
        assert not note_of(path).exists()
    finally:
        service.stop()


def publishing(service: StorageService, bucket: str, path: Path) -> subprocess.Popen[bytes]:
    """Another process that publishes a file."""
    program = (
        "import asyncio, sys\nfrom pathlib import Path\nfrom pydantic import SecretStr\n"
        "from lipsync_core.stores.supabase import SupabaseStore\n"
        "bucket, url, key, path, digest = sys.argv[1:]\n"
        "store = SupabaseStore(bucket, 'a-run/films', url=url, key=SecretStr(key))\n"
        "asyncio.run(store.publish(Path(path), digest))\n"
    )
    given = [bucket, service.address, SERVICE_KEY, path, digest(path)]
    return subprocess.Popen([sys.executable, "-c", program, *given])


def broken_off(storage: StorageService, store: PublicStore, path: Path) -> dict[str, str]:
    """The note of an upload of which one chunk arrived."""
    storage.next("none", "PATCH")
    storage.next("server_error", "PATCH", count=4)
    with pytest.raises(RemoteUnavailable):
        published(store, path)
    note: dict[str, str] = json.loads(note_of(path).read_text())
    return note


@pytest.mark.usefixtures("no_pause")
def test_what_can_be_tried_again_goes_on_next_time(
    storage: StorageService, store: PublicStore, tmp_path: Path
) -> None:
    path = large(tmp_path)
    broken_off(storage, store, path)
    ear = Ear(storage)
    assert content(store, published(store, path)) == path.read_bytes()
    assert ear.chunks() == [6 * MB, 3 * MB]
    assert not note_of(path).exists()


@pytest.mark.usefixtures("no_pause")
def test_an_upload_the_server_has_given_up_begins_anew(
    storage: StorageService, store: PublicStore, tmp_path: Path
) -> None:
    path = large(tmp_path)
    place = urlsplit(broken_off(storage, store, path)["address"]).path
    ended = storage.ask("DELETE", place, headers={"tus-resumable": "1.0.0"})
    assert ended.status_code == 204
    ear = Ear(storage)
    assert content(store, published(store, path)) == path.read_bytes()
    assert ear.chunks() == [6 * MB, 6 * MB, 3 * MB]


def test_an_upload_that_dies_under_way_is_tried_again_later(tmp_path: Path) -> None:
    service = StorageService(tmp_path / "data", "--upload-seconds", "0")
    try:
        store = opened(service, service.new_bucket())
        with pytest.raises(RemoteUnavailable, match=r"has given up an unfinished upload \(404\)"):
            published(store, large(tmp_path, 7 * MB))
    finally:
        service.stop()


@pytest.mark.usefixtures("no_pause")
def test_an_upload_another_process_is_at_is_left_to_it(
    storage: StorageService, store: PublicStore, tmp_path: Path
) -> None:
    path = large(tmp_path)
    broken_off(storage, store, path)
    with note_of(path).open() as note:
        fcntl.flock(note, fcntl.LOCK_EX)
        ear = Ear(storage)
        assert content(store, published(store, path)) == path.read_bytes()
    assert ear.chunks() == [6 * MB, 6 * MB, 3 * MB]
    assert note_of(path).exists()


@pytest.mark.usefixtures("no_pause")
def test_a_note_is_believed_of_the_same_place_only(
    storage: StorageService, store: PublicStore, tmp_path: Path
) -> None:
    path = large(tmp_path)
    note = broken_off(storage, store, path)
    other = opened(storage, storage.new_bucket())
    ear = Ear(storage)
    assert content(other, published(other, path)) == path.read_bytes()
    assert ear.chunks() == [6 * MB, 6 * MB, 3 * MB]
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        note["address"] = f"http://127.0.0.1:{listening.getsockname()[1]}/upload/resumable/x"
        note_of(path).write_text(json.dumps(note))
        assert content(store, published(store, path)) == path.read_bytes()
        with pytest.raises(BlockingIOError):  # nobody knocked there with the key
            listening.accept()


@pytest.mark.parametrize("nonsense", ["", "not JSON", "[]", '{"goal": 1, "address": 2}', "{"])
def test_a_note_that_makes_no_sense_is_written_anew(
    nonsense: str, store: PublicStore, tmp_path: Path
) -> None:
    path = large(tmp_path, 7 * MB)
    note_of(path).write_text(nonsense)
    assert content(store, published(store, path)) == path.read_bytes()
    assert not note_of(path).exists()


def test_without_a_place_for_its_note_a_file_is_published_all_the_same(
    store: PublicStore, tmp_path: Path
) -> None:
    path = large(tmp_path, 7 * MB)
    note_of(path).mkdir()
    assert content(store, published(store, path)) == path.read_bytes()
    assert note_of(path).is_dir()


@pytest.mark.parametrize("size", [10, 7 * MB])
def test_two_runs_publish_the_same_file_at_once(
    size: int, storage: StorageService, bucket: str, tmp_path: Path
) -> None:
    path = clip(tmp_path, os.urandom(size))
    one, two = opened(storage, bucket), opened(storage, bucket)

    async def both() -> list[str]:
        return await asyncio.gather(
            one.publish(path, digest(path)), two.publish(path, digest(path))
        )

    first, second = asyncio.run(both())
    assert first == second
    assert content(one, first) == path.read_bytes()
    assert not note_of(path).exists()


@pytest.mark.parametrize(("size", "method"), [(10, "POST"), (7 * MB, "PATCH")])
def test_who_is_overtaken_uses_what_the_other_one_published(
    size: int, method: str, storage: StorageService, store: PublicStore, tmp_path: Path
) -> None:
    path = clip(tmp_path, os.urandom(size))
    if method == "PATCH":
        storage.next("none", "PATCH")
    storage.next("overtaken", method)
    assert content(store, published(store, path)) == path.read_bytes()
    assert not note_of(path).exists()


@pytest.mark.parametrize("size", [10, 7 * MB])
@pytest.mark.parametrize("other", [b"other!", b"longer than it"])
def test_another_content_under_the_name_is_refused_and_left_alone(
    other: bytes, size: int, storage: StorageService, bucket: str, tmp_path: Path
) -> None:
    path = clip(tmp_path, os.urandom(size))
    key = f"a-run/films/{name_of(path)}"
    put = storage.ask("POST", f"/object/{bucket}/{key}", content=other)
    assert put.status_code == 200
    with pytest.raises(StorageError, match=rf"another content lies at supabase://{bucket}/{key}"):
        published(opened(storage, bucket), path)
    assert storage.ask("GET", f"/object/{bucket}/{key}").content == other


@pytest.mark.parametrize(("size", "step"), [(10, "info"), (7 * MB, "info"), (7 * MB, "begin")])
def test_another_content_that_comes_meanwhile_is_left_alone_too(
    size: int, step: str, storage: StorageService, bucket: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    path = clip(tmp_path, os.urandom(size))
    place = f"/object/{bucket}/a-run/films/{name_of(path)}"
    real = getattr(SupabaseStorage, step)

    async def overtaken(self: SupabaseStorage, *given: Any) -> Any:
        told = await real(self, *given)
        monkeypatch.undo()
        storage.ask("POST", place, content=b"other!").raise_for_status()
        return told

    monkeypatch.setattr(SupabaseStorage, step, overtaken)
    with pytest.raises(StorageError, match="another content lies at supabase://"):
        published(opened(storage, bucket), path)
    assert storage.ask("GET", place).content == b"other!"
    assert not note_of(path).exists()


@pytest.mark.parametrize(
    ("other", "told"),
    [(b"FRAMES", None), (b"FRAMES", "0" * 64), (b"frames!", sha256(b"frames").hexdigest())],
)
def test_both_size_and_hash_must_be_the_file_s(
    other: bytes, told: str | None, storage: StorageService, bucket: str, tmp_path: Path
) -> None:
    path = clip(tmp_path, b"frames")
    metadata = base64.b64encode(json.dumps({"sha256": told} if told else {}).encode()).decode()
    storage.ask(
        "POST", f"/object/{bucket}/a-run/films/{name_of(path)}", content=other,
        headers={"x-metadata": metadata},
    ).raise_for_status()  # fmt: skip
    with pytest.raises(StorageError, match="another content lies at"):
        published(opened(storage, bucket), path)


def test_a_file_that_is_not_what_its_hash_says_is_never_published(
    store: PublicStore, ear: Ear, tmp_path: Path
) -> None:
    path = clip(tmp_path)
    with pytest.raises(StorageError, match="changed since its hash was taken"):
        asyncio.run(store.publish(path, "0" * 64))
    with pytest.raises(StorageError, match=r"cannot read .*gone\.mp4"):
        asyncio.run(store.publish(tmp_path / "gone.mp4", digest(path)))
    with pytest.raises(InputError, match="plain suffix"):
        asyncio.run(store.publish(tmp_path / "a.m p4", digest(path)))
    assert ear.calls() == []


@pytest.mark.parametrize("size", [10, 7 * MB])
def test_a_file_that_vanishes_before_it_is_sent_is_told(
    size: int, store: PublicStore, ear: Ear, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = clip(tmp_path, bytes(size))
    ask = SupabaseStorage.info

    async def ask_too_long(self: SupabaseStorage, bucket: str, key: str) -> Any:
        path.unlink(missing_ok=True)
        return await ask(self, bucket, key)

    monkeypatch.setattr(SupabaseStorage, "info", ask_too_long)
    with pytest.raises(StorageError, match=r"cannot read .*a clip\.mp4 any more \(No such file"):
        published(store, path)
    assert set(ear.methods()) == {"GET"}
    assert list(tmp_path.iterdir()) == []


def test_an_upload_that_is_not_there_afterwards_is_told(
    storage: StorageService, store: PublicStore, tmp_path: Path
) -> None:
    storage.next("forgotten", "POST")
    with pytest.raises(RemoteUnavailable, match="sent, and still not there: supabase://"):
        published(store, clip(tmp_path))


def test_an_expired_address_opens_nothing(store: PublicStore, tmp_path: Path) -> None:
    uri = published(store, clip(tmp_path))
    short = address(store, uri, 1)
    time.sleep(2.1)
    assert httpx.get(short).status_code == 400
    assert content(store, uri) == b"frames"


def test_an_address_is_signed_anew_for_every_use(store: PublicStore, tmp_path: Path) -> None:
    uri = published(store, clip(tmp_path))
    first = address(store, uri)
    time.sleep(1.1)  # a signature tells whole seconds
    second = address(store, uri)
    assert first != second
    assert [httpx.get(one).content for one in (first, second)] == [b"frames"] * 2


@pytest.mark.parametrize(("asked", "lives"), [(DEFAULT_LIFE_S, DEFAULT_LIFE_S), (99.5, 100)])
def test_an_address_lives_as_long_as_was_asked(
    asked: float, lives: float, store: PublicStore, tmp_path: Path
) -> None:
    signed = address(store, published(store, clip(tmp_path)), asked)
    claims = tokens.read(parse_qs(urlsplit(signed).query)["token"][0])
    assert claims is not None
    assert claims["exp"] - claims["iat"] == lives


@pytest.mark.parametrize("life_s", [0, -1, float("nan"), float("inf")])
def test_an_address_must_have_a_life(store: PublicStore, life_s: float) -> None:
    with pytest.raises(InputError, match="an address cannot live for"):
        address(store, "supabase://any/thing", life_s)


def test_what_was_removed_has_no_address(
    storage: StorageService, bucket: str, tmp_path: Path
) -> None:
    store = opened(storage, bucket)
    uri = published(store, clip(tmp_path))
    key = uri.removeprefix(f"supabase://{bucket}/")
    storage.ask("DELETE", f"/object/{bucket}", json={"prefixes": [key]}).raise_for_status()
    with pytest.raises(StorageError, match=f"not there any more, or hidden from this key: {uri}"):
        address(store, uri)


def test_only_what_the_store_published_gets_an_address(
    store: PublicStore, bucket: str, ear: Ear, tmp_path: Path
) -> None:
    uri = f"supabase://{bucket}/a-run/films/{name_of(clip(tmp_path))}"
    key = uri.removeprefix(f"supabase://{bucket}/")
    name = key.removeprefix("a-run/films/")
    for hostile in (
        f"supabase://other/{key}", f"supabase://{bucket}x/{key}", f"supabase://{bucket}/{name}",
        f"https://a.b/{key}", f"s3://{bucket}/{key}", f"supabase://{bucket}/a-run/films/../secrets",
        f"supabase://{bucket}/a-run/films/../films/{name}", f"{uri}/..", f"{uri}?token=1",
        f"{uri}#", f"{uri}\n", uri.upper(), key, "",
        f"supabase://{bucket}/a-run/films/00/{name[3:]}", f"supabase://{bucket}/a-run/films//{name}",
    ):  # fmt: skip
        with pytest.raises(InputError, match="was not published in supabase://"):
            address(store, hostile)
    assert ear.calls() == []


def test_the_bucket_is_verified_by_one_call(storage: StorageService, bucket: str, ear: Ear) -> None:
    asyncio.run(opened(storage, bucket).verify())
    assert [(call["method"], call["path"]) for call in ear.calls()] == [
        ("GET", f"/bucket/{bucket}")
    ]


def failures(store: SupabaseStore, folder: Path) -> list[LipsyncError]:
    """What publishing a small file, a large one and a question for the bucket end with."""
    small, big = clip(folder), clip(folder, bytes(7 * MB), "large.mp4")
    found = []
    for attempt in (
        lambda: published(store, small),
        lambda: published(store, big),
        lambda: asyncio.run(store.verify()),
    ):
        with pytest.raises(LipsyncError) as caught:
            attempt()
        found.append(caught.value)
    assert {path for path in folder.iterdir() if path.is_file()} == {small, big}  # no note is left
    return found


@pytest.mark.parametrize(
    "key",
    [
        tokens.made({"role": "service_role"}, secret="of another project"),
        tokens.made({"role": "service_role"}, life_s=-60),
    ],
    ids=["another project's", "dead"],
)
def test_a_wrong_key_is_refused_for_good_with_what_to_do(
    key: str, storage: StorageService, bucket: str, tmp_path: Path
) -> None:
    for error in failures(opened(storage, bucket, key=key), tmp_path):
        assert type(error) is RemoteRefused
        assert error.code == "AccessDenied"
        assert "refuses this key (AccessDenied): give a service key of the same project" in str(
            error
        )
        assert not error.retryable


def test_a_key_without_rights_is_told(storage: StorageService, bucket: str, tmp_path: Path) -> None:
    small, big, verified = failures(opened(storage, bucket, key=tokens.key_of("anon")), tmp_path)
    assert type(small) is type(big) is RemoteRefused
    assert type(verified) is InputError
    assert "sees not the bucket" in str(verified)
    assert "give a service key" in str(verified)


def test_a_missing_bucket_is_named(storage: StorageService, tmp_path: Path) -> None:
    for error in failures(opened(storage, "no-such-films"), tmp_path):
        assert type(error) is InputError
        assert "the bucket no-such-films at 127.0.0.1" in str(error)
        assert "create it" in str(error)


def test_an_address_without_a_storage_is_told(
    storage: StorageService, bucket: str, tmp_path: Path
) -> None:
    wrong = SupabaseStore(bucket, url=f"{storage.address}/storage/v1", key=SecretStr(SERVICE_KEY))
    for error in failures(wrong, tmp_path):
        assert type(error) is InputError
        assert "no Supabase Storage answers for the bucket" in str(error)
        assert "check SUPABASE_URL" in str(error)


def test_a_server_that_is_away_is_asked_again_later(bucket: str, tmp_path: Path) -> None:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        away = f"http://127.0.0.1:{place.getsockname()[1]}"
        for error in failures(
            SupabaseStore(bucket, url=away, key=SecretStr(SERVICE_KEY)), tmp_path
        ):
            assert type(error) is RemoteUnavailable
            assert "does not answer (ConnectError): check the network" in str(error)
            assert error.retryable


@pytest.mark.usefixtures("no_pause")
@pytest.mark.parametrize(("size", "method"), [(10, "POST"), (7 * MB, "POST"), (7 * MB, "PATCH")])
@pytest.mark.parametrize(
    ("fault", "code"), [("server_error", "InternalError"), ("locked", "ResourceLocked"),
                        ("busy", "DatabaseTimeout")]
)  # fmt: skip
def test_a_server_that_cannot_now_is_asked_again_later(
    fault: str, code: str, size: int, method: str, storage: StorageService, bucket: str,
    tmp_path: Path,
) -> None:  # fmt: skip
    storage.next(fault, method, 4)
    store, path = opened(storage, bucket), clip(tmp_path, bytes(size))
    with pytest.raises(RemoteUnavailable, match=r"cannot do it now \((\w+)\)") as caught:
        published(store, path)
    if size == 10:
        assert f"({code})" in str(caught.value)
        assert caught.value.retry_after_s == (7 if fault == "busy" else None)
    storage.forget_faults()
    assert note_of(path).exists() == (method == "PATCH")  # where there is something to go on with


def test_a_server_that_falls_silent_is_asked_again_later(
    storage: StorageService, store: PublicStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_TIMEOUT", httpx.Timeout(0.5))
    monkeypatch.setattr(resumable, "_CHUNK_LIMIT_S", 0.5)
    monkeypatch.setattr(resumable, "_BREAKS", 0)
    storage.next("silent", "POST")
    with pytest.raises(RemoteUnavailable, match=r"does not answer \(ReadTimeout\)"):
        published(store, clip(tmp_path))
    storage.next("silent", "PATCH")
    start = time.monotonic()
    with pytest.raises(RemoteUnavailable, match=r"does not answer \(for 0 s\)"):
        published(store, large(tmp_path, 7 * MB))
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("size", [5 * MB, 7 * MB])
@pytest.mark.parametrize(
    ("facts", "complaint"),
    [
        ({"file_size_limit": "4MB"}, r"takes no file so large \(\w+\): raise its limit"),
        ({"allowed_mime_types": ["image/png"]}, r"takes no file of this kind \(\w+\): allow it"),
    ],
)
def test_what_a_bucket_does_not_take_is_told_with_what_to_do(
    facts: dict[str, Any], complaint: str, size: int, storage: StorageService, tmp_path: Path
) -> None:
    store = opened(storage, storage.new_bucket(**facts))
    path = clip(tmp_path, bytes(size))
    with pytest.raises(RemoteRefused, match=complaint):
        published(store, path)
    assert list(tmp_path.iterdir()) == [path]


def test_a_token_goes_in_both_headers(
    store: PublicStore, storage: StorageService, bucket: str, ear: Ear, tmp_path: Path
) -> None:
    address(store, published(store, large(tmp_path, 7 * MB)))
    assert {call["keys"] for call in ear.calls()} == {"apikey authorization"}


def test_a_newer_key_goes_in_one_header_only(project: StorageService, tmp_path: Path) -> None:
    bucket = project.new_bucket()
    store, ear = opened(project, bucket, key=tokens.SECRET_KEY), Ear(project)
    asyncio.run(store.verify())
    signed = [
        address(store, published(store, p)) for p in (clip(tmp_path), large(tmp_path, 7 * MB))
    ]
    assert {call["keys"] for call in ear.calls()} == {"apikey"}
    assert [len(httpx.get(one).content) for one in signed] == [6, 7 * MB]


def test_a_project_is_found_by_either_of_its_addresses(
    project: StorageService, tmp_path: Path
) -> None:
    bucket, path = project.new_bucket(), clip(tmp_path)
    for url in (project.address, f"{project.address}/", f"{project.address}/storage/v1/"):
        store = SupabaseStore(bucket, url=url, key=SecretStr(SERVICE_KEY))
        signed = address(store, published(store, path))
        assert signed.startswith(f"{project.address}/storage/v1/object/sign/{bucket}/")
        assert httpx.get(signed).content == b"frames"


def test_a_bare_server_on_this_machine_is_found(
    storage: StorageService, store: PublicStore, tmp_path: Path
) -> None:
    signed = address(store, published(store, clip(tmp_path)))
    assert signed.startswith(f"{storage.address}/object/sign/")


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://ref.supabase.co", "https://ref.supabase.co/storage/v1"),
        ("https://ref.supabase.co/", "https://ref.supabase.co/storage/v1"),
        ("https://ref.supabase.co/storage/v1", "https://ref.supabase.co/storage/v1"),
        (
            "https://ref.storage.supabase.co/storage/v1/",
            "https://ref.storage.supabase.co/storage/v1",
        ),
        ("http://films.lan:8000", "http://films.lan:8000/storage/v1"),
        ("https://a.b/supabase/storage/v1", "https://a.b/supabase/storage/v1"),
    ],
)
def test_an_address_leads_to_the_storage_of_the_project(url: str, base: str) -> None:
    assert storage_base(url) == base


def test_no_secret_is_in_what_the_store_says_of_itself_or_of_its_errors(
    storage: StorageService, bucket: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told = []
    with caplog.at_level("DEBUG"):
        for key in (
            SERVICE_KEY,
            tokens.made({"role": "service_role"}, secret="x"),
            "sb_secret_hush",
        ):
            store = opened(storage, bucket, key=key)
            told += [repr(store), str(store), str(vars(store))]
            if key == SERVICE_KEY:
                published(store, clip(tmp_path))
                published(store, large(tmp_path, 7 * MB))
                for path in tmp_path.iterdir():
                    path.unlink()
                continue
            for error in failures(store, tmp_path):
                told += ["".join(traceback.format_exception(error)), repr(error)]
                assert "\n" not in str(error)
            said = "".join(told) + caplog.text
            assert "refuses" in said
            assert key not in said
    assert SERVICE_KEY not in "".join(told) + caplog.text
    assert "send_request_headers" in caplog.text


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"bucket": "a/b"}, "cannot be the name of a bucket"),
        ({"bucket": "../films"}, "cannot be the name of a bucket"),
        ({"bucket": ""}, "cannot be the name of a bucket"),
        ({"prefix": "films/../secrets"}, "the prefix 'films/../secrets'"),
        ({"prefix": "films//more"}, "the prefix"),
        ({"prefix": "it's films"}, "the prefix"),
        ({"key": SecretStr("")}, "SUPABASE_KEY must be a key"),
        ({"key": SecretStr("hush\nhush")}, "SUPABASE_KEY must be a key"),
        ({"key": SecretStr("hush…")}, "SUPABASE_KEY must be a key"),
        ({"url": "ref.supabase.co"}, "SUPABASE_URL must be an address like https://"),
        ({"url": "ftp://ref.supabase.co"}, "must be an address like https://"),
        ({"url": "https://me:hush@ref.supabase.co"}, "must be an address like https://"),
        ({"url": "https://ref.supabase.co:port"}, "must be an address like https://"),
        ({"url": "https://ref supabase.co"}, "must be an address like https://"),
        ({"url": "https://ref.supabase.co/rest/v1"}, "must be an address like https://"),
        ({"url": "https://ref.supabase.co?apikey=hush"}, "must be an address like https://"),
    ],
)
def test_a_store_that_cannot_be_is_refused_at_once(change: dict[str, Any], complaint: str) -> None:
    given: dict[str, Any] = {
        "bucket": "films", "url": "https://ref.supabase.co", "key": SecretStr("hush"),
    }  # fmt: skip
    SupabaseStore(**given)
    with pytest.raises(InputError, match=complaint) as caught:
        SupabaseStore(**given | change)
    assert "hush" not in str(caught.value)
