"""One segment through the network, in a stream: decoding, the network and blending overlap.

One thread decodes and cuts out faces, another feeds the network, a third blends and encodes. Never
more than a few batches are held, however long the segment is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from lipsync_core.ahead import ahead
from lipsync_core.errors import InputError, OutOfMemory
from lipsync_core.faces.blend import FACE_ROOM, FACE_SEAM, box_round
from lipsync_core.faces.landmarks import FaceTrack
from lipsync_core.generators.device import CardMemory, device_called, is_out_of_memory, turn_on
from lipsync_core.generators.wav2lip.boxes import face_boxes, faces_in
from lipsync_core.generators.wav2lip.compose import lower_half, spoken
from lipsync_core.generators.wav2lip.folded import FoldedWav2Lip
from lipsync_core.generators.wav2lip.mel import windows
from lipsync_core.generators.wav2lip.network import FACE_SIDE, Wav2LipNetwork, networks_tensors
from lipsync_core.generators.wav2lip.options import Wav2LipOptions
from lipsync_core.material import Material
from lipsync_core.media.audio import ANALYSIS_RATE, Track
from lipsync_core.media.clip import Box, Clip, cropped
from lipsync_core.media.frames import FrameWriter, bgr_part, read_frames
from lipsync_core.media.probe import FilmInfo
from lipsync_core.timeline import Segment
from lipsync_core.weights.fingerprint import sha256_of, state_of
from lipsync_core.weights.tensors import read_tensors

BATCHES_AHEAD = 2
_USUAL_BATCH = {"cuda": 64, "cpu": 8}


@dataclass
class Figures:
    """What a rendering took.

    ``network_s`` is the time from the first batch to the last, of which the device waited
    ``waited_s`` for pictures or for somebody to take its faces.
    """

    faces: int = 0
    network_s: float = 0.0
    waited_s: float = 0.0
    batch: int = 0
    remarks: list[str] = field(default_factory=list)


def load_network(path: Path) -> Wav2LipNetwork:
    """The network with the weights of a checkpoint, ready to be asked.

    Raises:
        InputError: the file is no checkpoint of this network.
    """
    network = Wav2LipNetwork().eval()
    tensors = load_tensors(path)
    network.load_state_dict(tensors, strict=False)  # it may lack counters, which mean nothing here
    return network


def load_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The weights themselves, by name; those of most files stay on the disk until they are used.

    Raises:
        InputError: the file is no checkpoint of this network.
    """
    return read_tensors(path, networks_tensors(), "Wav2Lip", scripted=True)


@lru_cache(maxsize=2)
def _folded(
    path: Path, state: tuple[int, ...], sha256: str, device: torch.device, dtype: torch.dtype
) -> FoldedWav2Lip:
    """The network of a file that was seen in this state, if it is the one with that sha256."""
    if sha256_of(path) != sha256:
        raise InputError(f"{path} was replaced during the run: start the same command again")
    torch.backends.cudnn.allow_tf32 = dtype is not torch.float32
    return FoldedWav2Lip(load_network(path), device, dtype)


def render_segment(
    material: Material, segment: Segment, speech: Track, out: Path, shift_ms: float,
    options: Wav2LipOptions, weights: Path, sha256: str, *, beat: Callable[[], None],
) -> tuple[Clip, Figures]:  # fmt: skip
    """Render one segment with a checkpoint; see :class:`lipsync_core.generators.Generator`.

    ``beat`` is called as a sign of life.

    Raises:
        InputError: no frame has a face, or the checkpoint is not the one with that ``sha256``.
        OutOfMemory: not even a single face fits.
    """
    faces = material.faces(segment.first_frame, segment.last_frame)
    boxes = face_boxes(faces, material.info, options)
    if not np.isfinite(boxes).any():
        raise InputError(
            f"no usable face in frames {segment.first_frame} to {segment.last_frame}: set the "
            "segment to passthrough in the cut list, or give a box"
        )
    device = device_called(options.device)
    dtype = torch.float16 if options.precision == "mixed" else torch.float32
    memory = CardMemory(device)
    try:
        with turn_on(device, beat), memory.watched():
            network = _folded(weights, state_of(weights), sha256, device, dtype)
            beat()
            clip, figures = render_with(
                network, material, segment, speech, out, shift_ms, options, beat=beat
            )
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise _no_memory(device) from error
    remarks = tuple(filter(None, (*figures.remarks, memory.told)))
    return replace(clip, remarks=remarks), figures


def render_with(
    network: FoldedWav2Lip, material: Material, segment: Segment, speech: Track, out: Path,
    shift_ms: float, options: Wav2LipOptions, *, beat: Callable[[], None] = lambda: None,
) -> tuple[Clip, Figures]:  # fmt: skip
    """The same with a network that is loaded."""
    info, first, last = material.info, segment.first_frame, segment.last_frame
    faces = material.faces(first, last)
    boxes = face_boxes(faces, info, options)
    if options.box is not None:  # it may show somebody else than the scan follows
        faces = faces_in(faces, boxes)
    box = _clip_box(faces, boxes, info)
    late = replace(speech, delay=speech.delay + round(shift_ms * ANALYSIS_RATE / 1000))
    figures = Figures(batch=options.batch or _USUAL_BATCH.get(network.device.type, 8))
    looks = _looks(info, segment, box, faces, boxes, options.resize_factor)
    batches = ahead(_in_batches(looks, late, first, info, figures.batch), BATCHES_AHEAD)
    with FrameWriter(
        out, width=box.width, height=box.height, frame_rate=info.frame_rate,
        pixel_format=info.pixel_format, codec="ffv1", colour=info.colour,
    ) as writer:  # fmt: skip
        made = ahead(_through(network, batches, figures), BATCHES_AHEAD)
        with closing(made):
            for batch, lowers in made:
                lower = iter(lowers)
                for look in batch.looks:
                    if look.picture is None:
                        writer.write(look.part)
                    else:
                        writer.write(spoken(look.part, next(lower), look.place, look.face))
                beat()
    return Clip(out, first, last, box), figures


@dataclass(frozen=True)
class _Look:
    """A frame as far as it may change: ``face`` (468, 2) and ``place`` (left, top, right, bottom of
    the lower half) in pixels of ``part``; ``picture`` (96, 96, 3) is what the network sees."""

    part: av.VideoFrame
    face: NDArray[np.float32]
    place: NDArray[np.float64]
    picture: NDArray[np.uint8] | None


@dataclass(frozen=True)
class _Batch:
    """Frames, and of those with a face what the network sees and hears."""

    looks: list[_Look]
    pictures: NDArray[np.uint8]
    heard: NDArray[np.float32]


def _clip_box(faces: FaceTrack, boxes: NDArray[np.float64], info: FilmInfo) -> Box:
    """What the clip holds: every face in it whole, since somebody will look at it again."""
    if faces.present.any():
        return box_round(faces, info, FACE_ROOM + FACE_SEAM)
    left, top, right, bottom = boxes[np.isfinite(boxes[:, 0])][0]
    room = (bottom - top) / 2
    return Box.around(left - room, top - room, right + room, bottom + room, info)


def _looks(
    info: FilmInfo, segment: Segment, box: Box, faces: FaceTrack, boxes: NDArray[np.float64],
    factor: int,
) -> Iterator[_Look]:  # fmt: skip
    frames = read_frames(info, segment.first_frame, segment.last_frame)
    corner = np.array([box.x, box.y])
    for frame, face, seen in zip(frames, faces.points, boxes, strict=True):
        picture = _picture(frame, seen, factor) if np.isfinite(seen[0]) else None
        place = lower_half(seen) - np.tile(corner, 2)
        yield _Look(cropped(frame, box), face - corner.astype(np.float32), place, picture)


def _picture(frame: av.VideoFrame, seen: NDArray[np.float64], factor: int) -> NDArray[np.uint8]:
    """What the network sees of a frame: (96, 96, 3)."""
    left, top, right, bottom = seen
    width, height = right - left, bottom - top
    place = (float(left), float(top), float(width), float(height))
    if factor == 1:
        return bgr_part(frame, place, (FACE_SIDE, FACE_SIDE))
    face = bgr_part(frame, place, (int(width), int(height)))
    small = max(1, int(width) // factor), max(1, int(height) // factor)
    face = cv2.resize(face, small, interpolation=cv2.INTER_AREA)
    resized: NDArray[np.uint8] = cv2.resize(face, (FACE_SIDE, FACE_SIDE))
    return resized


def _in_batches(
    looks: Iterator[_Look], speech: Track, first: int, info: FilmInfo, size: int
) -> Iterator[_Batch]:
    while batch := list(islice(looks, size)):
        last = first + len(batch)
        heard = windows(speech.mono, speech.samples, first, last, info.frame_rate)
        with_face = [n for n, look in enumerate(batch) if look.picture is not None]
        pictures = [look.picture for look in batch if look.picture is not None]
        seen = np.stack(pictures) if pictures else np.zeros((0, FACE_SIDE, FACE_SIDE, 3), np.uint8)
        yield _Batch(batch, seen, heard[with_face])
        first = last


def _through(
    network: FoldedWav2Lip, batches: Generator[_Batch, None, None], figures: Figures
) -> Iterator[tuple[_Batch, NDArray[np.uint8]]]:
    """Every batch with the lower halves that the network makes of it: (faces, 48, 96, 3)."""
    began = ready = time.monotonic()
    with closing(batches):
        for batch in batches:
            figures.waited_s += time.monotonic() - ready
            lowers = _lowers(network, batch, figures)
            figures.faces += len(lowers)
            handed_over = time.monotonic()
            figures.network_s = handed_over - began
            yield batch, lowers
            ready = time.monotonic()
            figures.waited_s += ready - handed_over


def _lowers(network: FoldedWav2Lip, batch: _Batch, figures: Figures) -> NDArray[np.uint8]:
    made: list[NDArray[np.uint8]] = []
    place = 0
    while place < len(batch.pictures):
        some = slice(place, place + figures.batch)
        heard, seen = (torch.from_numpy(of[some]) for of in (batch.heard, batch.pictures))
        try:
            made.append(network.speak(heard, seen).cpu().numpy())
            place += figures.batch
            continue
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if figures.batch == 1:
                raise _no_memory(network.device) from error
        _halve(figures, network.device)  # here, where what the error held is gone
    return np.concatenate(made) if made else np.zeros((0, FACE_SIDE // 2, FACE_SIDE, 3), np.uint8)


def _no_memory(device: torch.device) -> OutOfMemory:
    return OutOfMemory(
        f"the memory of {device} does not suffice for a single face: free some, or give another "
        "device"
    )


def _halve(figures: Figures, device: torch.device) -> None:
    """Go on with fewer faces at a time, never with smaller ones."""
    figures.batch //= 2
    figures.remarks = [f"{figures.batch} faces at a time, since the memory of {device} ran out"]
    if device.type == "cuda":
        torch.cuda.empty_cache()
