"""Buckets by name, with the keys a person entered once.

``s3://bucket/folder`` and ``supabase://bucket/folder`` find theirs in the environment, the latter
in the block *Supabase Credentials* before; ``s3-bucket/NAME`` is an *S3 Bucket* block of
prefect-aws.
"""

from __future__ import annotations

from typing import Any, cast

import httpx
from prefect.settings import get_current_settings
from pydantic import SecretStr

from blocks.credentials import secrets_of
from lipsync_core.errors import InputError
from lipsync_core.stores.public import PublicStore, public_store

_BLOCK = "s3-bucket/"
_SUPABASE = "supabase://"


def opened_bucket(where: str) -> PublicStore:
    """The store at ``s3://bucket/folder`` or ``supabase://bucket/folder``, or in the block
    ``s3-bucket/NAME``.

    Raises:
        InputError: there is none, or its settings cannot be.
    """
    if where.startswith(_SUPABASE):
        return _on_supabase(where)
    if where.startswith(_BLOCK):
        return _in_block(where)
    return public_store(where)


def _on_supabase(where: str) -> PublicStore:
    bucket, _, prefix = where.removeprefix(_SUPABASE).partition("/")
    if not bucket:
        raise InputError(f"cannot upload to {where}: write supabase://bucket/folder")
    found = secrets_of("supabase", ("SUPABASE_URL", "SUPABASE_KEY"))
    from lipsync_core.stores.supabase import SupabaseStore  # here: a library behind it loads slowly

    url = found["SUPABASE_URL"].get_secret_value()
    return SupabaseStore(bucket, prefix, url=url, key=found["SUPABASE_KEY"])


def _in_block(where: str) -> PublicStore:
    try:
        from prefect_aws import MinIOCredentials, S3Bucket  # here, since it loads slowly
    except ModuleNotFoundError as error:
        raise InputError(f"{where} needs prefect-aws: pip install 'lipsync-flows[aws]'") from error
    name = where.removeprefix(_BLOCK)
    try:
        if get_current_settings().api.url is None:
            raise ValueError("no Prefect server is configured")
        block = cast(Any, S3Bucket).load(name, _sync=True)
    except (ValueError, httpx.TransportError) as error:
        raise InputError(
            f"cannot read the block {where}: make one in the Prefect UI (Blocks, S3 Bucket), and "
            "look at PREFECT_API_URL"
        ) from error
    from lipsync_core.stores.s3 import S3Store

    known = block.credentials
    keys = (
        (known.minio_root_user, known.minio_root_password)
        if isinstance(known, MinIOCredentials)
        else (known.aws_access_key_id, known.aws_secret_access_key)
    )
    return S3Store(
        block.bucket_name,
        block.bucket_folder,
        endpoint_url=known.aws_client_parameters.endpoint_url,
        region=known.region_name,
        access_key=_secret(keys[0]),
        secret_key=_secret(keys[1]),
        session_token=_secret(getattr(known, "aws_session_token", None)),
    )


def _secret(value: str | SecretStr | None) -> SecretStr | None:
    """A key, which these blocks hold as a plain text or as a secret; an empty one is none."""
    if isinstance(value, str):
        value = SecretStr(value)
    return value if value is not None and value.get_secret_value() else None
