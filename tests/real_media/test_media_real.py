from __future__ import annotations

import warnings
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from lipsync_core.media.audio import lay_track
from lipsync_core.media.checks import check_film
from lipsync_core.media.frames import planes_of, read_frames
from lipsync_core.media.join import join_film
from lipsync_core.media.probe import probe
from lipsync_core.media.speech import energy_activity, voice_activity


def test_speech_is_found_where_silero_itself_finds_it(real_media: Path, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    track = lay_track(
        real_media / "silero_test.wav", tmp_path / "laid.wav",
        frames=1500, frame_rate=Fraction(25), sample_rate=16_000, mono=True,
    )  # fmt: skip
    activity = voice_activity(track)
    threads = torch.get_num_threads()
    import silero_vad

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            model = silero_vad.load_silero_vad()
        torch.set_num_threads(1)  # more of them only wait for each other
        found = silero_vad.get_speech_timestamps(torch.from_numpy(track.read()[:, 0]), model)
    finally:
        torch.set_num_threads(threads)
    expected = [(span["start"] / 16_000, span["end"] / 16_000) for span in found]
    assert activity.method == "silero"
    assert np.array(activity.spans) == pytest.approx(np.array(expected), abs=1e-4)
    times = np.arange(0, 60, 0.01)
    loud = energy_activity(track).voiced_mask(times)
    assert np.mean(loud == activity.voiced_mask(times)) > 0.9


@pytest.mark.parametrize(
    "name", ["syncnet_example_plus5.avi", "hamilton_cuts.mp4", "grid_bbaf2n.mpg", "hdtf_aoc.mp4"]
)
def test_real_films_keep_the_promise(real_media: Path, tmp_path: Path, name: str) -> None:
    info = probe(real_media / name)
    speech = lay_track(
        real_media / "two_man.wav", tmp_path / "laid.wav",
        frames=info.frames, frame_rate=info.frame_rate,
    )  # fmt: skip
    join_film(info, [], speech, tmp_path / "final.mp4")
    boundaries = list(range(0, info.frames, 50))
    checks = check_film(info, tmp_path / "final.mp4", speech, [], boundaries)
    assert checks.failures() == []
    assert checks.max_boundary_lag_ms < 0.05
    assert checks.psnr_outside_db > 42


@pytest.mark.parametrize(
    "name", ["grid_lbax4n.mpg", "syncnet_example.avi", "goldeneye_vfr.mp4", "hamilton_cuts.mp4"]
)
def test_real_films_are_read_anywhere_as_they_are_read_through(real_media: Path, name: str) -> None:
    info = probe(real_media / name)
    through = [hash(planes_of(frame)[0].tobytes()) for frame in read_frames(info)]
    for first in (1, info.frames // 3, info.frames // 2, info.frames - 2):
        there = [hash(planes_of(f)[0].tobytes()) for f in read_frames(info, first, first + 2)]
        assert there == through[first : first + 2]
