"""The project's own engines, so that a chain can be measured from end to end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from lipsync_core.errors import RenderFailed
from lipsync_core.generators.puppet import render_portrait
from lipsync_core.generators.rewrite import Rewrite
from lipsync_core.material import gather
from lipsync_core.media.audio import ANALYSIS_RATE, Track, lay_track
from lipsync_core.media.clip import Clip
from lipsync_core.media.join import join_film
from lipsync_core.media.parts import part_segments
from lipsync_core.media.probe import FilmInfo


def rewritten(film: FilmInfo, speech: Track, folder: Path, out: Path) -> None:
    """Write the film with its mouths rewritten, shot by shot; a refused shot keeps its picture.

    Raises:
        RenderFailed: no shot could be rendered.
    """
    material = gather(film.path, folder)
    heard = _heard(speech, film, folder)
    clips: list[Clip] = []
    refusal: RenderFailed | None = None
    for shot in part_segments(material.scan.cuts, film.frames, film.frame_rate):
        try:
            clips.append(Rewrite().render(material, shot, heard, folder / f"shot-{shot.index}.mkv"))
        except RenderFailed as error:
            refusal = error
    if not clips and refusal is not None:
        raise refusal
    join_film(material.info, clips, speech, out)


def talking(
    image: NDArray[np.uint8], speech: Track, film: FilmInfo, folder: Path
) -> Iterator[av.VideoFrame]:
    """The frames of an image, (height, width, 3) RGB, that speaks.

    Raises:
        InputError: the picture shows no usable face.
    """
    sound = _heard(speech, film, folder).read()[:, 0]
    return render_portrait(image, sound, frames=film.frames, frame_rate=film.frame_rate)


def _heard(speech: Track, film: FilmInfo, folder: Path) -> Track:
    """The speech as the engines listen to it, mono 16 kHz."""
    return lay_track(
        speech.path, folder / "heard.wav", frames=film.frames, frame_rate=film.frame_rate,
        sample_rate=ANALYSIS_RATE, mono=True,
    )  # fmt: skip
