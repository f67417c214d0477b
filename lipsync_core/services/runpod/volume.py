"""Files on a network volume, which RunPod offers by the S3 protocol: the bucket is the volume.

See RunPod's page "S3-compatible API"; the region is the data centre that the endpoint names.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from lipsync_core.errors import InputError, RemoteRefused, RemoteUnavailable, writing

MOUNT = "/runpod-volume/"
"""Where a worker sees the volume."""

NEEDED = (
    "RUNPOD_VOLUME_ID", "RUNPOD_S3_ENDPOINT", "RUNPOD_S3_ACCESS_KEY", "RUNPOD_S3_SECRET_KEY"
)  # fmt: skip
_REGION = re.compile(r"//s3api-([a-z0-9-]+)\.", re.IGNORECASE)
_BLOCK_BYTES = 1 << 18


@dataclass(frozen=True)
class NetworkVolume:
    """A volume and the keys to it."""

    volume_id: str
    endpoint: str
    access_key: SecretStr
    secret_key: SecretStr

    @classmethod
    def told(cls, secrets: Mapping[str, SecretStr]) -> NetworkVolume | None:
        """The volume of these secrets, called as in the environment; ``None`` without any.

        Raises:
            InputError: only some of them are there.
        """
        found = {name: secrets[name] for name in NEEDED if name in secrets}
        if not found:
            return None
        missing = [name for name in NEEDED if name not in found]
        if missing:
            raise InputError(f"the network volume needs {missing[0]} too: set it, or none of them")
        volume_id, endpoint, access_key, secret_key = (found[name] for name in NEEDED)
        return cls(
            volume_id.get_secret_value(), endpoint.get_secret_value(), access_key, secret_key
        )

    async def download(self, path: str, out: Path) -> None:
        """Bring the file a worker calls ``path`` to ``out``, where it appears whole.

        Raises:
            RemoteRefused: there is no such file, or these keys may not read it.
            RemoteUnavailable: the volume does not answer now.
            InputError: these settings cannot be.
            StorageError: it cannot be written.
        """
        await asyncio.to_thread(self._download, path, out)

    def _download(self, path: str, out: Path) -> None:
        import boto3.session  # here, since it loads slowly and few need it
        from botocore.config import Config
        from botocore.exceptions import (
            BotoCoreError,
            ClientError,
            HTTPClientError,
            IncompleteReadError,
        )
        from botocore.exceptions import ConnectionError as NoConnection

        if not path.startswith(MOUNT) or ".." in path.split("/"):
            raise RemoteRefused("the result of the worker lies on no network volume", "bad_output")
        region = _REGION.search(self.endpoint)
        part = out.with_name(out.name + ".part")
        try:
            client: Any = boto3.session.Session(
                aws_access_key_id=self.access_key.get_secret_value(),
                aws_secret_access_key=self.secret_key.get_secret_value(),
            ).client(
                "s3", endpoint_url=self.endpoint,
                region_name=region[1].upper() if region else "us-east-1",
                config=Config(
                    signature_version="s3v4", s3={"addressing_style": "path"},
                    retries={"total_max_attempts": 1}, connect_timeout=10, read_timeout=60,
                    response_checksum_validation="when_required",
                ),
            )  # fmt: skip
            found = client.get_object(Bucket=self.volume_id, Key=path.removeprefix(MOUNT))
            with writing(out), part.open("wb") as file:
                for block in found["Body"].iter_chunks(_BLOCK_BYTES):
                    file.write(block)
            with writing(out):
                part.replace(out)
        except ClientError as error:
            raise _refusal(error.response) from error
        except (NoConnection, HTTPClientError, IncompleteReadError) as error:
            raise RemoteUnavailable(
                f"RunPod's network volume does not answer ({type(error).__name__})"
            ) from error
        except (BotoCoreError, ValueError) as error:
            raise InputError(
                f"RunPod's network volume cannot be used ({type(error).__name__}): check "
                "RUNPOD_S3_ENDPOINT and RUNPOD_VOLUME_ID"
            ) from error
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)


def _refusal(answer: Mapping[str, Any]) -> RemoteRefused | RemoteUnavailable:
    status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    code = str(answer.get("Error", {}).get("Code") or status)
    if status == 403:
        return RemoteRefused(
            f"RunPod's network volume refuses these keys ({code}): check RUNPOD_S3_ACCESS_KEY and "
            "RUNPOD_S3_SECRET_KEY",
            code,
        )
    if status in (408, 425, 429) or status >= 500:
        return RemoteUnavailable(f"RunPod's network volume cannot answer now ({code})")
    return RemoteRefused(
        f"RunPod's network volume does not hold the result ({code}): check RUNPOD_VOLUME_ID, and "
        "that the endpoint works with this volume",
        code,
    )
