"""Grain made anew: noise of the strength, the fineness and the persistence that a film's own has.

Where compression freezes the grain of a film, or where it is pores and freckles, fresh noise in
every frame would swarm. So some of it stays and moves along with the face, and the rest is fresh.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.linalg import norm
from numpy.typing import NDArray

from lipsync_core.finish.bands import Plane, bands_of

GRAIN_BANDS = 2
LEAST_LEVELS = 0.25  # weaker noise is lost in the rounding to whole levels
_SOFTNESS = 0.6  # px: no camera's grain is as fine as its pixels, and what moves must be softer
_ROUNDS = 30


def grain(
    number: int, first: int, shape: tuple[int, ...], sigmas: NDArray[np.float64], kept: float,
    place: NDArray[np.float64],
) -> Plane | None:  # fmt: skip
    """Grain for a plane of frame ``number`` of a clip that begins with frame ``first``, whose bands
    have the standard deviations ``sigmas``; ``None`` where that is too weak to be seen.

    It comes from these numbers alone, so the same frames get the same grain. ``kept`` is the
    correlation of any two frames' grain, once both are laid over each other by ``place``, which
    says where the face is, in pixels of the plane across and down.
    """
    if not np.sqrt(np.sum(np.square(sigmas))) >= LEAST_LEVELS:
        return None
    staying, fresh = _moved(_noise((first,), shape), place), _noise((first, number), shape)
    even = np.float32(np.sqrt(kept)) * staying + np.float32(np.sqrt(1 - kept)) * fresh
    formed = np.zeros_like(even)
    for band, share in zip(_parts(even), _shares(sigmas), strict=True):
        formed += np.float32(share) * band
    return formed


def _noise(seed: tuple[int, ...], shape: tuple[int, ...]) -> Plane:
    return _softened(np.random.default_rng(seed).standard_normal(shape, np.float32))


def _softened(field: Plane) -> Plane:
    soft: Plane = cv2.GaussianBlur(field, (0, 0), _SOFTNESS)
    return soft


def _moved(field: Plane, by: NDArray[np.float64]) -> Plane:
    whole = np.floor(by).astype(int)
    rolled = np.roll(field, whole[::-1], (0, 1))
    rest = by - whole
    move = np.array([[1, 0, rest[0]], [0, 1, rest[1]]])
    moved: Plane = cv2.warpAffine(
        rolled, move, rolled.shape[::-1], flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT
    )
    return moved


def _parts(even: Plane) -> list[Plane]:
    """What grain is formed of: the fine and the coarse of even noise."""
    fine, *coarse = bands_of(even, GRAIN_BANDS + 1)[0]
    return [fine, coarse[0] + coarse[1]]


def _shares(wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much to take of each part. What is made of one is found in the bands of the others,
    too, so the shares are scaled until all that is found is right; where that cannot be, it is
    no stronger than what is wanted, all bands together."""
    shares = wanted.copy()
    for _ in range(_ROUNDS):
        shares *= wanted / np.maximum(_found(shares), 1e-9)
    found = _found(shares)
    weaker: NDArray[np.float64] = shares * min(1.0, float(norm(wanted) / norm(found)))
    return weaker


def _found(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.sqrt(np.einsum("i,kij,j->k", shares, _overlaps(), shares))
    return found


@lru_cache(maxsize=1)
def _overlaps() -> NDArray[np.float64]:
    """For each band, the products of what it finds of every two parts of even noise."""
    impulse = np.zeros((97, 97), np.float32)
    impulse[48, 48] = 1
    found = [bands_of(part, GRAIN_BANDS)[0] for part in _parts(_softened(impulse))]
    return np.array([[[np.vdot(found[i][k], found[j][k]) for j in range(GRAIN_BANDS)]
                      for i in range(GRAIN_BANDS)] for k in range(GRAIN_BANDS)])  # fmt: skip
