"""The engine puppet in a process of its own: python -m tests.benchmarks.puppet HOW [MINUTES]

    speed   frames a second, drawn and from speech to clip, alone and two segments at a time, at
            512x512 and at 1080p, against the plain way of moving the same mouth
    memory  a film of so many minutes as one segment: peak memory

The plain way moves the same mouth and head by a warp of the whole picture in RGB, once for each
lip: a thin-plate spline through the same landmarks is solved anew for every frame, made a float map
of the picture's size and given to cv2.remap; then the two are mixed and converted to planes.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.data import astronaut

from lipsync_core.faces.axes import FaceAxes
from lipsync_core.faces.lips import Lips
from lipsync_core.faces.still import settled_landmarks
from lipsync_core.faces.warp import backward_field
from lipsync_core.generators.idle_motion import IdleMotion
from lipsync_core.generators.mouth_motion import MouthMotion
from lipsync_core.generators.puppet import Portrait, Pose, Puppet, posed, still_frame
from lipsync_core.material import Material
from lipsync_core.media.audio import ANALYSIS_RATE, Track, lay_track
from lipsync_core.media.probe import probe
from lipsync_core.scan import Scan
from lipsync_core.still_film import write_still_film
from lipsync_core.timeline import Segment
from tests.benchmarks import films

RATE, SECONDS, ROUNDS, PLAIN_FRAMES = Fraction(25), 8, 3, 20
SIZES = {"512x512": (512, 512), "1080p": (1920, 1080)}

Picture = NDArray[np.uint8]


def picture_of(width: int, height: int) -> Picture:
    """A head as high as the picture, beside it what was at the photograph's edges."""
    head = cv2.resize(astronaut()[0:280, 85:365], (height, height), interpolation=cv2.INTER_CUBIC)
    aside = (width - height) // 2
    return cv2.copyMakeBorder(head, 0, 0, aside, aside, cv2.BORDER_REPLICATE).astype(np.uint8)


def still_material(picture: Picture, frames: int, folder: Path) -> Material:
    """A still film of that picture, as the engine is given it."""
    made = write_still_film(picture, settled_landmarks(picture)[0], frames, folder)
    scan = Scan((), made.faces, made.thumbnails)
    return Material(probe(made.film), scan, None, is_still=True)


def plain(picture: Picture, points: NDArray[np.float32], poses: list[Pose]) -> None:
    """The plain way: the whole picture, two warps, every frame from nothing."""
    height, width = picture.shape[:2]
    axes = FaceAxes.of(points)
    lips = Lips(axes.of_pixels(points.astype(np.float64)))
    edges = np.array([(x, y) for x in (0, width - 1) for y in (0, height - 1)], np.float64)
    for shape, _, move in poses:
        sway = axes.pixels(np.array([move.right, move.down]))
        layers = []
        for knots, moves in (lips.upper_moves(), lips.lower_moves()):
            source = axes.origin + axes.pixels(knots)
            target = source + axes.pixels(moves @ np.append(shape, 1.0)) + sway
            field = backward_field(
                np.concatenate([source, edges]), np.concatenate([target, edges]), width, height
            )
            layers.append(cv2.remap(picture, field, None, cv2.INTER_CUBIC))
        share = np.float32(0.5)
        blended = layers[0] * share + layers[1] * (1 - share)
        still_frame(np.rint(blended).astype(np.uint8))


def speed(folder: Path) -> dict[str, Any]:
    """Frames a second, each the best of a few rounds in turn."""
    return {name: _speed(picture_of(*size), folder / name) for name, size in SIZES.items()}


def _speed(picture: Picture, folder: Path) -> dict[str, float]:
    folder.mkdir()
    frames = int(SECONDS * RATE)
    material = still_material(picture, frames, folder)
    track = speech_under(material, folder)
    motion = MouthMotion(track.mono, track.samples)
    poses = list(posed(motion, IdleMotion(0), range(frames), RATE))
    portrait, points = Portrait.of_image(picture), material.faces(0, 1).points[0]
    ways: dict[str, tuple[int, Callable[[], object]]] = {
        "plain": (PLAIN_FRAMES, partial(plain, picture, points, poses[:PLAIN_FRAMES])),
        "drawn": (frames, lambda: [portrait.posed(*pose) for pose in poses]),
        "to a clip": (frames, partial(rendered, material, track, folder, 1)),
        "to two clips at a time": (frames, partial(rendered, material, track, folder, 2)),
    }
    best = dict.fromkeys(ways, 0.0)
    for _ in range(ROUNDS):
        for way, (count, work) in ways.items():
            began = time.monotonic()
            work()
            best[way] = max(best[way], count / (time.monotonic() - began))
    return best


def speech_under(material: Material, folder: Path) -> Track:
    """Speech as long as the film."""
    seconds = float(material.info.frames / RATE)
    return lay_track(
        films.long_speech(folder / "given.wav", seconds), folder / "speech.wav",
        frames=material.info.frames, frame_rate=RATE, sample_rate=ANALYSIS_RATE, mono=True,
    )  # fmt: skip


def rendered(material: Material, speech: Track, folder: Path, at_once: int) -> None:
    """The whole film in as many segments at a time."""
    edges = np.linspace(0, material.info.frames, at_once + 1).astype(int).tolist()

    def one(number: int) -> None:
        segment = Segment(number, edges[number], edges[number + 1])
        Puppet().render(material, segment, speech, folder / f"{number}.mkv", options={})

    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(one, range(at_once)))


def memory(folder: Path, minutes: int) -> dict[str, Any]:
    """A film of so many minutes as one segment."""
    picture = cv2.resize(picture_of(512, 512), (256, 256), interpolation=cv2.INTER_AREA)
    material = still_material(picture.astype(np.uint8), 60 * minutes * int(RATE), folder)
    rendered(material, speech_under(material, folder), folder, 1)
    return {"frames": material.info.frames}


def main(how: str, minutes: str = "1") -> None:
    """Measure, print."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        print(json.dumps(speed(folder) if how == "speed" else memory(folder, int(minutes))))


if __name__ == "__main__":
    main(*sys.argv[1:])
