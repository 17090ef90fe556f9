"""Objects and versions of a bucket deleted, a thousand in a call."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import batched
from typing import TYPE_CHECKING, Final

from sms_engagement_runtime.channel.adapters.aws_errors import ServiceCallError, service_call

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

MOST_OBJECTS: Final = 1000
"""Of one ``DeleteObjects`` (S3 API reference)."""


def delete_objects(client: S3Client, bucket: str, objects: Iterable[ObjectIdentifierTypeDef]) -> None:
    """Delete them all, those with a ``VersionId`` for good.

    Raises
    ------
    ServiceCallError
        A call failed, or some of its objects were kept: S3 answers 200 then, and names them (S3 API
        reference, *DeleteObjects*: with ``Quiet`` the answer has the errors alone).
    """
    for some in batched(objects, MOST_OBJECTS, strict=False):
        with service_call("s3:DeleteObjects"):
            answer = client.delete_objects(Bucket=bucket, Delete={"Objects": list(some), "Quiet": True})
        codes = sorted({str(error.get("Code", "Unknown")) for error in answer.get("Errors", [])})
        if codes:
            raise ServiceCallError(f"s3:DeleteObjects: {', '.join(codes)}")
