"""The demo film is what the demo needs: a talking face, a hard cut, no face, and other words."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from lipsync_core.demo.film import CUT_FRAME, FRAME_RATE, FRAMES, SIDE, DemoFilm, make_demo_film
from lipsync_core.demo.make_speech import SPEECHES, spoken
from lipsync_core.errors import InputError
from lipsync_core.generators.mouth_motion import speech_gate
from lipsync_core.material import Material, gather
from lipsync_core.sync.landmark import LandmarkScorer
from lipsync_core.timeline import Cut, sample_of_frame


@pytest.fixture(scope="module")
def film(tmp_path_factory: Any) -> DemoFilm:
    return make_demo_film(tmp_path_factory.mktemp("demo") / "it's a demo")


@pytest.fixture(scope="module")
def material(film: DemoFilm, tmp_path_factory: Any) -> Material:
    return gather(film.video, tmp_path_factory.mktemp("material"))


def test_the_film_has_the_promised_form(material: Material) -> None:
    info = material.info
    assert (info.width, info.height, info.frames) == (SIDE, SIDE, FRAMES)
    assert (info.frame_rate, info.codec, info.conformed) == (FRAME_RATE, "h264", ())
    assert info.sound is not None
    assert info.sound.codec == "aac"


def test_a_hard_cut_parts_the_speaker_from_a_shot_without_a_face(material: Material) -> None:
    assert material.scan.cuts == (Cut(CUT_FRAME),)
    assert material.faces(0, CUT_FRAME).present.all()
    assert not material.faces(CUT_FRAME).present.any()


def test_the_speaker_is_in_sync_with_the_film_s_own_words(material: Material) -> None:
    assert material.sound is not None
    last = sample_of_frame(CUT_FRAME, FRAME_RATE, material.sound.sample_rate)
    words = material.sound.read(0, last)[:, 0]
    scorer = LandmarkScorer()
    score = scorer.score([scorer.compare(material.faces(0, CUT_FRAME), FRAME_RATE, words)])
    assert score.in_sync
    assert score.confidence > 1.2


def test_the_new_speech_is_other_words_under_the_whole_film(film: DemoFilm) -> None:
    speech, rate = soundfile.read(film.speech, dtype="float32")
    assert (speech.ndim, rate) == (1, 16_000)
    assert len(speech) == sample_of_frame(FRAMES, FRAME_RATE, rate)


def test_the_new_speech_holds_a_pause(film: DemoFilm) -> None:
    speech, _ = soundfile.read(film.speech, dtype="float32")
    spoken_rows = np.flatnonzero(speech_gate(speech) > 0.5)
    assert 1.4 < np.diff(spoken_rows).max() / 100 < 2.0


def test_nothing_but_the_two_files_is_left(film: DemoFilm) -> None:
    assert set(film.video.parent.iterdir()) == {film.video, film.speech}


def test_without_scikit_image_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "skimage.data", None)
    with pytest.raises(InputError, match=r"lipsync-flows\[demo\]"):
        make_demo_film(tmp_path)
    assert not list(tmp_path.iterdir())


def test_without_espeak_the_recordings_cannot_be_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="espeak-ng is not installed"):
        spoken(SPEECHES["speech_a.wav"])
