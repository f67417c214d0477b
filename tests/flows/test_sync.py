"""Films rendered by Sync.so: ordered, judged and paid once. The service is the emulator."""

from __future__ import annotations

import json
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from in_process import Here
from postgres import postgres_url
from prefect_server import PrefectServer
from real_command import LIMIT_S, Command, Ran
from swift_server import running_swift
from sync_service import SyncService

from flows.jobs import JobsRequest, jobs
from flows.request import BulkRequest
from flows.resubmit import ResubmitRequest
from lipsync_core.demo.film import DemoFilm
from lipsync_core.errors import InputError
from lipsync_core.report.summary import FilmSummary, SegmentSummary, Verdict
from lipsync_core.timeline import SpanKind

TALKING = 150  # frames of the short film in which somebody talks, the first ones


@pytest.fixture(scope="module")
def talking_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SyncService]:
    """It renders with the project's own engine, so that what comes back can be judged."""
    service = SyncService(
        tmp_path_factory.mktemp("talking"), "--job-seconds", "0.3", "--render", "rewrite"
    )  # fmt: skip
    yield service
    service.stop()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[SyncService]:
    """It gives every film back with its old mouth, at once."""
    service = SyncService(
        tmp_path / "service", "--job-seconds", "0.3", "--concurrency", "3", "--render", "copy"
    )  # fmt: skip
    yield service
    service.stop()


@dataclass(frozen=True)
class Ordered:
    """A film whose two segments were ordered and came back, and where."""

    service: SyncService
    cuts: Path
    out: Path


@pytest.fixture(scope="module")
def ordered(
    here: Here, short_film: DemoFilm, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ordered]:
    folder = tmp_path_factory.mktemp("ordered")
    service = SyncService(folder / "service", "--job-seconds", "0.3", "--render", "copy")
    found = Ordered(service, segments(folder, 2), folder / "out")
    dub(here, service, short_film, cuts=found.cuts, out=found.out)
    assert len(service.bill) == 2
    yield found
    service.stop()


def segments(folder: Path, count: int) -> Path:
    """A cut list that makes so many segments of the talking part."""
    cuts = folder / "cuts.csv"
    edges = range(0, TALKING + 1, TALKING // count)
    cuts.write_text("first_frame\n" + "".join(f"{edge}\n" for edge in edges))
    return cuts


def dub(here: Here, service: SyncService, film: DemoFilm, *, out: Path, **fields: Any) -> Ran:
    here.know(film, out)  # what is asked about begins with the orders
    known = here.given(**service.environment)
    return known(video=film.video, audio=film.speech, generator="sync", out=out, **fields)


def rendered(film: FilmSummary) -> list[SegmentSummary]:
    return [segment for segment in film.segments if segment.kind is SpanKind.LIPSYNC]


def test_a_film_is_rendered_elsewhere_and_its_lips_match(
    here: Here, talking_service: SyncService, short_film: DemoFilm, tmp_path: Path
) -> None:
    ran = dub(here, talking_service, short_film, out=tmp_path, budget=1)
    assert ran.code == 0, ran.err
    [film] = ran.summary.films
    [segment] = rendered(film)
    assert (segment.generator, segment.verdict, segment.attempts) == ("sync", Verdict.PASS, 1)
    assert segment.offset_frames == pytest.approx(0, abs=1)
    assert film.checks is not None
    assert film.checks.frames_equal
    assert film.checks.psnr_outside_db >= 40
    assert ran.summary.cost_usd == pytest.approx(sum(j["billed_usd"] for j in talking_service.bill))
    paid = len(talking_service.every_job)

    again = dub(here, talking_service, short_film, out=tmp_path, budget=1)
    assert rendered(again.summary.films[0])[0].reused
    assert len(talking_service.every_job) == paid


def test_what_is_paid_and_not_good_is_named_and_never_accepted(
    here: Here, talking_service: SyncService, short_film: DemoFilm, tmp_path: Path
) -> None:
    for fault in ("no_op", "wrong_length", "rejected"):
        talking_service.next(fault)
    ran = dub(
        here, talking_service, short_film, cuts=segments(tmp_path, 3), max_failure_rate=1,
        out=tmp_path / "out",
    )  # fmt: skip
    assert ran.code == 1, ran.err
    found = rendered(ran.summary.films[0])
    assert {segment.verdict for segment in found} == {Verdict.REVIEW}
    for said in (
        "nothing was changed: the mouth moves as in the source",
        "the source picture was kept: 40 frames came back for a segment of 50",
        "the source picture was kept: sync refused: ",
    ):
        assert len([s for s in found if s.reason.startswith(said)]) == 1, found


def test_too_many_failures_stop_the_spending(
    here: Here, service: SyncService, short_film: DemoFilm, tmp_path: Path
) -> None:
    service.next("rejected", 3)
    ran = dub(
        here, service, short_film, cuts=segments(tmp_path, 3), max_lanes=1, max_failure_rate=0.3,
        out=tmp_path / "out",
    )  # fmt: skip
    assert ran.code == 1
    assert "3 of 3 segments failed, the first with: " in ran.err
    assert len(service.every_job) == 1


def test_what_goes_wrong_on_the_way_is_put_right(
    here: Here, service: SyncService, short_film: DemoFilm, tmp_path: Path
) -> None:
    for fault in ("truncated_download", "expired_url", "lost_response"):
        service.next(fault)
    ran = dub(here, service, short_film, cuts=segments(tmp_path, 3), out=tmp_path / "out")
    found = rendered(ran.summary.films[0])
    assert [bool(s.seconds) for s in found] == [True] * 3, ran.err
    assert all(s.cost_usd > 0 for s in found)
    assert len(service.bill) == 3


@pytest.mark.parametrize(
    "point",
    # the other moments of an order's life: tests/lipsync_core/jobs/test_dispatch.py
    ["during the request", "after it was accepted", "while it is verified"],
)  # fmt: skip
def test_a_run_killed_at_any_step_pays_every_segment_once(
    point: str,
    command: Command,
    here: Here,
    service: SyncService,
    short_film: DemoFilm,
    tmp_path: Path,
) -> None:
    here.know(short_film, tmp_path / "out")
    cuts = segments(tmp_path, 2)
    killed = command.given(**service.environment)(
        "flows.bulk", point, "--video", short_film.video, "--audio", short_film.speech,
        "--generator", "sync", "--cuts", cuts, "--out", tmp_path / "out",
        module="tests.flows.dying",
    )  # fmt: skip
    assert killed.code == -signal.SIGKILL, killed.err
    again = dub(here, service, short_film, cuts=cuts, out=tmp_path / "out")
    assert [s.generator for s in rendered(again.summary.films[0])] == ["sync", "sync"], again.err
    assert len(service.bill) == len(service.every_job) == 2


def test_segments_may_be_fetched_from_a_bucket_of_one_s_own(
    here: Here, service: SyncService, short_film: DemoFilm, tmp_path: Path
) -> None:
    swift = running_swift()
    bucket = swift.new_bucket()
    aws = {
        "AWS_ACCESS_KEY_ID": swift.access_key, "AWS_SECRET_ACCESS_KEY": swift.secret_key,
        "AWS_ENDPOINT_URL": swift.endpoint_url, "AWS_DEFAULT_REGION": swift.region,
    }  # fmt: skip
    out = tmp_path / "out"
    ran = dub(
        here.given(**aws), service, short_film, cuts=segments(tmp_path, 2),
        upload=f"s3://{bucket}/segments", out=out,
    )  # fmt: skip
    assert [bool(s.cost_usd) for s in rendered(ran.summary.films[0])] == [True] * 2, ran.err
    assert len(service.bill) == 2
    kept = [each["Key"] for each in swift.client.list_objects_v2(Bucket=bucket)["Contents"]]
    assert sorted(Path(name).suffix for name in kept) == [".mp4", ".mp4", ".wav", ".wav"]
    ledger = (out / ".lipsync" / "ledger.sqlite3").read_bytes()
    assert b"/segments/" in ledger
    assert b"X-Amz-Signature" not in ledger


def test_a_segment_is_rendered_anew_and_that_is_paid_once(
    here: Here, ordered: Ordered, short_film: DemoFilm, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(ordered.out, tmp_path / "out"))
    for redo in ("1", "1", None):
        ran = dub(here, ordered.service, short_film, cuts=ordered.cuts, out=out, redo=redo)
        assert [s.attempts for s in rendered(ran.summary.films[0])] == [1, 2], ran.err
        assert len(ordered.service.bill) == 3
    again = BulkRequest(video=short_film.video, audio=short_film.speech, redo="2")
    with pytest.raises(InputError, match=r"segment 2 is none of those that are rendered: \[0, 1\]"):
        again.check_redone([0, 1])


def test_what_fails_elsewhere_can_be_rendered_here_and_is_told_and_never_ordered_again(
    here: Here, service: SyncService, short_film: DemoFilm, tmp_path: Path
) -> None:
    service.next("rejected")
    out = tmp_path / "out"
    ran = dub(
        here, service, short_film, cuts=segments(tmp_path, 2), fallback="rewrite", max_lanes=1,
        out=out,
    )  # fmt: skip
    found = rendered(ran.summary.films[0])  # the service renders nothing new: both must fall back
    assert [s.verdict for s in found] == [Verdict.FALLBACK] * 2, ran.err
    assert {s.generator for s in found} == {"rewrite"}
    assert sorted(s.reason.split(":")[1].strip() for s in found) == [
        "nothing was changed", "sync refused",
    ]  # fmt: skip
    assert sorted(bool(s.cost_usd) for s in found) == [False, True]
    assert ran.code == 0
    jobs_of_the_first_run = service.every_job
    assert len(jobs_of_the_first_run) == 2
    again = here.given(**service.environment).resubmit(out)
    assert [s.verdict for s in rendered(again.summary.films[0])] == [Verdict.FALLBACK] * 2
    assert service.every_job == jobs_of_the_first_run


def test_what_failed_is_ordered_once_more(
    here: Here, command: Command, service: SyncService, short_film: DemoFilm, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    service.next("failed_transient", 3)
    failed = dub(here, service, short_film, out=out)
    assert failed.code == 1
    assert f"python -m flows.resubmit {out} orders them again" in failed.err
    assert service.bill == []
    ran = command.given(**service.environment)(out, "--json", module="flows.resubmit")
    assert [s.attempts for s in rendered(ran.summary.films[0])] == [2], ran.err
    assert len(service.bill) == 1
    again = here.given(**service.environment).resubmit(out)
    assert again.summary.next_command is None
    assert len(service.bill) == 1
    with pytest.raises(InputError, match="holds no run"):
        ResubmitRequest(run_dir=tmp_path).as_before()


def test_the_active_speaker_is_asked_for_or_the_run_refused(short_film: DemoFilm) -> None:
    def asked(**more: str) -> BulkRequest:
        return BulkRequest(
            video=short_film.video, audio=short_film.speech, generator="sync", keep_asd=True, **more
        )

    detection = asked().engine.options["active_speaker_detection"]
    assert detection == {"auto_detect": True}
    with pytest.raises(InputError, match="does not know active_speaker_detection"):
        asked(options="model=lipsync-1.9.0-beta").check_engine()
    with pytest.raises(InputError, match="works on this machine: leave out --keep-asd"):
        asked().model_copy(update={"generator": "rewrite"}).check_engine()


def test_two_machines_with_one_ledger_share_their_jobs(
    command: Command, here: Here, service: SyncService, short_film: DemoFilm, tmp_path: Path
) -> None:
    for machine in ("one", "two"):
        here.know(short_film, tmp_path / machine)
    known = command.given(**service.environment, LIPSYNC_LEDGER_URL=postgres_url())
    cuts = segments(tmp_path, 3)
    runs = [
        known.start(
            "--video", short_film.video, "--audio", short_film.speech, "--generator", "sync",
            "--cuts", cuts, "--out", tmp_path / machine, "--json",
        )
        for machine in ("one", "two")
    ]  # fmt: skip
    for run in runs:
        out, err = run.communicate(timeout=LIMIT_S)
        found = rendered(Ran(run.returncode, out, err).summary.films[0])
        assert [s.cost_usd > 0 for s in found] == [True] * 3, err
    assert len(service.every_job) == 3


def test_a_limit_of_the_server_holds_for_all_its_runs(
    here: Here,
    server: PrefectServer,
    service: SyncService,
    short_film: DemoFilm,
    tmp_path: Path,
) -> None:
    server.prefect("gcl", "create", "sync-jobs", "--limit", "1")
    try:
        ran = dub(
            here, service, short_film, cuts=segments(tmp_path, 3), max_lanes=3,
            out=tmp_path / "out",
        )  # fmt: skip
    finally:
        httpx.delete(f"{server.api}/v2/concurrency_limits/sync-jobs").raise_for_status()
    assert all(s.cost_usd > 0 for s in rendered(ran.summary.films[0])), ran.err
    times = sorted((job["accepted_at"], job["ends_at"]) for job in service.bill)
    assert len(times) == 3
    assert all(ends <= begins for (_, ends), (begins, _) in pairwise(times)), times


def test_over_the_budget_nothing_is_submitted(
    command: Command, here: Here, service: SyncService, short_film: DemoFilm, tmp_path: Path
) -> None:
    here.know(short_film, tmp_path / "out")
    ran = command.given(**service.environment)(
        "--video", short_film.video, "--audio", short_film.speech, "--generator", "sync",
        "--budget", "0.1", "--out", tmp_path / "out", "--json",
    )  # fmt: skip
    assert ran.code == 3
    assert re.search(r"the quote of \$0\.30 is over the budget of \$0\.10; nothing was", ran.err)
    assert service.every_job == []


def test_a_quote_costs_nothing(
    here: Here, service: SyncService, short_film: DemoFilm, tmp_path: Path
) -> None:
    ran = dub(here, service, short_film, out=tmp_path / "out", dry_run=True)
    assert ran.code == 0, ran.err
    assert ran.summary.cost_usd == pytest.approx(0.3)
    assert service.every_job == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"options": "model=lipsync-9"}, "sync: model input should be"),
        ({"options": "temperature"}, "write name=value, not temperature"),
        ({"options": "prompt=happy"}, "lipsync-2 does not know prompt"),
        ({"redo": "the last"}, "the last is no number and no span of them"),
        ({"upload": "the cloud"}, "write s3://bucket/folder"),
        ({"fallback": "sync"}, "sync is paid, too: name an engine of this machine"),
    ],
)
def test_a_slip_of_the_pen_is_told_before_anything_is_done(
    given: dict[str, str], said: str, here: Here, short_film: DemoFilm, tmp_path: Path
) -> None:
    ran = here.given(SYNC_API_KEY="a-key", SYNC_BASE_URL="http://127.0.0.1:9")(
        video=short_film.video, audio=short_film.speech, out=tmp_path / "out",
        **{"generator": "sync"} | given,
    )  # fmt: skip
    assert ran.code == 2
    assert said in ran.err
    assert not (tmp_path / "out").exists()


def test_without_a_key_it_says_where_to_put_one(
    typed: Callable[..., Ran],
    short_film: DemoFilm,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SYNC_API_KEY", raising=False)
    monkeypatch.chdir(tmp_path)  # no .env
    ran = typed(
        "--video", short_film.video, "--audio", short_film.speech, "--generator", "sync",
        "--out", tmp_path / "out",
    )  # fmt: skip
    assert ran.code == 2
    assert "sync needs SYNC_API_KEY: set it in the environment or in .env" in ran.err


def test_the_key_is_nowhere_but_in_the_request(
    command: Command,
    server: PrefectServer,
    service: SyncService,
    short_film: DemoFilm,
    tmp_path: Path,
) -> None:
    secret = "sk-never-to-be-written-down-4711"
    known = replace(command, folder=tmp_path)
    service.next("rejected")
    ran = known.given(**service.environment | {"SYNC_API_KEY": secret})(
        "--video", short_film.video, "--audio", short_film.speech, "--generator", "sync",
        "--cuts", segments(tmp_path, 2), "--out", tmp_path / "out",
    )  # fmt: skip
    assert ran.code == 1, ran.err
    assert secret not in ran.out + ran.err
    written = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert any(path.name == "ledger.sqlite3" for path in written)
    assert any(path.name == "run.log" for path in written)
    for path in written:
        assert secret.encode() not in path.read_bytes(), path
    for what in ("logs", "artifacts", "flow_runs", "task_runs"):
        assert secret not in server.post(f"{what}/filter", limit=200).text


def test_the_ledger_can_be_read(command: Command, here: Here, ordered: Ordered) -> None:
    store = ordered.out / ".lipsync"
    account = here.given(**ordered.service.environment)
    listed = account.run(jobs, JobsRequest(action="list", store=store))
    assert listed.exit_code == 0
    told = listed.as_text()
    assert "2 jobs; the whole ledger: $0.30" in told
    assert len(re.findall(r"fetched +\$0\.150 .* short\.mp4 ", told)) == 2
    known = command.given(**ordered.service.environment)
    key = told.split()[0]
    shown = json.loads(known("show", key, "--store", store, "--json", module="flows.jobs").out)
    assert shown["jobs"][0]["body"]["model"] == "lipsync-2"
    asked = account.run(jobs, JobsRequest(action="reconcile", store=store))
    assert (asked.exit_code, asked.jobs) == (0, [])
    with pytest.raises(InputError, match="no store folder"):
        jobs(JobsRequest(action="list", store=ordered.out / "nowhere"))
