"""The cepstra of SyncNet, against golden values of the features it was trained on."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from synthetic_weights import numbers

from lipsync_core.sync.mfcc import HOP, WINDOW, mfcc

RATE = 16_000


@pytest.fixture(scope="module")
def sweep() -> NDArray[np.int16]:
    """A rising tone with noise, one second."""
    seconds = np.arange(RATE) / RATE
    tone = 8000 * np.sin(2 * np.pi * (200 * seconds + 300 * seconds**2))
    return np.round(tone + 2000 * numbers(7, RATE)).astype(np.int16)


def test_the_drawn_numbers_are_those_of_the_golden_values() -> None:
    drawn = numbers(0, 3)
    assert drawn == pytest.approx([0.7666216164, 0.1331231503, 0.1823794694], abs=2e-9)
    assert numbers(5, 1)[0] == pytest.approx(0.4233979417, abs=1e-10)


def test_a_second_of_sound_has_the_golden_coefficients(sweep: NDArray[np.int16]) -> None:
    found = mfcc(sweep)
    assert found.shape == (99, 13)
    assert found.mean() == pytest.approx(-4.1703409, rel=1e-6)
    assert found.std() == pytest.approx(16.6987967, rel=1e-6)
    first = [20.2302, -21.5229, 10.8265, 8.3017, 15.3876, 2.3227, -7.2740, -12.3388, -16.3247,
             -24.4468, -27.1967, -16.3143, -16.5074]  # fmt: skip
    assert found[0] == pytest.approx(first, abs=5e-5)


def test_a_piece_has_the_rows_it_has_in_the_whole(sweep: NDArray[np.int16]) -> None:
    whole = mfcc(sweep)
    for first, last in ((1, 2), (37, 60), (90, 97)):
        piece = sweep[first * HOP : (last - 1) * HOP + WINDOW]
        assert mfcc(piece, int(sweep[first * HOP - 1])) == pytest.approx(whole[first:last])


def test_agrees_with_the_formulas_written_out_slowly(sweep: NDArray[np.int16]) -> None:
    """The discrete Fourier and cosine transforms as sums, the filters from their definition."""
    sound = sweep[:WINDOW].astype(float)
    sound[1:] -= 0.97 * sweep[: WINDOW - 1]
    turns = np.outer(np.arange(257), np.arange(WINDOW)) / 512
    power = np.abs(np.exp(-2j * np.pi * turns) @ sound) ** 2 / 512
    corners = [0, 2, 4, 7, 10, 13, 16, 20, 24, 29, 34, 40, 46, 53, 60, 68, 77, 87, 97, 109, 122,
               136, 152, 169, 188, 209, 231, 256]  # fmt: skip
    energies = [
        sum(power[i] * (i - a) / (b - a) for i in range(a, b))
        + sum(power[i] * (c - i) / (c - b) for i in range(b, c))
        for a, b, c in zip(corners, corners[1:], corners[2:], strict=False)
    ]
    slow = [
        np.sqrt((1 if k == 0 else 2) / 26)
        * sum(np.log(e) * np.cos(np.pi * k * (2 * n + 1) / 52) for n, e in enumerate(energies))
        * (1 + 11 * np.sin(np.pi * k / 22))
        for k in range(13)
    ]
    slow[0] = np.log(power.sum())
    assert mfcc(sweep[:WINDOW])[0] == pytest.approx(slow, rel=1e-9)


@pytest.mark.parametrize(("samples", "rows"), [(1, 1), (400, 1), (401, 2), (560, 2), (640, 3)])
def test_sound_of_any_length_has_its_rows(samples: int, rows: int) -> None:
    assert mfcc(np.ones(samples, np.int16)).shape == (rows, 13)


def test_silence_has_a_finite_answer() -> None:
    assert np.isfinite(mfcc(np.zeros(1000, np.int16))).all()
