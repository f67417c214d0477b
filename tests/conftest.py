"""What every test may use: this folder on the import path (``import media_factory``), and the
demo film, which takes long to make and is made once."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest
from hypothesis import settings
from media_factory import ffmpeg

from lipsync_core.demo.film import DemoFilm, make_demo_film
from lipsync_core.material import Material, gather
from lipsync_core.media.audio import ANALYSIS_RATE, Track, lay_track

settings.register_profile("any machine", deadline=None)  # a busy one is no failure
settings.load_profile("any machine")

# Where several processes share the files, those that make whole films come first: a long one begun
# at the end would leave the other processes with nothing to do.
LONG_FIRST = ("real_media", "flows", "tasks", "jobs", "browser")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    rank = {name: place for place, name in enumerate(LONG_FIRST)}
    items.sort(key=lambda item: rank.get(item.path.parent.name, len(rank)))


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


@pytest.fixture(scope="session")
def dialogue(demo_film: DemoFilm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten seconds of two faces side by side: the left one speaks for five, then the right one.

    Both move their mouths all the time; who does not speak says something else without a sound.
    """
    film = tmp_path_factory.mktemp("dialogue") / "two.mov"
    ffmpeg(
        "-i", demo_film.video, "-filter_complex",
        "[0:v]trim=0:10,setpts=PTS-STARTPTS,scale=256:256,split=3[left][a][b];"
        "[a]trim=5:10,setpts=PTS-STARTPTS[late];[b]trim=0:5,setpts=PTS-STARTPTS[early];"
        "[late][early]concat,hflip[right];[left][right]hstack[picture];"
        "[0:a]atrim=0:5,asplit[first][second];[first][second]concat=v=0:a=1[sound]",
        "-map", "[picture]", "-map", "[sound]", "-c:v", "libx264", "-crf", "16", "-preset",
        "veryfast", "-c:a", "pcm_s16le", film,
    )  # fmt: skip
    return film
