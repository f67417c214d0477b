"""The lips of a still picture, and where each point of the lower face goes when they move.

Everything is in the face's own coordinates, see :class:`lipsync_core.faces.axes.FaceAxes`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Landmarks = NDArray[np.int64]

_UPPER_INNER = np.array([78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308])
_LOWER_INNER = np.array([78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308])
_UPPER_OUTER = np.array([185, 40, 39, 37, 0, 267, 269, 270, 409])
_LOWER_OUTER = np.array([146, 91, 181, 84, 17, 314, 405, 321, 375])
_CORNERS = np.array([61, 291, 78, 308])
_MEASURED = np.array([81, 13, 311])  # where `faces.mouth` takes the gap of the lips
_BELOW_LIP = np.array([18, 83, 313, 182, 406])
_STILL = np.array([1, 2, 98, 327, 168, 33, 133, 362, 263, 50, 280, 129, 358, 234, 454])
# How much of the chin's move each point of the lower face takes.
_JAW_SHARE = {
    152: 1.0, 148: 1.0, 377: 1.0, 176: 0.97, 400: 0.97, 149: 0.9, 378: 0.9, 150: 0.75, 379: 0.75,
    136: 0.55, 365: 0.55, 172: 0.35, 397: 0.35, 58: 0.15, 288: 0.15, 132: 0.05, 361: 0.05,
    200: 1.0, 199: 1.0, 175: 1.0, 194: 0.9, 418: 0.9, 204: 0.85, 424: 0.85, 211: 0.8, 431: 0.8,
    214: 0.35, 434: 0.35,
}  # fmt: skip
_CHIN = 152
# Below the chin, and to both sides of that: where neck, collar and background stay.
_NECK = np.array([(u, v) for v in (0.42, 0.7) for u in (-0.9, -0.45, 0.0, 0.45, 0.9)])
# How much of a mouth corner's move the cheek takes.
_CORNER_SHARE = {205: 0.25, 425: 0.25, 207: 0.4, 427: 0.4, 216: 0.6, 436: 0.6}

UPPER_LIP = np.concatenate([_UPPER_INNER, _UPPER_OUTER, _CORNERS[:2]])
"""The landmarks that move with the upper lip."""
LOWER_LIP_AND_JAW = np.concatenate([
    _LOWER_INNER[1:-1], _LOWER_OUTER, _BELOW_LIP, list(_JAW_SHARE),
    [171, 396, 140, 369, 170, 395],  # under the chin
]).astype(np.int64)  # fmt: skip
"""The landmarks that move with the lower lip."""

_LOWER_SHARE = 0.8  # of the lips' way apart, the lower one's
_FLAT = 0.6  # how flat the line between shut lips is, from the upper lip's own curve to straight
_CHIN_CLOSES = 0.5  # of the lower lip's way when the mouth of the picture is shut
_OVERLAP = 0.012  # by which shut lips lie over each other

_GAP, _JAW, _WIDTH, _LIPS, _SHUT = range(5)
NUMBERS = 5  # the four of a mouth shape, and a constant one that shuts the picture's own mouth


class Lips:
    """The lips of one face; ``points`` are its (468, 2) landmarks as (u, v)."""

    def __init__(self, points: Array) -> None:
        self._points = points
        self._upper, self._lower = self._line(_UPPER_INNER), self._line(_LOWER_INNER)
        self.left, self.right = float(self._upper[0, 0]), float(self._upper[-1, 0])
        self._bow_at_measured = float(self.arch(points[_MEASURED, 0]).mean())

    def _line(self, landmarks: Landmarks) -> Array:
        """The line from corner to corner; a corner is half-way between inner and outer lips."""
        line = self._points[landmarks]
        line[[0, -1]] = (line[[0, -1]] + self._points[_CORNERS[:2]]) / 2
        return line[np.argsort(line[:, 0])]

    def upper(self, u: Array) -> Array:
        """v of the upper lip's inner edge."""
        return np.interp(u, *self._upper.T)

    def lower(self, u: Array) -> Array:
        """v of the lower lip's inner edge, never above the upper lip's."""
        return np.maximum(np.interp(u, *self._lower.T), self.upper(u))

    def gap(self, u: Array) -> Array:
        """How far apart the lips of the picture are."""
        return self.lower(u) - self.upper(u)

    def arch(self, u: Array) -> Array:
        """0 at the corners and beyond, 1 in the middle."""
        middle, half = (self.left + self.right) / 2, (self.right - self.left) / 2
        arch: Array = np.maximum(1 - ((u - middle) / half) ** 2, 0) ** 0.95
        return arch

    def _bow(self, u: Array) -> Array:
        """The outline of an opening mouth: 0 at the corners, 1 on average where it is measured."""
        return self.arch(u) / self._bow_at_measured

    def _upper_closes(self, u: Array) -> Array:
        """The upper lip's share of the way together when the mouth of the picture is shut.

        Lips meet nearer to the straight line between the corners than to an arched upper lip, and
        never beyond either of them.
        """
        corners = np.interp(u, self._upper[[0, -1], 0], self._upper[[0, -1], 1])
        straight = (corners - self.upper(u)) / np.maximum(self.gap(u), 1e-6)
        return _FLAT * np.clip(straight, 0, 0.6) + (1 - _FLAT) * (1 - _LOWER_SHARE)

    def upper_moves(self) -> tuple[Array, Array]:
        """What bends that which moves with the upper lip: knots (knots, 2) as (u, v), and their
        moves (knots, 2, NUMBERS).

        Entry (k, :, n) is the move of knot k in (u, v) for one unit of number n of a shape.
        """
        return self._moves(_UPPER_INNER[1:-1], _UPPER_OUTER, is_upper=True)

    def lower_moves(self) -> tuple[Array, Array]:
        """The same for what moves with the lower lip."""
        return self._moves(_LOWER_INNER[1:-1], _LOWER_OUTER, is_upper=False)

    def _moves(self, inner: Landmarks, outer: Landmarks, *, is_upper: bool) -> tuple[Array, Array]:
        groups = [
            (inner, self._inner_lip(inner, is_upper)),
            (outer, self._outer_lip(outer, is_upper)),
            (_CORNERS, self._sideways(_CORNERS, 1.0)),
            (np.array(list(_CORNER_SHARE)), self._cheeks()),
            (np.array(list(_JAW_SHARE)), self._jaw()),
            (_BELOW_LIP, self._below_lip()),
            (_STILL, np.zeros((len(_STILL), 2, NUMBERS))),
        ]
        neck = self._points[_CHIN] + _NECK
        knots = np.concatenate([*(self._points[group] for group, _ in groups), neck])
        still = np.zeros((len(neck), 2, NUMBERS))
        return knots, np.concatenate([*(moves for _, moves in groups), still])

    def _sideways(self, landmarks: Landmarks, share: float | Array) -> Array:
        """Moves of half the change of width at each corner, less towards the middle."""
        moves = np.zeros((len(landmarks), 2, NUMBERS))
        half = (self.right - self.left) / 2
        moves[:, 0, _WIDTH] = share * np.clip(self._points[landmarks, 0] / half, -1, 1) / 2
        return moves

    def _inner_lip(self, landmarks: Landmarks, is_upper: bool) -> Array:
        u, moves = self._points[landmarks, 0], self._sideways(landmarks, 1.0)
        moves[:, 1, _GAP] = (_LOWER_SHARE - is_upper) * self._bow(u)
        moves[:, 1, _SHUT] = self._closes(u, is_upper) * (self.gap(u) + _OVERLAP)
        return moves

    def _outer_lip(self, landmarks: Landmarks, is_upper: bool) -> Array:
        u, moves = self._points[landmarks, 0], self._sideways(landmarks, 1.0)
        moves[:, 1, _LIPS] = (_LOWER_SHARE - is_upper) * self._bow(u)
        moves[:, 1, _SHUT] = self._closes(u, is_upper) * self.gap(u)
        return moves

    def _closes(self, u: Array, is_upper: bool) -> Array:
        """Down for the upper lip, up for the lower one."""
        return self._upper_closes(u) - (not is_upper)

    def _cheeks(self) -> Array:
        share = np.array(list(_CORNER_SHARE.values()))
        return self._sideways(np.array(list(_CORNER_SHARE)), share)

    def _jaw(self) -> Array:
        share = np.array(list(_JAW_SHARE.values()))
        moves = np.zeros((len(share), 2, NUMBERS))
        moves[:, 1, _JAW] = share
        moves[:, 1, _SHUT] = share * self._chin_shut()
        return moves

    def _below_lip(self) -> Array:
        moves = np.zeros((len(_BELOW_LIP), 2, NUMBERS))
        moves[:, 1, _JAW], moves[:, 1, _LIPS] = 0.5, 0.4
        moves[:, 1, _SHUT] = 1.2 * self._chin_shut()
        return moves

    def _chin_shut(self) -> float:
        return -_CHIN_CLOSES * _LOWER_SHARE * float(self.gap(self._points[14, 0]))
