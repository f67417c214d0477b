"""The engine ``puppet``: a talking portrait from one still picture and a speech.

Everything is drawn from the picture itself: its mouth is opened and shut by
:mod:`lipsync_core.faces.mouth_warp`, its lids come down by :mod:`lipsync_core.faces.eyelids`, and
its head sways a few pixels by :mod:`lipsync_core.faces.head_sway`.

Every frame is made of the picture's own planes, so nothing is converted on the way to the encoder.
A frame depends on its time and the speech round it only: parts rendered apart join without a seam.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, ValidationError
from scipy.ndimage import gaussian_filter1d

from lipsync_core.ahead import ahead
from lipsync_core.errors import InputError, RenderFailed, in_one_line
from lipsync_core.faces.eyelids import Eyelid
from lipsync_core.faces.head_sway import HeadMove, HeadSway
from lipsync_core.faces.mouth_warp import MouthWarp
from lipsync_core.faces.planes import Planes
from lipsync_core.faces.still import check_face, settled_landmarks
from lipsync_core.generators.idle_motion import IdleMotion
from lipsync_core.generators.mouth_motion import HEARS_S, MouthMotion
from lipsync_core.material import Material
from lipsync_core.media.audio import ANALYSIS_RATE, Track
from lipsync_core.media.clip import Box, Clip, cropped
from lipsync_core.media.frames import FrameWriter, frame_of, planes_of, read_frames
from lipsync_core.media.probe import ColourTags
from lipsync_core.timeline import Segment, sample_of_frame

PIXEL_FORMAT = "yuv420p"
COLOUR = ColourTags(primaries=1, transfer=1, matrix=1, range=1)  # BT.709, limited range

Picture = NDArray[np.uint8]
Array = NDArray[np.float64]

_AT_ONCE_S = 10  # of motion worked out together
_STRESS_S, _STRESS_REACH_S = 0.15, 0.6  # over which the mouth's opening is averaged
_AHEAD_FRAMES = 4


class PuppetOptions(BaseModel, extra="forbid", frozen=True):
    """``seed`` chooses among equal ways to blink and to sway; ``sway`` and ``blinks`` say how much
    of each: 1 is usual, 0 none."""

    seed: int = Field(0, ge=0, lt=2**32)
    sway: float = Field(1.0, ge=0, le=3, allow_inf_nan=False)
    blinks: float = Field(1.0, ge=0, le=5, allow_inf_nan=False)


@dataclass(frozen=True)
class Puppet:
    """The generator ``puppet``; see :class:`lipsync_core.generators.Generator`."""

    name: str = "puppet"
    version: int = 1
    hears_s: float = HEARS_S
    remark: str = ""

    def checked(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options in full.

        Raises:
            InputError: one is unknown or out of range.
        """
        try:
            return PuppetOptions.model_validate(dict(options)).model_dump(mode="json")
        except ValidationError as error:
            raise InputError(f"{self.name}: {in_one_line(error)}") from error

    def render(
        self, material: Material, segment: Segment, speech: Track, out: Path, *,
        shift_ms: float = 0, options: Mapping[str, Any] | None = None,
    ) -> Clip:  # fmt: skip
        """Render one segment of a still film; ``material.faces`` says whose mouth moves.

        Raises:
            RenderFailed: the film moves, or its face cannot be brought to life.
        """
        info, chosen = material.info, PuppetOptions.model_validate(dict(options or {}))
        if not material.is_still:
            raise RenderFailed(
                f"segment {segment.index}: puppet draws portraits and this film moves; "
                "use flows.portrait with a picture, or another generator"
            )
        picture = _picture_of(material)
        portrait = Portrait(picture, _face_of(material, segment))
        samples = sample_of_frame(info.frames, info.frame_rate, ANALYSIS_RATE)
        poses = posed(
            MouthMotion(speech.mono, samples),
            IdleMotion(chosen.seed, chosen.sway, chosen.blinks),
            range(segment.first_frame, segment.last_frame), info.frame_rate, -shift_ms / 1000,
        )  # fmt: skip
        box = portrait.box(sways=chosen.sway > 0)
        with (
            closing(ahead((portrait.posed(*pose) for pose in poses), _AHEAD_FRAMES)) as frames,
            FrameWriter(
                out, width=box.width, height=box.height, frame_rate=info.frame_rate,
                pixel_format=info.pixel_format, codec="ffv1", colour=info.colour,
            ) as writer,
        ):  # fmt: skip
            for frame in frames:
                writer.write(cropped(frame, box))
        return Clip(out, segment.first_frame, segment.last_frame, box)


def render_portrait(
    image: Picture,
    sound: NDArray[np.float32],
    *,
    frames: int,
    frame_rate: Fraction,
    seed: int = 0,
    name: str = "the picture",
) -> Iterator[av.VideoFrame]:
    """The person of ``image`` speaking ``sound``: ``frames`` frames, yuv420p in BT.709.

    ``image`` is (height, width, 3) uint8 RGB, of which an odd last row or column is left out;
    ``sound`` mono 16 kHz. The largest face speaks. The same ``seed`` gives the same frames; another
    one blinks and sways otherwise. ``name`` is what messages call the picture.

    Raises:
        InputError: the picture shows no usable face.
    """
    portrait = Portrait.of_image(image, name)
    motion = MouthMotion(lambda first, last: sound[first:last], len(sound))
    for pose in posed(motion, IdleMotion(seed), range(frames), frame_rate):
        yield portrait.posed(*pose)


Pose = tuple[Array, float, HeadMove]


def posed(
    motion: MouthMotion, idle: IdleMotion, frames: range, frame_rate: Fraction, shift_s: float = 0.0
) -> Iterator[Pose]:
    """The mouth's shape (4,), how far the lids are down and the head's move, frame by frame."""
    at_once, reach = round(_AT_ONCE_S * frame_rate), round(_STRESS_REACH_S * frame_rate)
    for first in range(frames.start, frames.stop, at_once):
        last = min(first + at_once, frames.stop)
        shapes = motion.shapes(np.arange(first - reach, last + reach), frame_rate, shift_s)
        stress = gaussian_filter1d(shapes[:, 0], _STRESS_S * float(frame_rate), radius=reach)
        inside = slice(reach, reach + last - first)
        times = np.arange(first, last) / float(frame_rate)
        yield from zip(
            shapes[inside], idle.lids(times).tolist(), idle.head(times, stress[inside]), strict=True
        )


class Portrait:
    """A picture whose face can move; what every frame shares is worked out once.

    ``points`` are the (468, 2) landmarks of that face.
    """

    def __init__(self, picture: Planes, points: NDArray[np.float32]) -> None:
        self.picture, self.points = picture, points
        self._mouth = MouthWarp(picture, points)
        self._lids = [Eyelid(picture, points, side) for side in (0, 1)]
        self._sway = HeadSway(points, picture.width, picture.height)

    @classmethod
    def of_image(cls, image: Picture, name: str = "the picture") -> Self:
        """The largest face of (height, width, 3) uint8 RGB.

        Raises:
            InputError: no face, one too small, or one turned too far.
        """
        image = image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2]
        points = settled_landmarks(image, name)[0]
        check_face(points, name)
        return cls(Planes.of_full(bt709_of(image)), points)

    def box(self, *, sways: bool = True) -> Box:
        """What of the picture may ever change."""
        parts: list[MouthWarp | Eyelid | HeadSway] = [self._mouth, *self._lids]
        if sways:
            parts.append(self._sway)
        left = min(part.columns.start for part in parts)
        top = min(part.rows.start for part in parts)
        right = max(part.columns.stop for part in parts)
        bottom = max(part.rows.stop for part in parts)
        return Box(left, top, right - left, bottom - top)

    def posed(self, shape: Array, lid: float = 0.0, move: HeadMove | None = None) -> av.VideoFrame:
        """One frame: a mouth shape (4,) as :class:`MouthMotion` makes it, how far the lids are
        down (0 to 1), and where the head is."""
        picture = self.picture.copy()
        self._mouth.draw(picture, shape)
        if lid > 0:
            for eye in self._lids:
                eye.draw(picture, lid)
        if move is not None:
            self._sway.apply(picture, move)
        return _frame(picture)


def still_frame(rgb: Picture) -> av.VideoFrame:
    """A frame of an RGB picture, (height, width, 3) uint8 of even size: yuv420p in BT.709."""
    return _frame(Planes.of_full(bt709_of(rgb)))


def _frame(picture: Planes) -> av.VideoFrame:
    planes = [picture.luma, picture.chroma[..., 0], picture.chroma[..., 1]]
    frame = frame_of(planes, PIXEL_FORMAT)
    frame.colorspace, frame.color_range = COLOUR.matrix, COLOUR.range
    return frame


def bt709_of(rgb: Picture) -> Picture:
    """RGB (…, 3) as Y, Cb, Cr in limited range (ITU-R BT.709-6, item 3)."""
    red, green, blue = np.moveaxis(rgb.astype(np.float32) / 255, -1, 0)
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    parts = (
        16 + 219 * luma,
        128 + 224 * (blue - luma) / 1.8556,
        128 + 224 * (red - luma) / 1.5748,
    )
    return np.rint(np.stack(parts, -1)).astype(np.uint8)


def _picture_of(material: Material) -> Planes:
    """The one picture of a still film, always that of its first frame."""
    if material.info.pixel_format != PIXEL_FORMAT:
        raise RenderFailed(
            f"puppet draws in {PIXEL_FORMAT}, the film is {material.info.pixel_format}: "
            "make it with flows.portrait"
        )
    [frame] = read_frames(material.info, 0, 1)
    luma, *chroma = planes_of(frame)
    return Planes(luma.copy(), cv2.merge(chroma).astype(np.uint8, copy=False))


def _face_of(material: Material, segment: Segment) -> NDArray[np.float32]:
    points = material.faces(segment.first_frame, segment.first_frame + 1).points[0]
    if not np.isfinite(points).all():
        raise RenderFailed(f"segment {segment.index}: no face in the picture; give another one")
    try:
        check_face(points)
    except InputError as error:
        raise RenderFailed(f"segment {segment.index}: {error}") from error
    return points
