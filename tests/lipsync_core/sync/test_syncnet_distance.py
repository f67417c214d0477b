"""Distances between lips and sound for every shift, against the formula written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.signal import medfilt

from lipsync_core.sync.syncnet.distance import (
    MAX_SHIFT,
    SHIFTS,
    Slide,
    agreement,
    frame_confidence,
)

Vectors = NDArray[np.float32]


def drawn(count: int, seed: int) -> Vectors:
    return np.random.default_rng(seed).normal(0, 1, (count, 1024)).astype(np.float32)


def slid(lips: Vectors, sounds: Vectors, batch: int, *, padded: bool) -> NDArray[np.float32]:
    slide = Slide(padded=padded)
    parts = [
        slide.add(torch.from_numpy(lips[n : n + batch]), torch.from_numpy(sounds[n : n + batch]))
        for n in range(0, len(lips), batch)
    ]
    return np.concatenate([*parts, slide.finish()])


def written_out(lips: Vectors, sounds: Vectors) -> NDArray[np.float64]:
    """The published way: sound between 15 vectors of zeros, 1e-6 on every component."""
    nobody = np.zeros((MAX_SHIFT, lips.shape[1]))
    partners = np.concatenate([nobody, sounds.astype(float), nobody])
    return np.array([
        [np.sqrt(((lips[i].astype(float) - partners[i + k] + 1e-6) ** 2).sum())
         for k in range(SHIFTS)]
        for i in range(len(lips))
    ])  # fmt: skip


@pytest.mark.parametrize("batch", [1, 7, 20, 100])
@pytest.mark.parametrize("count", [1, 14, 40])
def test_distances_are_those_of_the_formula_however_they_come(count: int, batch: int) -> None:
    lips, sounds = drawn(count, 1), drawn(count, 2)
    found = slid(lips, sounds, batch, padded=True)
    assert found == pytest.approx(written_out(lips, sounds), rel=1e-5)


def test_unpadded_nobody_is_compared_with_nothing() -> None:
    lips, sounds = drawn(40, 1), drawn(40, 2)
    found, padded = (slid(lips, sounds, 20, padded=padded) for padded in (False, True))
    has_partner = np.isfinite(found)
    assert has_partner.sum(0).tolist() == [40 - abs(k - MAX_SHIFT) for k in range(SHIFTS)]
    assert found[has_partner] == pytest.approx(padded[has_partner])


@pytest.mark.parametrize("early", [-15, -7, -3, 0, 4, 9, 15])
def test_sound_that_comes_early_has_a_positive_offset(early: int) -> None:
    """Sound moved towards the beginning by so many frames."""
    spoken = drawn(160, 3)
    lips, sounds = spoken[20:120], spoken[20 + early : 120 + early]
    found = agreement(slid(lips, sounds, 20, padded=True).mean(0).astype(float))
    assert found.offset_frames == early
    assert found.at_edge == (abs(early) == 15)
    assert abs(found.fine_offset_frames - early) < 0.5


def test_confidence_is_the_median_over_the_least() -> None:
    means = np.concatenate([np.full(16, 9.0), [8.0, 4.0, 7.0], np.full(12, 11.0)])
    found = agreement(means)
    assert (found.offset_frames, found.distance, found.confidence) == (-2, 4.0, 5.0)
    # a parabola through 8, 4 and 7 has its lowest point a fourteenth of a step to the right
    assert found.fine_offset_frames == pytest.approx(-2 - 1 / 14)


def test_the_confidence_of_frames_is_a_running_median() -> None:
    distances = np.abs(drawn(50, 5))[:, :SHIFTS]
    means = distances.mean(0).astype(float)
    wanted = medfilt(np.median(means) - distances[:, means.argmin()], 9)
    assert frame_confidence(distances, means) == pytest.approx(wanted)


def test_of_nothing_there_are_no_distances() -> None:
    assert Slide().finish().shape == (0, SHIFTS)
