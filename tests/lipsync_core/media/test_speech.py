from __future__ import annotations

import subprocess
import sys
import tracemalloc
import warnings
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from media_factory import bursts, vowels, write_sound

from lipsync_core.errors import InputError
from lipsync_core.media import speech
from lipsync_core.media.audio import Track, lay_track
from lipsync_core.media.silero import CHUNK, Silero
from lipsync_core.media.speech import VoiceActivity, energy_activity, voice_activity

RATE = 16_000


def laid(folder: Path, sound: np.ndarray, rate: int = RATE) -> Track:
    source = write_sound(folder / "in.wav", sound, rate)
    frames = -(-len(sound) * 25 // rate)
    return lay_track(source, folder / "laid.wav", frames=frames, frame_rate=Fraction(25))


def spoken_from_1_to_4_s() -> np.ndarray:
    pause = np.zeros((RATE, 1), np.float32)
    return np.concatenate([pause, vowels(3.0), pause])


@pytest.mark.parametrize("judge", [voice_activity, energy_activity])
def test_a_voice_is_found_where_it_speaks(
    tmp_path: Path, judge: Callable[[Track], VoiceActivity]
) -> None:
    activity = judge(laid(tmp_path, spoken_from_1_to_4_s()))
    assert activity.method == ("silero" if judge is voice_activity else "energy")
    assert activity.voiced_s(0, 0.9) == 0
    assert activity.voiced_s(1, 4) > 2.7
    assert activity.voiced_s(4.2, 5) == 0


def test_noise_and_silence_are_no_speech(tmp_path: Path) -> None:
    assert voice_activity(laid(tmp_path, bursts(4, RATE))).spans == ()
    noise = np.random.default_rng(1).normal(0, 0.1, (4 * RATE, 1)).astype(np.float32)
    for sound in (np.zeros((2 * RATE, 1), np.float32), noise):
        for judge in (voice_activity, energy_activity):
            assert judge(laid(tmp_path, sound)).spans == ()


def test_loudness_alone_finds_a_voice_over_noise_and_a_rare_one(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).normal(0, 0.003, (60 * RATE, 1)).astype(np.float32)
    noise[20 * RATE : 22 * RATE] += vowels(2.0)
    activity = energy_activity(laid(tmp_path, noise))
    assert activity.voiced_s(20, 22) > 1.7
    assert activity.voiced_s(0, 19.9) + activity.voiced_s(22.2, 60) == 0


def test_the_network_answers_like_its_own_runtime() -> None:
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    import silero_vad

    torch.set_num_threads(threads)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        model = silero_vad.load_silero_vad()
    chunks = spoken_from_1_to_4_s()[: 100 * CHUNK, 0].reshape(-1, CHUNK)
    with torch.inference_mode():
        expected = [model(torch.from_numpy(chunk), RATE).item() for chunk in chunks]
    network = Silero()
    answers = np.concatenate([network.probabilities(part) for part in np.split(chunks, [1, 40])])
    assert np.abs(answers - expected).max() < 1e-4
    assert max(expected) > 0.9


def test_judging_speech_does_not_import_torch(tmp_path: Path) -> None:
    track = laid(tmp_path, vowels(1.0))
    program = (
        "import sys; from pathlib import Path;"
        "from lipsync_core.media.audio import Track;"
        "from lipsync_core.media.speech import voice_activity;"
        f"print(voice_activity(Track(Path({str(track.path)!r}), 16000, 1, 16000, 1.0)).method,"
        "'torch' in sys.modules)"
    )
    said = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True, text=True, check=True, cwd=Path(speech.__file__).parents[2],
    )  # fmt: skip
    assert said.stdout.split() == ["silero", "False"]


def test_without_silero_loudness_decides_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    track = laid(tmp_path, spoken_from_1_to_4_s())
    monkeypatch.setitem(sys.modules, "silero_vad", None)  # Python's way to say: not to be had
    activity = voice_activity(track)
    assert activity.method == "energy"
    assert activity == energy_activity(track)


def test_a_long_track_is_read_in_blocks(tmp_path: Path) -> None:
    track = laid(tmp_path, np.tile(spoken_from_1_to_4_s(), (60, 1)))
    tracemalloc.start()
    activity = energy_activity(track)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(activity.spans) >= 60
    assert activity.voiced_s(296, 299) > 2.7
    assert peak < 6e6 < track.samples * 4 / 3


def test_the_network_remembers_from_block_to_block(tmp_path: Path) -> None:
    track = laid(tmp_path, np.tile(spoken_from_1_to_4_s(), (5, 1)))
    spans = voice_activity(track).spans  # blocks of 20 s: the fifth voice comes in the second
    voices = np.reshape([[5 * k + 1, 5 * k + 4] for k in range(5)], (5, 2))
    for start, end in voices:
        assert VoiceActivity(spans, "silero").voiced_s(start, end) > 2.6
    assert VoiceActivity(spans, "silero").voiced_s(0, 25) < 15.5


def test_another_form_of_track_is_refused(tmp_path: Path) -> None:
    track = laid(tmp_path, bursts(1, 48_000, 2), 48_000)
    for judge in (voice_activity, energy_activity):
        with pytest.raises(InputError, match="mono track of 16000 Hz"):
            judge(track)


class TestSpans:
    activity = VoiceActivity(((1.0, 2.0), (2.5, 4.0)), "silero")

    def test_spoken_seconds_of_a_stretch(self) -> None:
        assert self.activity.voiced_s(0, 10) == 2.5
        assert self.activity.voiced_s(1.5, 3.0) == 1.0
        assert self.activity.voiced_s(2.0, 2.5) == 0
        assert VoiceActivity((), "silero").voiced_s(0, 10) == 0

    def test_which_times_are_spoken(self) -> None:
        times = np.array([0.0, 0.999, 1.0, 1.999, 2.0, 2.25, 2.5, 3.999, 4.0, 9.0])
        mask = self.activity.voiced_mask(times)
        assert mask.tolist() == [False, False, True, True, False, False, True, True, False, False]
        assert not VoiceActivity((), "energy").voiced_mask(times).any()

    def test_pauses_between_the_beginning_and_the_end(self) -> None:
        assert self.activity.silences(0.5, 6) == [(0.0, 1.0), (2.0, 2.5), (4.0, 6.0)]
        assert self.activity.silences(0.6, 4.5) == [(0.0, 1.0)]
        assert self.activity.silences(0.1, 2.2) == [(0.0, 1.0), (2.0, 2.2)]
        assert VoiceActivity((), "silero").silences(1, 3) == [(0.0, 3.0)]
