"""Pauses are heard in clean, quiet and noisy recordings, and no word is cut there."""

from __future__ import annotations

import tracemalloc
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
from media_factory import bursts, vowels, write_sound
from numpy.typing import NDArray

import lipsync_core.demo
from lipsync_core.errors import InputError
from lipsync_core.media.audio import Track
from lipsync_core.media.pauses import Pause, PauseKind, PauseRules, find_pauses
from lipsync_core.media.speech import VoiceActivity
from lipsync_core.speech_plan import SpeechRules, plan_speech, rough_cuts

RATE = 16_000
FPS = Fraction(25)
Sound = NDArray[np.float32]


def track_of(folder: Path, sound: Sound) -> Track:
    path = write_sound(folder / "speech.wav", sound, RATE)
    return Track(path, RATE, 1, len(sound), len(sound) / RATE)


def two_minutes() -> Sound:
    """Both recordings of the demo in turn, without the silence between them made longer."""
    folder = Path(lipsync_core.demo.__file__).parent
    both = [soundfile.read(folder / f"speech_{name}.wav", dtype="float32")[0] for name in "ab"]
    return np.concatenate(both * 6)


def noise(samples: int, colour: str, level_db: float, seed: int = 3) -> Sound:
    """White or pink noise of an effective level."""
    random = np.random.default_rng(seed)
    white = random.standard_normal(samples)
    if colour == "pink":
        spectrum = np.fft.rfft(white)
        spectrum /= np.sqrt(np.maximum(1, np.arange(len(spectrum))))
        white = np.fft.irfft(spectrum, samples)
    scaled = white / np.sqrt(np.mean(white**2)) * 10 ** (level_db / 20)
    return scaled.astype(np.float32)


def loudness_db(sound: Sound, at_s: float, around_s: float = 0.04) -> float:
    """The effective level around a moment, in dB below full scale."""
    first, last = round((at_s - around_s) * RATE), round((at_s + around_s) * RATE)
    return float(10 * np.log10(np.mean(sound[first:last] ** 2) + 1e-10))


BEDS = {
    "clean": lambda speech: speech,
    "with white noise": lambda speech: speech + noise(len(speech), "white", -30),
    "with pink noise": lambda speech: speech + noise(len(speech), "pink", -30),
    "recorded much too quietly": lambda speech: speech * 0.01 + noise(len(speech), "white", -80),
    "with an offset": lambda speech: speech * 0.5 + 0.2,
}


@pytest.mark.parametrize("kind", BEDS)
@pytest.mark.parametrize("rules", [SpeechRules(), SpeechRules(8, 5, 12)])
def test_no_word_is_cut_in_two_minutes_of_speech(
    tmp_path: Path, kind: str, rules: SpeechRules
) -> None:
    speech = two_minutes()
    pauses = find_pauses(track_of(tmp_path, BEDS[kind](speech)), FPS)
    frames = len(speech) * 25 // RATE
    timeline = plan_speech(frames, FPS, pauses, rules)
    assert rough_cuts(timeline, pauses) == ()
    assert len(timeline.segments) > 1
    for segment in timeline.segments[1:]:
        assert loudness_db(speech, segment.first_frame / 25) < -45


def test_a_pause_of_half_a_second_is_long_and_both_methods_hear_it(tmp_path: Path) -> None:
    speech = two_minutes()[: 20 * RATE]
    long = [p for p in find_pauses(track_of(tmp_path, speech), FPS) if p.kind == PauseKind.LONG]
    # between the recordings, in the second one for 1.7 s, and at the end
    assert [round(pause.frame / 25, 1) for pause in long] == [9.9, 14.4, 19.8]
    assert all(pause.agreed and pause.level_db < -50 for pause in long)
    assert 1.6 < long[1].end_s - long[1].start_s < 1.9


@pytest.mark.parametrize("level_db", [-60.0, -30.0])
def test_places_come_in_order_each_once_and_inside_the_speech(
    tmp_path: Path, level_db: float
) -> None:
    speech = two_minutes()[: 30 * RATE] + noise(30 * RATE, "white", level_db)
    for rate in (FPS, Fraction(24000, 1001), Fraction(60)):
        pauses = find_pauses(track_of(tmp_path, speech), rate)
        places = [pause.frame for pause in pauses]
        assert places == sorted(set(places))
        assert places[0] > 0
        assert places[-1] < 30 * rate
        for pause in pauses:
            assert pause.start_s - 0.02 <= pause.frame / rate <= pause.end_s + 0.02
        gaps = np.diff([0.0, *(float(frame / rate) for frame in places), 30.0])
        assert gaps.max() < 2.5  # there is always somewhere to cut
        assert find_pauses(track_of(tmp_path, speech), rate) == pauses


def test_speech_without_a_pause_has_its_quietest_moments(tmp_path: Path) -> None:
    voice = vowels(20.0)  # a vowel every 0.18 s, and quieter between two
    pauses = find_pauses(track_of(tmp_path, voice), Fraction(100))
    moments = [pause for pause in pauses if pause.kind == PauseKind.MOMENT]
    assert len(moments) >= 17
    for moment in moments:
        off = (moment.frame / 100 + 0.09) % 0.18 - 0.09
        assert abs(off) < 0.035


def test_a_long_silence_has_many_places(tmp_path: Path) -> None:
    voice, still = vowels(3.0)[:, 0], np.zeros(30 * RATE, np.float32)
    pauses = find_pauses(track_of(tmp_path, np.concatenate([voice, still, voice])), FPS)
    inside = [p.frame / 25 for p in pauses if p.kind == PauseKind.LONG and p.agreed]
    assert len(inside) >= 15
    assert np.diff(inside).max() < 2.1
    assert inside[0] < 5
    assert inside[-1] > 31


def test_a_closed_mouth_inside_a_word_is_no_pause(tmp_path: Path) -> None:
    """Quiet for 0.15 s where the network hears speech going on."""
    voice = vowels(6.0)[:, 0]
    voice[3 * RATE : round(3.15 * RATE)] = 0
    speaks = VoiceActivity(((0.0, 6.0),), "silero")
    pauses = find_pauses(track_of(tmp_path, voice), FPS, voice=speaks)
    assert {pause.kind for pause in pauses} == {PauseKind.MOMENT}
    voice[3 * RATE : round(3.4 * RATE)] = 0
    pauses = find_pauses(track_of(tmp_path, voice), FPS, voice=speaks)
    short = [pause for pause in pauses if pause.kind == PauseKind.SHORT]
    assert [pause.frame / 25 for pause in short] == [3.2]
    assert not short[0].agreed


def test_a_pause_with_a_breath_in_it_is_cut_beside_the_breath(tmp_path: Path) -> None:
    voice = np.concatenate([vowels(2.0)[:, 0], np.zeros(RATE, np.float32), vowels(2.0)[:, 0]])
    breath = slice(round(2.4 * RATE), round(2.7 * RATE))
    voice[breath] += noise(breath.stop - breath.start, "white", -28)
    speaks = VoiceActivity(((0.0, 2.0), (3.0, 5.0)), "silero")
    pauses = find_pauses(track_of(tmp_path, voice), FPS, voice=speaks)
    long = [pause.frame / 25 for pause in pauses if pause.kind == PauseKind.LONG]
    assert len(long) == 2
    assert 2.0 < long[0] < 2.4
    assert 2.7 < long[1] < 3.0


def test_what_counts_as_a_pause_may_be_set(tmp_path: Path) -> None:
    track = track_of(tmp_path, two_minutes()[: 20 * RATE])

    def kinds(rules: PauseRules) -> list[PauseKind]:
        return [pause.kind for pause in find_pauses(track, FPS, rules)]

    assert kinds(PauseRules(long_s=0.3)).count(PauseKind.LONG) > 1
    assert kinds(PauseRules(long_s=2.5)).count(PauseKind.LONG) == 0
    assert kinds(PauseRules(short_s=1.0)).count(PauseKind.SHORT) == 0


@pytest.mark.parametrize("samples", [0, 100, RATE // 2])
def test_nearly_no_sound_has_nearly_no_place(tmp_path: Path, samples: int) -> None:
    found = find_pauses(track_of(tmp_path, np.zeros(samples, np.float32)), FPS)
    assert all(isinstance(pause, Pause) and 0 < pause.frame < 13 for pause in found)
    assert bool(found) == (samples > 100)


def test_a_long_track_is_read_in_blocks(tmp_path: Path) -> None:
    track = track_of(tmp_path, np.tile(two_minutes()[: 60 * RATE], 10))
    speaks = VoiceActivity(tuple((t + 0.2, t + 9.5) for t in range(0, 600, 10)), "silero")
    tracemalloc.start()
    pauses = find_pauses(track, FPS, voice=speaks)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert pauses[-1].frame > 590 * 25
    assert peak < 12e6 < track.samples * 4 / 3


def test_another_form_of_track_is_refused(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "in.wav", bursts(1, 48_000, 2), 48_000)
    nobody = VoiceActivity((), "silero")
    with pytest.raises(InputError, match="mono track of 16000 Hz"):
        find_pauses(Track(path, 48_000, 2, 48_000, 1.0), FPS, voice=nobody)
