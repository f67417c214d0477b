"""A segment through the network, with networks made by hand whose work can be foreseen."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from face_factory import mouth_region, without_faces
from media_factory import ffmpeg
from numpy.typing import NDArray
from synthetic_weights import HEARD_BAND, HEARD_COLUMN, simple_wav2lip

from lipsync_core.demo.film import DemoFilm
from lipsync_core.errors import InputError, OutOfMemory
from lipsync_core.faces.landmarks import FaceTrack
from lipsync_core.generators.wav2lip.folded import FoldedWav2Lip
from lipsync_core.generators.wav2lip.mel import column_of, mel
from lipsync_core.generators.wav2lip.options import Wav2LipOptions
from lipsync_core.generators.wav2lip.render import Figures, render_segment, render_with
from lipsync_core.material import Material, gather
from lipsync_core.media.audio import ANALYSIS_RATE, Track, lay_track
from lipsync_core.media.clip import Clip, joined_frames
from lipsync_core.media.frames import planes_of, read_frames
from lipsync_core.media.probe import probe
from lipsync_core.timeline import Segment

SEGMENT, WORDS = Segment(3, 100, 130), Segment(0, 40, 52)
CPU = torch.device("cpu")
Spoken = Callable[..., tuple[Clip, Figures]]


@pytest.fixture(scope="module")
def mirror() -> FoldedWav2Lip:
    """Gives every face back as it was."""
    return FoldedWav2Lip(simple_wav2lip(), CPU)


@pytest.fixture(scope="module")
def listener() -> FoldedWav2Lip:
    """Gives every face back the darker the louder it is."""
    return FoldedWav2Lip(simple_wav2lip(0.4), CPU)


@dataclass
class Counted:
    """A network that says how many faces it was given, and may run out of memory."""

    network: FoldedWav2Lip
    most: int = 1000
    device: torch.device = CPU

    def __post_init__(self) -> None:
        self.given: list[int] = []

    def speak(self, heard: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
        self.given.append(len(faces))
        if len(faces) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return self.network.speak(heard, faces)


@pytest.fixture
def spoken(demo_material: Material, demo_speech: Track, tmp_path: Path) -> Spoken:
    def make(network: Any, segment: Segment = SEGMENT, **given: Any) -> tuple[Clip, Figures]:
        shift_ms = given.pop("shift_ms", 0.0)
        material = given.pop("material", demo_material)
        speech = given.pop("speech", demo_speech)
        options = Wav2LipOptions(**given)
        return render_with(
            network, material, segment, speech, tmp_path / "clip.mkv", shift_ms, options
        )

    return make


def luma(frames: Any) -> NDArray[np.int64]:
    return np.stack([planes_of(frame)[0].astype(int) for frame in frames])


def joined(material: Material, clip: Clip) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The film with the clip in its place, and the film as it was: luma of the segment."""
    first, last = clip.first_frame, clip.last_frame
    frames = (f for n, f in enumerate(joined_frames(material.info, [clip])) if first <= n < last)
    return luma(frames), luma(read_frames(material.info, first, last))


def test_the_mouth_is_put_back_where_it_was(
    mirror: FoldedWav2Lip, demo_material: Material, spoken: Spoken
) -> None:
    clip, figures = spoken(mirror)
    assert (clip.first_frame, clip.last_frame) == (100, 130)
    assert probe(clip.path).frames == 30
    assert figures.faces == 30
    new, old = joined(demo_material, clip)
    box = clip.box
    for frame, face in enumerate(demo_material.faces(100, 130).points):
        rows, columns = mouth_region(face)
        outside = np.ones(old.shape[1:], bool)
        outside[rows, columns] = False
        assert np.array_equal(new[frame][outside], old[frame][outside])
        x, y = face[[0, 17, 14, 57, 287, 152]].mean(0).round().astype(int)
        mouth = np.s_[frame, y - 30 : y + 30, x - 40 : x + 40]
        change = new[mouth] - old[mouth]
        assert np.any(change)  # it went through 96 pixels
        assert np.sqrt(np.mean(change**2)) < 9
        # and is not moved: a shift by one pixel either way fits less well
        for down, across in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            moved = np.roll(old[frame], (down, across), (0, 1))[mouth[1:]]
            assert np.mean((new[mouth] - moved) ** 2) > np.mean(change**2)
    assert box.width < demo_material.info.width


def test_a_frame_without_a_face_stays_the_film_s_own(
    mirror: FoldedWav2Lip, demo_material: Material, spoken: Spoken, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty frames in the middle; the mouths after them are those of their own frames."""
    segment = Segment(0, 90, 140)
    gone = without_faces(demo_material.faces(90, 140), slice(15, 35))
    monkeypatch.setattr(Material, "faces", lambda *_: FaceTrack(gone.points, 90))
    counted = Counted(mirror)
    clip, figures = spoken(counted, segment)
    assert (figures.faces, sum(counted.given)) == (30, 30)
    new, old = joined(demo_material, clip)
    same = (new == old).all((1, 2))
    assert same.tolist() == [15 <= frame < 35 for frame in range(50)]
    assert np.sqrt(np.mean((new - old)[35:] ** 2)) < 4


def test_a_segment_without_any_face_cannot_be_rendered(demo_material: Material) -> None:
    with pytest.raises(InputError, match="no usable face in frames 260 to 300: set the segment"):
        render_segment(
            demo_material, Segment(1, 260, 300), None, Path("x.mkv"), 0.0, Wav2LipOptions(),
            Path("none"), "", beat=lambda: None,
        )  # type: ignore[arg-type]  # fmt: skip


@pytest.fixture(scope="module")
def at_rate(
    demo_film: DemoFilm, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], tuple[Material, Track]]:
    """A good second of the talking shot at another rate, and its new speech."""

    def make(rate: str) -> tuple[Material, Track]:
        folder = tmp_path_factory.mktemp("rate")
        film = folder / "film.mkv"
        ffmpeg(
            "-ss", "2", "-i", demo_film.video, "-t", "1.2", "-an",
            "-vf", f"scale=256:-2,fps={rate}",
            "-c:v", "libx264", "-crf", "10", "-preset", "veryfast", film,
        )  # fmt: skip
        material = gather(film, folder)
        assert material.info.frame_rate == Fraction(rate)
        speech = lay_track(
            demo_film.speech, folder / "speech.wav", frames=material.info.frames,
            frame_rate=material.info.frame_rate, sample_rate=ANALYSIS_RATE, mono=True,
        )  # fmt: skip
        return material, speech

    return make


@pytest.mark.parametrize("rate", ["24", "30000/1001", "60"])
def test_every_frame_shows_what_is_heard_in_its_own_moment(
    rate: str, listener: FoldedWav2Lip, spoken: Spoken,
    at_rate: Callable[[str], tuple[Material, Track]],
) -> None:  # fmt: skip
    """The mouth's darkness of each frame against the one number that the network hears."""
    material, speech = at_rate(rate)
    frames = material.info.frames
    assert frames == pytest.approx(1.2 * float(Fraction(rate)), abs=1)
    whole = Segment(0, 0, frames)
    dark, plain = joined(material, spoken(listener, whole, material=material, speech=speech)[0])
    heard = mel(speech.mono, speech.samples, 0, 1 + speech.samples // 200)
    ends = heard.shape[1] - 16
    columns = [
        min(column_of(frame, material.info.frame_rate), ends) + HEARD_COLUMN
        for frame in range(frames)
    ]
    loud = heard[HEARD_BAND, columns]
    fallen = []
    for frame, face in enumerate(material.faces().points):
        x, y = face[[0, 17]].mean(0).round().astype(int)
        part = np.s_[frame, y - 4 : y + 5, x - 8 : x + 9]
        share = (plain[part] - dark[part]).mean() / plain[part].mean()
        fallen.append(share)
    assert np.ptp(loud) > 2
    right = np.corrcoef(loud, fallen)[0, 1]
    assert right > 0.97
    for off in (1, -1):  # a column of 12.5 ms either way fits less well
        other = heard[HEARD_BAND, np.clip(np.array(columns) + off, 0, heard.shape[1] - 1)]
        assert np.corrcoef(other, fallen)[0, 1] < right


def test_a_single_frame_is_a_segment_too(
    listener: FoldedWav2Lip, demo_material: Material, spoken: Spoken
) -> None:
    clip, figures = spoken(listener, Segment(0, 40, 41))
    assert (probe(clip.path).frames, figures.faces) == (1, 1)
    new, old = joined(demo_material, clip)
    assert (new != old).any()


def test_a_shift_delays_what_is_heard(
    listener: FoldedWav2Lip, demo_material: Material, demo_speech: Track, spoken: Spoken
) -> None:
    """By three frames: every frame then hears what the frame three earlier heard."""
    before = joined(demo_material, spoken(listener, WORDS)[0])[0]
    earlier = replace(demo_speech, delay=round(0.12 * ANALYSIS_RATE))
    by_hand = joined(demo_material, spoken(listener, WORDS, speech=earlier)[0])[0]
    shifted = joined(demo_material, spoken(listener, WORDS, shift_ms=120)[0])[0]
    assert np.array_equal(shifted, by_hand)
    assert not np.array_equal(shifted, before)


def test_what_is_made_does_not_depend_on_how_many_at_a_time(
    listener: FoldedWav2Lip, demo_material: Material, spoken: Spoken
) -> None:
    counted = Counted(listener)
    by_five = joined(demo_material, spoken(counted, WORDS, batch=5)[0])[0]
    assert counted.given == [5, 5, 2]
    assert np.array_equal(by_five, joined(demo_material, spoken(listener, WORDS, batch=16)[0])[0])


def test_out_of_memory_fewer_are_made_at_a_time_and_that_is_told(
    listener: FoldedWav2Lip, demo_material: Material, spoken: Spoken
) -> None:
    counted = Counted(listener, most=3)
    clip, figures = spoken(counted, WORDS, batch=16)
    assert figures.remarks == ["2 faces at a time, since the memory of cpu ran out"]
    assert counted.given[:3] == [12, 8, 4]
    assert set(counted.given[3:]) == {2}
    assert np.array_equal(
        joined(demo_material, clip)[0], joined(demo_material, spoken(listener, WORDS)[0])[0]
    )


def test_without_memory_for_a_single_face_it_ends_and_leaves_nothing(
    listener: FoldedWav2Lip, spoken: Spoken, tmp_path: Path
) -> None:
    with pytest.raises(OutOfMemory, match="the memory of cpu does not suffice for a single face"):
        spoken(Counted(listener, most=0))
    assert list(tmp_path.iterdir()) == []


def test_another_error_is_not_taken_for_want_of_memory(
    listener: FoldedWav2Lip, spoken: Spoken, tmp_path: Path
) -> None:
    class Broken(Counted):
        def speak(self, heard: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED")

    with pytest.raises(RuntimeError, match="cuDNN"):
        spoken(Broken(listener))
    assert list(tmp_path.iterdir()) == []


def test_a_box_is_enough_where_no_landmarks_are_found(
    listener: FoldedWav2Lip, demo_material: Material, spoken: Spoken,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    gone = without_faces(demo_material.faces(100, 130), slice(0, 30))
    monkeypatch.setattr(Material, "faces", lambda *_: FaceTrack(gone.points, 100))
    new, old = joined(demo_material, spoken(listener, box="100,400,120,380")[0])
    changed = np.argwhere((new != old).any(0))
    (top, left), (bottom, right) = changed.min(0), changed.max(0)
    assert top >= 250
    assert bottom < 400
    assert left >= 120
    assert right < 380
    assert (new != old)[:, 300, 250].any()


def test_a_box_on_another_head_changes_that_one(
    listener: FoldedWav2Lip, demo_material: Material, spoken: Spoken
) -> None:
    """Where the scan follows somebody else: only what the box shows is changed."""
    new, old = joined(demo_material, spoken(listener, WORDS, box="20,120,10,110")[0])
    changed = np.argwhere((new != old).any(0))
    (top, left), (bottom, right) = changed.min(0), changed.max(0)
    assert top >= 70
    assert bottom < 120
    assert left >= 10
    assert right < 110


def test_numbers_that_are_none_are_told(spoken: Spoken) -> None:
    broken = simple_wav2lip()
    broken.output_block[1].bias.data[0] = torch.nan
    with pytest.raises(InputError, match="the network gives numbers that are none"):
        spoken(FoldedWav2Lip(broken, CPU), WORDS)


def test_memory_does_not_grow_with_the_segment(
    demo_material: Material, demo_speech: Track, spoken: Spoken
) -> None:
    """A network that answers at once: what is held are a few batches, whatever the length."""

    class Blank:
        device = CPU

        def speak(self, heard: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
            return torch.zeros((len(faces), 48, 96, 3), dtype=torch.uint8)

    def peak(frames: int) -> float:
        tracemalloc.start()
        spoken(Blank(), Segment(0, 20, 20 + frames), batch=4)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(20)
    assert peak(200) < 1.5 * peak(50)


def test_frames_outside_the_mouth_keep_ten_bits(
    demo_film: DemoFilm, listener: FoldedWav2Lip, tmp_path: Path, spoken: Spoken
) -> None:
    film = tmp_path / "deep" / "film.mkv"
    film.parent.mkdir()
    ffmpeg(
        "-ss", "2", "-i", demo_film.video, "-frames:v", "12", "-an", "-pix_fmt", "yuv422p10le",
        "-c:v", "ffv1", film,
    )  # fmt: skip
    material = gather(film, film.parent)
    speech = lay_track(
        demo_film.speech, film.parent / "s.wav", frames=12, frame_rate=Fraction(25),
        sample_rate=ANALYSIS_RATE, mono=True,
    )  # fmt: skip
    clip, _ = spoken(listener, Segment(0, 0, 12), material=material, speech=speech)
    new, old = joined(material, clip)
    assert isinstance(next(read_frames(probe(clip.path))), av.VideoFrame)
    assert probe(clip.path).pixel_format == "yuv422p10le"
    assert old.max() > 255
    rows, columns = mouth_region(material.faces().points[6])
    outside = np.ones(old.shape[1:], bool)
    outside[rows, columns] = False
    assert np.array_equal(new[6][outside], old[6][outside])
    inside = np.abs(new[6] - old[6])[rows, columns]
    assert 0 < inside.mean() < 300
