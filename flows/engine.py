"""The engine a run was asked to use, with its options in full."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lipsync_core.errors import InputError
from lipsync_core.generators import HEARING_S, load_generator
from lipsync_core.jobs.budget import Price, price_of
from lipsync_core.jobs.remote import RemoteEngine


@dataclass(frozen=True)
class Engine:
    """A generator as a run uses it.

    ``hears_s`` is how much speech on either side of a segment may change its picture; ``remote``
    is the engine elsewhere, where it is one.
    """

    name: str
    version: int
    options: dict[str, Any]
    price: Price
    hears_s: float
    remote: RemoteEngine | None

    def objection(self, width: int, height: int) -> str:
        """Why the engine would refuse every film of this size, in words; nothing if it would not.

        An engine on this machine takes what can be decoded.
        """
        return "" if self.remote is None else self.remote.objection(width, height)

    @classmethod
    def chosen(cls, name: str, options: Mapping[str, Any]) -> Engine:
        """The installed engine of that name.

        Raises:
            InputError: there is none, or it does not know such options.
        """
        found = load_generator(name)
        if isinstance(found, RemoteEngine):
            checked = found.checked(options)
            price = price_of(found.name, found.price_of(checked))
            return cls(found.name, found.version, checked, price, 0.0, found)
        if options:
            raise InputError(f"{name} has no options: leave out {', '.join(sorted(options))}")
        return cls(found.name, found.version, {}, Price(), HEARING_S, None)
