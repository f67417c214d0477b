"""The finish that needs no model: a mouth brought to the colour, sharpness and grain of its face.

What is right is measured on the film itself, in the same frame and the same part of the face. The
clip is looked at twice: once to measure it, then, with the measures smoothed over time so that
nothing flickers, to change it. Colour is moved and stretched (Reinhard et al. 2001), detail is
added back in bands and kept between its neighbours, so that no edge gets a halo, and what grain is
then still missing is made.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from lipsync_core.faces.mouth import eye_distance
from lipsync_core.finish.bands import Plane, bands_of
from lipsync_core.finish.grain import grain
from lipsync_core.finish.look import Look, Numbers, look_at
from lipsync_core.finish.mouths import Mouth, levels, mouths, over, written
from lipsync_core.material import Material
from lipsync_core.media.clip import Clip

_STEADY_S = 0.3  # the width of the smoothing over time
_MOST_SHIFT = 24.0  # levels
_MOST_STRETCH = 1.25
_MOST_GAIN = 2.5
# What two pictures of one face differ by anyway; less is no reason to touch anything.
_USUAL_GAIN, _USUAL_SHIFT, _USUAL_STRETCH, _USUAL_GRAIN = 1.15, 0.5, 1.05, 0.2
_MOST_KEPT = 0.98
_ROOM, _ROOM_LEVELS = 0.1, 1.0  # how far beyond its neighbours a value may go
_ABOVE_NOISE = 2.0  # deviations


class Match:
    """The finish ``match``."""

    name = "match"
    version = 1

    def finished(self, clip: Clip, material: Material, out: Path) -> Clip:
        """The clip with a matching mouth; see :class:`lipsync_core.finish.Finish`."""
        faces = material.faces(clip.first_frame, clip.last_frame)
        known = faces.points[faces.present]
        eyes = float(np.median(eye_distance(known))) if len(known) else 0.0
        looks = _looks(clip, material, eyes)
        if all(look is None for look in looks):
            return written(clip, material, out, (mouth.new for mouth in mouths(clip, material)))
        plans = _plans(looks, float(material.info.frame_rate))
        return written(clip, material, out, _changed(mouths(clip, material), looks, plans))


def _bands(eyes: float) -> int:
    """How many bands a face of that size has that a small mouth lacks."""
    return int(np.clip(np.rint(np.log2(max(1.0, eyes) / 20)), 2, 4))


def _looks(clip: Clip, material: Material, eyes: float) -> list[Look | None]:
    looks: list[Look | None] = []
    before: Mouth | None = None
    for mouth in mouths(clip, material):
        looks.append(None if mouth.face is None else look_at(mouth, eyes, _bands(eyes), before))
        before = None if mouth.face is None else mouth
    return looks


@dataclass(frozen=True)
class _Plan:
    """What is done to one frame: ``shift``, ``centre`` and ``stretch`` (3,) of the planes,
    ``gain`` (bands,) of luma, whose bands hold ``noise`` (2,), ``grain`` (3, 2) to add, ``kept``
    of the grain before."""

    centre: Numbers
    shift: Numbers
    stretch: Numbers
    gain: Numbers
    noise: Numbers
    grain: Numbers
    kept: float


def _plans(looks: list[Look | None], rate: float) -> list[_Plan]:
    """What is done to each frame; those without a look get that of their neighbours."""
    mean, spread, power, noise, kept = (
        _steady([None if look is None else getattr(look, name) for look in looks], rate)
        for name in ("mean", "spread", "power", "noise", "kept")
    )
    return [_plan(*measures) for measures in zip(mean, spread, power, noise, kept, strict=True)]


def _plan(mean: Numbers, spread: Numbers, power: Numbers, noise: Numbers, kept: Numbers) -> _Plan:
    shift = np.clip(_beyond(mean[0] - mean[1], _USUAL_SHIFT), -_MOST_SHIFT, _MOST_SHIFT)
    # a spread of less than a level is rounding and says nothing
    stretch = _ratio((spread[0] + 1) / (spread[1] + 1), _USUAL_STRETCH)
    stretch = np.clip(stretch, 1 / _MOST_STRETCH, _MOST_STRETCH)
    gain = np.sqrt(_detail(power[0], noise[0]) / _detail(power[1], noise[1]))
    gain = np.clip(_ratio(gain, _USUAL_GAIN), 1, _MOST_GAIN)
    missing = np.sqrt(np.maximum(0, noise[0] ** 2 - noise[1] ** 2))
    missing = np.maximum(0, _beyond(missing, _USUAL_GRAIN))
    return _Plan(
        mean[1], shift, stretch, gain, noise[1, 0], missing, float(np.clip(kept, 0, _MOST_KEPT))
    )


def _beyond(found: Numbers, usual: float) -> Numbers:
    """Nothing of a difference that is usual, nearly all of one that is much greater, and no jump
    between (the garrote of Breiman 1995)."""
    return found * np.maximum(0, 1 - np.square(usual / np.where(found == 0, usual, found)))


def _ratio(found: Numbers, usual: float) -> Numbers:
    """The same of how many times greater a thing is than another."""
    return np.exp(_beyond(np.log(found), float(np.log(usual))))


def _detail(power: Numbers, noise: Numbers) -> Numbers:
    """The power of luma's bands that is no grain."""
    grain = np.zeros_like(power)
    grain[: noise.shape[1]] = noise[0] ** 2
    return np.maximum(power - grain, 1e-3 + 0.05 * power)


def _steady(measures: list[NDArray[np.float64] | None], rate: float) -> Numbers:
    """A measure smoothed over time; a frame without one gets that of its neighbours, or zeros
    where they have none either: then nothing is done."""
    known = next(np.asarray(m) for m in measures if m is not None)
    values = np.array([np.full(known.shape, np.nan) if m is None else m for m in measures])
    there = np.isfinite(values)
    width = _STEADY_S * rate
    summed = gaussian_filter1d(np.where(there, values, 0), width, axis=0, mode="constant")
    weight = gaussian_filter1d(there.astype(float), width, axis=0, mode="constant")
    with np.errstate(invalid="ignore", divide="ignore"):
        steady = summed / weight
    return np.nan_to_num(steady)


def _changed(
    frames: Iterator[Mouth], looks: list[Look | None], plans: list[_Plan]
) -> Iterator[av.VideoFrame]:
    first: int | None = None
    for mouth, look, plan in zip(frames, looks, plans, strict=True):
        first = mouth.number if first is None else first
        if look is None or mouth.mask is None:
            yield mouth.new
            continue
        planes = [
            ((plane - centre) * stretch + (centre + shift)).astype(np.float32)
            for plane, centre, stretch, shift in zip(
                levels(mouth.new), plan.centre, plan.stretch, plan.shift, strict=True
            )
        ]
        planes[0] = sharpened(planes[0], plan.gain, plan.noise)
        for number, (plane, sigmas) in enumerate(zip(planes, plan.grain, strict=True)):
            place = look.place * (plane.shape[1], plane.shape[0]) / mouth.mask.shape[::-1]
            # another seed for each plane: a frame's number times three, and on
            added = grain(
                3 * mouth.number + number, 3 * first + number, plane.shape, sigmas, plan.kept, place
            )  # fmt: skip
            if added is not None:
                plane += added
        yield over(mouth, planes, mouth.mask)


def sharpened(plane: Plane, gain: Numbers, noise: Numbers) -> Plane:
    """A plane with each of its bands so many times as strong, but no value far beyond those round
    it: that would be a halo. What does not rise above the noise of its band is no detail and
    stays as it is; bands coarser than those of ``noise`` hold as much as the last of them."""
    if (gain <= 1).all():
        return plane
    bands, _ = bands_of(plane, len(gain))
    crisp = plane.copy()
    for number, (times, band) in enumerate(zip(gain, bands, strict=True)):
        square = np.square(band)
        floor = (_ABOVE_NOISE * noise[min(number, len(noise) - 1)]) ** 2 + 1e-6
        crisp += np.float32(times - 1) * band * (square / (square + np.float32(floor)))
    reach = 2 ** len(gain) // 2 + 1
    around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    least, most = cv2.erode(plane, around), cv2.dilate(plane, around)
    room = _ROOM * (most - least) + _ROOM_LEVELS
    kept: Plane = np.clip(crisp, least - room, most + room).astype(np.float32)
    return kept
