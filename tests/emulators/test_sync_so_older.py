"""The emulator as it speaks the older edition of the API, which knew no idempotency."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from tests.emulators.sync_so.faults import Fault

if TYPE_CHECKING:
    from tests.emulators.conftest import Client, Emulator, Place


@pytest.fixture
def old_client(old: Emulator) -> Iterator[Client]:
    with old.client() as client:
        yield client


def test_the_older_api_takes_no_notice_of_keys(old_client: Client, place: Place) -> None:
    jobs = {old_client.created(place.body(), "k") for _ in range(2)}
    assert len(jobs) == 2


def test_the_older_api_spells_error_codes_the_older_way(old_client: Client, place: Place) -> None:
    old_client.next_has(Fault.FAILED_TRANSIENT)
    ended = old_client.ended(old_client.created(place.body()))
    assert ended["error_code"] == "generation_infra_resource_exhausted"
    refusal = old_client.create(place.body(video="gone.mp4")).json()
    assert refusal["error_code"] == "generation_input_video_inaccessible"
    assert "errorCode" not in ended.keys() | refusal.keys()


def test_the_older_api_cannot_wait_choose_by_id_or_sign_anew(
    old_client: Client, place: Place
) -> None:
    made = old_client.create(place.body()).json()
    assert made["outputUrl"] == ""
    assert "outputFileName" not in made
    answer = old_client.get(f"/v2/generate/{made['id']}", params={"wait": "true"})
    assert answer.json()["status"] in ("PENDING", "PROCESSING")
    assert "X-Sync-Wait-Mode" not in answer.headers
    assert len(old_client.get("/v2/generations", params={"ids": str(UUID(int=0))}).json()) == 1
    missing = old_client.get(f"/v2/generations/{made['id']}/download")
    assert (missing.status_code, missing.json()["statusCode"]) == (404, 404)


def test_the_older_api_takes_files_under_twenty_megabytes(old_client: Client, place: Place) -> None:
    film, sound = ((place.folder / name).read_bytes() for name in ("film.mp4", "speech.wav"))
    fields = {"model": "lipsync-2"}
    small = old_client.post("/v2/generate", data=fields, files={"video": film, "audio": sound})
    assert small.status_code == 201
    assert old_client.ended(small.json()["id"])["status"] == "COMPLETED"
    large = {"video": film, "audio": bytes(20 * 10**6 + 1)}
    assert old_client.post("/v2/generate", data=fields, files=large).status_code == 413
