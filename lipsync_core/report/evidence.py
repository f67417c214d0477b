"""The curves of the report: how loud the speech is and how far the mouth opens, frame by frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lipsync_core.faces.mouth import mouth_shapes
from lipsync_core.material import Material
from lipsync_core.media.audio import Track
from lipsync_core.media.probe import FilmInfo
from lipsync_core.timeline import sample_of_frame

_BLOCK = 2000  # frames looked at together


def loudness_of(speech: Track, info: FilmInfo) -> NDArray[np.float32]:
    """Level of the speech in every frame, (frames,), 1 for the loudest, by amplitude."""
    levels = np.zeros(info.frames, np.float32)
    for first in range(0, info.frames, _BLOCK):
        last = min(info.frames, first + _BLOCK)
        edges = [
            sample_of_frame(frame, info.frame_rate, speech.sample_rate)
            for frame in range(first, last + 1)
        ]
        sound = speech.read(edges[0], edges[-1])[:, 0].astype(np.float64) ** 2
        sums = np.add.reduceat(sound, np.array(edges[:-1]) - edges[0])
        levels[first:last] = np.sqrt(sums / np.maximum(np.diff(edges), 1))
    return levels / max(float(levels.max(initial=0.0)), 1e-6)


def openings_of(
    material: Material, rendered: Mapping[int, Sequence[float | None]] | None = None
) -> NDArray[np.float32]:
    """Inner-lip gap of every frame in eye distances, (frames,), NaN without a face.

    ``rendered`` holds the gaps of rendered segments by first frame; elsewhere the source stands.
    """
    blocks = [
        mouth_shapes(material.faces(first, min(material.info.frames, first + _BLOCK)).points)[:, 0]
        for first in range(0, material.info.frames, _BLOCK)
    ]
    openings = np.concatenate(blocks)
    for first, gaps in (rendered or {}).items():
        openings[first : first + len(gaps)] = [np.nan if gap is None else gap for gap in gaps]
    return openings
