"""Engines elsewhere: what one must be able to do so that its jobs can be paid exactly once.

The order of a segment goes out under a key, which is sent along and is the name of the result;
so an engine can be asked later whether it has that order, and it is never placed twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from pydantic import SecretStr

from lipsync_core.errors import OutcomeUnknown, RemoteRefused


class NotToldYet(OutcomeUnknown):
    """The engine does not show whether it has an order; asked again, it may."""


class NotTaken(RemoteRefused):
    """An engine took nothing, for a reason that lies with the account or the key and may pass: the
    same order can be placed later."""


@dataclass(frozen=True)
class Order:
    """One segment to be rendered elsewhere.

    ``key`` (64 hex digits) stands for all the result depends on. ``video`` and ``speech`` are
    addresses the engine can fetch, or names of files it keeps (``asset:…``) or is sent along with
    the order (``inline:…``); ``seconds`` is the segment's length, ``frame_rate`` the film's,
    ``width`` and ``height`` are its pixels (0 where nobody asked). ``is_still`` says that
    ``video`` is one picture, which is to be brought to life.
    """

    key: str
    video: str
    speech: str
    seconds: float
    frame_rate: float
    is_still: bool = False
    width: int = 0
    height: int = 0

    def attempt(self, number: int) -> Order:
        """The same order, placed for the ``number``-th time: under a key of its own."""
        key = hashlib.sha256(f"{self.key}/{number}".encode()).hexdigest()
        return replace(self, key=key)


class Progress(StrEnum):
    """How a job elsewhere stands."""

    WAITING = "waiting"
    COMPLETED = "completed"
    FAILED = "failed"
    REFUSED = "refused"


@dataclass(frozen=True)
class JobReport:
    """What an engine says of a job. ``again`` is whether a new job could end better; ``cost_usd``
    what a job that failed was billed all the same, where the engine tells."""

    job_id: str
    progress: Progress
    url: str = ""
    code: str = ""
    error: str = ""
    again: bool = False
    cost_usd: float | None = None


@dataclass(frozen=True)
class Known:
    """A job that another order became. ``sent_s`` is a moment before it was accepted and
    ``placed_s`` one after that (Unix times); ``is_lost`` says that the engine has forgotten it."""

    sent_s: float
    placed_s: float
    is_lost: bool = False


@dataclass(frozen=True)
class Hears:
    """The form of speech an engine works on, so that no more than that is sent."""

    sample_rate: int
    mono: bool


@runtime_checkable
class RemoteEngine(Protocol):
    """An engine elsewhere, as it is installed: known by name, not yet spoken to.

    ``version`` goes into every key, and so do the options. ``needs`` and ``knows`` are the names
    of the secrets and addresses it must have and may have, as they are called in the environment.

    ``grid`` is what width and height of a film must be multiples of. ``seam_frames`` is how many
    frames more than asked are to be rendered on either side of a segment, so that neighbours can
    be blended into each other; 0 where an engine's pictures meet without. ``hears`` is the form of
    the speech it is sent; ``None``: as it is.
    """

    name: str
    version: int
    needs: tuple[str, ...]
    knows: tuple[str, ...]
    grid: int
    seam_frames: int
    hears: Hears | None

    def checked(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options as plain JSON, the usual ones filled in.

        Raises:
            InputError: one of them is unknown, or does not go with another.
        """
        ...

    def objection(self, width: int, height: int) -> str:
        """Why every film of this many pixels would be refused; nothing if it would not be. (For
        the grid, see :func:`off_the_grid`.)"""
        ...

    def takes_stills(self, options: Mapping[str, Any]) -> bool:
        """Whether it brings one picture to life, so that a film that shows nothing else is sent as
        that picture."""
        ...

    def price_of(self, options: Mapping[str, Any]) -> str:
        """Which line of the price table holds (see :mod:`lipsync_core.jobs.budget`)."""
        ...

    def work(self, width: int, height: int, options: Mapping[str, Any]) -> float:
        """How many times the usual work a frame of this size is, where larger ones cost more than
        the price table says; 1 where the size does not matter."""
        ...

    def opened(
        self, options: Mapping[str, Any], secrets: Mapping[str, SecretStr]
    ) -> AbstractAsyncContextManager[RemoteGenerator]:
        """A connection to an account."""
        ...


class RemoteGenerator(Protocol):
    """The jobs of one account. All methods raise RemoteUnavailable where trying again can help,
    and RemoteRefused where it cannot.

    ``account`` tells one account from another without giving anything away: the address of a kept
    file is good in its own account only, and so is the id of a job. ``settings`` are the names of
    the settings that choose it. ``options`` are those it was opened with, in full.

    What differs from engine to engine:

    - ``keeps_keys``: it has shown that it takes two orders under one key for one job.
    - ``keeps_files``: it has a store of its own. One without is sent files along with the orders,
      and has to be shown them in every process that places some.
    - ``can_search``: it can always be asked for the job that an order became. Where not, what was
      sent is written down as unknown before, and :meth:`find` may have no answer.
    - ``can_cancel``: a job can be called off. Such an engine queues what it cannot do yet, so only
      its own deadline says that a job is stuck, never how soon others ended.
    - ``look_s``: ``None`` where one call tells of many jobs; else the seconds between two looks at
      a job, each of which is a call of its own.
    - ``grace_s``: seconds after its placing in which the engine may not know a job yet.
    - ``search_s``: seconds after its sending in which an order whose answer was lost may not be
      found, although it was accepted.
    - ``forgets``: why a job it does not know after that is over for good; nothing where it may
      turn up again.
    """

    name: str
    account: str
    settings: str
    options: Mapping[str, Any]
    keeps_keys: bool
    keeps_files: bool
    can_search: bool
    can_cancel: bool
    look_s: float | None
    grace_s: float
    search_s: float
    forgets: str

    async def keep(self, path: Path, name: str) -> str:
        """Hand a file over to a store of the engine's own, or show it where it lies; its address
        for an order, which tells no place of this machine."""
        ...

    def body(self, order: Order) -> dict[str, Any]:
        """The request that places an order, as plain JSON; it is recorded before it is sent.

        Raises:
            InputError: no such order can be placed.
        """
        ...

    async def submit(self, key: str, body: Mapping[str, Any]) -> str:
        """Place an order; its job's id.

        Raises:
            LanesFull: the account has as many jobs under way as it may; nothing was accepted.
            NotTaken: nothing was accepted, and no other order would be now.
            OutcomeUnknown: the answer was lost.
        """
        ...

    async def find(
        self, key: str, body: Mapping[str, Any], since_s: float, known: Mapping[str, Known]
    ) -> str | None:
        """The id of the job that was placed under ``key`` with ``body`` after the moment
        ``since_s`` (Unix time), or ``None`` where the engine has no such job. ``known`` are the
        jobs of this account that other orders became, by id.

        Raises:
            NotToldYet: the engine does not tell now.
            OutcomeUnknown: the engine does not tell, and asking again will not help.
        """
        ...

    async def cancel(self, job_id: str) -> bool:
        """Call a job off; whether the engine confirmed that it will not go on."""
        ...

    async def look(self, job_ids: Collection[str]) -> Mapping[str, JobReport]:
        """How jobs stand; unknown ids are left out."""
        ...

    async def fetch(self, job_id: str, url: str, out: Path) -> None:
        """Bring the result of a completed job to ``out``; a new address is asked for if the old
        one has died. The file is whole when it appears there."""
        ...

    async def cost_usd(self, job_id: str) -> float | None:
        """What a finished job cost, or ``None`` where the engine does not tell yet."""
        ...

    def deadline_s(self, order: Order) -> float:
        """How long the job of an order may take before it counts as stuck."""
        ...


def off_the_grid(engine: str, grid: int, width: int, height: int) -> str:
    """Why an engine that renders multiples of ``grid`` pixels only would refuse a film of this
    size, with the nearest sizes it would take; nothing if it would not."""
    wrong = [
        f"the {name} " + " or ".join(str(near) for near in _nearest(pixels, grid))
        for name, pixels in (("width", width), ("height", height))
        if pixels % grid
    ]
    if not wrong:
        return ""
    return (
        f"the picture is {width}x{height}: {engine} renders multiples of {grid} pixels only, make "
        + " and ".join(wrong)
    )


def _nearest(pixels: int, grid: int) -> list[int]:
    lower = pixels - pixels % grid
    return [near for near in (lower, lower + grid) if near]
