"""The inputs of a generation: fetched, looked at, and kept until it is rendered."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

import cv2

from lipsync_core.errors import InputError
from lipsync_core.media.probe import opened, probe_audio
from tests.emulators.sync_so.bodies import CreateBody
from tests.emulators.sync_so.refusals import Refused
from tests.emulators.sync_so.voice import spoken_s

IMAGE_RATE = Fraction(25)  # of the film that an image becomes
_WIDEST, _HIGHEST = 4096, 2160
_REACT_S = 15.0
_FETCH_S = 30.0
_OPENER = build_opener(ProxyHandler({}))


@dataclass(frozen=True)
class Input:
    """One input as a file; for a text, ``script`` is to be spoken and there is no file yet.

    ``seconds`` and ``frames`` are its length; ``width`` and ``height`` are 0 for a sound.
    """

    kind: str
    path: str
    ref: str | None = None
    script: str = ""
    seconds: float = 0.0
    frames: int = 0
    frame_rate: str = "0"
    width: int = 0
    height: int = 0
    codec: str = ""

    def as_json(self) -> dict[str, Any]:
        """The fields, as the row of a job keeps them."""
        return asdict(self)


def fetch(url: str, kind: str, out: Path) -> None:
    """Bring a file to ``out``.

    Raises:
        Refused: 422, the address does not give one.
    """
    try:
        # the environment's proxies are not asked: an emulator phones nowhere
        with _OPENER.open(url, timeout=_FETCH_S) as answer, out.open("wb") as file:
            shutil.copyfileobj(answer, file)
    except (OSError, HTTPException, ValueError) as error:
        raise Refused(422, f"generation_input_{kind}_inaccessible", field="input") from error


def looked_at(kind: str, path: Path, ref: str | None = None) -> Input:
    """What an input file holds.

    Raises:
        Refused: 422, it cannot be read, or is too large.
    """
    try:
        if kind == "image":
            picture = cv2.imread(str(path))
            if picture is None:
                raise InputError(f"no picture: {path}")
            height, width = picture.shape[:2]
            found = Input(kind, str(path), ref, width=width, height=height)
        elif kind == "video":
            found = _film(path, ref)
        else:
            found = Input(kind, str(path), ref, seconds=_sound_s(path))
    except InputError as error:
        raise Refused(422, f"generation_input_{kind}_invalid", field="input") from error
    if found.width > _WIDEST or found.height > _HIGHEST:
        raise Refused(422, "generation_input_resolution_unsupported", field="input")
    return found


def spoken(item: dict[str, Any]) -> Input:
    """A text input, as long as it will be when it is spoken."""
    script = item["provider"]["script"]
    return Input("text", "", item.get("refId"), script=script, seconds=spoken_s(script))


def check_together(body: CreateBody, visual: Input) -> None:
    """What only the film itself can tell of a body.

    Raises:
        Refused: 422, the film is too long for the model, or the chosen speaker cannot be.
    """
    if body.model == "react-1" and visual.seconds > _REACT_S:
        raise Refused(422, "generation_model_duration_exceeded", field="input")
    speaker = body.options.get("active_speaker_detection") or {}

    def wrong(message: str) -> Refused:
        field = "options.active_speaker_detection"
        return Refused(422, "generation_input_face_selection_invalid", message, field=field)

    boxes = speaker.get("bounding_boxes")
    if boxes is not None:
        if len(boxes) != visual.frames:
            raise wrong(f"{len(boxes)} bounding boxes for {visual.frames} frames")
        if not boxes[0]:
            raise wrong("The first frame has no bounding box")
    if "coordinates" in speaker:
        x, y = speaker["coordinates"]
        inside = 0 <= x < visual.width and 0 <= y < visual.height
        if not inside or not 0 <= speaker["frame_number"] < max(visual.frames, 1):
            raise wrong("The point lies outside the video")


def output_frames(body: CreateBody, visual: Input, voices: Sequence[Input]) -> int:
    """How many frames the output will have."""
    rate = Fraction(visual.frame_rate) or IMAGE_RATE
    sound_frames = max(1, round(voices[0].seconds * rate))
    if body.segments:
        return visual.frames or sound_frames
    return wanted_frames(body.sync_mode, visual.frames, sound_frames)


def wanted_frames(sync_mode: str, film_frames: int, sound_frames: int) -> int:
    """The length of an output, by the vendor's table of modes; an image is as long as its sound."""
    if not film_frames:
        return sound_frames
    if sync_mode == "cut_off":
        return min(film_frames, sound_frames)
    return max(film_frames, sound_frames) if sync_mode == "silence" else sound_frames


def _film(path: Path, ref: str | None) -> Input:
    """A film by its header and packets: quick, for a create call waits for it."""
    with opened(path) as container:
        if not container.streams.video:
            raise InputError(f"no video stream in {path}")
        stream = container.streams.video[0]
        rate = stream.average_rate
        frames = sum(packet.pts is not None for packet in container.demux(stream))
        if not rate or not frames:
            raise InputError(f"no frames, or no rate of them, in {path}")
        return Input(
            "video", str(path), ref, seconds=float(frames / rate), frames=frames,
            frame_rate=str(rate), width=stream.width, height=stream.height,
            codec=stream.codec_context.name,
        )  # fmt: skip


def _sound_s(path: Path) -> float:
    """How long a sound is, by its header."""
    probe_audio(path)
    with opened(path) as container:
        stream = container.streams.audio[0]
        if stream.duration is not None and stream.time_base is not None:
            return float(stream.duration * stream.time_base)
        return (container.duration or 0) / 1e6
