"""What every test may use: this folder on the import path (``import media_factory``), and the
demo film, which takes long to make and is made once."""

from __future__ import annotations

import fcntl
import os

import pytest
from hypothesis import settings

from lipsync_core.demo.film import DemoFilm, make_demo_film
from lipsync_core.material import Material, gather
from lipsync_core.media.audio import ANALYSIS_RATE, Track, lay_track

settings.register_profile("any machine", deadline=None)  # a busy one is no failure
settings.load_profile("any machine")


@pytest.fixture(scope="session")
def demo_film(tmp_path_factory: pytest.TempPathFactory) -> DemoFilm:
    """Ten seconds of a talking face, four without a face, and a new speech.

    Whoever needs it first makes it for all the processes that run tests.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "it's a demo"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        film = DemoFilm(folder / "film.mp4", folder / "speech.wav")
        return film if film.speech.exists() else make_demo_film(folder)


@pytest.fixture(scope="session")
def demo_material(demo_film: DemoFilm, tmp_path_factory: pytest.TempPathFactory) -> Material:
    """The demo film scanned."""
    return gather(demo_film.video, tmp_path_factory.mktemp("material"))


@pytest.fixture(scope="session")
def demo_speech(
    demo_film: DemoFilm, demo_material: Material, tmp_path_factory: pytest.TempPathFactory
) -> Track:
    """The new speech laid under the demo film, mono 16 kHz."""
    return lay_track(
        demo_film.speech, tmp_path_factory.mktemp("speech") / "speech.wav",
        frames=demo_material.info.frames, frame_rate=demo_material.info.frame_rate,
        sample_rate=ANALYSIS_RATE, mono=True,
    )  # fmt: skip
