"""Cache keys say what the work is and nothing else; retries follow the error's class."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prefect.states import Failed

from lipsync_core.errors import (
    BudgetExceeded,
    InputError,
    LipsyncError,
    RenderFailed,
    StorageError,
    TimelineBroken,
)
from lipsync_core.stores import MediaRef
from lipsync_core.timeline import SpanKind
from tasks.policy import content_key, may_retry
from tasks.values import ScannedFilm, SegmentJob, TrackValue

ROOT = Path(__file__).parents[2]


def ref(content: str, uri: str = "objects/aa/one.wav") -> MediaRef:
    return MediaRef(uri=uri, sha256=content * 64, size=10)


def track(uri: str = "objects/aa/one.wav") -> TrackValue:
    return TrackValue(
        file=ref("b", uri), sample_rate=16_000, channels=1, samples=8000, given_s=0.5
    )  # fmt: skip


def job(folder: str = "/films", **changes: Any) -> SegmentJob:
    film = ScannedFilm(
        video=ref("a", f"file://{folder}/talk.mp4"), frames=250, frame_rate="24000/1001",
        cuts=(100,), faces=ref("c", f"{folder}/faces.npy"), thumbnails=ref("d"),
        sound=track(f"{folder}/own.wav"), notes=("turned upright",),
    )  # fmt: skip
    given = SegmentJob(
        film=film, shot=(0, 100), first_frame=0, last_frame=100, speech=track(),
        heard="f" * 64,
        generator="rewrite", generator_version=1,
    )  # fmt: skip
    return given.model_copy(update=changes)


def key(**parameters: Any) -> str:
    context: Any = None
    return content_key("generate", 3)(context, parameters)


def test_a_key_is_a_name_a_version_and_a_hash() -> None:
    assert re.fullmatch(r"generate/v3-[0-9a-f]{64}", key(job=job(), store="/store"))


def test_another_version_of_the_work_is_other_work() -> None:
    context: Any = None
    keys = {content_key("generate", version)(context, {"job": job()}) for version in (1, 2)}
    assert len(keys) == 2


def test_where_things_lie_is_not_in_the_key() -> None:
    here = key(job=job("/films"), store="/here/.lipsync", out="/here/final.mp4")
    there = key(job=job("/elsewhere/it's"), store="/there/.lipsync", out="/there/final.mp4")
    assert here == there


def test_how_long_work_took_is_not_in_the_key() -> None:
    from tasks.values import Rendered

    rendered = Rendered(file=ref("e"), first_frame=0, last_frame=9, box=(0, 0, 2, 2), seconds=1.5)
    slower = rendered.model_copy(update={"seconds": 99.0})
    assert key(clips=[rendered]) == key(clips=[slower])
    assert key(clips=[rendered]) != key(clips=[rendered.model_copy(update={"box": (2, 0, 2, 2)})])


@pytest.mark.parametrize(
    "changes",
    [
        {"first_frame": 1},
        {"shot": (0, 101)},
        {"shift_ms": -40.0},
        {"attempt": 2},
        {"generator": "puppet"},
        {"generator_version": 2},
        {"heard": "0" * 64},
    ],
)
def test_everything_the_work_depends_on_is_in_the_key(changes: dict[str, Any]) -> None:
    assert key(job=job(**changes)) != key(job=job())


def test_words_too_far_away_to_be_heard_are_not_in_the_key() -> None:
    edited = TrackValue(
        file=ref("0"), sample_rate=16_000, channels=1, samples=8000, given_s=0.5
    )  # fmt: skip
    assert key(job=job(speech=edited)) == key(job=job())
    assert key(speech=edited) != key(speech=track())


def test_the_order_of_parameters_does_not_matter() -> None:
    assert key(a=1, b={"x": 1, "y": [2]}) == key(b={"y": [2], "x": 1}, a=1)


def test_the_order_of_a_list_does() -> None:
    assert key(cuts=[1, 2]) != key(cuts=[2, 1])


def test_nothing_is_not_the_empty_list() -> None:
    assert len({key(cuts=None), key(cuts=[]), key(cuts="")}) == 3


@pytest.mark.parametrize("value", [Path("/films/talk.mp4"), b"bytes", {1, 2}, object()])
def test_what_has_no_content_key_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match=f"a {type(value).__name__} has no content key"):
        key(value=value)


def test_two_processes_make_the_same_key(tmp_path: Path) -> None:
    program = (
        "import json\n"
        "from tasks.policy import content_key\n"
        "from lipsync_core.timeline import SpanKind\n"
        "from tests.tasks.test_policy import job\n"
        "kinds = {frame: SpanKind.LIPSYNC for frame in {250, 0, 100}}\n"
        "print(json.dumps(content_key('generate', 3)(None, {'job': job(), 'kinds': kinds})))\n"
    )
    keys = set()
    for seed in ("1", "2"):
        environment = os.environ | {
            "PYTHONHASHSEED": seed, "PREFECT_HOME": str(tmp_path), "PYTHONPATH": _paths(),
        }  # fmt: skip
        ran = subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, env=environment, check=True,
            capture_output=True, text=True,
        )  # fmt: skip
        keys.add(json.loads(ran.stdout))
    kinds = {frame: SpanKind.LIPSYNC for frame in (0, 100, 250)}
    assert keys == {key(job=job(), kinds=kinds)}


def _paths() -> str:
    return os.pathsep.join([str(ROOT), str(ROOT / "tests")])


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (InputError("bad file"), False),
        (TimelineBroken("29 frames of 30"), False),
        (StorageError("disk full"), False),
        (BudgetExceeded("over the budget"), False),
        (RenderFailed("no face"), True),
    ],
)
def test_the_error_s_class_says_whether_to_try_again(error: LipsyncError, again: bool) -> None:
    for run_count in (1, 2, 3):
        assert asked(error, run_count) is again


def test_an_unknown_error_gets_one_more_try() -> None:
    assert asked(RuntimeError("what?"), run_count=1)
    assert not asked(RuntimeError("what?"), run_count=2)


def asked(error: Exception, run_count: int) -> bool:
    return may_retry(None, SimpleNamespace(run_count=run_count), Failed(data=error))
