"""House rules of a studio: where films go, which engine, how many workers, how much money.

A setting that is left empty is taken from the next place: the block, then the environment or a
file ``.env`` in the working directory (``LIPSYNC_OUT``, ``LIPSYNC_BUDGET``, …), then the default
of the main job itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self, cast

import httpx
from prefect.blocks.core import Block
from prefect.settings import get_current_settings
from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from blocks.form import Form, ScorerName, installed
from lipsync_core import generators
from lipsync_core.errors import InputError

DEFAULT_BLOCK = "default"
"""The block that is used when nobody names one."""


class HouseRules(Form):
    """The settings themselves, named like the parameters of the main job they stand in for."""

    out: Path | None = Field(
        None, title="Output folder", description="folder for the finished films and the report"
    )
    store: str | None = Field(
        None, title="Store folder", description="folder for intermediate files"
    )
    generator: str | None = Field(
        None, title="Generator", description="engine that renders the mouths",
        json_schema_extra=installed(generators.GROUP),
    )  # fmt: skip
    scorer: ScorerName | None = None
    max_workers: int | None = Field(
        None, title="Workers", ge=1, le=64, description="segments rendered at the same time"
    )
    segment_seconds: float | None = Field(
        None, title="Segment length", ge=2, le=60,
        description="seconds: long shots are divided at silences about this long apart",
    )  # fmt: skip
    budget: float | None = Field(
        None, title="Budget", ge=0, description="US dollars a run may cost at most"
    )

    def said(self) -> dict[str, Any]:
        """The settings that are not empty."""
        values = {name: getattr(self, name) for name in HouseRules.model_fields}
        return {name: value for name, value in values.items() if value is not None}


class _Environment(HouseRules, BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="LIPSYNC_", env_file=".env", env_ignore_empty=True, extra="ignore"
    )


class LipsyncSettings(HouseRules, Block):
    """Defaults of a studio for runs whose form or command line leaves them open."""

    _block_type_name: ClassVar[str | None] = "Lipsync Settings"
    _block_type_slug: ClassVar[str | None] = "lipsync-settings"
    _description: ClassVar[str | None] = (
        "Where films go, which engine renders them, how many workers, how much money. "
        f"The block named `{DEFAULT_BLOCK}` applies to every run that names no other."
    )
    _code_example: ClassVar[str | None] = (
        "```python\n"
        "from blocks import LipsyncSettings\n\n"
        'LipsyncSettings(out="/films/done", budget=20).save("default")\n'
        "```"
    )

    @classmethod
    def resolve(cls, name: str | None = None) -> Self:
        """The settings in force: the block's, and what it leaves empty from the environment.

        Without a ``name`` the block ``default`` is looked for, and only where a Prefect server is
        configured (``PREFECT_API_URL``): a command with the embedded server asks nobody.

        Raises:
            InputError: the named block cannot be had, or a variable holds a bad value.
        """
        said = _environment().said()
        if name is not None:
            return cls(**said | cls._named(name).said())
        if get_current_settings().api.url is None:
            return cls(**said)
        try:
            return cls(**said | cls._named(DEFAULT_BLOCK).said())
        except InputError:
            return cls(**said)

    @classmethod
    def _named(cls, name: str) -> Self:
        try:
            # Prefect's types do not know that this also works where an event loop runs
            return cast(Self, cast(Any, cls).load(name, _sync=True))
        except ValueError as error:
            if "Unable to find block document" not in str(error):
                raise
            raise InputError(
                f"no settings block called {name!r}: make one in the Prefect UI (Blocks, "
                f"{cls._block_type_name}), or leave the name out"
            ) from error
        except httpx.TransportError as error:
            raise InputError(
                f"cannot read the settings block {name!r}, the Prefect server does not answer "
                f"({error}): look at PREFECT_API_URL"
            ) from error


def _environment() -> _Environment:
    try:
        return _Environment()
    except ValidationError as error:
        first = error.errors()[0]
        variable = "LIPSYNC_" + "_".join(str(part) for part in first["loc"]).upper()
        raise InputError(f"{variable} (environment or .env): {first['msg']}") from error
