"""The engine ``puppet`` on films of one picture: its parts, its box, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from importlib import resources
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import soundfile
from skimage.data import astronaut

from lipsync_core.errors import InputError, RenderFailed
from lipsync_core.faces.still import settled_landmarks
from lipsync_core.generators import load_generator
from lipsync_core.generators.puppet import COLOUR, PIXEL_FORMAT, Puppet, still_frame
from lipsync_core.material import Material
from lipsync_core.media.audio import ANALYSIS_RATE, Track
from lipsync_core.media.clip import Clip, cropped
from lipsync_core.media.frames import FrameWriter, planes_of, read_frames
from lipsync_core.media.probe import probe
from lipsync_core.scan import Scan
from lipsync_core.timeline import Segment

RATE, SECONDS = Fraction(10), 60
FRAMES = int(RATE * SECONDS)
SIDE = 160


@pytest.fixture(scope="module")
def picture() -> Any:
    head = astronaut()[0:240, 100:340]
    return cv2.resize(head, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


@pytest.fixture(scope="module")
def still(picture: Any, tmp_path_factory: pytest.TempPathFactory) -> Material:
    """A minute of one picture, the landmarks of its face in every frame."""
    return still_material(picture, settled_landmarks(picture)[0], tmp_path_factory.mktemp("still"))


def still_material(picture: Any, face: Any, folder: Path) -> Material:
    with FrameWriter(
        folder / "still.mkv", width=picture.shape[1], height=picture.shape[0], frame_rate=RATE,
        pixel_format=PIXEL_FORMAT, codec="ffv1", colour=COLOUR,
    ) as writer:  # fmt: skip
        for _ in range(FRAMES):
            writer.write(still_frame(picture))
    np.save(folder / "faces.npy", np.repeat(face[None].astype(np.float32), FRAMES, 0))
    scan = Scan((), folder / "faces.npy", folder / "thumbnails.npz")
    return Material(probe(folder / "still.mkv"), scan, None, is_still=True)


@pytest.fixture(scope="module")
def words() -> Any:
    with resources.as_file(resources.files("lipsync_core.demo") / "speech_a.wav") as path:
        sound = soundfile.read(path, dtype="float32")[0]
    return np.resize(sound, SECONDS * ANALYSIS_RATE)


def track_of(words: Any, path: Path) -> Track:
    soundfile.write(path, words, ANALYSIS_RATE, "FLOAT")
    return Track(path, ANALYSIS_RATE, 1, len(words), float(SECONDS))


@pytest.fixture(scope="module")
def speech(words: Any, tmp_path_factory: pytest.TempPathFactory) -> Track:
    return track_of(words, tmp_path_factory.mktemp("speech") / "speech.wav")


@pytest.fixture(scope="module")
def render(
    still: Material, speech: Track, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Clip]:
    folder = tmp_path_factory.mktemp("clips")

    def rendered(first: int, last: int, words: Track = speech, **options: Any) -> Clip:
        out = folder / f"{len(list(folder.iterdir()))}-{first}.mkv"
        return Puppet().render(still, Segment(0, first, last), words, out, options=options)

    return rendered


def planes(clip: Clip) -> list[Any]:
    """One flat array for every frame of a clip."""
    frames = read_frames(probe(clip.path))
    return [np.concatenate([p.ravel() for p in planes_of(frame)]) for frame in frames]


@pytest.fixture(scope="module")
def whole(render: Callable[..., Clip]) -> Clip:
    return render(0, FRAMES)


def test_it_is_installed_under_its_name_and_says_what_it_hears() -> None:
    engine: Any = load_generator("puppet")
    assert (engine.name, engine.version, engine.remark) == ("puppet", 1, "")
    assert 13 <= engine.hears_s <= 15


def test_four_parts_rendered_side_by_side_are_the_whole_bit_for_bit(
    whole: Clip, render: Callable[..., Clip]
) -> None:
    edges = [0, 37, 300, 301, FRAMES]
    with ThreadPoolExecutor(2) as pool:
        parts = list(pool.map(render, edges[:-1], edges[1:]))
    assert {part.box for part in parts} == {whole.box}
    joined = [frame for part in parts for frame in planes(part)]
    assert len(joined) == FRAMES
    assert all((a == b).all() for a, b in zip(joined, planes(whole), strict=True))


def test_words_beyond_hearing_change_nothing_and_near_ones_do(
    whole: Clip, words: Any, render: Callable[..., Clip], tmp_path: Path
) -> None:
    first, last = 290, 310
    hears_s = Puppet().hears_s
    start, end = (round(t * ANALYSIS_RATE) for t in (29 - hears_s, 31 + hears_s))
    other = np.random.default_rng(1).normal(0, 0.1, len(words)).astype(np.float32)
    other[start:end] = words[start:end]
    here = planes(whole)[first:last]
    far = planes(render(first, last, track_of(other, tmp_path / "far.wav")))
    assert all((a == b).all() for a, b in zip(far, here, strict=True))
    other[29 * ANALYSIS_RATE : 31 * ANALYSIS_RATE] = 0
    near = planes(render(first, last, track_of(other, tmp_path / "near.wav")))
    assert any((a != b).any() for a, b in zip(near, here, strict=True))


def test_a_clip_holds_what_may_change_and_all_else_is_the_film_itself(
    still: Material, whole: Clip
) -> None:
    assert (whole.first_frame, whole.last_frame) == (0, FRAMES)
    info = probe(whole.path)
    assert (info.frames, info.width, info.height) == (FRAMES, whole.box.width, whole.box.height)
    assert (info.pixel_format, info.colour) == (PIXEL_FORMAT, COLOUR)
    own = next(read_frames(still.info))
    before = planes_of(cropped(own, whole.box))[0].astype(int)
    lumas = [planes_of(frame)[0] for frame in read_frames(info)][::7]
    inner = [edge for edge in (np.s_[:, 0], np.s_[:, -1], np.s_[0], np.s_[-1])]
    for luma in lumas:
        assert all((luma[edge] == before[edge]).all() for edge in inner)
    assert max(np.abs(luma - before).max() for luma in lumas) > 60


def test_without_sway_and_blinks_only_the_mouth_s_surroundings_change(
    still: Material, render: Callable[..., Clip], whole: Clip
) -> None:
    clip = render(0, 60, sway="0", blinks="0")
    assert clip.box.width * clip.box.height <= whole.box.width * whole.box.height
    own = planes_of(cropped(next(read_frames(still.info)), clip.box))[0]
    eyes = still.faces(0, 1).points[0][[33, 133, 159, 263, 362, 386]] - [clip.box.x, clip.box.y]
    for frame in list(read_frames(probe(clip.path)))[::6]:
        luma = planes_of(frame)[0]
        for x, y in np.rint(eyes).astype(int):
            if y >= 0:
                eye = np.s_[y : y + 2, x - 2 : x + 2]
                assert np.abs(luma[eye].astype(int) - own[eye]).max() <= 8


def test_another_seed_moves_otherwise(whole: Clip, render: Callable[..., Clip]) -> None:
    other = planes(render(0, 10, seed="7"))
    assert any((a != b).any() for a, b in zip(other, planes(whole), strict=False))


def test_of_two_faces_the_one_of_the_landmarks_speaks(
    picture: Any, still: Material, speech: Track, tmp_path: Path
) -> None:
    both = np.concatenate([picture, picture[:, ::-1]], 1)
    face = still.faces(0, 1).points[0] + np.array([SIDE, 0], np.float32)
    chosen = settled_landmarks(both)
    right = chosen[np.abs(chosen.mean(1) - face.mean(0)).sum(1).argmin()]
    material = still_material(both, right, tmp_path)
    clip = Puppet().render(
        material, Segment(0, 0, 40), speech, tmp_path / "c.mkv", options={"sway": 0}
    )
    assert clip.box.x > SIDE * 0.9
    changed = np.ptp(np.array(planes(clip)), axis=0).max()
    assert changed > 60


def test_the_mouth_is_late_when_told_to_be(still: Material, speech: Track, tmp_path: Path) -> None:
    def mouths(name: str, shift_ms: float) -> list[Any]:
        return planes(Puppet().render(
            still, Segment(0, 100, 130), speech, tmp_path / name, shift_ms=shift_ms,
            options={"sway": 0, "blinks": 0},
        ))  # fmt: skip

    usual, later = mouths("usual.mkv", 0), mouths("later.mkv", 200)
    assert all((a == b).all() for a, b in zip(later[2:], usual[:-2], strict=True))


def test_a_film_that_moves_is_refused_with_what_to_do_instead(
    still: Material, speech: Track, tmp_path: Path
) -> None:
    moving = replace(still, is_still=False)
    with pytest.raises(RenderFailed, match=r"segment 3: puppet draws portraits .*flows\.portrait"):
        Puppet().render(moving, Segment(3, 0, 9), speech, tmp_path / "c.mkv")


def test_a_face_too_small_or_missing_is_refused(
    picture: Any, still: Material, speech: Track, tmp_path: Path
) -> None:
    face = still.faces(0, 1).points[0]
    for points, words in ((face / 3, "too small"), (face * np.nan, "no face")):
        np.save(tmp_path / "faces.npy", points[None])
        other = replace(still, scan=replace(still.scan, faces=tmp_path / "faces.npy"))
        with pytest.raises(RenderFailed, match=words):
            Puppet().render(other, Segment(0, 0, 1), speech, tmp_path / "c.mkv")


def test_options_come_as_words_from_a_command_line() -> None:
    assert Puppet().checked({}) == {"seed": 0, "sway": 1.0, "blinks": 1.0}
    given = {"seed": "12", "sway": "0.5", "blinks": "0"}
    assert Puppet().checked(given) == {"seed": 12, "sway": 0.5, "blinks": 0.0}


@pytest.mark.parametrize(
    "wrong", [{"seed": "x"}, {"seed": "-1"}, {"sway": "nan"}, {"blinks": "9"}, {"smile": "1"}]
)
def test_an_option_that_makes_no_sense_is_refused_in_one_line(wrong: dict[str, str]) -> None:
    with pytest.raises(InputError, match=f"^puppet: {next(iter(wrong))} [^\n]*$"):
        Puppet().checked(wrong)
