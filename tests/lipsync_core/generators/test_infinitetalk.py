"""The engine ``infinitetalk``: what it sends, what it makes of answers, and what it never pays."""

from __future__ import annotations

import asyncio
import base64
import json
import time
import weakref
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from lipsync_core.errors import InputError, OutcomeUnknown, RemoteRefused, RemoteUnavailable
from lipsync_core.generators import load_generator, runpod
from lipsync_core.generators.infinitetalk import (
    InfiniteTalk,
    InfiniteTalkJobs,
    InfiniteTalkOptions,
    WorkerInput,
)
from lipsync_core.generators.sync_so import SyncSo
from lipsync_core.jobs.remote import Known, NotTaken, NotToldYet, Order, Progress, RemoteEngine
from lipsync_core.services.runpod.answers import RunPodJob

MP4 = b"\0\0\0\x20ftypisom" + bytes(20)
PLAIN = base64.b64encode(MP4).decode()
PLACE = "http://127.0.0.1:1"
SECRETS = {"RUNPOD_API_KEY": "k", "RUNPOD_ENDPOINT_ID": "e", "RUNPOD_BASE_URL": PLACE}
ORDER = Order(
    "0" * 64, "https://b/a.png?sign=ed", "https://b/a.wav", seconds=10.04, frame_rate=25.0,
    is_still=True, width=384, height=576,
)  # fmt: skip


class Paper:
    """An endpoint on paper: jobs by id, and the list of requests."""

    def __init__(self, jobs: Mapping[str, Any] | None = None, listed: Any = None) -> None:
        self.jobs, self.listed, self.counts = dict(jobs or {}), listed, {"completed": 0}
        self.sent: list[Mapping[str, Any]] = []
        self.asked: list[str] = []
        self.lists = 0

    async def run(self, body: Mapping[str, Any]) -> RunPodJob:
        self.sent.append(body)
        return RunPodJob.of({"id": "j", "status": "IN_QUEUE"})

    async def status(self, job_id: str) -> RunPodJob | None:
        self.asked.append(job_id)
        told = self.jobs.get(job_id)
        if isinstance(told, Exception):
            raise told
        return None if told is None else RunPodJob.of(told, job_id)

    async def cancel(self, job_id: str) -> RunPodJob | None:
        return await self.status(job_id)

    async def health(self) -> Mapping[str, Any]:
        return {"jobs": self.counts}

    async def requests(self) -> Any:
        self.lists += 1
        if isinstance(self.listed, Exception):
            raise self.listed
        return self.listed


def jobs(paper: Paper | None = None, **options: Any) -> InfiniteTalkJobs:
    return InfiniteTalkJobs(paper or Paper(), "account", InfiniteTalkOptions(**options))  # type: ignore[arg-type]


def completed(output: Any) -> dict[str, Any]:
    return {"status": "COMPLETED", "executionTime": 2000, "output": output, "workerId": "w"}


def look(told: Any, **options: Any) -> Any:
    return asyncio.run(jobs(Paper({"j": told}), **options).look(["j"])).get("j")


def test_it_is_installed_and_keeps_to_the_protocol() -> None:
    engine = load_generator("infinitetalk")
    assert isinstance(engine, RemoteEngine)
    assert isinstance(SyncSo(), RemoteEngine)
    assert (engine.grid, engine.seam_frames) == (16, 6)
    assert (SyncSo().grid, SyncSo().seam_frames, SyncSo().hears) == (2, 0, None)


@pytest.mark.parametrize(
    ("size", "says"),
    [((384, 576), ""),
     ((540, 960), "the picture is 540x960: infinitetalk renders multiples of 16 pixels only, make "
                  "the width 528 or 544"),
     ((10, 577), "the picture is 10x577: infinitetalk renders multiples of 16 pixels only, make "
                 "the width 16 and the height 576 or 592")],
)  # fmt: skip
def test_a_size_off_the_grid_is_refused_with_the_nearest_ones(
    size: tuple[int, int], says: str
) -> None:
    assert InfiniteTalk().objection(*size) == says


def test_a_still_goes_to_the_one_model_of_sync_that_takes_it() -> None:
    engine = SyncSo()
    assert "make the width 638 or 640" in engine.objection(639, 480)
    assert engine.takes_stills(engine.checked({"model": "sync-3"}))
    assert not engine.takes_stills(engine.checked({}))
    auto = {"model": "sync-3", "active_speaker_detection": "auto"}
    assert not engine.takes_stills(engine.checked(auto))

    async def body() -> dict[str, Any]:
        options = engine.checked({"model": "sync-3"})
        async with engine.opened(options, {"SYNC_API_KEY": SecretStr("k")}) as account:
            return account.body(ORDER)

    assert asyncio.run(body())["input"][0] == {"type": "image", "url": ORDER.video}


# Options


def test_what_does_not_change_the_picture_stands_apart_and_may_be_given_again() -> None:
    engine = InfiniteTalk()
    found = engine.checked({"prompt": "She sings", "gpu": "H100", "execution_timeout_s": "90"})
    assert found == {
        "prompt": "She sings",
        "resources": {"force_offload": True, "network_volume": False, "gpu": "H100",
                      "execution_timeout_s": 90.0},
    }  # fmt: skip
    assert engine.checked(found) == found
    assert engine.price_of(found) == "H100"


@pytest.mark.parametrize(
    ("options", "says"),
    [({"width": 512}, "width"), ({"gpu": "T4"}, "no price is known"), ({"prompt": ""}, "prompt"),
     ({"execution_timeout_s": 1}, "execution_timeout_s"), ({"network_volume": "often"}, "network")],
)  # fmt: skip
def test_an_option_it_cannot_keep_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        InfiniteTalk().checked(options)


@pytest.mark.parametrize("some", [{}, {"RUNPOD_VOLUME_ID": "v"}])
def test_a_network_volume_needs_its_secrets(some: dict[str, str]) -> None:
    engine = InfiniteTalk()

    async def work() -> None:
        secrets = {name: SecretStr(value) for name, value in (SECRETS | some).items()}
        async with engine.opened(engine.checked({"network_volume": "true"}), secrets):
            pass

    with pytest.raises(InputError, match="RUNPOD_S3_ENDPOINT"):
        asyncio.run(work())


def test_the_account_tells_nothing_and_is_another_for_another_endpoint() -> None:
    found = [runpod.opened_client({k: SecretStr(v) for k, v in told.items()})[1]
             for told in (SECRETS, SECRETS | {"RUNPOD_ENDPOINT_ID": "f"})]  # fmt: skip
    assert len({*found}) == 2
    assert all(len(account) == 64 for account in found)


# What is sent


def test_the_request_of_a_portrait_says_everything() -> None:
    body = jobs(prompt="She sings").body(ORDER)
    assert body["input"] == {
        "input_type": "image", "person_count": "single", "image_url": ORDER.video,
        "wav_url": ORDER.speech, "prompt": "She sings", "width": 384, "height": 576,
        "max_frame": 251 + 81, "force_offload": True, "network_volume": False,
        "lipsync_key": ORDER.key,
    }  # fmt: skip
    policy = body["policy"]
    assert policy["executionTimeout"] == pytest.approx(1000 * (600 + 60 * 10.04))
    assert policy["ttl"] / 1000 > jobs().deadline_s(ORDER) > policy["executionTimeout"] / 1000


def test_a_film_is_sent_as_a_film() -> None:
    film = Order(**(vars(ORDER) | {"is_still": False, "video": "https://b/a.mp4"}))
    sent = jobs().body(film)["input"]
    assert (sent["input_type"], sent["video_url"]) == ("video", "https://b/a.mp4")
    assert "image_url" not in sent


def test_a_larger_picture_is_given_more_time_and_a_person_may_decide() -> None:
    larger = Order(**(vars(ORDER) | {"width": 1280, "height": 720}))
    assert jobs().timeout_s(larger) > 1.5 * jobs().timeout_s(ORDER)
    assert jobs(execution_timeout_s=99).timeout_s(larger) == 99


def test_files_without_a_bucket_go_along_and_only_their_names_are_written_down(
    tmp_path: Path,
) -> None:
    paper = Paper()
    account = jobs(paper)
    (tmp_path / "a.png").write_bytes(b"a picture")
    (tmp_path / "a.wav").write_bytes(b"a speech")

    async def work() -> dict[str, Any]:
        video = await account.keep(tmp_path / "a.png", "1" * 64 + ".png")
        speech = await account.keep(tmp_path / "a.wav", "2" * 64 + ".wav")
        body = account.body(Order(**(vars(ORDER) | {"video": video, "speech": speech})))
        assert await account.submit(ORDER.key, body) == "j"
        return body

    body = asyncio.run(work())
    assert str(tmp_path) not in json.dumps(body)
    assert body["input"]["image_base64"] == f"inline:{'1' * 64}.png"
    [sent] = paper.sent
    assert base64.b64decode(sent["input"]["image_base64"]) == b"a picture"
    assert base64.b64decode(sent["input"]["wav_base64"]) == b"a speech"
    assert sent["policy"] == body["policy"]


def test_what_is_too_large_is_refused_before_anything_is_written_down(tmp_path: Path) -> None:
    account = jobs()
    with (tmp_path / "a.png").open("wb") as file:
        file.truncate(int(9.5 * 2**20 * 3 / 4))
    video = asyncio.run(account.keep(tmp_path / "a.png", "1" * 64 + ".png"))
    with pytest.raises(InputError, match=r"9\.5 MiB is too large .*--upload"):
        account.body(Order(**(vars(ORDER) | {"video": video})))


def test_a_file_that_this_run_did_not_show_is_told() -> None:
    with pytest.raises(InputError, match=r"inline:1.png was not shown"):
        jobs().body(Order(**(vars(ORDER) | {"video": "inline:1.png"})))


SHOWN = {"image_url": "https://b/a.png", "wav_url": "https://b/a.wav",
         "width": 16, "height": 16, "max_frame": 1}  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [{"image_url": None}, {"wav_url": None}, {"image_base64": "AA=="}, {"image_url": ""},
     {"video_url": "https://b/a.mp4"}, {"input_type": "video"}, {"wav_path": "/a.wav"},
     {"person_count": "multi"}, {"wav_url_2": "https://b/b.wav"}, {"image_url": "/a.png"},
     {"image_uri": "https://b/a.png"}, {"width": None}],
)  # fmt: skip
def test_no_request_can_have_the_sample_person_rendered(change: dict[str, Any]) -> None:
    WorkerInput.model_validate(SHOWN)
    with pytest.raises(ValidationError):
        WorkerInput.model_validate(SHOWN | change)


def test_two_people_have_a_speech_each() -> None:
    two = SHOWN | {"person_count": "multi", "wav_url_2": "https://b/b.wav", "lipsync_key": "k"}
    assert WorkerInput.model_validate(two).sent()["person_count"] == "multi"


# What comes back


@pytest.mark.parametrize("text", [PLAIN, f"data:video/mp4;base64,{PLAIN}"])
def test_a_result_is_asked_for_when_it_is_fetched(text: str, tmp_path: Path) -> None:
    paper = Paper({"j": completed({"video": text})})
    account = jobs(paper)

    async def work() -> None:
        assert (await account.look(["j"]))["j"].progress is Progress.COMPLETED
        await account.fetch("j", "", tmp_path / "a.mp4")
        await account.fetch("j", "", tmp_path / "b.mp4")
        assert await account.cost_usd("j") == pytest.approx(2 * 0.00053)

    asyncio.run(work())
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "a.mp4": MP4, "b.mp4": MP4
    }  # fmt: skip


@pytest.mark.parametrize(
    ("told", "code", "again"),
    [(completed(None), "no_output", False), (completed({}), "no_output", False),
     (completed([1]), "bad_output", False), (completed({"video_url": "u"}), "bad_output", False),
     (completed({"video": "AAAA"}), "bad_output", False),
     (completed({"video": "비디오"}), "bad_output", False),
     ({"status": "CANCELLED"}, "cancelled", False),
     ({"status": "FAILED", "error": "executionTimeout exceeded"}, "execution_timeout", False),
     ({"status": "TIMED_OUT", "executionTime": 5, "workerId": "w"}, "execution_timeout",
      False),
     ({"status": "TIMED_OUT"}, "expired", True),
     ({"status": "FAILED", "error": "job timed out after 1 retries"}, "worker_crashed", True),
     ({"status": "FAILED", "error": "비디오를 찾을 수 없습니다."}, "worker_failed", True),
     ({"status": "FAILED"}, "worker_failed", True)],
)  # fmt: skip
def test_each_bad_end_has_a_name_and_says_whether_another_try_helps(
    told: dict[str, Any], code: str, again: bool
) -> None:
    report = look(told)
    assert (report.progress, report.code, report.again) == (Progress.FAILED, code, again)
    assert report.error


def test_a_result_that_was_too_large_is_told_with_what_to_do() -> None:
    for advice in ("smaller", "shorter segments", "network_volume=true"):
        assert advice in look(completed(None)).error


def test_an_answer_in_another_shape_is_not_told_as_too_large() -> None:
    error = look(completed({"video_url": "https://b/a.mp4", "a\nb": 1})).error
    assert "unknown shape (video_url, a b)" in error
    assert "too large" not in error


def test_work_that_took_too_long_is_told_with_an_option_that_helps() -> None:
    assert "execution_timeout_s=SECONDS" in look(
        {"status": "FAILED", "error": "executionTimeout exceeded"}
    ).error  # fmt: skip


def test_a_larger_picture_is_more_work_and_a_small_one_never_nothing() -> None:
    engine, options = InfiniteTalk(), InfiniteTalk().checked({})
    assert engine.work(480, 832, options) == 1
    assert engine.work(960, 1664, options) == pytest.approx(8)
    assert engine.work(16, 16, options) == 0.3
    assert SyncSo().work(4096, 2160, {}) == 1


def test_results_are_let_go_as_soon_as_they_were_looked_at() -> None:
    paper = Paper()
    alive: weakref.WeakSet[Any] = weakref.WeakSet()
    most = 0

    class Heavy(str):
        __slots__ = ("__weakref__",)

    async def status(job_id: str) -> RunPodJob:
        nonlocal most
        film = Heavy(PLAIN)
        alive.add(film)
        most = max(most, len(alive))
        await asyncio.sleep(0)
        return RunPodJob.of(completed({"video": film}), job_id)

    paper.status = status  # type: ignore[method-assign]
    account = jobs(paper)
    found = asyncio.run(account.look([f"j{n}" for n in range(40)]))
    assert {report.progress for report in found.values()} == {Progress.COMPLETED}
    assert most <= 4
    assert not alive


@pytest.mark.parametrize("error", [RemoteRefused("a bad request", "400"), RecursionError("deep")])
def test_one_bad_answer_concerns_its_own_job_only(error: Exception) -> None:
    paper = Paper({"a": completed({"video": PLAIN}), "b": error})
    found = asyncio.run(jobs(paper).look(["a", "b"]))
    assert found["a"].progress is Progress.COMPLETED
    assert found["b"].progress is Progress.WAITING
    with pytest.raises(type(error)):
        asyncio.run(jobs(paper).look(["b"]))


def test_what_a_failed_job_was_at_is_billed_and_told() -> None:
    assert look({"status": "FAILED", "executionTime": 1e6}).cost_usd == pytest.approx(530e-3)


def test_one_job_without_an_answer_is_waited_for_beside_those_with_one() -> None:
    paper = Paper({"a": completed({"video": PLAIN}), "b": RemoteUnavailable("busy")})
    found = asyncio.run(jobs(paper).look(["a", "b", "c"]))
    assert {i: report.progress for i, report in found.items()} == {
        "a": Progress.COMPLETED, "b": Progress.WAITING
    }  # fmt: skip
    with pytest.raises(RemoteUnavailable):
        asyncio.run(jobs(paper).look(["b"]))


def test_a_result_on_the_network_volume_needs_its_secrets(tmp_path: Path) -> None:
    paper = Paper({"j": completed({"video_path": "/runpod-volume/a.mp4"})})
    with pytest.raises(RemoteRefused, match="RUNPOD_VOLUME_ID"):
        asyncio.run(jobs(paper).fetch("j", "", tmp_path / "a.mp4"))


@pytest.mark.parametrize(("content", "is_film"), [(MP4, True), (b"no film at all", False)])
def test_a_result_on_the_network_volume_must_begin_like_a_film(
    content: bytes, is_film: bool, tmp_path: Path
) -> None:
    class Volume:
        async def download(self, path: str, out: Path) -> None:
            assert path == "/runpod-volume/a.mp4"
            out.write_bytes(content)

    paper = Paper({"j": completed({"video_path": "/runpod-volume/a.mp4"})})
    account = InfiniteTalkJobs(paper, "", InfiniteTalkOptions(), Volume())  # type: ignore[arg-type]
    fetching = account.fetch("j", "", tmp_path / "a.mp4")
    if is_film:
        asyncio.run(fetching)
        assert (tmp_path / "a.mp4").read_bytes() == MP4
    else:
        with pytest.raises(RemoteRefused, match="no MP4"):
            asyncio.run(fetching)
        assert list(tmp_path.iterdir()) == []


def test_a_result_that_is_gone_is_told_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(RemoteRefused, match=r"30 minutes only.*flows\.resubmit") as gone:
        asyncio.run(jobs().fetch("j", "", tmp_path / "a.mp4"))
    assert gone.value.code == "lost"


@pytest.mark.parametrize(
    ("told", "confirmed"),
    [({"status": "CANCELLED"}, True), ({"status": "COMPLETED"}, False), (None, False)],
)
def test_a_cancelled_job_is_one_that_the_service_says_is_cancelled(
    told: Any, confirmed: bool
) -> None:
    assert asyncio.run(jobs(Paper({"j": told})).cancel("j")) is confirmed


# Whether an order was accepted


@pytest.mark.parametrize(("code", "passes"), [("402", True), ("401", True), ("400", False)])
def test_a_refusal_that_is_the_account_s_is_no_refusal_of_the_order(
    code: str, passes: bool
) -> None:
    async def refused(_: Any) -> RunPodJob:
        raise RemoteRefused("no", code)

    paper = Paper()
    paper.run = refused  # type: ignore[method-assign]
    with pytest.raises(RemoteRefused) as caught:
        asyncio.run(jobs(paper).submit("k", {"input": {}}))
    assert isinstance(caught.value, NotTaken) is passes


def find(
    listed: Any, known: Mapping[str, float] | None = None, age_s: float = 5, **counts: int
) -> str | None:
    """``known`` are other jobs, and how long ago they were placed."""
    paper, now_s = Paper(listed=listed), time.time()
    paper.counts |= counts
    others = {i: Known(now_s - ago_s - 1, now_s - ago_s) for i, ago_s in (known or {}).items()}
    return asyncio.run(jobs(paper).find("k", {}, now_s - age_s, others))


MINE, ANOTHERS = ({"id": key, "input": {"lipsync_key": key}} for key in ("k", "l"))
SAYS_NOTHING = {"id": "m", "status": "IN_QUEUE"}


@pytest.mark.parametrize("age_s", [5, 1e6])
def test_an_order_is_found_by_the_key_in_its_input(age_s: float) -> None:
    assert find([SAYS_NOTHING, ANOTHERS, MINE], age_s=age_s) == "k"


def test_an_order_is_not_there_where_every_job_is_told_to_be_another_s() -> None:
    assert find([ANOTHERS]) is None
    assert find([ANOTHERS, SAYS_NOTHING], known={"m": 3}) is None
    assert find([]) is None


MANY = [{"id": f"o{n}", "input": {"lipsync_key": "l"}} for n in range(100)]


def test_a_list_that_may_be_a_page_says_nothing_unless_it_reaches_back() -> None:
    with pytest.raises(NotToldYet):
        find(MANY, age_s=200)
    with pytest.raises(NotToldYet):  # placed after the order
        find(MANY, known={"o7": 190}, age_s=200)
    assert find(MANY, known={"o99": 210}, age_s=200) is None
    with pytest.raises(NotToldYet):  # one that is newer is missing: it is no page of the newest
        find(MANY, known={"o99": 210, "gone": 190}, age_s=200)
    assert find(MANY, known={"o99": 210, "forgotten": 4000}, age_s=200) is None


def test_a_short_list_must_hold_all_that_is_remembered() -> None:
    with pytest.raises(NotToldYet):
        find([ANOTHERS], known={"missing": 300}, age_s=200)
    assert find([ANOTHERS], known={"may still be hidden": 20}, age_s=200) is None
    assert find([ANOTHERS], known={"forgotten": 4000}, age_s=200) is None


@pytest.mark.parametrize(
    "unclear",
    [lambda: find(None), lambda: find(RemoteRefused("no such call", "404")),
     lambda: find([SAYS_NOTHING]), lambda: find([ANOTHERS, SAYS_NOTHING]),
     lambda: find([ANOTHERS], age_s=1900), lambda: find([], completed=1)],
    ids=["no list", "no such call", "no inputs", "one without", "too late", "an empty list"],
)  # fmt: skip
def test_where_the_list_may_hide_an_order_nobody_knows(unclear: Callable[[], Any]) -> None:
    with pytest.raises(OutcomeUnknown, match="counts as spent and is not placed again"):
        unclear()


def test_a_list_that_cannot_be_had_now_is_asked_for_again_by_the_caller() -> None:
    with pytest.raises(RemoteUnavailable) as caught:
        find(RemoteUnavailable("busy"))
    assert not isinstance(caught.value, OutcomeUnknown)
    with pytest.raises(RemoteRefused):
        find(RemoteRefused("a wrong key", "401"))


def test_many_who_search_share_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runpod, "_LIST_PAUSE_S", 0.05)
    paper = Paper(listed=[MINE])
    account = jobs(paper)

    async def work() -> list[Any]:
        searches: list[Awaitable[Any]] = [account.find("k", {}, time.time(), {}) for _ in range(20)]
        return await asyncio.gather(*searches)

    assert asyncio.run(work()) == ["k"] * 20
    assert paper.lists <= 2
