"""The body of a create call: what it must look like before anything is fetched."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

from tests.emulators.sync_so.prices import MODEL_NAMES
from tests.emulators.sync_so.refusals import INVALID, Refused

SYNC_MODES = ("bounce", "loop", "cut_off", "silence", "remap")
VISUAL, VOICE = ("video", "image"), ("audio", "text")
_LONGEST_SCRIPT = 5000
_LONGEST_NAME = 255
_CHOICES = {
    "sync_mode": SYNC_MODES,
    "model_mode": ("lips", "face", "head"),
    "prompt": ("happy", "sad", "angry", "disgusted", "surprised", "neutral"),
}
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_SEGMENTS = "generation_input_segments_invalid"


@dataclass(frozen=True)
class CreateBody:
    """A create call that may be tried. ``echo`` is what the generation repeats of it."""

    model: str
    visual: dict[str, Any]
    voices: tuple[dict[str, Any], ...]
    options: dict[str, Any]
    segments: tuple[dict[str, Any], ...]
    webhook_url: str | None
    output_name: str | None
    project_id: str | None
    echo: dict[str, Any]

    @property
    def sync_mode(self) -> str:
        """How different lengths are brought together."""
        return str(self.options.get("sync_mode") or "bounce")


def checked(body: Any) -> CreateBody:
    """A create body as parsed from JSON, checked.

    Raises:
        Refused: 400, something in it cannot be.
    """
    if not isinstance(body, dict):
        raise Refused(400, INVALID, "The body must be a JSON object")
    given = {name: value for name, value in body.items() if value is not None}
    missing = [f"{name} should not be empty" for name in ("model", "input") if not given.get(name)]
    if missing:
        raise Refused(400, INVALID, missing, field=missing[0].split()[0])
    model = given["model"]
    if model not in MODEL_NAMES:
        raise Refused(400, "generation_unsupported_model", f"Unsupported model: {model}")
    visual, voices = _inputs(given["input"], model)
    options = given.get("options", {})
    _check_options(options, is_image=visual["type"] == "image")
    segments = given.get("segments") or []
    _check_segments(segments, voices)
    if len(voices) > 1 and not segments:
        raise Refused(400, INVALID, "More than one voice needs segments", field="input")
    check_webhook(given.get("webhookUrl"))
    name = given.get("outputFileName")
    if name is not None and not isinstance(name, str):
        raise Refused(400, INVALID, "outputFileName must be a string", field="outputFileName")
    echoed = ("model", "input", "options", "segments", "webhookUrl")
    return CreateBody(
        model=model, visual=visual, voices=voices, options=options, segments=tuple(segments),
        webhook_url=given.get("webhookUrl"), output_name=sanitised(name) if name else None,
        project_id=given.get("projectId"),
        echo={name: given[name] for name in echoed if name in given},
    )  # fmt: skip


def sanitised(name: str) -> str:
    """A file name without its ``.mp4``, of letters, digits, ``_`` and ``-``, 255 at most."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "_", name.removesuffix(".mp4"))
    return plain[:_LONGEST_NAME]


def _inputs(items: Any, model: str) -> tuple[dict[str, Any], tuple[dict[str, Any], ...]]:
    if not isinstance(items, list):
        raise Refused(400, INVALID, ["input must be an array"], field="input")
    problems = [problem for n, item in enumerate(items) for problem in _problems(n, item)]
    if problems:
        raise Refused(400, INVALID, problems, field="input")
    visuals = [item for item in items if item["type"] in VISUAL]
    voices = [item for item in items if item["type"] in VOICE]
    if len(visuals) > 1:
        raise Refused(400, "generation_input_too_many_visual", field="input")
    if not visuals:
        raise Refused(400, INVALID, ["input must contain a video or an image"], field="input")
    if not voices:
        raise Refused(400, INVALID, ["input must contain an audio or a text"], field="input")
    if visuals[0]["type"] == "image" and model != "sync-3":
        raise Refused(400, INVALID, "Image input needs the model sync-3", field="input")
    return visuals[0], tuple(voices)


def _problems(number: int, item: Any) -> Iterator[str]:
    """What is wrong with one input item."""
    where = f"input.{number}"
    kind = item.get("type") if isinstance(item, dict) else None
    if kind not in VISUAL + VOICE:
        yield f"{where}.type must be one of video, audio, text, image"
    elif kind == "text":
        yield from _voice_problems(where, item.get("provider"))
    elif not (item.get("url") or item.get("assetId")):
        yield f"{where} must have a url or an assetId"
    elif item.get("url") and not _is_url(item["url"]):
        yield f"{where}.url must be a URL address"
    elif kind == "video":
        for name in ("segments_secs", "segments_frames"):
            flat = [moment for pair in item.get(name) or [] for moment in pair]
            if any(later <= earlier for earlier, later in pairwise(flat)):
                yield f"{where}.{name} must be strictly increasing"


def _voice_problems(where: str, provider: Any) -> Iterator[str]:
    if not isinstance(provider, dict) or provider.get("name") != "elevenlabs":
        yield f"{where}.provider.name must be elevenlabs"
        return
    for name in ("voiceId", "script"):
        if not provider.get(name) or not isinstance(provider[name], str):
            yield f"{where}.provider.{name} should not be empty"
            return
    if len(provider["script"]) > _LONGEST_SCRIPT:
        yield f"{where}.provider.script must be at most {_LONGEST_SCRIPT} characters"


def _is_url(text: Any) -> bool:
    if not isinstance(text, str):
        return False
    parts = urlsplit(text)
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _check_options(options: Any, *, is_image: bool) -> None:
    """What a model does not know is ignored; what no model could take is refused."""
    if not isinstance(options, dict):
        raise Refused(400, INVALID, ["options must be an object"], field="options")
    for name, choices in _CHOICES.items():
        if options.get(name) is not None and options[name] not in choices:
            message = f"options.{name} must be one of {', '.join(choices)}"
            raise Refused(400, INVALID, [message], field=f"options.{name}")
    temperature = options.get("temperature")
    if temperature is not None and not (_is_number(temperature) and 0 <= temperature <= 1):
        message = "options.temperature must be between 0 and 1"
        raise Refused(400, INVALID, [message], field="options.temperature")
    occlusion = options.get("occlusion_detection_enabled")
    if occlusion is not None and not isinstance(occlusion, bool):
        message = "options.occlusion_detection_enabled must be a boolean"
        raise Refused(400, INVALID, [message], field="options.occlusion_detection_enabled")
    speaker = options.get("active_speaker_detection") or {}
    if not isinstance(speaker, dict):
        message = "options.active_speaker_detection must be an object"
        raise Refused(400, INVALID, [message], field="options.active_speaker_detection")
    if is_image and speaker.get("auto_detect"):
        raise Refused(400, "generation_input_face_selection_invalid", "Images have one speaker")
    if ("frame_number" in speaker) != ("coordinates" in speaker):
        message = "frame_number and coordinates belong together"
        raise Refused(400, "generation_input_face_selection_invalid", message)


def _check_segments(segments: Any, voices: Sequence[dict[str, Any]]) -> None:
    if not segments:
        return
    if not isinstance(segments, list):
        raise Refused(400, _SEGMENTS, "segments must be an array", field="segments")
    names = [voice.get("refId") for voice in voices]
    if None in names or len(set(names)) < len(names):
        message = "With segments every voice needs a refId of its own"
        raise Refused(400, _SEGMENTS, message, field="segments")
    spans = sorted(_span(number, segment, names) for number, segment in enumerate(segments))
    if any(start < end for (_, end), (start, _) in pairwise(spans)):
        raise Refused(400, _SEGMENTS, "Segments overlap", field="segments")


def _span(number: int, segment: Any, names: Sequence[str | None]) -> tuple[float, float]:
    """The start and end of a segment, in seconds."""

    def wrong(message: str) -> Refused:
        return Refused(400, _SEGMENTS, f"segments.{number}: {message}", field="segments")

    if not isinstance(segment, dict) or not isinstance(segment.get("audioInput"), dict):
        raise wrong("audioInput is missing")
    voice = segment["audioInput"]
    if voice.get("refId") not in names:
        raise wrong(f"no voice has the refId {voice.get('refId')}")
    if (voice.get("startTime") is None) != (voice.get("endTime") is None):
        raise wrong("startTime and endTime of audioInput belong together")
    if voice.get("startTime") is not None:
        _ordered(voice, wrong("the crop of the audio ends before it starts"))
    return _ordered(segment, wrong("startTime and endTime must be numbers, the end not first"))


def _ordered(holder: dict[str, Any], error: Refused) -> tuple[float, float]:
    start, end = holder.get("startTime"), holder.get("endTime")
    if not (_is_number(start) and _is_number(end)) or not 0 <= start <= end:  # type: ignore[operator]
        raise error
    return float(start), float(end)  # type: ignore[arg-type]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def check_webhook(url: Any) -> None:
    """Public HTTPS at the vendor; here also HTTP on this machine, for tests.

    Raises:
        Refused: 400, it is something else.
    """
    if url is None:
        return
    allowed = _is_url(url) and (
        urlsplit(url).scheme == "https" or urlsplit(url).hostname in _LOOPBACK
    )
    if not allowed:
        message = ["webhookUrl must be a public HTTPS address"]
        raise Refused(400, INVALID, message, field="webhookUrl")


def is_loopback(url: str) -> bool:
    """Whether an address is on this machine."""
    return urlsplit(url).hostname in _LOOPBACK
