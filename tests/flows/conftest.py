"""A real Prefect server, the real command in real processes, and films to try them on.

Nothing here touches the Prefect home of the person who runs the tests.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import pytest
from in_process import NO_HEARTBEAT, Here
from media_factory import bursts, ffmpeg, make_film, write_sound
from prefect_server import PrefectServer, running_server
from real_command import Command, Ran

from lipsync_core.demo.film import DemoFilm

PLUGIN = Path(__file__).parent / "plugin"
SHORT_FRAMES, SHORT_CUT = 190, 150


@pytest.fixture(scope="session")
def server() -> PrefectServer:
    return running_server()


@pytest.fixture
def with_server(server: PrefectServer) -> Iterator[None]:
    """Flows and tasks called in this process talk to the server."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: server.api} | NO_HEARTBEAT):
        yield


@pytest.fixture(scope="session")
def here(server: PrefectServer, tmp_path_factory: pytest.TempPathFactory) -> Here:
    """The main job in this process, where a Prefect server runs."""
    return Here(server, tmp_path_factory.mktemp("home"))


@pytest.fixture
def typed(here: Here, capfd: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """The command in this process, for words that it refuses before anything is started."""
    return lambda *words: Ran(here.refuses(*words), *capfd.readouterr())


@pytest.fixture(scope="session")
def command(server: PrefectServer, tmp_path_factory: pytest.TempPathFactory) -> Command:
    """The command where a Prefect server runs."""
    temporary = {"TMPDIR": str(tmp_path_factory.mktemp("temporary"))}
    return Command(tmp_path_factory.mktemp("cwd"), server.environment | temporary)


@pytest.fixture(scope="session")
def command_alone(command: Command) -> Command:
    """The command where no server runs: it starts the embedded one."""
    return command.without("PREFECT_API_URL")


@pytest.fixture(scope="session")
def short_film(demo_film: DemoFilm, tmp_path_factory: pytest.TempPathFactory) -> DemoFilm:
    """The part of it round the cut, made small: 150 frames that talk, 40 without a face."""
    video = tmp_path_factory.mktemp("short") / "short.mp4"
    ffmpeg(
        "-ss", "4", "-i", demo_film.video, "-frames:v", str(SHORT_FRAMES), "-shortest",
        "-vf", "scale=256:-2", "-c:v", "libx264", "-crf", "14", "-preset", "veryfast", video,
    )  # fmt: skip
    return DemoFilm(video, demo_film.speech)


@pytest.fixture(scope="session")
def faceless_film(tmp_path_factory: pytest.TempPathFactory) -> DemoFilm:
    """Two seconds of numbered frames and bursts of noise: nobody to be seen, nobody speaks."""
    folder = tmp_path_factory.mktemp("faceless")
    video = make_film(folder / "numbers.mp4", frames=50, rate=Fraction(25))
    return DemoFilm(video, write_sound(folder / "noise.wav", bursts(2, 16_000), 16_000))


@pytest.fixture(scope="session")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installed package that brings engines of its own, for the front of ``PYTHONPATH``."""
    site = tmp_path_factory.mktemp("site")
    shutil.copy(PLUGIN / "trial_engines.py", site)
    facts = site / "trial_engines-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: trial-engines\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(
        "[lipsync.generators]\n"
        "counted = trial_engines:Counted\n"
        "stumbling = trial_engines:Stumbling\n"
        "hanging = trial_engines:Hanging\n"
    )
    return site
