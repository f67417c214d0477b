"""The account with Sync.so, entered once in the Prefect UI."""

from __future__ import annotations

from contextlib import aclosing
from typing import ClassVar

from prefect.blocks.core import Block
from pydantic import Field, SecretStr

from lipsync_core.services.sync_so.client import SyncClient
from lipsync_core.services.sync_so.http import BASE_URL


class SyncSoCredentials(Block):
    """The key of an account with Sync.so."""

    _block_type_name: ClassVar[str | None] = "Sync.so Credentials"
    _block_type_slug: ClassVar[str | None] = "sync-so-credentials"
    _description: ClassVar[str | None] = (
        "The key of an account with Sync.so. The block named `default` is used by every run with "
        "the generator `sync`."
    )
    _code_example: ClassVar[str | None] = (
        "```python\n"
        "from blocks import SyncSoCredentials\n\n"
        'SyncSoCredentials(api_key="…").save("default")\n'
        "```"
    )

    api_key: SecretStr = Field(title="API key", description="from the account's settings page")
    base_url: str = Field(
        BASE_URL, title="Address", description="of the service; leave it as it is"
    )

    def secrets(self) -> dict[str, SecretStr]:
        """The values, called as in the environment."""
        return {"SYNC_API_KEY": self.api_key, "SYNC_BASE_URL": SecretStr(self.base_url)}

    async def verify(self) -> list[str]:
        """The models on offer, by one free call.

        Raises:
            RemoteRefused: the key is not good.
            RemoteUnavailable: the service does not answer.
        """
        async with aclosing(SyncClient(self.api_key, self.base_url)) as client:
            return [str(model.get("id", model.get("name", ""))) for model in await client.models()]
