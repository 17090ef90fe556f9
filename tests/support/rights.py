"""What roles may do in the embedded cloud, and what of it their requests were seen to need.

The emulator decides each allowed request once more without the action, and without the resource, that
allowed it (patch ``rights_record``); what it then refuses is needed. What no request can show here, because
Lambda itself uses the right and the emulator does not ask for it, has a reason in `PLATFORM`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final
from urllib.request import urlopen

from sms_local.testing import Cloud
from tests.support.cloud_drive import client

PATH: Final = "/_sms_local/rights"

PLATFORM: Final[Mapping[str, tuple[str, ...]]] = {
    "Lambda writes the function's log": ("logs:CreateLogStream", "logs:PutLogEvents"),
    "Lambda sends traces; X-Ray is not emulated": ("xray:PutTelemetryRecords", "xray:PutTraceSegments"),
    "the service that encrypts asks for it, with the function's rights": (
        "kms:Decrypt",
        "kms:Encrypt",
        "kms:GenerateDataKey*",
        "kms:ReEncrypt*",
    ),
}
"""Actions that no request of a function takes, by the reason; of any resource."""

POLLED: Final[Mapping[str, tuple[str, ...]]] = {
    "sqs": (
        "sqs:ChangeMessageVisibility",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
        "sqs:GetQueueUrl",
        "sqs:ReceiveMessage",
    ),
    "kinesis": (
        "kinesis:DescribeStream",
        "kinesis:DescribeStreamConsumer",
        "kinesis:DescribeStreamSummary",
        "kinesis:GetRecords",
        "kinesis:GetShardIterator",
        "kinesis:ListShards",
        "kinesis:ListStreams",
        "kinesis:SubscribeToShard",
    ),
    "dynamodb": (
        "dynamodb:DescribeStream",
        "dynamodb:GetRecords",
        "dynamodb:GetShardIterator",
        "dynamodb:ListStreams",
    ),
}
"""What Lambda's poller takes of an event source with the function's role, as the CDK grants it."""

GIVEN_UP: Final = ("sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:SendMessage")
"""What Lambda takes of an on-failure destination, as the CDK grants it."""


_ATHENA: Final = "Athena takes it with the function's rights on AWS; the emulator asks for less"
_EVERY_SENDER: Final = "every sender has it, for texts of a kind that this function seldom or never sends"
_ELSEWHERE: Final = "a path that no flow here takes; the tests of the handler or adapter take it"

UNSEEN: Final[Mapping[str, Mapping[str, str]]] = {
    "sms_analytics_pipeline.handlers.compact": {
        "athena:StopQueryExecution": "a query that takes longer than the function may",
        "glue:GetDatabase": _ATHENA,
        "glue:GetPartitions": _ATHENA,
        "s3:AbortMultipartUpload": _ATHENA,
        "s3:DeleteObject": "a day that is compacted once more",
        "s3:GetObject": _ATHENA,
        "s3:ListBucketMultipartUploads": _ATHENA,
        "s3:ListMultipartUploadParts": _ATHENA,
        "s3:PutObjectTagging": "S3 asks for it besides s3:PutObjectVersionTagging (PutObjectTagging)",
    },
    "sms_analytics_pipeline.handlers.ingest": {
        "events:PutEvents": "an opt-out that did not come by the channel's router"
    },
    "sms_analytics_pipeline.handlers.response_handler": {
        "dynamodb:GetItem": "an answer whose transaction was cancelled",
        "sns:Publish": _ELSEWHERE,
    },
    "channel.handlers.origination": {
        "dynamodb:DeleteItem": "the channel is deleted",
        "sms-voice:DeleteKeyword": "the channel is deleted",
        "sms-voice:PutKeyword": "the number has keywords that differ",
    },
    "channel.handlers.reconcile": {
        "sms-voice:DeleteOptedOutNumber": "who came back is on the list still",
        "sns:Publish": "what a human has to decide about the list",
    },
    "journeys.handlers.audience": {
        "dynamodb:BatchGetItem": _ELSEWHERE,
        "dynamodb:Scan": _ELSEWHERE,
    },
    "journeys.handlers.phone_events": {
        "dynamodb:BatchGetItem": _ELSEWHERE,
        "sns:Publish": _ELSEWHERE,
    },
    "journeys.handlers.send_part": {"dynamodb:ConditionCheckItem": _EVERY_SENDER},
    "channel.handlers.timeline": {
        "dynamodb:BatchGetItem": _ELSEWHERE,
        "dynamodb:Query": _ELSEWHERE,
        "secretsmanager:GetSecretValue": _ELSEWHERE,
    },
    "review_collector.handlers.console": {"dynamodb:GetItem": _ELSEWHERE},
    "review_collector.handlers.count_reviews": {"dynamodb:DeleteItem": "counts that came to nothing"},
    "review_collector.handlers.review_requested": {"dynamodb:PutItem": _EVERY_SENDER},
    "review_collector.handlers.send_part": {
        "dynamodb:ConditionCheckItem": _EVERY_SENDER,
        "s3:ListBucket": "without it S3 answers 403 where an object is missing, not 404",
    },
}
"""Rights that no request was seen to need, with the reason why they stay, by the function's handler."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a function's role, as it is deployed.

    Attributes
    ----------
    platform
        Actions that Lambda itself uses, with the function's rights.
    """

    handler: str
    role: str
    document: Mapping[str, Any]
    platform: frozenset[str] = field(default_factory=frozenset)

    @property
    def key(self) -> str:
        return json.dumps(self.document, sort_keys=True)


def statements(cloud: Cloud) -> list[Statement]:
    """Return every statement of the role of every function that is deployed."""
    functions, iam = client(cloud, "lambda"), client(cloud, "iam")
    found = []
    for page in functions.get_paginator("list_functions").paginate():
        for function in page["Functions"]:
            name, role = function["FunctionName"], function["Role"].rpartition("/")[2]
            handler = function["Handler"].removeprefix("sms_engagement_runtime.").removesuffix(".handler")
            sources, destinations = _asynchronous(functions, name)
            for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]:
                document = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
                for statement in document["Statement"]:
                    normal = _normal(statement)
                    platform = frozenset(_of_lambda(normal, sources, destinations))
                    found.append(Statement(handler, role, normal, platform))
    return found


def record(cloud: Cloud) -> dict[str, Any]:
    """Return what the emulator has seen, of this run."""
    with urlopen(f"{cloud.places.aws_endpoint}{PATH}", timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def never_needed(
    granted: Iterable[Statement],
    recorded: Mapping[str, Any],
    unseen: Mapping[str, Mapping[str, str]] = UNSEEN,
) -> list[str]:
    """List the rights without which no request would have been refused, and that have no reason to stay."""
    taken = {
        (each["role"], json.dumps(each["statement"], sort_keys=True)): each["actions"]
        for each in recorded["taken"]
    }
    return [
        f"{statement.handler}: {action} on {', '.join(statement.document['Resource'])}"
        for statement in granted
        for action in statement.document["Action"]
        if action not in statement.platform
        and not taken.get((statement.role, statement.key), {}).get(action)
        and action not in unseen.get(statement.handler, {})
    ]


def reasons_without_a_right(
    granted: Iterable[Statement], unseen: Mapping[str, Mapping[str, str]] = UNSEEN
) -> list[str]:
    """List what `unseen` names, and no role has any more."""
    had = {(statement.handler, action) for statement in granted for action in statement.document["Action"]}
    return [
        f"{handler}: {action}"
        for handler, actions in unseen.items()
        for action in actions
        if (handler, action) not in had
    ]


def _asynchronous(functions: Any, name: str) -> tuple[set[str], set[str]]:
    """Return the event sources of a function, and where its batches go that were given up."""
    mappings = functions.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
    sources = {mapping["EventSourceArn"] for mapping in mappings if "EventSourceArn" in mapping}
    destinations = {
        mapping.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination") for mapping in mappings
    }
    configured = functions.list_function_event_invoke_configs(FunctionName=name)["FunctionEventInvokeConfigs"]
    for configuration in configured:
        destinations.add(configuration.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination"))
    return sources, {destination for destination in destinations if destination}


def _of_lambda(statement: Mapping[str, Any], sources: set[str], destinations: set[str]) -> Iterator[str]:
    always = {action for actions in PLATFORM.values() for action in actions}
    for action in statement["Action"]:
        polled = POLLED.get(action.partition(":")[0], ())
        is_given_up = action in GIVEN_UP and _within(statement, destinations)
        if action in always or is_given_up or (action in polled and _within(statement, sources)):
            yield action


def _within(statement: Mapping[str, Any], arns: set[str]) -> bool:
    """Whether a statement is about nothing but these."""
    return all(any(fnmatchcase(arn, resource) for arn in arns) for resource in statement["Resource"])


def _normal(statement: Mapping[str, Any]) -> dict[str, Any]:
    found = {
        "Effect": statement["Effect"],
        "Action": sorted(_listed(statement["Action"])),
        "Resource": sorted(_listed(statement["Resource"])),
    }
    return {**found, "Condition": statement["Condition"]} if statement.get("Condition") else found


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
