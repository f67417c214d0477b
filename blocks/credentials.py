"""What an engine or a store elsewhere needs: from its block, else from the environment.

The block is the one called ``default``, and is asked for only where a Prefect server is configured
(``PREFECT_API_URL``). The environment is joined by a file ``.env`` in the working directory.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import Any, cast

import httpx
from dotenv import dotenv_values
from prefect.blocks.core import Block
from prefect.settings import get_current_settings
from pydantic import SecretStr

from blocks.runpod import RunPodCredentials
from blocks.settings import DEFAULT_BLOCK
from blocks.supabase import SupabaseCredentials
from blocks.sync_so import SyncSoCredentials
from lipsync_core.errors import InputError
from lipsync_core.jobs.remote import RemoteEngine

BLOCKS: Mapping[str, type[Block]] = {
    "sync": SyncSoCredentials,
    "infinitetalk": RunPodCredentials,
    "supabase": SupabaseCredentials,
}


def secrets_for(engine: RemoteEngine) -> dict[str, SecretStr]:
    """The secrets of an engine, called as in the environment.

    Raises:
        InputError: one it needs is nowhere.
    """
    return secrets_of(engine.name, engine.needs, engine.knows)


def secrets_of(
    name: str, needs: Collection[str], knows: Collection[str] = ()
) -> dict[str, SecretStr]:
    """The secrets of an engine or a store: those it ``needs``, and those it ``knows`` if told.

    Raises:
        InputError: one it needs is nowhere.
    """
    surroundings = dotenv_values(".env") | os.environ
    found = {
        secret: SecretStr(value)
        for secret in (*needs, *knows)
        if (value := surroundings.get(secret))
    }
    found |= _from_block(name)
    for secret in needs:
        if secret not in found:
            kind = BLOCKS.get(name)
            block = f", or make a block {kind._block_type_name} called default" if kind else ""
            raise InputError(f"{name} needs {secret}: set it in the environment or in .env{block}")
    return found


def _from_block(name: str) -> dict[str, SecretStr]:
    kind = BLOCKS.get(name)
    if kind is None or get_current_settings().api.url is None:
        return {}
    try:
        block = cast(Any, kind).load(DEFAULT_BLOCK, _sync=True)
    except ValueError as error:
        if "Unable to find block document" not in str(error):
            raise
        return {}
    except httpx.TransportError as error:
        raise InputError(
            f"cannot read the block {kind._block_type_name} {DEFAULT_BLOCK!r}, the Prefect server "
            "does not answer: look at PREFECT_API_URL"
        ) from error
    return cast(dict[str, SecretStr], block.secrets())
