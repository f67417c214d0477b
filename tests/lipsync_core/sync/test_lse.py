"""The table of a folder: every track, every clip, the mean, and what was dropped."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from lipsync_core.sync.lse import LseTable
from lipsync_core.sync.tracks import FilmScore, TrackScore


def track(confidence: float, distance: float, *, measured: bool = True) -> TrackScore:
    return TrackScore(
        first_frame=0, last_frame=100, offset_frames=1.0 if measured else None,
        offset_ms=40.0 if measured else None, confidence=confidence, distance=distance,
        in_sync=measured, evidence="ok" if measured else "no speech", measured=measured,
        drift_ms_per_s=None,
    )  # fmt: skip


def film(*tracks: TrackScore) -> FilmScore:
    return FilmScore(
        **tracks[0].model_dump(), frame_rate="25", scorer="syncnet", drifts=False, windows=0,
        agreeing_windows=0, verdict="as made up", tracks=tracks,
    )  # fmt: skip


def table() -> LseTable:
    return LseTable.of(
        "syncnet",
        {
            "a.mp4": film(track(6.0, 7.5), track(2.0, 9.0)),
            "b.mp4": film(track(7.0, 6.5)),
            "silent.mp4": film(track(0.0, 0.0, measured=False)),
            "broken.mp4": "not a media file",
        },
    )


def test_the_mean_is_over_clips_that_were_measured() -> None:
    found = table()
    assert (found.mean_confidence, found.mean_distance) == (6.5, 7.0)
    assert found.dropped == {"silent.mp4": "no speech", "broken.mp4": "not a media file"}


def test_the_rows_name_every_track_every_clip_and_what_was_dropped(tmp_path: Path) -> None:
    table().write(tmp_path / "scores.csv")
    rows = pd.read_csv(tmp_path / "scores.csv", dtype={"track": str})
    assert list(zip(rows["clip"], rows["track"], strict=True)) == [
        ("a.mp4", "1"), ("a.mp4", "2"), ("a.mp4", "all"), ("b.mp4", "1"), ("b.mp4", "all"),
        ("silent.mp4", "all"), ("broken.mp4", "all"), ("mean", "all"),
    ]  # fmt: skip
    assert rows["lse_c"].dropna().tolist() == [6.0, 2.0, 6.0, 7.0, 7.0, 6.5]
    assert rows["lse_d"].dropna().tolist() == [7.5, 9.0, 7.5, 6.5, 6.5, 7.0]
    assert rows["evidence"].tolist()[-3:] == [
        "dropped: no speech", "dropped: not a media file", "2 clips, 2 dropped",
    ]  # fmt: skip
    first, *_ = (tmp_path / "scores.csv").read_text().splitlines()[1:]
    assert first == "a.mp4,1,0,100,True,1.0,40.0,6.0,7.5,True,ok"


def test_without_a_measured_clip_there_is_no_mean() -> None:
    empty = LseTable.of("landmark", {"broken.mp4": "not a media file"})
    assert (empty.mean_confidence, empty.mean_distance) == (None, None)
    assert empty.rows()["confidence"].isna().all()


@pytest.mark.parametrize(
    ("scorer", "names"), [("syncnet", ("lse_c", "lse_d")), ("landmark", ("confidence", "distance"))]
)
def test_only_syncnet_s_numbers_are_called_lse(scorer: str, names: tuple[str, str]) -> None:
    assert LseTable.of(scorer, {}).names == names
    assert set(names) < set(LseTable.of(scorer, {}).rows().columns)
