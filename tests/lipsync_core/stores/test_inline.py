"""Files inside a request are taken only where they are exactly what they say."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipsync_core.errors import InputError
from lipsync_core.stores.inline import LARGEST, SUFFIXES, is_inline, read_inline

CONTENT = bytes(range(256)) * 3 + b"\xfb\xff"


def uri(content: bytes, media_type: str = "image/png") -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def refused(text: str, kinds: tuple[str, ...] = ("image", "audio")) -> str:
    with pytest.raises(InputError) as caught:
        read_inline(text, kinds)
    told = str(caught.value)
    assert "\n" not in told
    assert len(told) < 500
    return told


def test_a_data_uri_is_told_from_paths_and_addresses() -> None:
    assert is_inline("data:image/png;base64,AAAA")
    assert is_inline("DATA:whatever")
    for other in ("https://example.org/data:x", "data.png", "s3://data/a.png", "", "data"):
        assert not is_inline(other)


@given(st.binary(min_size=1, max_size=100), st.sampled_from(sorted(SUFFIXES)))
def test_what_was_encoded_comes_back(content: bytes, media_type: str) -> None:
    assert read_inline(uri(content, media_type)) == (content, SUFFIXES[media_type])


def test_small_and_capital_letters_and_parameters_do_not_matter() -> None:
    coded = base64.b64encode(CONTENT).decode()
    assert read_inline(f"DATA:Image/JPEG;BASE64,{coded}") == (CONTENT, ".jpg")
    assert read_inline(f"data:audio/webm;codecs=opus;base64,{coded}") == (CONTENT, ".webm")
    assert read_inline(f'data:audio/ogg;codecs="opus";base64,{coded}') == (CONTENT, ".ogg")


@pytest.mark.parametrize(
    "text",
    [
        "data:", "data:,hello", "data:image/png,abcd", "data:image/png;base64", "data:;base64,AAAA",
        "data:image;base64,AAAA", "data:image/png;base64 ,AAAA", " data:image/png;base64,AAAA",
        "data:image/png\n;base64,AAAA", "data:" + "a" * 300 + "/b;base64,AAAA", "", "x.png",
        "data:image/png;base64;x=y,AAAA",
    ],
)  # fmt: skip
def test_what_is_no_data_uri_in_base64_is_refused(text: str) -> None:
    assert "no data URI" in refused(text)


def test_only_known_media_types_of_the_wanted_kind_are_taken() -> None:
    assert refused(uri(CONTENT, "text/html")).startswith("inline file is text/html: give one of")
    assert "image/svg+xml" in refused(uri(CONTENT, "image/svg+xml"))
    told = refused(uri(CONTENT, "audio/wav"), ("image",))
    assert "image/png" in told
    assert "audio/mpeg" not in told
    assert read_inline(uri(CONTENT, "audio/wav"), ("audio",))[1] == ".wav"


@pytest.mark.parametrize(
    "coded",
    [
        "U2VjcmV0", "U2VjcmV0IQ", "U2VjcmV0IQ=", "U2VjcmV0IQ===", "U2Vj cmV0", "U2Vj\ncmV0",
        "U2Vj\r\ncmV0\r\n", "U2Vj-_V0", "U2Vj%2BV0", "U2Vj=cmV0", "=U2VjcmV", "U2VjcmV0IR==",
        "U2VjcmV0é", "U2VjcmV0\0", "====", "U2VjcmV0,AAA",
    ],
)  # fmt: skip
def test_base64_is_strict_and_never_repeated_in_a_message(coded: str) -> None:
    text = f"data:image/png;base64,{coded}"
    if coded == "U2VjcmV0":
        assert read_inline(text) == (b"Secret", ".png")
        return
    told = refused(text)
    assert "base64" in told
    assert "U2Vj" not in told


def test_an_empty_file_is_refused() -> None:
    assert "is empty" in refused("data:image/png;base64,")


def test_64_mebibytes_are_the_most() -> None:
    most = read_inline("data:audio/wav;base64," + "A" * (LARGEST // 3 * 4) + "AA==")[0]
    assert len(most) == LARGEST
    for tail in ("AAA=", "AAAA"):
        told = refused("data:audio/wav;base64," + "A" * (LARGEST // 3 * 4) + tail)
        assert "over 64 MiB" in told
