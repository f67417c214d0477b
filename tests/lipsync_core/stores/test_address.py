"""Addresses of files elsewhere, and the signatures nobody must see."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest
from pydantic import BaseModel

from lipsync_core.errors import InputError
from lipsync_core.stores.address import Address, is_remote

SIGNED = "https://films.example/talks/talk%201.mp4?X-Amz-Signature=abcdef&X-Amz-Expires=600"
SHA = "ab" + "0" * 62


class Parameters(BaseModel):
    film: Address


def test_the_signature_is_shown_nowhere() -> None:
    address = Address(SIGNED)
    shown = [
        str(address), repr(address), f"{address}", Parameters(film=address).model_dump_json(),
        repr(Parameters(film=address)),
    ]  # fmt: skip
    assert not any("abcdef" in text for text in shown)
    assert address.whole == SIGNED


def test_a_file_is_called_as_people_called_it() -> None:
    assert Address(SIGNED).name == "talk 1.mp4"


@pytest.mark.parametrize(
    "text",
    ["ftp://films.example/a.mp4", "https://films.example", "https:///a.mp4", "file:///etc/passwd",
     "https://films.example/a b.mp4", "https://[films/a.mp4", "films/a.mp4"],
)  # fmt: skip
def test_what_is_no_address_of_a_file_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is no address of a file"):
        Address(text)


@pytest.mark.parametrize(
    "text",
    ["https://me:hunter2@films.example/", "ftp://me:hunter2@films.example/a.mp4",
     "https://me:hunter2@films.example/a b.mp4", "<https://me:hunter2@films.example/a.mp4>"],
)  # fmt: skip
def test_a_password_is_not_repeated_whatever_else_is_wrong(text: str) -> None:
    with pytest.raises(InputError) as refused:
        Address(text)
    assert "hunter2" not in str(refused.value)


def test_a_file_stays_the_same_however_it_is_signed_and_another_is_another() -> None:
    def at(query: str) -> str:
        return Address(f"https://films.example/download?{query}").lasting

    assert at("id=1&X-Amz-Signature=a&X-Amz-Date=b") == at("id=1&X-Amz-Signature=c")
    assert at("id=1&token=a") == at("id=1") != at("id=2")
    assert at("Expires=1&Signature=2&Key-Pair-Id=3") == "https://films.example/download"
    assert Address(SIGNED).is_signed
    assert not Address("https://films.example/download?id=1").is_signed


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(InputError) as refused:
        Address("https://me:hunter2@films.example/a.mp4")
    assert "password" in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_a_path_of_this_machine_is_not_remote() -> None:
    assert not any(map(is_remote, ["films/a.mp4", "/films/a.mp4", "C:\\films\\a.mp4", "a:b.mp4"]))
    assert all(map(is_remote, ["S3://films/a.mp4", "<https://films/a.mp4>", "https:/films/a.mp4"]))


def _token(expires: int) -> str:
    claims = base64.urlsafe_b64encode(json.dumps({"exp": expires}).encode()).decode().rstrip("=")
    return f"e30.{claims}.c2ln"


@pytest.mark.parametrize(
    "query",
    ["X-Amz-Date=20261121T120000Z&X-Amz-Expires=3600",
     "X-Goog-Date=20261121T120000Z&X-Goog-Expires=3600",
     "se=2026-11-21T13%3A00%3A00Z&sig=x",
     "Expires=1795266000&Signature=x",
     f"token={_token(1795266000)}"],
)  # fmt: skip
def test_an_address_says_when_its_signature_dies(query: str) -> None:
    found = Address(f"https://films.example/a.mp4?{query}").expires
    assert found == datetime(2026, 11, 21, 13, tzinfo=UTC)


@pytest.mark.parametrize(
    "query", ["", "X-Amz-Expires=3600", "Expires=soon", "token=a.b.c", "Expires=9" + "9" * 40]
)
def test_an_address_that_says_nothing_of_its_end_has_none(query: str) -> None:
    assert Address(f"https://films.example/a.mp4?{query}").expires is None


def test_a_name_made_of_its_content_tells_the_hash() -> None:
    assert Address(f"s3://films/a/ab/{SHA}.mp4").sha256 == SHA
    assert Address(f"s3://films/a/cd/{SHA}.mp4").sha256 is None
    assert Address(SIGNED).sha256 is None
