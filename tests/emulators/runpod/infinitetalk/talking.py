"""The project's own engine for a still picture; it takes seconds to load."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

from lipsync_core.generators.puppet import render_portrait


def talking(
    picture: NDArray[np.uint8],
    sound: NDArray[np.float32],
    *,
    frames: int,
    frame_rate: Fraction,
    seed: int,
) -> Iterator[av.VideoFrame]:
    """The person of an RGB picture, speaking mono 16 kHz sound.

    Raises:
        InputError: the picture shows no usable face.
    """
    return render_portrait(picture, sound, frames=frames, frame_rate=frame_rate, seed=seed)
