"""Requests that name an iterator or a query need the right to its stream or workgroup, not to all of them.

Reason
    Ingest reads the stream back when it does not know whether a put arrived, and compaction waits for its
    query. Without this patch their roles are refused there, or would have to be given more than they need on
    AWS.
AWS
    ``GetRecords`` is authorised for the stream that the iterator belongs to, ``GetQueryExecution`` and its
    like for the workgroup of the query.
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonkinesisdatastreams.html
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonathena.html
MiniStack 1.5.33
    Takes the resource from a name or an ARN in the request, and for ``*`` where it has neither.
Hook
    ``iam_actions.extract_resource_arn``, which looks the id up. One that does not exist is left to the
    service.
"""

import json
from collections.abc import Mapping

from sms_local.emulator.patches._evaluated import Headers, evaluate_resource
from sms_local.emulator.patches._pinned import PatchSettings, require


def apply(_: PatchSettings) -> None:
    """Authorise for what an id belongs to."""
    from ministack.core import iam_actions
    from ministack.services import athena, kinesis

    require(holds=hasattr(kinesis, "_shard_iterators"), what="kinesis._shard_iterators")
    require(holds=hasattr(athena, "_executions"), what="athena._executions")

    def resource_of(service: str, _: Headers, body: bytes, region: str, account_id: str) -> str | None:
        if service == "kinesis":
            iterator = kinesis._shard_iterators.get(_text(body, "ShardIterator"))
            if iterator is not None:
                return str(iterator["stream_arn"])
        if service == "athena":
            execution = athena._executions.get(_text(body, "QueryExecutionId"))
            if execution is not None:
                return f"arn:aws:athena:{region}:{account_id}:workgroup/{execution['WorkGroup']}"
        return None

    evaluate_resource(iam_actions, resource_of)


def _text(body: bytes, name: str) -> str:
    """Return a text of a request; an empty one where it has none of this name."""
    try:
        request = json.loads(body)
    except ValueError:
        return ""
    value = request.get(name) if isinstance(request, Mapping) else None
    return value if isinstance(value, str) else ""
