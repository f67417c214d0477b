"""The engine a run was asked to use, with its options in full."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from lipsync_core.generators import load_generator
from lipsync_core.generators.contest import Contest
from lipsync_core.jobs.budget import Price, price_of
from lipsync_core.jobs.remote import RemoteEngine


@dataclass(frozen=True)
class Engine:
    """A generator as a run uses it.

    ``hears_s`` is how much speech on either side of a segment may change its picture; ``remote``
    is the engine elsewhere, where it is one; ``rivals`` are the engines it stands for, where it
    stands for several. ``remarks`` are to be said before it is used. ``seam_frames`` is how many
    frames more at either end of a segment it renders of a portrait, since it begins every segment
    with the same picture; an engine that goes on where the segment before ended needs none.
    """

    name: str
    version: int
    options: dict[str, Any]
    price: Price
    hears_s: float
    remote: RemoteEngine | None = None
    rivals: tuple[Engine, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def seam_frames(self) -> int:
        """Frames that the pictures of two neighbours pass into each other over, on each side."""
        return 0 if self.remote is None else self.remote.seam_frames

    @property
    def grid(self) -> int:
        """What the width and the height of a picture must be multiples of."""
        return 2 if self.remote is None else self.remote.grid

    def sized(self, width: int, height: int) -> Engine:
        """The same for films of this size: an engine elsewhere may bill the time they take."""
        if self.remote is None:
            return self
        usd = self.price.usd * self.remote.work(width, height, self.options)
        return replace(self, price=replace(self.price, usd=usd))

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
            MissingWeights: its checkpoint is not on this machine.
        """
        found = load_generator(name)
        if isinstance(found, RemoteEngine):
            checked = found.checked(options)
            price = price_of(found.name, found.price_of(checked))
            return cls(found.name, found.version, checked, price, 0.0, found)
        if isinstance(found, Contest):
            rivals = tuple(cls.chosen(rival, options) for rival in found.rivals)
            remarks = tuple(remark for rival in rivals for remark in rival.remarks)
            return cls(found.name, 1, {}, Price(), 0.0, rivals=rivals, remarks=remarks)
        checked, remarks = found.checked(options), tuple(filter(None, [found.remark]))
        return cls(found.name, found.version, checked, Price(), found.hears_s, remarks=remarks)
