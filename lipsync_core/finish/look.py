"""What a mouth looks like beside the film's own: its colour, sharpness and grain, measured."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lipsync_core.faces.blend import Mask, masks_of
from lipsync_core.faces.landmarks import OUTER_LIPS, STABLE
from lipsync_core.finish.bands import Plane, bands_of, flat, noise, power
from lipsync_core.finish.grain import GRAIN_BANDS
from lipsync_core.finish.mouths import Mouth, levels

Region = NDArray[np.bool_]
Numbers = NDArray[np.float64]

_CORE = 0.95  # of the mask: where the rendered picture counts nearly alone
# In eye distances: how far from the seam skin is compared with the film's own, and by what blur.
_RING, _BLUR = 0.15, 0.06
_ALIKE = 2.5  # deviations from the usual difference beyond which it is not the same skin


@dataclass(frozen=True)
class Look:
    """Measures of one frame, each (2, …): the film's own picture first, then the rendered one.

    ``mean`` and ``spread``: (2, 3) of Y, U and V of the skin inside the seam, once blurred;
    ``power``: (2, bands) mean squares of the lower face's luma; ``noise``: (2, 3, 2) standard
    deviations of the skin's grain, by plane and band; ``kept``: how much of the film's own grain
    was there in the frame before, 0 to 1; all in levels of 0…255. ``place``: (2,) pixels, where
    the face is.
    """

    mean: Numbers
    spread: Numbers
    power: Numbers
    noise: Numbers
    kept: Numbers
    place: Numbers


def look_at(mouth: Mouth, eyes: float, bands: int, before: Mouth | None) -> Look:
    """Measure a mouth; ``eyes`` is the eye distance in pixels, ``before`` the frame before."""
    assert mouth.face is not None
    assert mouth.mask is not None
    own, new, form = levels(mouth.own), levels(mouth.new), mouth.own.format.name
    core = mouth.mask > _CORE
    skin = core & ~_lips(mouth.face, core.shape)
    skins = [mask > 0.5 for mask in masks_of(skin.astype(np.float32), form)]
    ring = core & (_inside(core) < eyes * _RING)
    rings = [mask > 0.5 for mask in masks_of(ring.astype(np.float32), form)]
    colours = np.array([_colours(*planes, eyes) for planes in zip(own, new, rings, strict=True)])
    even = [flat(plane, where) for plane, where in zip(own, skins, strict=True)]
    place = mouth.face[STABLE].mean(0).astype(np.float64)
    return Look(
        mean=colours[:, :, 0].T,
        spread=colours[:, :, 1].T,
        power=np.array([[power(band, core) for band in bands_of(planes[0], bands)[0]]
                        for planes in (own, new)]),
        noise=np.array([[[noise(band, where) for band in bands_of(plane, GRAIN_BANDS)[0]]
                         for plane, where in zip(planes, even, strict=True)]
                        for planes in (own, new)]),
        kept=np.array(np.nan if before is None else _kept(mouth, before, even[0], place)),
        place=place,
    )  # fmt: skip


def _lips(face: NDArray[np.float32], shape: tuple[int, ...]) -> Region:
    """The lips and a little round them."""
    drawn = np.zeros(shape, np.uint8)
    hull = cv2.convexHull(np.rint(face[OUTER_LIPS]).astype(np.int32))
    cv2.fillConvexPoly(drawn, hull, 1)
    cv2.polylines(drawn, [hull], True, 1, max(1, round(float(np.ptp(hull[..., 0])) / 8)))
    return drawn > 0


def _inside(core: Region) -> Mask:
    """How far each pixel of a region is from its edge."""
    distance: Mask = cv2.distanceTransform(core.astype(np.uint8), cv2.DIST_L2, 3)
    return distance


def _colours(own: Plane, new: Plane, ring: Region, eyes: float) -> list[tuple[float, float]]:
    """Mean and spread of both in the ring, where it shows the same skin in both: a jaw that
    has moved shows neck or background."""
    soft = [cv2.GaussianBlur(plane, (0, 0), max(1.0, eyes * _BLUR))[ring] for plane in (own, new)]
    if len(soft[0]) < 16:
        return [(np.nan, np.nan)] * 2
    off = soft[1] - soft[0] - np.median(soft[1] - soft[0])
    alike = np.abs(off) <= _ALIKE * max(1.0, 1.4826 * float(np.median(np.abs(off))))
    return [(float(plane[alike].mean()), float(plane[alike].std())) for plane in soft]


def _kept(mouth: Mouth, before: Mouth, even: Region, place: Numbers) -> float:
    """The correlation of the film's own grain with that of the frame before, along the face."""
    assert before.face is not None
    moved = place - before.face[STABLE].mean(0)
    now, then = levels(mouth.own)[0], levels(before.own)[0]
    move = np.array([[1, 0, moved[0]], [0, 1, moved[1]]])
    laid_over = cv2.warpAffine(
        then, move, then.shape[::-1], flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REPLICATE
    )
    a, b = (bands_of(plane, 1)[0][0][even] for plane in (now, laid_over))
    return float(np.sum(a * b) / max(1e-6, np.sqrt(np.sum(a * a) * np.sum(b * b))))
