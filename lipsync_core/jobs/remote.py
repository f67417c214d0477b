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


@dataclass(frozen=True)
class Order:
    """One segment to be rendered elsewhere.

    ``key`` (64 hex digits) stands for all the result depends on. ``video`` and ``speech`` are
    addresses the engine can fetch, or names of files it keeps (``asset:…``); ``seconds`` is the
    segment's length, ``frame_rate`` the film's.
    """

    key: str
    video: str
    speech: str
    seconds: float
    frame_rate: float

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
    """What an engine says of a job. ``again`` is whether a new job could end better."""

    job_id: str
    progress: Progress
    url: str = ""
    code: str = ""
    error: str = ""
    again: bool = False


@runtime_checkable
class RemoteEngine(Protocol):
    """An engine elsewhere, as it is installed: known by name, not yet spoken to.

    ``version`` goes into every key, and so do the options. ``needs`` and ``knows`` are the names
    of the secrets and addresses it must have and may have, as they are called in the environment.
    """

    name: str
    version: int
    needs: tuple[str, ...]
    knows: tuple[str, ...]

    def checked(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options as plain JSON, the usual ones filled in.

        Raises:
            InputError: one of them is unknown, or does not go with another.
        """
        ...

    def objection(self, width: int, height: int) -> str:
        """Why every film of this many pixels would be refused; nothing if it would not be."""
        ...

    def price_of(self, options: Mapping[str, Any]) -> str:
        """Which line of the price table holds (see :mod:`lipsync_core.jobs.budget`)."""
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
    file is good in its own account only. ``keeps_keys`` is whether the engine has shown that it
    takes two orders under one key for one job.
    """

    name: str
    account: str
    keeps_keys: bool

    async def keep(self, path: Path, name: str) -> str:
        """Hand a file over to a store of the engine's own; its address for an order."""
        ...

    def body(self, order: Order) -> dict[str, Any]:
        """The request that places an order, as plain JSON; it is recorded before it is sent."""
        ...

    async def submit(self, key: str, body: Mapping[str, Any]) -> str:
        """Place an order; its job's id.

        Raises:
            LanesFull: the account has as many jobs under way as it may; nothing was accepted.
            OutcomeUnknown: the answer was lost.
        """
        ...

    async def find(
        self, key: str, body: Mapping[str, Any], since_s: float, known: Collection[str]
    ) -> str | None:
        """The id of the job that was placed under ``key`` with ``body`` after the moment
        ``since_s`` (Unix time), or ``None`` where the engine has no such job. ``known`` are jobs
        that other orders became."""
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

    def deadline_s(self, seconds: float) -> float:
        """How long a job for so many seconds of film may take before it counts as stuck."""
        ...
