"""Files that are uploaded to the emulator before they are used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from tests.emulators.conftest import Client, Emulator, Fetched, Place


def test_an_uploaded_film_is_an_asset_and_an_input(
    client: Client, place: Place, fetched: Fetched
) -> None:
    film = place.folder / "film.mp4"
    video = client.uploaded(film, "video/mp4")
    assert (video["type"], video["name"], video["format"]) == ("VIDEO", "film.mp4", "mp4")
    assert (video["width"], video["height"], video["durationSeconds"]) == (192, 108, 1.0)
    audio = client.uploaded(place.folder / "speech.wav", "audio/wav")
    given = [
        {"type": "video", "assetId": video["id"]},
        {"type": "audio", "assetId": audio["id"]},
    ]
    ended = client.ended(client.created({"model": "lipsync-2", "input": given}))
    assert ended["outputDuration"] == 1.0
    address = client.get(f"/v2/assets/{video['id']}/download").text
    assert fetched(address).read_bytes() == film.read_bytes()


def test_the_address_of_an_upload_is_an_input_without_registering(
    client: Client, place: Place, anyone: httpx.Client
) -> None:
    film = place.folder / "film.mp4"
    asked = {"fileName": "my film.mp4", "contentType": "video/mp4", "size": film.stat().st_size}
    told = client.post("/v2/assets/upload", json=asked).json()
    headers = {"Content-Type": "video/mp4"}
    put = anyone.put(told["uploadUrl"], content=film.read_bytes(), headers=headers)
    assert put.status_code == 200
    given = [{"type": "video", "url": told["url"]}, place.body()["input"][1]]
    assert client.create({"model": "lipsync-2", "input": given}).status_code == 201


def test_an_upload_of_another_content_type_is_refused(client: Client, anyone: httpx.Client) -> None:
    asked = {"fileName": "a.wav", "contentType": "audio/wav", "size": 4}
    told = client.post("/v2/assets/upload", json=asked).json()
    headers = {"Content-Type": "audio/mpeg"}
    put = anyone.put(told["uploadUrl"], content=b"RIFF", headers=headers)
    assert (put.status_code, "SignatureDoesNotMatch" in put.text) == (403, True)
    answer = client.post("/v2/assets", json={"url": told["url"]})
    assert (answer.status_code, answer.json()["errorCode"]) == (422, "uploaded_file_not_found")


def test_assets_are_listed_in_pages_changed_and_deleted(client: Client, place: Place) -> None:
    sounds = [
        client.uploaded(place.folder / name, "audio/wav")["id"]
        for name in ("speech.wav", "short.wav", "long.wav")
    ]
    page = client.get("/v2/assets", params={"limit": 2, "types": "AUDIO"}).json()
    assert [item["id"] for item in page["items"]] == sounds[:0:-1]
    assert page["totalCount"] == 3
    cursor = {"limit": 2, "cursor": page["nextCursor"]}
    rest = client.get("/v2/assets", params=cursor).json()
    assert [item["id"] for item in rest["items"]] == sounds[:1]
    assert "nextCursor" not in rest
    found = client.get("/v2/assets", params={"searchQuery": "SHORT"}).json()["items"]
    assert [item["name"] for item in found] == ["short.wav"]
    renamed = client.patch(f"/v2/assets/{sounds[0]}", json={"name": "new.wav"}).json()
    assert renamed["name"] == "new.wav"
    assert client.delete(f"/v2/assets/{sounds[0]}").status_code == 200
    assert client.get(f"/v2/assets/{sounds[0]}").json()["errorCode"] == "asset_not_found"
    several = client.post("/v2/assets/batch", json={"ids": sounds}).json()
    assert [item["id"] for item in several] == sounds[1:]


def test_an_asset_is_refused_as_what_it_is_not_or_to_whom_it_is_not(
    client: Client, place: Place, emulator: Emulator
) -> None:
    sound = client.uploaded(place.folder / "speech.wav", "audio/wav")["id"]
    given = [{"type": "video", "assetId": sound}, {"type": "audio", "assetId": sound}]
    answer = client.create({"model": "lipsync-2", "input": given})
    assert answer.json()["errorCode"] == "generation_input_asset_type_mismatch"
    with emulator.client() as other:
        assert other.get(f"/v2/assets/{sound}").json()["errorCode"] == "asset_forbidden"
