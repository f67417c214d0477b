"""The embedded engine: concatenative visual speech from the film's own mouths.

It learns from the shot how its mouth follows its own sound, predicts the mouth for the new speech,
chooses for every frame the best real mouth of the shot and blends it in. Where the mouths of the
shot never open, it draws them. Nothing is needed beside the film: no key, no GPU, no checkpoint.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from lipsync_core.errors import RenderFailed
from lipsync_core.faces.landmarks import FACE_OVAL, FaceTrack
from lipsync_core.faces.mouth import eye_distance
from lipsync_core.generators import no_options
from lipsync_core.generators.mouth_motion import MouthMotion
from lipsync_core.generators.rewrite.compose import composed
from lipsync_core.generators.rewrite.drawn import (
    DrawnMouths,
    best_frame,
    never_opens,
    shape_of,
)
from lipsync_core.generators.rewrite.spool import FrameSpool
from lipsync_core.generators.rewrite.targets import wanted_shapes
from lipsync_core.generators.rewrite.units import choose, poses_of, units_of
from lipsync_core.material import Material
from lipsync_core.media.audio import ANALYSIS_RATE, Track
from lipsync_core.media.clip import Box, Clip, cropped
from lipsync_core.media.frames import FrameWriter, Plane, frame_of, read_frames
from lipsync_core.media.probe import FilmInfo
from lipsync_core.timeline import Segment, sample_of_frame

MOST_UNITS = 700  # time grows with its square; beyond half a minute of talk little is gained
GREATEST_YAW = 0.55
_POSE_SMOOTHING_FRAMES = 0.8
_DRAWN = "no mouth of this shot opens: mouths were drawn from one of its frames, as in a portrait"


@dataclass(frozen=True)
class Rewrite:
    """The generator ``rewrite``."""

    name: str = "rewrite"
    version: int = 2
    hears_s: float = 15.0
    remark: str = ""

    def checked(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """There are none."""
        return no_options(self.name, options)

    def render(
        self, material: Material, segment: Segment, speech: Track, out: Path, *,
        shift_ms: float = 0, options: Mapping[str, Any] | None = None,
    ) -> Clip:  # fmt: skip
        """Render one segment; see :class:`lipsync_core.generators.Generator`."""
        info = material.info
        first, last = _window(material.shot_of(segment), segment)
        faces = material.faces(first, last)
        units = units_of(faces, GREATEST_YAW)
        if not units.usable.any():
            raise RenderFailed(
                f"segment {segment.index}: no usable face in frames {first} to {last}; "
                "set it to passthrough in the cut list"
            )
        frames = np.arange(segment.first_frame, segment.last_frame)
        inside = slice(segment.first_frame - first, segment.last_frame - first)
        draws = never_opens(units)
        if draws:
            samples = sample_of_frame(info.frames, info.frame_rate, ANALYSIS_RATE)
            motion = MouthMotion(speech.mono, samples)
            drawn_shapes = motion.shapes(frames, info.frame_rate, -shift_ms / 1000)
        else:
            wanted, spread = wanted_shapes(material, faces, units, speech, frames, shift_ms)
            chosen = choose(wanted, poses_of(faces)[inside], units, spread)
        box = _face_box(faces, info)
        points = _steady(faces) - np.array([box.x, box.y])
        with (
            tempfile.TemporaryDirectory(dir=out.parent) as folder,
            FrameSpool(Path(folder) / "window.raw") as spool,
            FrameWriter(
                out, width=box.width, height=box.height, frame_rate=info.frame_rate,
                pixel_format=info.pixel_format, codec="ffv1", colour=info.colour,
            ) as writer,
        ):  # fmt: skip
            for frame in read_frames(info, first, last):
                spool.append(cropped(frame, box))
            shown: _Shown | _Drawn
            if draws:
                source = best_frame(spool, faces, points, units)
                mouths = DrawnMouths(spool.read(source), points[source])
                shown = _Drawn(spool, points, mouths, drawn_shapes, inside.start, info.pixel_format)
            else:
                shown = _Shown(spool, points, chosen, wanted, inside.start, info.pixel_format)
            for offset in range(segment.frames):
                writer.write(frame_of(shown.planes(offset), info.pixel_format))
        remarks = (_DRAWN,) if draws else ()
        return Clip(out, segment.first_frame, segment.last_frame, box, remarks)


class _Shown:
    """The finished planes of each frame of the segment, cross-faded where runs of units meet."""

    def __init__(
        self,
        spool: FrameSpool,
        points: NDArray[np.float64],
        chosen: NDArray[np.int64],
        wanted: NDArray[np.float64],
        start: int,
        pixel_format: str,
    ) -> None:
        self._spool, self._points, self._chosen = spool, points, chosen
        self._wanted = wanted
        self._start, self._format = start, pixel_format

    def planes(self, offset: int) -> list[Plane]:
        """Frame ``offset`` of the segment."""
        unit = int(self._chosen[offset])
        shown = self._composed(offset, unit)
        gone_on = self._gone_on(offset)
        if gone_on is None:
            return shown
        other = self._composed(offset, gone_on)
        return [cv2.addWeighted(a, 0.6, b, 0.4, 0) for a, b in zip(shown, other, strict=True)]

    def _gone_on(self, offset: int) -> int | None:
        """Where a new run of units begins: the unit by which the old run would have gone on."""
        if offset == 0:
            return None
        unit = int(self._chosen[offset - 1]) + 1
        joined = unit != int(self._chosen[offset])
        known = unit < self._spool.frames and np.isfinite(self._points[unit, 0, 0])
        return unit if joined and known else None

    def _composed(self, offset: int, unit: int) -> list[Plane]:
        place = self._start + offset
        frame = self._spool.read(place)
        if not np.isfinite(self._points[place, 0, 0]):
            return frame
        return composed(
            frame, self._points[place], self._spool.read(unit), self._points[unit],
            self._wanted[offset], self._format,
        )  # fmt: skip


@dataclass(frozen=True)
class _Drawn:
    """The finished planes of each frame of a segment whose mouths are drawn."""

    spool: FrameSpool
    points: NDArray[np.float64]
    mouths: DrawnMouths
    shapes: NDArray[np.float64]
    start: int
    pixel_format: str

    def planes(self, offset: int) -> list[Plane]:
        """Frame ``offset`` of the segment."""
        place = self.start + offset
        frame = self.spool.read(place)
        if not np.isfinite(self.points[place, 0, 0]):
            return frame
        drawn, points = self.mouths.drawn(self.shapes[offset])
        return composed(
            frame, self.points[place], drawn, points, shape_of(points), self.pixel_format
        )


def _window(shot: tuple[int, int], segment: Segment) -> tuple[int, int]:
    """The frames of the shot round a segment whose mouths may be used."""
    spare = max(0, MOST_UNITS - segment.frames)
    first = max(shot[0], segment.first_frame - spare // 2)
    last = min(shot[1], max(segment.last_frame, first + MOST_UNITS))
    first = max(shot[0], min(first, last - MOST_UNITS))
    return min(first, segment.first_frame), last


def _face_box(faces: FaceTrack, info: FilmInfo) -> Box:
    """A box that holds the face in every frame of the window, with room for the bent jaw."""
    oval = faces.points[faces.present][:, FACE_OVAL]
    room = 0.18 * float(np.median(eye_distance(faces.points[faces.present])))
    left, top = oval[..., 0].min() - room, oval[..., 1].min() - room
    right, bottom = oval[..., 0].max() + room, oval[..., 1].max() + 2 * room
    return Box.around(left, top, right, bottom, info)


def _steady(faces: FaceTrack) -> NDArray[np.float64]:
    """Landmarks with the mesh's jitter taken out, frame gaps left as they are."""
    points = faces.points.astype(np.float64)
    present = faces.present
    steady = points.copy()
    runs = np.split(np.arange(len(points)), np.flatnonzero(np.diff(present.astype(int))) + 1)
    for run in runs:
        if present[run[0]]:
            steady[run] = gaussian_filter1d(points[run], _POSE_SMOOTHING_FRAMES, axis=0)
    return steady
