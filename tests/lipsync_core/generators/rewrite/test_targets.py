"""The wanted mouths follow the new speech in the way and within the limits of this speaker."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from media_factory import write_sound

from lipsync_core.generators.rewrite import Rewrite
from lipsync_core.generators.rewrite.targets import wanted_shapes
from lipsync_core.generators.rewrite.units import Units, units_of
from lipsync_core.material import Material
from lipsync_core.media.audio import Track

FRAMES = np.arange(250)
GAP = 0


@pytest.fixture(scope="module")
def units(demo_material: Material) -> Units:
    return units_of(demo_material.faces(0, 250), 0.55)


def wanted(
    material: Material, units: Units, speech: Track, frames: Any = FRAMES, shift_ms: float = 0
) -> Any:
    return wanted_shapes(material, material.faces(0, 250), units, speech, frames, shift_ms)[0]


def sounding(path: Path, sound: Any, like: Track) -> Track:
    write_sound(path, sound, like.sample_rate)
    return replace(like, path=path)


def test_the_mouths_wanted_are_the_speaker_s_own_in_size_and_spread(
    demo_material: Material, units: Units, demo_speech: Track
) -> None:
    shapes, spread = wanted_shapes(
        demo_material, demo_material.faces(0, 250), units, demo_speech, FRAMES, 0
    )
    assert shapes.shape == (250, 9)
    assert spread == pytest.approx(units.shapes.std(0))
    assert (shapes.min(0) >= units.shapes.min(0) - 1e-6).all()
    assert (shapes.max(0) <= units.shapes.max(0) + 1e-6).all()
    assert shapes[:, :4].std(0) == pytest.approx(units.shapes[:, :4].std(0), rel=0.4)


def test_for_the_film_s_own_words_the_film_s_own_mouths_are_wanted(
    demo_material: Material, units: Units
) -> None:
    assert demo_material.sound is not None
    found = wanted(demo_material, units, demo_material.sound)
    for column in range(4):
        assert np.corrcoef(found[:, column], units.shapes[:, column])[0, 1] > 0.5


def test_in_silence_the_mouth_at_rest_is_wanted(
    demo_material: Material, units: Units, demo_speech: Track, tmp_path: Path
) -> None:
    silent = sounding(tmp_path / "s.wav", np.zeros(demo_speech.samples), demo_speech)
    found = wanted(demo_material, units, silent)
    assert np.ptp(found, axis=0) == pytest.approx(0, abs=1e-9)
    assert found[0, GAP] < np.percentile(units.shapes[:, GAP], 10)


def test_a_pause_shuts_the_mouth(demo_material: Material, units: Units, demo_speech: Track) -> None:
    gap = wanted(demo_material, units, demo_speech)[:, GAP]
    pause = slice(95, 130)  # the new speech rests from 3.6 to 5.4 s
    assert gap[pause].max() < gap.min() + 0.02
    assert gap[30:90].max() > gap.min() + 0.05


def test_words_farther_away_than_an_engine_hears_change_nothing(
    demo_material: Material, units: Units, demo_speech: Track, tmp_path: Path
) -> None:
    long = replace(demo_material, info=replace(demo_material.info, frames=1000))
    words = np.tile(demo_speech.read()[:, 0], 6)[: 40 * demo_speech.sample_rate]
    frames, edge = np.arange(400, 500), round((20 + Rewrite().hears_s) * demo_speech.sample_rate)
    edited = words.copy()
    edited[edge:] = edited[edge:][::-1]
    edited[: demo_speech.sample_rate] = 0
    nearer = words.copy()
    nearer[edge - 8 * demo_speech.sample_rate :] = 0
    track = replace(demo_speech, samples=len(words))
    found = [
        wanted(long, units, sounding(tmp_path / f"{n}.wav", sound, track), frames)
        for n, sound in enumerate((words, edited, nearer))
    ]
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


def test_a_shift_moves_the_mouths_in_time(
    demo_material: Material, units: Units, demo_speech: Track
) -> None:
    on_time = wanted(demo_material, units, demo_speech)
    late = wanted(demo_material, units, demo_speech, shift_ms=120)
    assert late[3:] == pytest.approx(on_time[:-3], abs=0.02)


def test_a_part_is_wanted_as_it_is_within_the_whole(
    demo_material: Material, units: Units, demo_speech: Track
) -> None:
    whole, part = (
        wanted(demo_material, units, demo_speech, frames) for frames in (FRAMES, FRAMES[60:120])
    )
    assert part == pytest.approx(whole[60:120], abs=0.03)
