"""Measure the main job: python -m tests.benchmarks [job] [memory] [scorer] [scenes] [wav2lip] …

    job     the whole job at 512x512 and 1080p, with the share of each stage
    memory  peak memory of the job on a film of 1 minute and of 10 minutes
    scorer  every scorer from the undecoded file, its memory on ten minutes
    scenes  scene detection against the plain scenedetect command on the same file
    wav2lip the network alone and from film to clip against its ordinary use; memory on ten minutes
    puppet  frames a second at 512x512 and 1080p against the plain way of moving the same mouth
    orders  300 paid jobs with the Sync.so emulator against a bare thread pool, and 2,000 at once
    film    a film of 300 segments, each rendered by the emulator for real, with faults

Every ratio compares two things measured in the same run, in turn.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

import flows  # noqa: F401  (its settings must stand before Prefect is imported)
from lipsync_core.media.frames import read_frames
from lipsync_core.media.probe import probe
from lipsync_core.scan import find_cuts, scan_film
from tests.benchmarks import films
from tests.benchmarks.process import bulk, emulator, run

ROUNDS = 3
console = Console(width=110)


def job(folder: Path) -> None:
    """Seconds of work for each second of film, and where they go."""
    table = Table("film", "film s", "wall s", "wall s/s", "cpu s/s", title="The whole job")
    stages = Table("film", "stage", "s", "s per s of film", "share", title="Its stages")
    seconds = 27
    speech = films.long_speech(folder / "speech.wav", seconds)
    for name, face, width, height in (("512x512", 512, 512, 512), ("1080p", 720, 1920, 1080)):
        source = films.loop(folder / f"face{face}.mkv", face)
        film = films.talking_film(folder / f"{name}.mp4", source, width, height, seconds)
        taken = bulk(film, speech, folder / f"out{name}")
        table.add_row(
            name, str(seconds), f"{taken.wall_s:.1f}", f"{taken.wall_s / seconds:.2f}",
            f"{taken.cpu_s / seconds:.2f}",
        )  # fmt: skip
        spent = dict(json.loads(taken.output)["films"][0]["stage_seconds"])
        spent["start, report, end"] = taken.wall_s - sum(spent.values())
        for stage, s in spent.items():
            stages.add_row(name, stage, f"{s:.1f}", f"{s / seconds:.3f}", f"{s / taken.wall_s:.0%}")
    console.print(table, stages)


def memory(folder: Path) -> None:
    """Peak memory must not grow with the film."""
    table = Table("film", "peak MB", "ratio", "wall s", title="Peak memory of the job, 640x360")
    source = films.loop(folder / "face360.mkv", 320)
    first = None
    for minutes in (1, 10):
        seconds = 60 * minutes
        film = films.talking_film(folder / f"{minutes}min.mp4", source, 640, 360, seconds)
        speech = films.long_speech(folder / f"{minutes}min.wav", seconds)
        taken = bulk(film, speech, folder / f"out{minutes}min")
        first = first or taken.peak_mb
        table.add_row(
            f"{minutes} min", f"{taken.peak_mb:.0f}", f"{taken.peak_mb / first:.2f}",
            f"{taken.wall_s:.0f}",
        )  # fmt: skip
    console.print(table)


def scorer(folder: Path) -> None:
    """Every scorer from the undecoded file, against decoding alone; memory on ten minutes."""
    film = films.spoken_film(folder / "scored.mp4", films.loop(folder / "face512.mkv", 512), 36)
    info = probe(film)
    decode = _median(lambda: sum(1 for _ in read_frames(info)))
    table = Table(
        "scorer", "s a minute of film", "times real time", "share of detection", "times decoding",
        "offset", "confidence", "distance", title="Scorers, 36 s of 512x512",
    )  # fmt: skip
    for name in ("landmark", "syncnet", "syncnet-fast"):
        told = _scored(name, film, folder)[0]
        both = told["find_s"] + told["score_s"]
        offset = told["offset_frames"]
        table.add_row(
            name, f"{60 * both / told['film_s']:.1f}", f"{told['film_s'] / both:.2f}",
            f"{told['find_s'] / both:.0%}", f"{both / decode:.1f}",
            "-" if offset is None else f"{offset:+.2f}", f"{told['confidence']:.3f}",
            f"{told['distance']:.3f}",
        )  # fmt: skip
    console.print(table)
    sizes = Table("scorer", "1 min: MB", "10 min: MB", "ratio", title="Their memory, 640x360")
    source = films.loop(folder / "face320.mkv", 320)
    ten = [films.spoken_film(folder / f"{m}min.mp4", source, 60 * m, 640, 360) for m in (1, 10)]
    for name, every in (("landmark", None), ("syncnet", 50)):
        short, long = (_scored(name, one, folder, every)[1] for one in ten)
        label = name if every is None else f"{name}, one look in {every}"
        sizes.add_row(label, f"{short:.0f}", f"{long:.0f}", f"{long / short:.2f}")
    console.print(sizes)


def _scored(
    name: str, film: Path, folder: Path, every: int | None = None
) -> tuple[dict[str, float], float]:
    """What a scorer says of a film in a process of its own, and that one's peak memory in MB."""
    more = () if every is None else (str(every),)
    taken = run(
        sys.executable, "-m", "tests.benchmarks.scorers", name, str(film), *more,
        log=folder / f"{name}.log",
    )  # fmt: skip
    return json.loads(taken.output.splitlines()[-1]), taken.peak_mb


def scenes(folder: Path) -> None:
    """Our cuts, and our whole scan, against the scenedetect command, start-up left out."""
    face = films.loop(folder / "face720.mkv", 720)
    film = films.talking_film(folder / "scenes.mp4", face, 1280, 720, 60)
    info = probe(film)
    command = Path(sys.executable).with_name("scenedetect")
    nothing = _median(lambda: run(str(command), "version", log=folder / "version.log"))
    theirs, cuts, whole = [], [], []
    for _ in range(ROUNDS):
        arguments = (str(command), "-q", "-i", str(film), "detect-adaptive", "list-scenes", "-n")
        theirs.append(run(*arguments, log=folder / "theirs.log").wall_s - nothing)
        cuts.append(_once(lambda: find_cuts(info)))
        with _scratch() as place:
            whole.append(_once(partial(scan_film, info, place)))
    table = Table("what", "s", "times scenedetect", title="Scene detection, 60 s of 720p")
    base = statistics.median(theirs)
    for name, taken in (
        ("scenedetect command, less its start", base),
        ("our cuts", statistics.median(cuts)),
        ("our cuts + faces + thumbnails", statistics.median(whole)),
    ):
        table.add_row(name, f"{taken:.2f}", f"{taken / base:.2f}")
    console.print(table)


def wav2lip(folder: Path) -> None:
    """Frames a second of Wav2Lip, and its memory where the whole film is one segment."""
    source = films.loop(folder / "face512.mkv", 512)
    film = films.spoken_film(folder / "film.mp4", source, 8)
    told, _ = _wav2lip("speed", film, films.long_speech(folder / "speech.wav", 8), folder)
    table = Table(
        "way", "network: frames/s", "ratio", "film to clip: frames/s", "ratio", "device waits",
        "error of 255: most, mean", title=f"Wav2Lip on {told['device']}, 8 s of 512x512",
    )  # fmt: skip
    first = told["ways"]["ordinary"]
    for name, way in told["ways"].items():
        most, mean = way["error"]
        table.add_row(
            name, f"{way['network']:.1f}", f"{way['network'] / first['network']:.2f}",
            f"{way['whole']:.1f}", f"{way['whole'] / first['whole']:.2f}", f"{way['waits']:.0%}",
            f"{most:.0f}, {mean:.3f}",
        )  # fmt: skip
    console.print(table)
    sizes = Table("film", "peak MB", "ratio", title="Its memory, one segment, 640x360")
    small, peaks = films.loop(folder / "face320.mkv", 320), []
    for minutes in (1, 10):
        film = films.spoken_film(folder / f"{minutes}min.mp4", small, 60 * minutes, 640, 360)
        speech = films.long_speech(folder / f"{minutes}min.wav", 60 * minutes)
        peaks.append(_wav2lip("memory", film, speech, folder)[1])
        sizes.add_row(f"{minutes} min", f"{peaks[-1]:.0f}", f"{peaks[-1] / peaks[0]:.2f}")
    console.print(sizes)


def _wav2lip(how: str, film: Path, speech: Path, folder: Path) -> tuple[dict[str, Any], float]:
    taken = run(
        sys.executable, "-m", "tests.benchmarks.wav2lip", how, str(film), str(speech),
        log=folder / f"{how}.log",
    )  # fmt: skip
    return json.loads(taken.output.splitlines()[-1]), taken.peak_mb


def puppet(folder: Path) -> None:
    """Frames a second of the puppet, and its memory where the whole film is one segment."""
    table = Table("picture", "way", "frames/s", "ratio", title="Puppet, 8 s of speech")
    for size, ways in _puppet("speed", folder)[0].items():
        for way, frames_s in ways.items():
            table.add_row(size, way, f"{frames_s:.1f}", f"{frames_s / ways['plain']:.2f}")
    console.print(table)
    sizes, peaks = Table("film", "peak MB", "ratio", title="Its memory, one segment, 256x256"), []
    for minutes in (1, 10):
        peaks.append(_puppet("memory", folder, str(minutes))[1])
        sizes.add_row(f"{minutes} min", f"{peaks[-1]:.0f}", f"{peaks[-1] / peaks[0]:.2f}")
    console.print(sizes)


def _puppet(how: str, folder: Path, *more: str) -> tuple[dict[str, Any], float]:
    taken = run(
        sys.executable, "-m", "tests.benchmarks.puppet", how, *more, log=folder / f"{how}.log"
    )
    return json.loads(taken.output.splitlines()[-1]), taken.peak_mb


def orders(folder: Path) -> None:
    """What the ledger, the lanes and Prefect add to the jobs themselves."""
    films.numbered(folder / "film.mp4")
    films.long_speech(folder / "speech.wav", 1)
    table = Table(
        "how", "jobs", "faults", "s", "times ideal", "ms a job over bare", "peak MB", "ends",
        title="Paid jobs of 2 s in 15 lanes",
    )  # fmt: skip
    ideal, bare_s = 300 * 2 / 15, 0.0
    for how, faults in (("bare", 0.0), ("ours", 0.0), ("ours", 0.05)):
        taken, ends, paid = _ordered(how, folder / f"{how}{faults}", folder, 300, 15, 2.0, faults)
        bare_s = bare_s or taken
        table.add_row(
            how, "300", f"{faults:.0%}", f"{taken:.1f}", f"{taken / ideal:.2f}",
            f"{(taken - bare_s) / 0.3:+.0f}", f"{ends.pop('peak_mb'):.0f}", f"{ends}, paid {paid}",
        )  # fmt: skip
    taken, ends, paid = _ordered("ours", folder / "many", folder, 2000, 200, 0.1, 0.0)
    table.add_row(
        "ours, 200 lanes of 0.1 s", "2000", "0%", f"{taken:.1f}", "", "",
        f"{ends.pop('peak_mb'):.0f}", f"{ends}, paid {paid}",
    )  # fmt: skip
    console.print(table)


def film(folder: Path) -> None:
    """A film in 300 paid segments, from end to end; what is counted here is not only time."""
    frames, seconds = 30, 360
    source = films.loop(folder / "face240.mkv", 240)
    video = films.talking_film(folder / "film300.mp4", source, 320, 240, seconds)
    speech = films.long_speech(folder / "film300.wav", seconds)
    cuts = folder / "cuts.csv"
    edges = range(0, seconds * 25, frames)
    cuts.write_text("first_frame,kind\n" + "".join(f"{edge},lipsync\n" for edge in edges))
    with emulator(
        "--job-seconds", "2", "--concurrency", "15", "--faults", "0.05", "--seed", "7",
        "--render", "rewrite", "--data", str(folder / "film300"),
    ) as address:  # fmt: skip
        account = {"SYNC_API_KEY": "a-key", "SYNC_BASE_URL": address}
        more = ("--generator", "sync", "--cuts", str(cuts), "--max-failure-rate", "1")
        taken = bulk(video, speech, folder / "out300", *more, environment=account)
        bill = httpx.get(f"{address}/_bill").json()
    [summary] = json.loads(taken.output)["films"]
    paid = Counter(job["output_file_name"] for job in bill["jobs"] if job["billed_usd"])
    reasons = Counter(
        (segment["verdict"], segment["reason"].split(":")[0]) for segment in summary["segments"]
    )
    table = Table("figure", "value", title="A film of 300 segments rendered elsewhere, 5% faults")
    for name, figure in (
        ("segments", len(summary["segments"])),
        ("jobs paid", sum(paid.values())),
        ("orders paid more than once", sum(times > 1 for times in paid.values())),
        *((f"{verdict}: {reason or 'all gates'}", n) for (verdict, reason), n in reasons.items()),
        ("frames equal", summary["checks"]["frames_equal"]),
        ("largest sound lag, ms", summary["checks"]["max_boundary_lag_ms"]),
        ("wall s, this machine also rendering", round(taken.wall_s)),
        ("peak MB", round(taken.peak_mb)),
    ):
        table.add_row(str(name), str(figure))
    console.print(table)


def _ordered(
    how: str, place: Path, inputs: Path, count: int, lanes: int, job_s: float, faults: float
) -> tuple[float, dict[str, float], int]:
    """Seconds, how the jobs ended, and how many the service bills."""
    place.mkdir()
    for name in ("film.mp4", "speech.wav"):
        (place / name).hardlink_to(inputs / name)
    with emulator(
        "--job-seconds", str(job_s), "--concurrency", str(lanes), "--faults", str(faults),
        "--seed", "7", "--data", str(place / "service"),
    ) as address:  # fmt: skip
        taken = run(
            sys.executable, "-m", "tests.benchmarks.orders", how, address, str(place), str(count),
            str(lanes), log=place / "log",
        )  # fmt: skip
        ends = json.loads(taken.output.splitlines()[-1])
        ends["peak_mb"] = taken.peak_mb
        return ends.pop("seconds"), ends, httpx.get(f"{address}/_bill").json()["paid"]


def _once(work: Callable[[], object]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


def _median(work: Callable[[], object]) -> float:
    work()
    return statistics.median(_once(work) for _ in range(ROUNDS))


@contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


if __name__ == "__main__":
    parts = {"scorer": scorer, "scenes": scenes, "job": job, "memory": memory,
             "wav2lip": wav2lip, "puppet": puppet, "orders": orders, "film": film}  # fmt: skip
    for name in sys.argv[1:] or parts:
        with _scratch() as scratch:
            parts[name](scratch)
