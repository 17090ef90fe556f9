"""Whoever reads with a shard iterator needs the right to its stream, not to all streams.

Reason
    Ingest reads the stream back when it does not know whether a put arrived. Without this patch its role is
    refused there, or would have to be given more than it needs on AWS.
AWS
    ``GetRecords`` is authorised for the stream that the iterator belongs to.
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonkinesisdatastreams.html
MiniStack 1.5.33
    Takes the stream from ``StreamName`` or ``StreamARN`` of the request, and the resource for ``*`` where it
    has neither.
Hook
    ``iam_actions.extract_resource_arn``, which looks the iterator up. An iterator that does not exist is left
    to the service.
"""

import json
from typing import Any

from sms_local.emulator.patches._pinned import PatchSettings, require


def apply(_: PatchSettings) -> None:
    """Authorise reading for the iterator's stream."""
    from ministack.core import iam_actions
    from ministack.services import kinesis

    require(holds=hasattr(iam_actions, "extract_resource_arn"), what="iam_actions.extract_resource_arn")
    require(holds=hasattr(kinesis, "_shard_iterators"), what="kinesis._shard_iterators")
    original = iam_actions.extract_resource_arn

    def extract_resource_arn(
        service: str, method: str, path: str, headers: Any, body: bytes, *rest: Any
    ) -> Any:
        if service == "kinesis":
            state = kinesis._shard_iterators.get(_iterator(body))
            if state is not None:
                return state["stream_arn"]
        return original(service, method, path, headers, body, *rest)

    iam_actions.extract_resource_arn = extract_resource_arn


def _iterator(body: bytes) -> str:
    """Return the iterator of a request; nothing where it has none."""
    try:
        request = json.loads(body)
    except ValueError:
        return ""
    iterator = request.get("ShardIterator") if isinstance(request, dict) else None
    return iterator if isinstance(iterator, str) else ""
