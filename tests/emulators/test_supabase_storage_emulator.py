"""The emulator of Supabase Storage keeps to the contract, and the official client is content."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from hashlib import md5
from pathlib import Path
from typing import Any

import httpx
import pytest
from tusclient.client import TusClient

from tests.emulators.supabase_storage import tokens
from tests.emulators.supabase_storage.service import SERVICE_KEY, StorageService

MB = 1024 * 1024
TUS = {"tus-resumable": "1.0.0"}


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StorageService]:
    service = StorageService(
        tmp_path_factory.mktemp("storage"), "--size-limit", str(20 * MB), "--upload-seconds", "60"
    )
    yield service
    service.stop()


@pytest.fixture
def bucket(storage: StorageService) -> str:
    return storage.new_bucket()


def upload_metadata(bucket: str, key: str) -> str:
    facts = {"bucketName": bucket, "objectName": key, "contentType": "video/mp4"}
    return ",".join(f"{k} {base64.b64encode(v.encode()).decode()}" for k, v in facts.items())


def begun(storage: StorageService, bucket: str, key: str, size: int) -> httpx.Response:
    told = {"upload-length": str(size), "upload-metadata": upload_metadata(bucket, key)}
    return storage.ask("POST", "/upload/resumable", headers=TUS | told)


def patched(storage: StorageService, place: str, offset: int, body: bytes) -> httpx.Response:
    told = {"upload-offset": str(offset), "content-type": "application/offset+octet-stream"}
    return storage.ask("PATCH", httpx.URL(place).path, headers=TUS | told, content=body)


# --- one piece


def test_an_object_is_put_once_told_of_and_replaced_when_asked(
    storage: StorageService, bucket: str
) -> None:
    place = f"/object/{bucket}/a/b.mp4"
    first = storage.ask("POST", place, content=b"one", headers={"content-type": "video/mp4"})
    assert first.json()["Key"] == f"{bucket}/a/b.mp4"
    again = storage.ask("POST", place, content=b"two")
    assert again.status_code == 400
    assert again.json() == {
        "statusCode": "409", "error": "Duplicate", "code": "KeyAlreadyExists",
        "message": "The resource already exists",
    }  # fmt: skip
    info = storage.ask("GET", f"/object/info/{bucket}/a/b.mp4").json()
    assert (info["size"], info["content_type"], info["metadata"]) == (3, "video/mp4", None)
    assert info["etag"] == f'"{md5(b"one").hexdigest()}"'
    assert storage.ask("POST", place, content=b"three", headers={"x-upsert": "true"}).is_success
    assert storage.ask("GET", place).content == b"three"
    part = storage.ask("GET", place, headers={"range": "bytes=1-2"})
    assert (part.status_code, part.content) == (206, b"hr")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/bucket/nowhere", "404", "NoSuchBucket"),
        ("POST", "/object/nowhere/x", "404", "NoSuchBucket"),
        ("GET", "/object/info/{bucket}/x", "404", "NoSuchKey"),
        ("GET", "/object/{bucket}/x", "404", "NoSuchKey"),
        ("GET", "/object/public/{bucket}/x", "404", "NoSuchKey"),
        ("POST", "/object/{bucket}/[x]", "400", "InvalidKey"),
        ("GET", "/object/sign/{bucket}/x?token=a.b.c", "400", "InvalidJWT"),
    ],
)
def test_refusals_are_http_400_with_the_real_status_inside(
    method: str, path: str, status: str, code: str, storage: StorageService, bucket: str
) -> None:
    answer = storage.ask(method, path.format(bucket=bucket))
    assert answer.status_code == 400
    assert (answer.json()["statusCode"], answer.json()["code"]) == (status, code)


def test_who_asks_is_looked_at(storage: StorageService, bucket: str) -> None:
    place = f"{storage.base}/object/{bucket}/x"
    nobody = httpx.post(place, content=b"x", headers={"apikey": SERVICE_KEY})
    assert nobody.json()["code"] == "InvalidRequest"
    for key in (tokens.key_of("anon"), tokens.made({"role": "service_role"}, life_s=-1), "no-jwt"):
        answer = httpx.post(place, content=b"x", headers={"authorization": f"Bearer {key}"})
        assert (answer.status_code, answer.json()["code"]) == (400, "AccessDenied")
    assert storage.ask("GET", f"/object/{bucket}/x").json()["code"] == "NoSuchKey"


def test_an_unknown_route_is_a_404_outside(storage: StorageService) -> None:
    answer = storage.ask("GET", "/storage/v1/bucket")
    assert (answer.status_code, answer.json()["statusCode"]) == (404, 404)


def test_a_public_bucket_is_open_and_a_private_one_is_not(storage: StorageService) -> None:
    for is_public, expected in ((True, 200), (False, 400)):
        bucket = storage.new_bucket(public=is_public)
        storage.ask("POST", f"/object/{bucket}/x", content=b"x").raise_for_status()
        opened = httpx.get(f"{storage.base}/object/public/{bucket}/x")
        assert opened.status_code == expected


# --- in chunks


def test_uploads_in_chunks_are_refused_in_plain_text(storage: StorageService, bucket: str) -> None:
    storage.ask("POST", f"/object/{bucket}/taken", content=b"x").raise_for_status()
    for answer, status, text in (
        (begun(storage, bucket, "taken", 9), 409, "The resource already exists"),
        (begun(storage, bucket, "big", 20 * MB + 1), 413, "Maximum size exceeded"),
        (begun(storage, "nowhere", "x", 9), 404, "Bucket not found"),
        (storage.ask("POST", "/upload/resumable"), 412, "Tus-Resumable Required"),
        (storage.ask("POST", "/upload/resumable", headers=TUS), 400, "Metadata header is required"),
    ):
        assert (answer.status_code, answer.text) == (status, text)
        assert answer.headers["content-type"].startswith("text/plain")
    stranger = storage.ask("POST", "/upload/resumable", headers=TUS | {"authorization": "Bearer x"})
    assert (stranger.status_code, stranger.json()["code"]) == (400, "AccessDenied")


def test_a_chunk_must_be_the_next_one_and_of_6_mib_unless_it_is_the_last(
    storage: StorageService, bucket: str
) -> None:
    content = os.urandom(8 * MB)
    made = begun(storage, bucket, "film.mp4", len(content))
    assert made.status_code == 201
    place = made.headers["location"]
    own = base64.urlsafe_b64decode(place.rpartition("/")[2] + "==").decode()
    assert own.startswith(f"{bucket}/film.mp4/")
    assert patched(storage, place, 0, content[: 5 * MB]).status_code == 400
    wrong = patched(storage, place, 6 * MB, content[6 * MB :])
    assert (wrong.status_code, wrong.text) == (409, "Upload-Offset conflict")
    first = patched(storage, place, 0, content[: 6 * MB])
    assert (first.status_code, first.headers["upload-offset"]) == (204, str(6 * MB))
    looked = storage.ask("HEAD", httpx.URL(place).path, headers=TUS)
    assert (looked.headers["upload-offset"], looked.headers["upload-length"]) == (
        str(6 * MB), str(8 * MB),
    )  # fmt: skip
    assert not storage.ask("GET", f"/object/{bucket}/film.mp4").is_success
    last = patched(storage, place, 6 * MB, content[6 * MB :])
    assert last.headers["tus-complete"] == "1"
    assert storage.ask("GET", f"/object/{bucket}/film.mp4").content == content


def test_a_terminated_upload_is_gone(storage: StorageService, bucket: str) -> None:
    path = httpx.URL(begun(storage, bucket, "x", 9).headers["location"]).path
    assert storage.ask("DELETE", path, headers=TUS).status_code == 204
    assert storage.ask("HEAD", path, headers=TUS).status_code == 404


def test_tuspy_alone_is_content(storage: StorageService, bucket: str, tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(os.urandom(15 * MB))
    client = TusClient(
        f"{storage.base}/upload/resumable", headers={"authorization": f"Bearer {SERVICE_KEY}"}
    )
    with path.open("rb") as file:
        client.uploader(
            file_stream=file, chunk_size=6 * MB,
            metadata={"bucketName": bucket, "objectName": "film.mp4", "contentType": "video/mp4"},
        ).upload()  # fmt: skip
    assert storage.ask("GET", f"/object/{bucket}/film.mp4").content == path.read_bytes()


# --- the official client


@pytest.fixture
def official(storage: StorageService) -> Iterator[Any]:
    storage3 = pytest.importorskip("storage3", reason="the official client is not installed")
    headers = {"authorization": f"Bearer {SERVICE_KEY}", "apikey": SERVICE_KEY}
    with httpx.Client(trust_env=False, timeout=20) as http:
        yield storage3.SyncStorageClient(f"{storage.base}/", headers, http_client=http)


def test_the_official_client_makes_fills_signs_and_empties_a_bucket(
    official: Any, tmp_path: Path
) -> None:
    official.create_bucket("official", options={"public": True, "file_size_limit": "1MB"})
    made = official.get_bucket("official")
    assert (made.name, made.public, made.file_size_limit) == ("official", True, MB)
    assert "official" in {one.name for one in official.list_buckets()}
    path = tmp_path / "film.mp4"
    path.write_bytes(os.urandom(1000))
    films = official.from_("official")
    options = {"content-type": "video/mp4", "metadata": {"sha256": "abc"}}
    assert films.upload("a/film.mp4", path, options).full_path == "official/a/film.mp4"
    assert films.download("a/film.mp4") == path.read_bytes()
    info = films.info("a/film.mp4")
    assert (info["size"], info["content_type"]) == (1000, "video/mp4")
    assert info["metadata"] == {"sha256": "abc"}
    signed = films.create_signed_url("a/film.mp4", 60)["signedURL"]
    for opened in (signed, films.get_public_url("a/film.mp4")):
        assert httpx.get(opened).content == path.read_bytes()
    assert films.exists("a/film.mp4")
    assert not films.exists("a/another.mp4")
    assert [row["name"] for row in films.remove(["a/film.mp4", "gone"])] == ["a/film.mp4"]
    official.delete_bucket("official")


def test_the_official_client_knows_the_refusals(official: Any, tmp_path: Path) -> None:
    from storage3.exceptions import StorageApiError

    official.create_bucket("refusals", options={"file_size_limit": 2000})
    films = official.from_("refusals")
    films.upload("x", b"x", {"content-type": "video/mp4"})
    for attempt, code, status in (
        (lambda: films.upload("x", b"x"), "Duplicate", "409"),
        (lambda: films.upload("y", bytes(3000)), "Payload too large", "413"),
        (lambda: films.download("z"), "not_found", "404"),
        (lambda: official.get_bucket("nowhere"), "Bucket not found", "404"),
    ):
        with pytest.raises(StorageApiError) as caught:
            attempt()
        assert (caught.value.code, str(caught.value.status)) == (code, status)
