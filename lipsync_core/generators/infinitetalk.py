"""The engine ``infinitetalk``: a whole portrait that speaks, or a film that speaks anew, by the
InfiniteTalk worker on an endpoint of RunPod; paid by the second of a card.

The worker checks nothing: where a picture or a speech is missing it renders a sample person, and
bills it. So what it is handed is a model that cannot lack either.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import math
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, Field, SecretStr, ValidationError, model_validator

from lipsync_core.errors import (
    InputError,
    RemoteRefused,
    RemoteUnavailable,
    in_one_line,
    writing,
)
from lipsync_core.generators.runpod import (
    INLINE,
    KNOWS,
    LEAST_TIMEOUT_S,
    LONGEST_S,
    NEEDS,
    RunPodJobs,
    opened_client,
)
from lipsync_core.jobs.budget import price_of
from lipsync_core.jobs.remote import Hears, Order, off_the_grid
from lipsync_core.services.runpod import volume
from lipsync_core.services.runpod.client import RunPodClient
from lipsync_core.services.runpod.volume import NetworkVolume

NAME = "infinitetalk"
PROMPT = "A person talking naturally"
FRAME_RATE = 25
_HEADROOM = 81  # frames: one window, which the worker itself adds where it is not told a number
_PERSON = Literal["single", "multi"]

# How long a worker may take: the start of its renderer and the loading of weights, then so many
# seconds of work for a second of film of 480x832. The published times are 24 (L40) to 30 (4090
# with 48 GB); this is twice that. More pixels cost more than in proportion, by the attention
# between them.
_START_S, _WORK_FOR_A_SECOND = 600.0, 60.0
_PIXELS, _GROWTH = 480 * 832, 1.5
_LEAST_WORK = 0.3  # of the usual: what does not depend on the size

_RESOURCES = frozenset({"force_offload", "network_volume", "execution_timeout_s", "gpu"})
_SMALLER = "make the picture smaller, plan shorter segments, or set network_volume=true"


class InfiniteTalkOptions(BaseModel, extra="forbid", frozen=True):
    """What a person may choose. The size is the film's; seed, steps and frame rate are the
    worker's own.

    Only ``prompt`` changes the picture. ``gpu`` is the card that the endpoint uses, for its price;
    ``network_volume`` has results handed over through the volume that hangs on the endpoint.
    """

    prompt: str = Field(PROMPT, min_length=1)
    force_offload: bool = True
    network_volume: bool = False
    execution_timeout_s: float | None = Field(None, ge=LEAST_TIMEOUT_S, le=LONGEST_S)
    gpu: str = Field("L40S", min_length=1)


class WorkerInput(BaseModel, extra="forbid", frozen=True):
    """The input of the worker, named as it names it: exactly one picture, and one speech for each
    person. ``lipsync_key`` is ours, and ignored there.

    ``…_path`` are places on the worker's own machine, ``…_base64`` hold the bytes, or name the
    file whose bytes are put there as the request is sent (``inline:…``).
    """

    input_type: Literal["image", "video"] = "image"
    person_count: _PERSON = "single"
    image_path: str | None = None
    image_url: str | None = None
    image_base64: str | None = None
    video_path: str | None = None
    video_url: str | None = None
    video_base64: str | None = None
    wav_path: str | None = None
    wav_url: str | None = None
    wav_base64: str | None = None
    wav_path_2: str | None = None
    wav_url_2: str | None = None
    wav_base64_2: str | None = None
    prompt: str = Field(PROMPT, min_length=1)
    width: int = Field(gt=0)
    height: int = Field(gt=0)
    max_frame: int = Field(gt=0)
    force_offload: bool = True
    network_volume: bool = False
    lipsync_key: str | None = None

    @model_validator(mode="after")
    def _shows_and_says_something(self) -> Self:
        other = "video" if self.input_type == "image" else "image"
        self._exactly_one(self.input_type, self.input_type, "")
        self._exactly_one("speech", "wav", "")
        if self._given(other, ""):
            raise ValueError(f"an input of type {self.input_type} takes no {other}")
        if self.person_count == "multi":
            self._exactly_one("second speech", "wav", "_2")
        elif self._given("wav", "_2"):
            raise ValueError("a second speech needs person_count multi")
        return self

    def _given(self, what: str, which: str) -> list[str]:
        names = [f"{what}_{way}{which}" for way in ("path", "url", "base64")]
        found = {name: getattr(self, name) for name in names}
        empty = [name for name, value in found.items() if value == ""]
        if empty:
            raise ValueError(f"{empty[0]} is empty")
        return [name for name, value in found.items() if value is not None]

    def _exactly_one(self, called: str, what: str, which: str) -> None:
        given = self._given(what, which)
        if len(given) != 1:
            raise ValueError(f"one {called} is needed, not {len(given)}")
        url = getattr(self, f"{what}_url{which}")
        if url is not None and not url.startswith(("https://", "http://")):
            raise ValueError(f"not an address the worker can fetch: {called}")

    def sent(self) -> dict[str, Any]:
        """The ``input`` of a request."""
        return self.model_dump(mode="json", exclude_none=True)


class WorkerOutput(BaseModel, frozen=True):
    """What the worker gives back: the film as base64, or where it lies on the network volume."""

    video: str | None = None
    video_path: str | None = None

    @property
    def plain(self) -> str:
        """The base64 of the film without the prefix of a data address, which some versions add."""
        text = self.video or ""
        return text.partition(",")[2] if text.startswith("data:") else text


@dataclass(frozen=True)
class InfiniteTalk:
    """The generator ``infinitetalk``; see :class:`lipsync_core.jobs.remote.RemoteEngine`."""

    name: str = NAME
    version: int = 1
    needs: tuple[str, ...] = NEEDS
    knows: tuple[str, ...] = (*KNOWS, *volume.NEEDED)
    grid: int = 16
    seam_frames: int = 6
    hears: Hears | None = Hears(16_000, mono=True)  # noqa: RUF009 - frozen

    def checked(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options in full; what does not change the picture stands under ``resources``."""
        found = _options(options)
        price_of(self.name, found.gpu)
        plain = found.model_dump(mode="json", exclude_none=True)
        resources = {name: value for name, value in plain.items() if name in _RESOURCES}
        return {"prompt": found.prompt, "resources": resources}

    def objection(self, width: int, height: int) -> str:
        """The worker crops what is not on its grid."""
        return off_the_grid(self.name, self.grid, width, height)

    def takes_stills(self, options: Mapping[str, Any]) -> bool:
        """It was made for them."""
        return True

    def price_of(self, options: Mapping[str, Any]) -> str:
        """The card decides."""
        return _options(options).gpu

    def work(self, width: int, height: int, options: Mapping[str, Any]) -> float:
        """The table tells of 480x832."""
        return max(_LEAST_WORK, _times_the_usual(width, height))

    @asynccontextmanager
    async def opened(
        self, options: Mapping[str, Any], secrets: Mapping[str, SecretStr]
    ) -> AsyncIterator[InfiniteTalkJobs]:
        """A connection to the endpoint. It is asked how it is, since a wrong key should be told
        before an order is written down."""
        chosen = _options(options)
        on_volume = NetworkVolume.told(secrets)
        if chosen.network_volume and on_volume is None:
            raise InputError(
                f"{self.name}: network_volume=true needs {', '.join(volume.NEEDED)}: set them"
            )
        client, account = opened_client(secrets)
        async with aclosing(client):
            with suppress(RemoteUnavailable):
                await client.health()
            yield InfiniteTalkJobs(client, account, chosen, on_volume)


class InfiniteTalkJobs(RunPodJobs):
    """The jobs of one endpoint; see :class:`lipsync_core.jobs.remote.RemoteGenerator`."""

    name = NAME

    def __init__(
        self,
        client: RunPodClient,
        account: str,
        options: InfiniteTalkOptions,
        on_volume: NetworkVolume | None = None,
    ) -> None:
        super().__init__(client, account, price_of(NAME, options.gpu).usd_a_second)
        self._options, self._volume = options, on_volume
        self.options = options.model_dump(mode="json", exclude_none=True)

    def input_of(self, order: Order) -> dict[str, Any]:
        """One picture or film, one speech, in the film's own size."""
        kind = "image" if order.is_still else "video"
        try:
            return WorkerInput.model_validate({
                "input_type": kind,
                _place(kind, order.video): order.video,
                _place("wav", order.speech): order.speech,
                "prompt": self._options.prompt,
                "width": order.width,
                "height": order.height,
                "max_frame": math.ceil(round(order.seconds * FRAME_RATE, 6)) + _HEADROOM,
                "force_offload": self._options.force_offload,
                "network_volume": self._options.network_volume,
            }).sent()  # fmt: skip
        except ValidationError as error:
            raise InputError(f"{NAME}: {in_one_line(error)}") from error

    def timeout_s(self, order: Order) -> float:
        """What the person allows, else what the length and the size ask for."""
        if self._options.execution_timeout_s is not None:
            return self._options.execution_timeout_s
        larger = max(1.0, _times_the_usual(order.width, order.height))
        return min(LONGEST_S, _START_S + _WORK_FOR_A_SECOND * larger * order.seconds)

    def missing_in(self, output: Any) -> tuple[str, str] | None:
        """No output at all is how the service tells that a result was too large for it."""
        if not output:
            return "no_output", (
                "it ended without a result, as happens to one that is too large: " + _SMALLER
            )
        found = _output(output)
        if found is None or not (found.video or found.video_path):
            return "bad_output", (
                f"its worker answered in an unknown shape ({_shape(output)}): look at what the "
                "endpoint runs"
            )
        if found.video and not _begins_like_a_film(found.plain):
            return "bad_output", "its result is no MP4"
        return None

    async def bring(self, output: Any, out: Path) -> None:
        """Write the film down, or fetch it from the network volume."""
        found = _output(output)
        assert found is not None
        if found.video:
            await asyncio.to_thread(_write, found.plain, out)
            return
        if self._volume is None:
            raise RemoteRefused(
                "the result lies on the endpoint's network volume: set "
                + ", ".join(volume.NEEDED) + " and run the same command again",
                "no_volume",
            )  # fmt: skip
        await self._volume.download(found.video_path or "", out)
        with out.open("rb") as file:
            is_film = _is_film(file.read(12))
        if not is_film:
            out.unlink()
            raise RemoteRefused("the result on the network volume is no MP4", "bad_output")


def _options(options: Mapping[str, Any]) -> InfiniteTalkOptions:
    """The options as a person gives them, or as :meth:`InfiniteTalk.checked` gives them back."""
    plain = {name: value for name, value in options.items() if name != "resources"}
    try:
        return InfiniteTalkOptions.model_validate(plain | options.get("resources", {}))
    except ValidationError as error:
        raise InputError(f"{NAME}: {in_one_line(error)}") from error


def _place(what: str, address: str) -> str:
    """The key under which the worker finds a file of this address."""
    return f"{what}_base64" if address.startswith(INLINE) else f"{what}_url"


def _output(output: Any) -> WorkerOutput | None:
    try:
        return WorkerOutput.model_validate(output)
    except ValidationError:
        return None


def _times_the_usual(width: int, height: int) -> float:
    return (width * height / _PIXELS) ** _GROWTH


def _shape(output: Any) -> str:
    """What an answer looks like, in a few words of one line."""
    if not isinstance(output, dict):
        return type(output).__name__
    return " ".join(", ".join(str(name) for name in list(output)[:5]).split())[:80]


def _is_film(head: bytes) -> bool:
    """Whether a file begins as an MP4 does: with a box called ``ftyp`` (ISO/IEC 14496-12)."""
    return head[4:8] == b"ftyp"


def _begins_like_a_film(text: str) -> bool:
    try:
        return _is_film(base64.b64decode(text[:16]))
    except (binascii.Error, ValueError):
        return False


def _write(text: str, out: Path) -> None:
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise RemoteRefused("the result of the worker is damaged", "bad_output") from error
    part = out.with_name(out.name + ".part")
    try:
        with writing(out):
            part.write_bytes(content)
            part.replace(out)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
