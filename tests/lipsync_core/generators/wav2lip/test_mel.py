"""What Wav2Lip hears: golden columns, the formula a second time, and which frame hears what."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray
from synthetic_weights import numbers

from lipsync_core.generators.wav2lip.mel import Sound, column_of, mel, windows

RATES = [Fraction(24000, 1001), Fraction(24), Fraction(25), Fraction(30), Fraction(60)]


def sound_of(samples: NDArray[np.float32]) -> Sound:
    """Samples [first, last), silence outside."""

    def read(first: int, last: int) -> NDArray[np.float32]:
        padded = np.pad(samples, (max(0, -first), max(0, last - len(samples))))
        return padded[first + max(0, -first) : last + max(0, -first)]

    return read


def chirp() -> NDArray[np.float32]:
    time = np.arange(16_000) / 16_000
    swept = 8000 * np.sin(2 * np.pi * (200 * time + 300 * time**2))
    whole = np.round(swept + 2000 * numbers(7, 16_000)).astype(np.int16)
    return (whole / 32768).astype(np.float32)


def by_the_formulas(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """The same, written a second time and as plainly as the description of the training says it."""
    sound = samples.astype(np.float64)
    sound = np.append(sound[0], sound[1:] - 0.97 * sound[:-1])
    padded = np.pad(sound, 400, mode="reflect")
    hann = np.hanning(801)[:-1]
    columns = [
        np.abs(np.fft.rfft(padded[start : start + 800] * hann))
        for start in range(0, len(padded) - 799, 200)
    ]

    def hertz(mels: float) -> float:
        if mels < 15:
            return mels * 200 / 3
        return 1000 * float(np.exp((mels - 15) * np.log(6.4) / 27))

    lowest, highest = 55 * 3 / 200, 15 + np.log(7.6) * 27 / np.log(6.4)
    corners = [hertz(lowest + (highest - lowest) * n / 81) for n in range(82)]
    matrix = np.zeros((80, 401))
    for band, (low, middle, high) in enumerate(
        zip(corners, corners[1:], corners[2:], strict=False)
    ):
        for place in range(401):
            rise = (place * 20 - low) / (middle - low)
            fall = (high - place * 20) / (high - middle)
            matrix[band, place] = max(0.0, min(rise, fall)) * 2 / (high - low)
    decibels = 20 * np.log10(np.maximum(1e-5, matrix @ np.stack(columns, 1))) - 20
    return np.clip(8 * (decibels + 100) / 100 - 4, -4, 4)


def test_is_the_published_one() -> None:
    found = mel(sound_of(chirp()), 16_000, 0, 81)
    assert found.shape == (80, 81)
    assert found.mean() == pytest.approx(-0.4357566, abs=1e-6)
    assert found.std() == pytest.approx(0.7359840, abs=1e-6)
    rows = [0, 10, 20, 40, 79]
    middle = [-2.6605, 0.1897, -1.2513, -0.0637, 0.3082]
    first = [-0.6326, -1.2523, -1.1207, -0.3986, 0.3554]
    assert found[rows, 40].tolist() == pytest.approx(middle, abs=5e-5)
    assert found[rows, 0].tolist() == pytest.approx(first, abs=5.1e-5)


def test_is_what_the_formulas_say() -> None:
    samples = chirp()
    found = mel(sound_of(samples), len(samples), 0, 81)
    assert np.abs(found - by_the_formulas(samples)).max() < 1e-6


def test_a_piece_gives_the_same_columns_as_the_whole() -> None:
    samples = chirp()[:15_950]
    whole = mel(sound_of(samples), len(samples), 0, 80)
    for first, last in ((0, 3), (1, 20), (33, 34), (70, 80)):
        piece = mel(sound_of(samples), len(samples), first, last)
        assert np.array_equal(piece, whole[:, first:last])


def test_silence_is_the_least_there_is() -> None:
    found = mel(sound_of(np.zeros(1600, np.float32)), 1600, 0, 9)
    assert np.all(found == -4)


@pytest.mark.parametrize("samples", [1, 150, 3000])
def test_a_sound_shorter_than_a_window_is_heard_all_the_same(samples: int) -> None:
    sound = chirp()[2000 : 2000 + samples]
    found = windows(sound_of(sound), samples, 0, 3, Fraction(25))
    assert found.shape == (3, 1, 80, 16)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("rate", RATES)
def test_every_frame_hears_its_own_moment(rate: Fraction) -> None:
    """Column c begins at c/80 s; after an hour, too, a frame's window begins at its own time."""
    for frame in (0, 1, 7, 1000, round(3600 * rate)):
        start = Fraction(column_of(frame, rate), 80)
        assert 0 <= frame / rate - start < Fraction(1, 80)


@pytest.mark.parametrize("rate", RATES)
def test_there_is_a_window_for_every_frame(rate: Fraction) -> None:
    frames = int(rate)  # about the second that is heard
    samples = chirp()
    whole = mel(sound_of(samples), len(samples), 0, 81)
    found = windows(sound_of(samples), len(samples), 0, frames, rate)
    assert found.shape == (frames, 1, 80, 16)
    for frame in range(frames):
        start = min(column_of(frame, rate), 81 - 16)
        assert np.array_equal(found[frame, 0], whole[:, start : start + 16]), frame
    later = windows(sound_of(samples), len(samples), 9, frames, rate)
    assert np.array_equal(later, found[9:])
