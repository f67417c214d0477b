"""The store ``s3``: a bucket on Amazon S3 or on any server that speaks its protocol."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3.session
from boto3.s3.transfer import (
    TransferConfig,
    create_transfer_manager,
)
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
)
from botocore.exceptions import ConnectionError as NoConnection
from pydantic import SecretStr

from lipsync_core.errors import (
    InputError,
    LipsyncError,
    RemoteRefused,
    RemoteUnavailable,
    StorageError,
)
from lipsync_core.stores import MediaRef
from lipsync_core.stores.public import (
    DEFAULT_LIFE_S,
    content_name,
    content_type,
    folder_in_bucket,
    found_whole,
    key_of,
)

# "Authenticating Requests: Using Query Parameters (AWS Signature Version 4)": X-Amz-Expires may be
# 604800 at most.
LONGEST_LIFE_S = 7 * 86400.0

_PART_BYTES = 8 * 1024 * 1024
_TRANSFER = TransferConfig(
    multipart_threshold=_PART_BYTES,
    multipart_chunksize=_PART_BYTES,
    max_concurrency=4,  # of one file; several are published at once
    preferred_transfer_client="classic",  # the other one has limits of its own
)
_CONFIG = Config(
    signature_version="s3v4",
    s3={"addressing_style": "path", "payload_signing_enabled": True},
    # some servers refuse the newer checksum headers; see S3Store on what takes their place
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
    # a lost part of a large file is sent again alone; everything else is the caller's to retry
    retries={"mode": "standard", "total_max_attempts": 3},
    connect_timeout=10,
    read_timeout=60,
    max_pool_connections=32,
)

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,62}")
_NO_ENDPOINT = "the endpoint of S3 must be an address like https://s3.example.com"
_DIGEST = "sha256"  # under which the object's metadata tells its content

_OVERTAKEN = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})
_PASSING = _OVERTAKEN | {
    "NoSuchUpload", "RequestTimeout", "SlowDown", "Throttling", "ThrottlingException",
    "OperationAborted", "BadDigest", "IncompleteBody", "XAmzContentSHA256Mismatch",
}  # fmt: skip
_TOO_EARLY = frozenset({408, 425, 429})


class S3Store:
    """A bucket; see :class:`lipsync_core.stores.public.PublicStore`.

    Without keys the ordinary AWS chain finds some (environment, profile, role of the machine).
    Addresses that are signed with a role's passing keys die with those keys, however long a life
    was asked for: give lasting keys where queues are long.

    How bytes are proven: the body of every request is signed, so each server checks the SHA-256 of
    what arrives (``x-amz-content-sha256``); the file's own SHA-256 goes along as metadata, and
    after an upload the object is asked for its size and for that. The newer checksum headers would
    show no more: not every server knows them, and of a file in parts they hold a hash of hashes.

    Files above 8 MiB go in parts. Parts that a killed run had sent are not taken up again and stay
    there unseen: give the bucket a rule that aborts incomplete uploads after a day. (Removing them
    from here could hit another run in the very moment in which it completes the same file.)

    Raises:
        InputError: an argument or a setting of the AWS chain cannot be.
    """

    name = "s3"

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        *,
        endpoint_url: str | None = None,
        region: str | None = None,
        access_key: SecretStr | None = None,
        secret_key: SecretStr | None = None,
        session_token: SecretStr | None = None,
    ) -> None:
        if not _BUCKET.fullmatch(bucket):
            raise InputError(f"{bucket!r} cannot be the name of a bucket")
        self.bucket = bucket
        self.prefix = folder_in_bucket(prefix)
        if endpoint_url is not None:
            _check_endpoint(endpoint_url)
        if (access_key is None) != (secret_key is None):
            raise InputError(f"the bucket {bucket}: give both the access key and the secret key")
        try:
            with self._put_in_words():
                session = boto3.session.Session(
                    aws_access_key_id=_revealed(access_key),
                    aws_secret_access_key=_revealed(secret_key),
                    aws_session_token=_revealed(session_token),
                )
                self._region = region or session.region_name or "us-east-1"
                self._client: Any = session.client(
                    "s3", endpoint_url=endpoint_url, region_name=self._region, config=_CONFIG
                )
        except ValueError as error:  # an address that the check let pass, or one from elsewhere
            raise InputError(_NO_ENDPOINT) from error

    def __repr__(self) -> str:
        return f"S3Store({self._where})"

    @property
    def _where(self) -> str:
        client = getattr(self, "_client", None)
        host = urlsplit(client.meta.endpoint_url).netloc.rpartition("@")[2] if client else "S3"
        return f"the bucket {self.bucket} at {host}"

    async def verify(self) -> None:
        """Ask for the bucket, which costs nothing.

        Raises:
            InputError: there is no such bucket or no keys were found, or it lies in another region
                (addresses signed for the wrong one open nothing).
            RemoteRefused: these keys may not use it.
            RemoteUnavailable: it does not answer now.
        """
        region = await asyncio.to_thread(self._region_told)
        if region not in (None, self._region):
            raise InputError(
                f"{self._where} lies in the region {region}, not in {self._region}: name that one"
            )

    async def publish(self, path: Path, sha256: str) -> str:
        """Hand a finished file over; its URI."""
        return await asyncio.to_thread(self._publish, path, sha256)

    async def address(self, uri: str, life_s: float = DEFAULT_LIFE_S) -> str:
        """An address that opens a published file for so many seconds (rounded up)."""
        if not 0 < life_s <= LONGEST_LIFE_S:
            raise InputError(
                f"an address on S3 lives up to {LONGEST_LIFE_S:.0f} s (7 days), not {life_s:.0f} s"
            )
        return await asyncio.to_thread(
            self._sign, key_of(uri, self._uri_of(""), self.prefix), math.ceil(life_s)
        )

    def _uri_of(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"

    def _region_told(self) -> str | None:
        with self._put_in_words():
            region: str | None = self._client.head_bucket(Bucket=self.bucket).get("BucketRegion")
            return region

    def _sign(self, key: str, life_s: int) -> str:
        with self._put_in_words():
            address: str = self._client.generate_presigned_url(
                "get_object", Params={"Bucket": self.bucket, "Key": key}, ExpiresIn=life_s
            )
            return address

    def _publish(self, path: Path, sha256: str) -> str:
        ref = found_whole(path, sha256)
        key = self.prefix + content_name(sha256, path.suffix)
        with self._put_in_words():
            if not self._holds(key, ref):
                try:
                    self._send(path, key, ref)
                except ClientError as error:
                    if _code(error) not in _OVERTAKEN:  # by another run of the same film
                        raise
                if not self._holds(key, ref):
                    raise RemoteUnavailable(f"sent, and still not there: {self._uri_of(key)}")
        return self._uri_of(key)

    def _holds(self, key: str, ref: MediaRef) -> bool:
        """Whether the content lies there, by its size and the hash that was told at its upload.

        Raises:
            StorageError: another one does.
        """
        try:
            found = self._client.head_object(Bucket=self.bucket, Key=key)
        except ClientError as error:
            if _status(error) == 404:
                return False
            raise
        told = {name.lower(): value for name, value in found["Metadata"].items()}
        if (found["ContentLength"], told.get(_DIGEST)) == (ref.size, ref.sha256):
            return True
        raise StorageError(
            f"another content lies at {self._uri_of(key)}: remove it, or choose another prefix"
        )

    def _send(self, path: Path, key: str, ref: MediaRef) -> None:
        facts = {"ContentType": content_type(path), "Metadata": {_DIGEST: ref.sha256}}
        if ref.size < _PART_BYTES:
            self._put(path, key, facts)
            return
        with create_transfer_manager(self._client, _TRANSFER) as manager:
            manager.upload(str(path), self.bucket, key, extra_args=facts).result()

    def _put(self, path: Path, key: str, facts: dict[str, Any]) -> None:
        """One request, refused by the server itself if something came to lie there meanwhile."""
        with path.open("rb") as file:
            whole = {"Bucket": self.bucket, "Key": key, "Body": file, **facts}
            try:
                self._client.put_object(**whole, IfNoneMatch="*")
            except ClientError as error:
                if _status(error) != 501:
                    raise
                file.seek(0)  # a server that knows no conditions
                self._client.put_object(**whole)

    @contextmanager
    def _put_in_words(self) -> Iterator[None]:
        """The library's errors as the project's own, in one line."""
        try:
            yield
        except ClientError as error:
            raise self._refusal(error) from error
        except (NoCredentialsError, PartialCredentialsError) as error:
            raise InputError(
                f"no keys for {self._where}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            ) from error
        except (NoConnection, HTTPClientError) as error:
            raise RemoteUnavailable(
                f"{self._where} does not answer ({type(error).__name__}): check the network"
            ) from error
        except BotoCoreError as error:
            raise InputError(
                f"{self._where} cannot be used ({type(error).__name__}): check the AWS settings"
            ) from error
        except OSError as error:  # some of the above are such errors too
            raise StorageError(
                f"cannot read {error.filename} any more ({error.strerror}): make it again"
            ) from error

    def _refusal(self, error: Any) -> LipsyncError:
        code, status = _code(error), _status(error)
        if code in _PASSING or status in _TOO_EARLY or status >= 500:
            return RemoteUnavailable(f"{self._where} cannot do it now ({code})", _wait_s(error))
        if code in ("NoSuchBucket", "404"):
            return InputError(f"there is not {self._where}: create it, or correct its name")
        if status == 403:
            return RemoteRefused(
                f"{self._where} refuses these keys ({code}): check them, this machine's clock, "
                "and that they may list, read and write the bucket",
                code,
            )
        return RemoteRefused(f"{self._where} refuses for good ({code}): check its settings", code)


def _check_endpoint(url: str) -> None:
    """The text is not repeated: there may be a password in it."""
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits or parts.username or parts.password or parts.query or parts.fragment:
        raise InputError(_NO_ENDPOINT)


def _revealed(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret is not None else None


def _status(error: Any) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code") or _status(error))


def _wait_s(error: Any) -> float | None:
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    told = str(headers.get("retry-after", ""))
    return float(told) if told.isdecimal() else None
