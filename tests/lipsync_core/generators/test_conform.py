"""What an engine elsewhere gives back becomes a clip: on the film's grid, nothing but its face."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from face_factory import without_faces

from lipsync_core.errors import InputError, RenderFailed
from lipsync_core.faces.landmarks import FaceTrack
from lipsync_core.generators.conform import conformed
from lipsync_core.material import Material
from lipsync_core.media.clip import Clip, joined_frames
from lipsync_core.media.frames import FrameWriter, frame_of, planes_of, read_frames
from lipsync_core.media.probe import probe
from lipsync_core.timeline import Segment

SEGMENT = Segment(3, 100, 125)
Returned = Callable[..., Path]


def inverted(material: Material, frames: int) -> Iterator[av.VideoFrame]:
    """The segment's frames (and those that follow), their light turned to dark."""
    for frame in read_frames(material.info, SEGMENT.first_frame, SEGMENT.first_frame + frames):
        luma, *chroma = planes_of(frame)
        yield frame_of([255 - luma, *chroma], frame.format.name, tags_of=frame)


@pytest.fixture
def returned(demo_material: Material, tmp_path: Path) -> Returned:
    """What comes back: the negative of the segment."""

    def make(
        frames: int = 25, size: tuple[int, int] | None = None, rate: Fraction = Fraction(25)
    ) -> Path:
        info, out = demo_material.info, tmp_path / "returned.mkv"
        width, height = size or (info.width, info.height)
        times = int(rate / info.frame_rate)
        with FrameWriter(
            out, width=width, height=height, frame_rate=rate, pixel_format=info.pixel_format,
            codec="ffv1", colour=info.colour,
        ) as writer:  # fmt: skip
            for frame in inverted(demo_material, frames):
                if size:
                    frame = frame.reformat(width, height)
                for _ in range(times):
                    writer.write(frame)
        return out

    return make


def luma(frames: Iterator[av.VideoFrame]) -> Any:
    return np.stack([planes_of(frame)[0].astype(int) for frame in frames])


def joined(material: Material, clip: Clip) -> Any:
    """The film with the clip in its place, and the film as it was: luma of the segment."""
    frames = [f for n, f in enumerate(joined_frames(material.info, [clip])) if 100 <= n < 125]
    return luma(iter(frames)), luma(read_frames(material.info, 100, 125))


def test_the_face_is_the_engine_s_and_everything_round_it_the_film_s(
    demo_material: Material, returned: Returned, tmp_path: Path
) -> None:
    clip = conformed(demo_material, SEGMENT, returned(), tmp_path / "clip.mkv")
    assert (clip.first_frame, clip.last_frame) == (100, 125)
    new, old = joined(demo_material, clip)
    points = demo_material.faces(100, 125).points
    for frame in (0, 12, 24):
        x, y = points[frame][[13, 1, 152]].round().astype(int).T  # lips, nose, chin
        assert np.array_equal(new[frame, y, x], 255 - old[frame, y, x])
    box = clip.box
    changed = np.argwhere((new != old).any(0))
    (top, left), (bottom, right) = changed.min(0), changed.max(0)
    assert top > box.y
    assert left > box.x
    assert bottom < box.y + box.height - 1
    assert right < box.x + box.width - 1


def test_the_seam_has_no_edge(demo_material: Material, returned: Returned, tmp_path: Path) -> None:
    clip = conformed(demo_material, SEGMENT, returned(), tmp_path / "clip.mkv")
    new, old = joined(demo_material, clip)
    share = (new - old) / np.where(old == 127, 1, 255 - 2 * old)  # 1 = the engine's picture
    clear = np.abs(255 - 2 * old) > 60
    steps = np.abs(np.diff(share, axis=2))[clear[:, :, 1:] & clear[:, :, :-1]]
    assert np.quantile(steps, 0.9999) < 0.25
    assert 0.9 < share[clear].max() <= 1.05


@pytest.mark.parametrize("size", [(256, 256), (1024, 1024)])
def test_another_size_is_brought_to_the_film_s(
    size: tuple[int, int], demo_material: Material, returned: Returned, tmp_path: Path
) -> None:
    clip = conformed(demo_material, SEGMENT, returned(size=size), tmp_path / "clip.mkv")
    new, old = joined(demo_material, clip)
    points = demo_material.faces(100, 125).points[5]
    x, y = points[[1, 5, 50, 280]].round().astype(int).T  # where skin is even
    assert np.abs(new[5, y, x] - (255 - old[5, y, x])).max() < 12


def test_another_frame_rate_is_brought_to_the_film_s(
    demo_material: Material, returned: Returned, tmp_path: Path
) -> None:
    plain = conformed(demo_material, SEGMENT, returned(), tmp_path / "plain.mkv")
    twice = conformed(demo_material, SEGMENT, returned(rate=Fraction(50)), tmp_path / "twice.mkv")
    assert np.array_equal(
        luma(read_frames(probe(plain.path))), luma(read_frames(probe(twice.path)))
    )


@pytest.mark.parametrize("frames", [24, 25, 26])
def test_one_frame_more_or_less_is_the_segment_s_length(
    frames: int, demo_material: Material, returned: Returned, tmp_path: Path
) -> None:
    clip = conformed(demo_material, SEGMENT, returned(frames), tmp_path / "clip.mkv")
    assert probe(clip.path).frames == 25


@pytest.mark.parametrize("frames", [20, 23, 27])
def test_two_are_a_failed_job_and_nothing_is_stretched(
    frames: int, demo_material: Material, returned: Returned, tmp_path: Path
) -> None:
    with pytest.raises(RenderFailed, match=f"{frames} frames came back for a segment of 25"):
        conformed(demo_material, SEGMENT, returned(frames), tmp_path / "clip.mkv")
    assert not (tmp_path / "clip.mkv").exists()


def test_another_shape_is_a_failed_job(
    demo_material: Material, returned: Returned, tmp_path: Path
) -> None:
    with pytest.raises(RenderFailed, match="a picture of 512x300 came back"):
        conformed(demo_material, SEGMENT, returned(size=(512, 300)), tmp_path / "clip.mkv")


def test_what_is_no_film_is_told(demo_material: Material, tmp_path: Path) -> None:
    broken = tmp_path / "returned.mp4"
    broken.write_bytes(b"<Error>AccessDenied</Error>")
    with pytest.raises((InputError, RenderFailed), match=r"returned\.mp4"):
        conformed(demo_material, SEGMENT, broken, tmp_path / "clip.mkv")


def test_where_no_face_is_the_film_s_own_picture_stays(
    demo_material: Material, returned: Returned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faces = demo_material.faces(100, 125)
    gone = without_faces(faces, slice(5, 10))
    monkeypatch.setattr(Material, "faces", lambda *_: FaceTrack(gone.points, 100))
    clip = conformed(demo_material, SEGMENT, returned(), tmp_path / "clip.mkv")
    new, old = joined(replace(demo_material), clip)
    same = (new == old).all((1, 2))
    assert same.tolist() == [5 <= frame < 10 for frame in range(25)]
