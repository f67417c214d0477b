"""An endpoint of RunPod, entered once in the Prefect UI."""

from __future__ import annotations

from contextlib import aclosing
from typing import ClassVar

from prefect.blocks.core import Block
from pydantic import Field, SecretStr

from lipsync_core.services.runpod.client import BASE_URL, RunPodClient


class RunPodCredentials(Block):
    """An endpoint of RunPod and the key to it; the network volume where its results lie."""

    _block_type_name: ClassVar[str | None] = "RunPod Credentials"
    _block_type_slug: ClassVar[str | None] = "runpod-credentials"
    _description: ClassVar[str | None] = (
        "An endpoint of RunPod that serves InfiniteTalk, and the key to it. The block named "
        "`default` is used by every run with the generator `infinitetalk`."
    )
    _code_example: ClassVar[str | None] = (
        "```python\n"
        "from blocks import RunPodCredentials\n\n"
        'RunPodCredentials(api_key="…", endpoint_id="…").save("default")\n'
        "```"
    )

    api_key: SecretStr = Field(title="API key", description="from the account's settings page")
    endpoint_id: str = Field(
        title="Endpoint", description="the id of the endpoint, as in its address"
    )
    base_url: str = Field(
        BASE_URL, title="Address", description="of the service; leave it as it is"
    )
    volume_id: str = Field(
        "", title="Network volume", description="its id; only where results are handed over there"
    )
    s3_endpoint: str = Field(
        "",
        title="S3 address",
        description="of the volume's data centre: https://s3api-….runpod.io",
    )
    s3_access_key: SecretStr = Field(
        SecretStr(""), title="S3 access key", description="from the settings page, S3 API keys"
    )
    s3_secret_key: SecretStr = Field(
        SecretStr(""), title="S3 secret key", description="shown once when it was made"
    )

    def secrets(self) -> dict[str, SecretStr]:
        """The values, called as in the environment; what is empty is left out."""
        found = {
            "RUNPOD_API_KEY": self.api_key,
            "RUNPOD_ENDPOINT_ID": SecretStr(self.endpoint_id),
            "RUNPOD_BASE_URL": SecretStr(self.base_url),
            "RUNPOD_VOLUME_ID": SecretStr(self.volume_id),
            "RUNPOD_S3_ENDPOINT": SecretStr(self.s3_endpoint),
            "RUNPOD_S3_ACCESS_KEY": self.s3_access_key,
            "RUNPOD_S3_SECRET_KEY": self.s3_secret_key,
        }
        return {name: value for name, value in found.items() if value.get_secret_value()}

    async def verify(self) -> dict[str, int]:
        """How many workers of the endpoint stand where, by one free call.

        Raises:
            RemoteRefused: the key is not good, or there is no such endpoint.
            RemoteUnavailable: the service does not answer.
        """
        async with aclosing(
            RunPodClient(self.api_key, self.endpoint_id, self.base_url)
        ) as client:  # fmt: skip
            workers = (await client.health()).get("workers")
        found = workers.items() if isinstance(workers, dict) else ()
        return {str(state): count for state, count in found if isinstance(count, int)}
