"""A talking portrait from one still picture and a speech.

Everything is drawn from the picture itself: its mouth is opened and shut by
:mod:`lipsync_core.faces.mouth_warp`, its lids come down by :mod:`lipsync_core.faces.eyelids`, and
its head drifts a few pixels by :mod:`lipsync_core.faces.head_sway`.

The picture is converted to luma and chroma once (BT.709, limited range) and every frame is made of
these planes, so nothing is converted again on the way to the encoder.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from lipsync_core.errors import InputError
from lipsync_core.faces.axes import FaceAxes
from lipsync_core.faces.eyelids import Eyelid
from lipsync_core.faces.head_sway import HeadSway
from lipsync_core.faces.landmarks import FaceMesh
from lipsync_core.faces.mouth import eye_distance, yaw
from lipsync_core.faces.mouth_warp import MouthWarp
from lipsync_core.generators.mouth_motion import mouth_motion
from lipsync_core.media.frames import frame_of
from lipsync_core.media.probe import ColourTags

PIXEL_FORMAT = "yuv420p"
COLOUR = ColourTags(primaries=1, transfer=1, matrix=1, range=1)  # BT.709, limited range

Picture = NDArray[np.uint8]
Array = NDArray[np.float64]

_LEAST_EYE_DISTANCE_PX = 24
_MOST_YAW = 0.8
_LOOKS = 12  # the mesh settles on a picture that it is shown again and again
_SETTLED_PX = 0.2

_BLINK = (0.0, 0.35, 0.85, 1.0, 1.0, 0.7, 0.35, 0.12, 0.0)  # how far the lids are down
_BLINK_STEP_S = 0.04
_BETWEEN_BLINKS_S = (2.0, 5.0)
_SWAY_PERIODS_S = np.array([5.3, 3.7])  # sideways, up and down
_SWAY = np.array([0.022, 0.014])  # amplitudes in eye distances


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
    ``sound`` mono 16 kHz. The same ``seed`` gives the same frames; another one blinks and drifts
    otherwise. ``name`` is what messages call the picture.

    Raises:
        InputError: the picture shows no usable face.
    """
    portrait = Portrait(image, name)
    return portrait.speaking(mouth_motion(sound, frames, frame_rate), frame_rate, seed)


class Portrait:
    """A picture whose face can move; what every frame shares is worked out once.

    ``image`` is (height, width, 3) uint8 RGB.

    Raises:
        InputError: no face, one too small, or one turned too far.
    """

    def __init__(self, image: Picture, name: str = "the picture") -> None:
        image = image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2]
        self.height, self.width = image.shape[:2]
        self.points = _settled_landmarks(image, name)
        _check_face(self.points, name)
        picture = bt709_of(image)
        self._luma = picture[..., 0].copy()
        self._chroma = _quartered(picture)
        self._unit = FaceAxes.of(self.points).unit
        self._mouth = MouthWarp(picture, self.points)
        self._lids = [Eyelid(picture, self.points, side) for side in (0, 1)]
        self._sway = HeadSway(self.points, self.width, self.height)

    def speaking(
        self, shapes: Array, frame_rate: Fraction, seed: int = 0
    ) -> Iterator[av.VideoFrame]:
        """One frame for each mouth shape (frames, 4), with blinks and a drifting head.

        Shapes as :func:`lipsync_core.generators.mouth_motion.mouth_motion` makes them.
        """
        random = np.random.default_rng(seed)
        times = np.arange(len(shapes)) / float(frame_rate)
        lids = _blinks(times, random)
        phases = 2 * np.pi * (times[:, None] / _SWAY_PERIODS_S + random.random(2))
        drift = self._unit * _SWAY * np.sin(phases)
        for shape, lid, (dx, dy) in zip(shapes, lids, drift, strict=True):
            yield self.posed(shape, float(lid), float(dx), float(dy))

    def posed(
        self, shape: Array, lid: float = 0.0, dx: float = 0.0, dy: float = 0.0
    ) -> av.VideoFrame:
        """One frame: a mouth shape (4,), how far the lids are down (0 to 1), the head's move."""
        luma, chroma = self._luma.copy(), self._chroma.copy()
        patches = [(self._mouth.rows, self._mouth.columns, self._mouth.shaped(shape))]
        if lid > 0:
            patches += [(eye.rows, eye.columns, eye.lowered(lid)) for eye in self._lids]
        for rows, columns, patch in patches:
            luma[rows, columns] = patch[..., 0]
            chroma[_halved(rows), _halved(columns)] = _quartered(patch)
        return _frame(*self._sway.moved(luma, chroma, dx, dy))


def still_frame(rgb: Picture) -> av.VideoFrame:
    """A frame of an RGB picture, (height, width, 3) uint8 of even size: yuv420p in BT.709."""
    picture = bt709_of(rgb)
    return _frame(picture[..., 0], _quartered(picture))


def _frame(luma: Picture, chroma: Picture) -> av.VideoFrame:
    frame = frame_of([luma, chroma[..., 0], chroma[..., 1]], PIXEL_FORMAT)
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


def _settled_landmarks(image: Picture, name: str) -> NDArray[np.float32]:
    size = np.array([image.shape[1], image.shape[0]], np.float32)
    points: NDArray[np.float32] | None = None
    with FaceMesh() as mesh:
        for _ in range(_LOOKS):
            found = mesh.find(image)
            if not len(found):
                continue
            before, points = points, found[0] * size
            if before is not None and np.abs(points - before).max() < _SETTLED_PX:
                break
    if points is None:
        raise InputError(f"no face found in {name}: give a picture of one clearly visible face")
    return points


def _check_face(points: NDArray[np.float32], name: str) -> None:
    distance = float(eye_distance(points[None])[0])
    if distance < _LEAST_EYE_DISTANCE_PX:
        raise InputError(
            f"the face in {name} is too small, {distance:.0f} px from eye to eye: "
            f"give a picture with at least {_LEAST_EYE_DISTANCE_PX}"
        )
    if abs(float(yaw(points[None])[0])) > _MOST_YAW:
        raise InputError(f"the face in {name} is turned too far: give one that looks at the camera")


def _blinks(times: Array, random: np.random.Generator) -> Array:
    """How far the lids are down at every time."""
    steps = np.arange(len(_BLINK)) * _BLINK_STEP_S
    lids = np.zeros(len(times))
    start = random.uniform(0.5, _BETWEEN_BLINKS_S[1])
    while len(times) and start < times[-1]:
        lids += np.interp(times, start + steps, _BLINK)
        start += steps[-1] + random.uniform(*_BETWEEN_BLINKS_S)
    return lids


def _quartered(picture: Picture) -> Picture:
    """The chroma of (height, width, 3) at half of both: (height / 2, width / 2, 2)."""
    size = (picture.shape[1] // 2, picture.shape[0] // 2)
    halved = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return halved[..., 1:].astype(np.uint8, copy=False)


def _halved(span: slice) -> slice:
    return slice(span.start // 2, span.stop // 2)
