"""The vendor's own client, syncsdk, takes the emulator for the service."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx
import pytest

if TYPE_CHECKING:
    from tests.emulators.conftest import Batch, Emulator, Place, Until


@pytest.fixture
def official(emulator: Emulator, anyone: httpx.Client) -> Callable[[str], Any]:
    """The official client of an API key."""
    sync = pytest.importorskip("sync", reason="the official client, syncsdk, is not installed")
    return lambda key: sync.Sync(base_url=emulator.address, api_key=key, httpx_client=anyone)


@pytest.fixture
def sdk(official: Callable[[str], Any], request: pytest.FixtureRequest) -> Any:
    return official(request.node.name)


def test_the_official_client_creates_reads_and_lists(sdk: Any, place: Place) -> None:
    from sync.common import Audio, GenerationOptions, Video

    made = sdk.generations.create(
        model="lipsync-2",
        input=[Video(url=place.url("film.mp4")), Audio(url=place.url("speech.wav"))],
        options=GenerationOptions(sync_mode="cut_off"), output_file_name="shot_1",
        request_options={"additional_headers": {"Idempotency-Key": "sdk-key"}},
    )  # fmt: skip
    waiting = {"additional_query_parameters": {"wait": "true", "timeout": "10"}}
    found = sdk.generations.get(made.id, request_options=waiting)
    assert (found.status, found.output_duration, found.outputFileName) == (
        "COMPLETED",
        1.0,
        "shot_1",
    )
    assert found.options.sync_mode == "cut_off"
    assert found.output_url.startswith("http://127.0.0.1")
    listed = sdk.generations.list(status=["COMPLETED", "FAILED"], ids=[made.id])
    assert [job.id for job in listed] == [made.id]


def test_the_official_client_sends_files_and_asks_for_prices(sdk: Any, place: Place) -> None:
    from sync.common import Audio, Video

    with (
        (place.folder / "film.mp4").open("rb") as film,
        (place.folder / "speech.wav").open("rb") as sound,
    ):
        made = sdk.generations.create_with_files(
            model="lipsync-2", video=film, audio=sound, options=json.dumps({"sync_mode": "loop"})
        )
    assert made.options.sync_mode == "loop"
    (cost,) = sdk.generations.estimate_cost(
        model="lipsync-2",
        input=[Video(url=place.url("film.mp4")), Audio(url=place.url("speech.wav"))],
    )
    assert (cost.estimated_frame_count, cost.estimated_generation_cost) == (place.frames, 0.05)
    assert "react-1" in {model.name for model in sdk.models.list()}


def test_the_official_client_knows_the_refusals(sdk: Any, place: Place) -> None:
    from sync.core.api_error import ApiError

    for video, status, code in (
        ("gone.mp4", 422, "generation_input_video_inaccessible"),
        (None, 400, "generation_input_validation_failed"),
    ):
        given = place.body(video=video)["input"] if video else []
        with pytest.raises(ApiError) as caught:
            sdk.generations.create(model="lipsync-2", input=given)
        assert caught.value.status_code == status
        body = caught.value.body
        assert (body if isinstance(body, dict) else dict(body))["errorCode"] == code
    with pytest.raises(ApiError) as caught:
        sdk.generations.get(str(UUID(int=0)))
    assert caught.value.status_code == 404


def test_the_official_client_runs_batches_and_lists_assets(
    official: Callable[[str], Any], emulator: Emulator, place: Place, batch: Batch, until: Until
) -> None:
    sdk = official("sdk-batches")
    made = sdk.batch.create(input=batch(place.lines())["input"])
    found = until(lambda: sdk.batch.get(made.id), lambda batch: batch.status == "COMPLETED")
    assert (found.metrics.success_count, found.metrics.failed_count) == (20, 0)
    assert [each.id for each in sdk.batch.list()] == [made.id]
    assert sdk.batch.create(input=batch(place.lines())["input"], dry_run=True).status == "VALIDATED"
    with emulator.client("sdk-assets") as client:
        asset = client.uploaded(place.folder / "speech.wav", "audio/wav")
    own = official("sdk-assets")
    assert own.assets.get(asset["id"]).duration_seconds == pytest.approx(1)
    assert [item.id for item in own.assets.list(types=["AUDIO"], limit=5).items] == [asset["id"]]
