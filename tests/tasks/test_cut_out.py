"""A segment as an engine elsewhere is sent it: a film, or the one picture a film was made of."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import soundfile
from media_factory import bursts, make_film, write_sound

from lipsync_core.generators.infinitetalk import InfiniteTalk
from lipsync_core.generators.sync_so import SyncSo
from lipsync_core.stores.local import LocalStore
from tasks.cut_out import cut_out, is_sent_as_still
from tasks.values import ScannedFilm, SegmentJob, Still, TrackValue


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


@pytest.fixture
def portrait(store: LocalStore, tmp_path: Path) -> SegmentJob:
    """Frames 10 to 35 of a portrait of two seconds, with a speech at 16 kHz."""
    assert cv2.imwrite(str(tmp_path / "face.png"), np.full((32, 32, 3), 90, np.uint8))
    np.save(tmp_path / "faces.npy", np.zeros(1))
    video, faces, speech, image = (
        store.add(path)
        for path in (
            make_film(tmp_path / "film.mp4", frames=50),
            tmp_path / "faces.npy",
            write_sound(tmp_path / "speech.wav", bursts(2, 16_000), 16_000),
            tmp_path / "face.png",
        )
    )
    film = ScannedFilm(
        video=video, frames=50, frame_rate="25", cuts=(), faces=faces, thumbnails=faces,
        sound=None, notes=(), still=Still(image=image, made_of="a face"),
    )  # fmt: skip
    return SegmentJob(
        film=film, shot=(0, 50), first_frame=10, last_frame=35, heard="0" * 64,
        speech=TrackValue(file=speech, sample_rate=16_000, channels=1, samples=32_000, given_s=2),
        generator="infinitetalk", generator_version=1, options=InfiniteTalk().checked({}),
    )  # fmt: skip


def test_an_engine_that_takes_stills_gets_the_picture_and_the_segments_own_speech(
    portrait: SegmentJob, store: LocalStore
) -> None:
    parts = cut_out.fn(portrait, portrait.speech, str(store.root))
    assert portrait.film.still is not None
    assert parts.video == portrait.film.still.image
    whole, rate = soundfile.read(store.path(portrait.speech.file))
    part, _ = soundfile.read(store.path(parts.speech))
    assert rate == 16_000
    assert np.allclose(part, whole[10 * 640 : 35 * 640], atol=1e-4)


@pytest.mark.parametrize(("model", "is_still"), [("sync-3", True), ("lipsync-2", False)])
def test_an_engine_that_takes_none_gets_a_film_of_it(
    model: str, is_still: bool, portrait: SegmentJob, store: LocalStore
) -> None:
    job = portrait.model_copy(
        update={"generator": "sync", "options": SyncSo().checked({"model": model})}
    )
    assert is_sent_as_still(job) is is_still
    parts = cut_out.fn(job, job.speech, str(store.root))
    assert (Path(parts.video.uri).suffix == ".png") is is_still


def test_a_film_that_moves_is_never_sent_as_a_picture(portrait: SegmentJob) -> None:
    film = portrait.film.model_copy(update={"still": None})
    assert not is_sent_as_still(portrait.model_copy(update={"film": film}))
