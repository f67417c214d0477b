"""Pictures made larger by a network that a person names: Real-ESRGAN and the like.

A large picture does not fit such a network, so it goes through in tiles. A network sees less near
the edge of a tile than in the middle of a picture; what it makes there is left out, and from one
tile to the next there is a soft passage. So no seam is seen, and where the network looks no
farther than ``GUARD`` pixels, the tiles give what the whole picture would have given.
"""

from __future__ import annotations

from itertools import pairwise

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from lipsync_core.errors import InputError
from lipsync_core.finish.model import GivenModel, Picture, load_model
from lipsync_core.media.frames import bgr_part, chroma_steps, frame_of, planes_of, uncoloured

RANGE = (0.0, 1.0)  # what networks of this kind count from and to
TILE, GUARD, PASSAGE = 256, 16, 16  # px of the smaller picture; less in tiles of a smaller size
_LEAST_TILE, _TRIAL = 32, 64
_MOST_TIMES = 8
_RIM = 2


class Upscaler:
    """A network that makes pictures larger; ``times`` is by how much, found by trying it.

    Raises:
        InputError: the file is no such network, or its device cannot be had.
        MissingWeights: ``onnxruntime`` is not installed.
    """

    def __init__(self, given: GivenModel) -> None:
        self._model = load_model(given)
        self._tile = self._model.size or (TILE, TILE)
        if min(self._tile) < _LEAST_TILE:
            raise InputError(
                f"{given.path} takes pictures of {self._tile[1]}x{self._tile[0]} only, which is "
                "too small: give another model"
            )
        rows, columns = self._model.size or (_TRIAL, _TRIAL)
        made = self._model(np.full((3, rows, columns), 128, np.float32)).shape
        self.times, rest = divmod(made[1], rows)
        if rest or made[1:] != (rows * self.times, columns * self.times):
            raise InputError(
                f"{given.path} makes {made[2]}x{made[1]} of {columns}x{rows}, which is not larger "
                "by a whole number: give another model"
            )
        if not 1 < self.times <= _MOST_TIMES:
            raise InputError(
                f"{given.path} makes a picture {self.times} times as large: give a model that "
                f"makes it 2 to {_MOST_TIMES} times as large"
            )

    def picture(self, rgb: NDArray[np.uint8]) -> Picture:
        """A picture (rows, columns, 3) made larger: (3, times·rows, times·columns), 0…255, not yet
        whole numbers."""
        whole = rgb.transpose(2, 0, 1).astype(np.float32)
        rows, columns = whole.shape[1:]
        times = self.times
        made: Picture = np.zeros((3, rows * times, columns * times), np.float32)
        for top, height, down in _tiles(rows, self._tile[0], times):
            for left, width, across in _tiles(columns, self._tile[1], times):
                tile = whole[:, top : top + height, left : left + width]
                part = self._tile_of(tile) * (down[:, None] * across)
                made[
                    :, top * times : (top + height) * times, left * times : (left + width) * times
                ] += part
        return made

    def _tile_of(self, tile: Picture) -> Picture:
        """One tile made larger, filled up by its mirror where the network insists on a size."""
        rows, columns = tile.shape[1:]
        if self._model.size is not None:
            more = self._model.size[0] - rows, self._model.size[1] - columns
            tile = np.pad(tile, ((0, 0), (0, more[0]), (0, more[1])), "symmetric")
        return self._model(tile)[:, : rows * self.times, : columns * self.times]

    def frame(self, frame: av.VideoFrame) -> av.VideoFrame:
        """A frame made larger, in its own pixel format, matrix and range.

        The network is shown 8 bits; of a deeper frame it makes a deeper one all the same.
        """
        made = self.picture(_rgb(frame))
        planes = uncoloured(np.ascontiguousarray(made[::-1].transpose(1, 2, 0)), frame)
        form = frame.format.name
        across, down = chroma_steps(form)
        if (across, down) != (1, 1):
            small = made.shape[2] // across, made.shape[1] // down
            planes[1:] = [cv2.resize(p, small, interpolation=cv2.INTER_AREA) for p in planes[1:]]
        most, kind = (1023, np.uint16) if "10le" in form else (255, np.uint8)
        whole = [np.clip(np.rint(plane), 0, most).astype(kind) for plane in planes]
        return frame_of(whole, form, tags_of=frame)


def _rgb(frame: av.VideoFrame) -> NDArray[np.uint8]:
    """The whole frame as (rows, columns, 3), its edges as they are: chroma lies between the
    pixels of luma, so the outermost need neighbours."""
    form = frame.format.name
    steps = [(1, 1), *[chroma_steps(form)] * 2]
    wider = [
        np.pad(plane, ((_RIM // down,) * 2, (_RIM // across,) * 2), "edge")
        for plane, (across, down) in zip(planes_of(frame), steps, strict=True)
    ]
    size = frame.width, frame.height
    bgr = bgr_part(frame_of(wider, form, tags_of=frame), (_RIM, _RIM, *size), size)
    return bgr[..., ::-1]


def _tiles(length: int, tile: int, times: int) -> list[tuple[int, int, NDArray[np.float32]]]:
    """Where tiles begin and how long they are, and the share of each of their pixels, once made
    larger, in the picture; all shares of a pixel add up to 1."""
    guard, passage = min(GUARD, tile // 8), min(PASSAGE, tile // 8)
    step = tile - 2 * guard - passage
    starts = [*range(0, max(1, length - tile), step)]
    if length > tile:
        starts.append(length - tile)
    # a passage from one tile to the next lies in the middle of what both show
    middles = [(later + earlier + tile) / 2 for earlier, later in pairwise(starts)]
    places = (np.arange(length * times) + 0.5) / times
    into = [np.clip((places - middle) / passage + 0.5, 0, 1) for middle in middles]
    edges = [np.ones(length * times), *into, np.zeros(length * times)]
    shares = [earlier - later for earlier, later in pairwise(edges)]
    tiles = []
    for start, share in zip(starts, shares, strict=True):
        size = min(tile, length - start)
        inside = share[start * times : (start + size) * times]
        tiles.append((start, size, inside.astype(np.float32)))
    return tiles
