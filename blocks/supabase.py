"""The storage of a Supabase project, entered once in the Prefect UI."""

from __future__ import annotations

from typing import ClassVar

from prefect.blocks.core import Block
from pydantic import Field, SecretStr

from lipsync_core.services.supabase.storage import SupabaseStorage


class SupabaseCredentials(Block):
    """The address of a Supabase project and a key to its storage."""

    _block_type_name: ClassVar[str | None] = "Supabase Credentials"
    _block_type_slug: ClassVar[str | None] = "supabase-credentials"
    _description: ClassVar[str | None] = (
        "The address of a Supabase project and a key to its storage. The block named `default` is "
        "used by every run that uploads to `supabase://bucket/folder`."
    )
    _code_example: ClassVar[str | None] = (
        "```python\n"
        "from blocks import SupabaseCredentials\n\n"
        'SupabaseCredentials(url="https://….supabase.co", key="…").save("default")\n'
        "```"
    )

    url: str = Field(title="Address", description="of the project: https://REF.supabase.co")
    key: SecretStr = Field(
        title="Key", description="a secret or service key, from the project's API settings"
    )

    def secrets(self) -> dict[str, SecretStr]:
        """The values, called as in the environment."""
        return {"SUPABASE_URL": SecretStr(self.url), "SUPABASE_KEY": self.key}

    async def verify(self) -> list[str]:
        """The buckets this key sees, by one free call.

        Raises:
            InputError: no storage answers at this address.
            RemoteRefused: the key is not good.
            RemoteUnavailable: the project does not answer.
        """
        async with SupabaseStorage(self.url, self.key) as storage:
            return await storage.buckets()
