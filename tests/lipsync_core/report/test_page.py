from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from urllib.parse import unquote

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from lipsync_core.errors import InputError
from lipsync_core.report.page import FilmEvidence, clock, in_words, money, signed, write_report
from lipsync_core.report.plots import curve_path, segment_plot_png
from lipsync_core.report.preview import MAX_PREVIEW_S, preview
from lipsync_core.report.summary import (
    FailedFilm,
    FilmSummary,
    RunSummary,
    SegmentSummary,
    TimelineChecks,
    Verdict,
)
from lipsync_core.timeline import SpanKind
from tests.media_factory import bursts, make_film, number_of, write_sound

HOSTILE = """a"b<script>alert(1)</script> 'c' </title><!-- {{ 7*7 }} \u2028 🎬"""
VOID = {"meta", "link", "img", "input", "br", "rect", "path"}
GOOD = TimelineChecks(
    frames_equal=True, max_boundary_lag_ms=0.02, colour_tags_equal=True,
    psnr_outside_db=46.0, timestamps_monotonic=True,
)  # fmt: skip


class Page(HTMLParser):
    """A parsed page; parsing fails where elements do not close in order."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(self.source)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in self._open:
            self.words.setdefault(tag, []).append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def text(self, tag: str = "body") -> str:
        """What a person reads inside all elements of a kind, spaces made single."""
        return " ".join(" ".join(self.words.get(tag, [])).split())

    def facts(self) -> list[dict[str, object]]:
        """The data of every film as the page's script sees it."""
        blocks = [words for words in self.words["script"] if words.startswith("{")]
        return [json.loads(block, parse_constant=pytest.fail) for block in blocks]


def segment(index: int, first: int, last: int, **changes: object) -> SegmentSummary:
    facts: dict[str, object] = {
        "kind": SpanKind.LIPSYNC, "generator": "rewrite", "attempts": 1, "offset_frames": 0.2,
        "confidence": 5.0, "source_confidence": 2.0, "seconds": 1.5,
    }  # fmt: skip
    return SegmentSummary.model_validate(
        {"index": index, "first_frame": first, "last_frame": last, **facts, **changes}
    )


def summary(*segments: SegmentSummary, name: str = "interview", **changes: object) -> FilmSummary:
    frames = segments[-1].last_frame
    facts: dict[str, object] = {"frame_rate": "25", "checks": GOOD, "output": "", "report": ""}
    return FilmSummary.model_validate(
        {"name": name, "frames": frames, "segments": list(segments), **facts, **changes}
    )


THREE = (
    segment(0, 0, 20),
    segment(1, 20, 30, kind=SpanKind.PASSTHROUGH, generator=None, attempts=0, offset_frames=None,
            confidence=None, source_confidence=None, reason="nobody speaks"),
    segment(2, 30, 50, verdict=Verdict.REVIEW, offset_frames=2.6, reason="lips lag behind"),
)  # fmt: skip


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> FilmEvidence:
    """A film of 50 frames in three segments, with sound, as the flow would hand it over."""
    folder = tmp_path_factory.mktemp("run")
    sound = bursts(2, 48_000)
    source = make_film(folder / "source.mp4", sound=sound)
    (folder / "interview").mkdir()
    final = make_film(folder / "interview" / "final.mp4", sound=sound)
    shot = np.linspace(0, 1, 50, dtype=np.float32)
    faceless = np.where(np.arange(50) % 20 < 10, shot, np.nan).astype(np.float32)
    return FilmEvidence(summary(*THREE), source, final, jpegs(3), shot, faceless, shot)


def jpegs(count: int) -> list[tuple[int, bytes]]:
    """Some frames as JPEG pictures of 160×90."""
    pictures = []
    for place in range(count):
        encoder = av.CodecContext.create("mjpeg", "w")
        assert isinstance(encoder, av.VideoCodecContext)
        encoder.width, encoder.height, encoder.pix_fmt = 160, 90, "yuvj420p"
        encoder.time_base = Fraction(1, 25)
        grey = np.full((90, 160, 3), 40 * place, np.uint8)
        packets = encoder.encode(av.VideoFrame.from_ndarray(grey)) + encoder.encode(None)
        pictures.append((place * 15, bytes(packets[0])))
    return pictures


def run_of(*films: FilmEvidence, **changes: object) -> RunSummary:
    facts = {"run_dir": "out", "cost_usd": 0.0, "failed": [], **changes}
    return RunSummary.model_validate({"films": [film.summary for film in films], **facts})


def page_of(out: Path, *films: FilmEvidence, **changes: object) -> Page:
    write_report(run_of(*films, **changes), films, out)
    return Page(out)


def played(mp4: bytes) -> tuple[list[av.VideoFrame], NDArray[np.float32]]:
    """All frames of an MP4, and its sound, mono at its own rate (empty without one)."""
    with av.open(BytesIO(mp4)) as container:
        frames = list(container.decode(video=0))
    with av.open(BytesIO(mp4)) as container:
        parts = [part.to_ndarray()[0] for part in container.decode(audio=0)] if (
            container.streams.audio
        ) else []  # fmt: skip
    return frames, np.concatenate([np.zeros(0, np.float32), *parts])


def videos_of(page: Page) -> Iterator[bytes]:
    for attributes in page.all("video"):
        kind, _, data = str(attributes["src"]).partition(",")
        assert kind == "data:video/mp4;base64"
        yield base64.b64decode(data, validate=True)


def lag_ms(heard: NDArray[np.float32], meant: NDArray[np.float32], rate: int) -> float:
    """By how much ``heard`` comes later than ``meant``."""
    size = min(heard.size, meant.size)
    reach = np.fft.irfft(np.fft.rfft(heard[:size], 2 * size) *
                         np.fft.rfft(meant[:size], 2 * size).conj())  # fmt: skip
    lag = int(np.argmax(reach))
    return 1000 * (lag - 2 * size if lag > size else lag) / rate


# Previews


def test_a_preview_holds_every_frame_at_its_time_with_mono_aac(film: FilmEvidence) -> None:
    mp4 = preview(film.source)
    frames, sound = played(mp4)
    assert [number_of(frame) for frame in frames] == list(range(50))
    assert [frame.time for frame in frames] == pytest.approx([n / 25 for n in range(50)], abs=1e-4)
    assert (frames[0].width, frames[0].height, frames[0].format.name) == (192, 108, "yuv420p")
    assert abs(lag_ms(sound, bursts(2, 48_000)[:, 0], 48_000)) < 1
    with av.open(BytesIO(mp4)) as container:
        assert [stream.codec_context.name for stream in container.streams] == ["h264", "aac"]
        assert container.streams.audio[0].codec_context.layout.name == "mono"
        assert container.duration == pytest.approx(2_000_000, abs=50_000)
    assert mp4.index(b"moov") < mp4.index(b"mdat")  # may play before all is there


def test_a_preview_stops_after_the_seconds_asked_for(film: FilmEvidence) -> None:
    frames, sound = played(preview(film.source, 0.6))
    assert [number_of(frame) for frame in frames] == list(range(15))
    assert sound.size == pytest.approx(0.6 * 48_000, abs=1024)


@pytest.mark.parametrize(
    ("size", "expected"), [((960, 540), (640, 360)), ((540, 960), (360, 640)), ((98, 90), (98, 90))]
)
def test_a_preview_is_small_and_even_but_never_enlarged(
    tmp_path: Path, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    frames, _ = played(preview(make_film(tmp_path / "film.mp4", frames=3, size=size)))
    assert (frames[0].width, frames[0].height) == expected
    assert [number_of(frame) for frame in frames] == [0, 1, 2]


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_preview_is_upright(tmp_path: Path, rotation: int) -> None:
    source = make_film(tmp_path / "film.mov", frames=8, size=(108, 192), rotation=rotation)
    frames, _ = played(preview(source))
    assert (frames[0].width, frames[0].height, frames[0].rotation) == (108, 192, 0)
    assert [number_of(frame) for frame in frames] == list(range(8))


def test_a_variable_rate_keeps_its_times(tmp_path: Path) -> None:
    places = [0, 1, 4, 9, 10, 11, 20]
    frames, _ = played(preview(make_film(tmp_path / "film.mkv", places=places)))
    assert [number_of(frame) for frame in frames] == places
    assert [frame.time for frame in frames] == pytest.approx([p / 25 for p in places], abs=2e-3)


def test_sound_that_begins_before_the_picture_stays_in_step(tmp_path: Path) -> None:
    sound = bursts(3, 48_000)
    source = make_film(tmp_path / "film.mkv", frames=40, start_s=1, sound=sound)
    frames, heard = played(preview(source))
    assert frames[0].time == 0
    assert number_of(frames[0]) == 0
    assert abs(lag_ms(heard, sound[48_000:, 0], 48_000)) < 2


def test_a_preview_may_carry_the_sound_of_another_file(tmp_path: Path, film: FilmEvidence) -> None:
    speech = bursts(2, 16_000, seed=3)
    voice = write_sound(tmp_path / "speech.wav", speech, 16_000)
    _, heard = played(preview(film.source, sound=voice))
    assert abs(lag_ms(heard[::3], speech[:, 0], 16_000)) < 1


def test_a_silent_film_has_a_silent_preview(tmp_path: Path) -> None:
    frames, sound = played(preview(make_film(tmp_path / "film.mp4", frames=5)))
    assert (len(frames), sound.size) == (5, 0)


def test_what_is_no_film_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no video stream in .*speech\.wav"):
        preview(write_sound(tmp_path / "speech.wav", bursts(1, 16_000), 16_000))
    (tmp_path / "text.mp4").write_text("not a film")
    with pytest.raises(InputError, match="not a media file"):
        preview(tmp_path / "text.mp4")


# The page


def test_the_page_tells_the_result_and_every_segment(tmp_path: Path, film: FilmEvidence) -> None:
    scored = film.summary.model_copy(
        update={
            "source_score": {"offset_frames": 3.0, "confidence": 2.1},
            "film_score": {"offset_frames": 0.1, "confidence": 6.3, "scorer": "syncnet"},
            "notes": ["The new speech is 0.4 s shorter than the film."],
            "stage_seconds": {"probe": 0.1, "generate": 2.0},
        }
    )
    page = page_of(tmp_path / "report.html", replace(film, summary=scored),
                   next_command="python -m flows.resubmit out")  # fmt: skip
    text = page.text()
    for words in (
        "interview", "1 of 2 segments pass", "1 segment to review", "+3.0 → +0.1 frames",
        "sound 120 ms early → sound 4 ms early", "2.1 → 6.3", "0.4 s shorter",
        "lips lag behind", "nobody speaks", "python -m flows.resubmit out",
    ):  # fmt: skip
        assert words in text
    assert page.text("h1") == "interview"
    rows = [attributes for attributes in page.all("tr") if "data-place" in attributes]
    assert [row["class"] for row in rows] == ["pass", "passthrough", "review"]


def test_the_page_asks_nothing_of_the_network(tmp_path: Path, film: FilmEvidence) -> None:
    page = page_of(tmp_path / "report.html", film)
    assert "http:" not in page.source
    assert "https:" not in page.source
    assert "@import" not in page.source
    for _, attributes in page.tags:
        assert str(attributes.get("src", "data:")).startswith("data:")
        assert str(attributes.get("href", "data:")).startswith(("data:", "./", "#"))
    policies = [meta["content"] for meta in page.all("meta") if "http-equiv" in meta]
    assert policies
    assert str(policies[0]).startswith("default-src 'none'")


def test_two_players_show_before_and_after_and_only_the_second_is_heard(
    tmp_path: Path, film: FilmEvidence
) -> None:
    page = page_of(tmp_path / "report.html", film)
    before, after = page.all("video")
    assert "muted" in before
    assert "muted" not in after
    assert "Before" in str(before["aria-label"])
    for mp4 in videos_of(page):
        frames, sound = played(mp4)
        assert [number_of(frame) for frame in frames] == list(range(50))
        assert sound.size


def test_every_picture_and_control_has_words(tmp_path: Path, film: FilmEvidence) -> None:
    page = page_of(tmp_path / "report.html", film)
    assert [image["alt"] for image in page.all("img")] == [
        "Frame 0 at 0:00.00", "Frame 15 at 0:00.60", "Frame 30 at 0:01.20",
    ]  # fmt: skip
    for attributes in page.all("svg"):
        assert attributes.get("aria-hidden") == "true" or attributes["aria-label"]
    assert all(button["aria-label"] for button in page.all("button"))


def test_blocks_of_the_strip_are_as_long_as_their_segments(
    tmp_path: Path, film: FilmEvidence
) -> None:
    blocks = [
        b for b in page_of(tmp_path / "report.html", film).all("rect") if b["class"] != "gate"
    ]
    assert {b["class"]: (b["x"], b["width"]) for b in blocks} == {
        "pass": ("0.00", "400.00"), "passthrough": ("400.00", "200.00"),
        "review": ("600.00", "400.00"),
    }  # fmt: skip


def test_hostile_names_stay_text(tmp_path: Path, film: FilmEvidence) -> None:
    evil = summary(segment(0, 0, 50, reason=HOSTILE), name=HOSTILE, notes=[HOSTILE])
    page = page_of(
        tmp_path / "report.html", replace(film, summary=evil),
        failed=[FailedFilm(name=HOSTILE, error=HOSTILE)], next_command=HOSTILE,
    )  # fmt: skip
    assert Counter(tag for tag, _ in page.tags)["script"] == 2  # the film's facts, the page's own
    (facts,) = page.facts()
    assert facts["name"] == HOSTILE
    assert HOSTILE in page.words["bdi"]
    assert HOSTILE in page.words["code"]
    assert HOSTILE in page.words["title"][0]
    assert "<script>alert" not in page.source


def test_a_name_that_is_no_text_still_makes_a_page(tmp_path: Path, film: FilmEvidence) -> None:
    odd = film.summary.model_copy(update={"name": "night\udcff"})
    page = page_of(tmp_path / "report.html", replace(film, summary=odd))
    assert "night?" in page.text("h1")
    assert page.facts()[0]["name"] == "night\udcff"


def test_without_evidence_the_page_says_so(tmp_path: Path, film: FilmEvidence) -> None:
    blind = summary(
        segment(0, 0, 50, offset_frames=None, confidence=None, source_confidence=float("nan"),
                verdict=Verdict.REVIEW, reason="no face"),
        film_score={
            "offset_frames": None, "confidence": None, "evidence": "no face in it",
            "scorer": "landmark",
        },
        source_score=None,
    )  # fmt: skip
    none = np.full(50, np.nan, np.float32)
    empty = np.zeros(0, np.float32)
    page = page_of(
        tmp_path / "report.html",
        replace(film, summary=blind, thumbnails=[], loudness=empty, source_opening=none,
                final_opening=empty),
    )  # fmt: skip
    assert "no evidence → no face in it" in page.text()
    assert "0 of 1 segment passes" in page.text()
    segments = page.facts()[0]["segments"]
    assert isinstance(segments, list)
    assert "no evidence" in segments[0]["facts"]
    assert not [path for path in page.all("path") if "nan" in str(path.get("d"))]


def test_failed_checks_are_marked_and_make_the_film_wait(
    tmp_path: Path, film: FilmEvidence
) -> None:
    bad = TimelineChecks(
        frames_equal=True, max_boundary_lag_ms=-3.5, colour_tags_equal=True,
        psnr_outside_db=float("inf"), timestamps_monotonic=False,
    )  # fmt: skip
    shown = replace(film, summary=summary(segment(0, 0, 50), checks=bad))
    text = page_of(tmp_path / "report.html", shown).text()
    assert "A check needs a look" in text
    assert "✓ Frame count" in text
    assert "✗ Sound against picture -3.50 ms" in text
    assert "✗ Time stamps out of order" in text
    assert "✓ Picture outside the mouth identical" in text
    ready = replace(film, summary=summary(segment(0, 0, 50)))
    assert "Ready to deliver" in page_of(tmp_path / "report.html", ready).text()


def test_a_thousand_segments_are_all_there(tmp_path: Path, film: FilmEvidence) -> None:
    many = summary(*(segment(n, 4 * n, 4 * n + 4) for n in range(1000)))
    page = page_of(tmp_path / "report.html", replace(film, summary=many))
    assert len([row for row in page.all("tr") if "data-place" in row]) == 1000
    assert len([block for block in page.all("rect") if block["class"] == "pass"]) == 1000
    assert "1000 of 1000 segments pass" in page.text()


def test_several_films_and_the_failed_ones_stand_in_the_overview(
    tmp_path: Path, film: FilmEvidence
) -> None:
    other = replace(film, summary=summary(segment(0, 0, 50), name="trailer"))
    page = page_of(
        tmp_path / "report.html", film, other, cost_usd=1.2,
        failed=[FailedFilm(name="night", error="truncated film: copy it again")],
    )  # fmt: skip
    assert page.text("h1") == "2 of 3 segments pass"
    assert "2 films , 1 failed · $1.20" in page.text()
    assert "1 film could not be finished night truncated film: copy it again" in page.text()
    anchors = {section.get("id") for section in page.all("section")}
    assert {link["href"] for link in page.all("a") if "#" in str(link["href"])} == {
        "#film-1", "#film-2",
    }  # fmt: skip
    assert {"film-1", "film-2"} <= anchors
    assert [facts["name"] for facts in page.facts()] == ["interview", "trailer"]


def test_a_long_film_is_shown_in_part_and_linked_in_whole(
    tmp_path: Path, film: FilmEvidence
) -> None:
    frames = int(MAX_PREVIEW_S) + 3
    folder = tmp_path / "a:b #1 50%"
    folder.mkdir()
    final = make_film(folder / "final.mp4", frames=frames, rate=1, size=(64, 36))
    long = summary(segment(0, 0, frames), frame_rate="1")
    page = page_of(tmp_path / "report.html", replace(film, summary=long, source=final, final=final))
    assert "The players hold the first 60 s." in page.text()
    (link,) = [str(a["href"]) for a in page.all("a")]
    assert link.startswith("./")
    assert (tmp_path / unquote(link)).samefile(final)
    assert [len(played(mp4)[0]) for mp4 in videos_of(page)] == [60, 60]


def test_a_film_that_cannot_be_shown_costs_only_its_player(
    tmp_path: Path, film: FilmEvidence
) -> None:
    page = page_of(tmp_path / "report.html", replace(film, source=tmp_path / "gone.mp4"))
    assert len(page.all("video")) == 1
    assert "No preview: no such file" in page.text()
    assert "1 of 2 segments pass" in page.text()


def test_a_page_that_fails_midway_leaves_the_old_one(tmp_path: Path, film: FilmEvidence) -> None:
    out = tmp_path / "report.html"
    out.write_text("the last good page")
    broken = replace(film, thumbnails=[(0, None)])  # type: ignore[list-item]
    with pytest.raises(TypeError):
        write_report(run_of(broken), [broken], out)
    assert out.read_text() == "the last good page"
    assert list(tmp_path.iterdir()) == [out]


def test_the_page_appears_only_under_its_name(tmp_path: Path, film: FilmEvidence) -> None:
    page_of(tmp_path / "new folder" / "report.html", film)
    assert [path.name for path in (tmp_path / "new folder").iterdir()] == ["report.html"]


# Drawings and words


def test_a_curve_is_broken_where_no_face_was_seen() -> None:
    curve = np.array([0, 1, np.nan, 0.5, np.nan], np.float32)
    assert curve_path(curve, 5, 1.0) == "M100 100h0L300 0M700 50h0"


def test_the_artifact_plot_is_a_png_with_and_without_evidence() -> None:
    blind = summary(segment(0, 0, 50, offset_frames=None, confidence=None, source_confidence=None))
    pictures = {segment_plot_png(film) for film in (summary(*THREE), blind)}
    assert len(pictures) == 2
    for picture in pictures:
        with av.open(BytesIO(picture)) as container:
            shown = next(container.decode(video=0))
        assert (shown.width, shown.height) == (1100, 500)


def test_times_offsets_and_prices_read_well() -> None:
    assert [clock(s) for s in (0, 3.204, 59.999, 3723.5)] == [
        "0:00.00", "0:03.20", "1:00.00", "1:02:03.50",
    ]  # fmt: skip
    assert [signed(o) for o in (0.04, -0.04, 2.6, -1)] == ["0.0", "0.0", "+2.6", "−1.0"]
    assert [in_words(o) for o in (3, -0.5, 0)] == [
        "sound 120 ms early",
        "sound 20 ms late",
        "no shift",
    ]
    assert [money(usd) for usd in (0, 0.0375, 1234.5)] == ["free", "$0.0375", "$1,234.50"]
