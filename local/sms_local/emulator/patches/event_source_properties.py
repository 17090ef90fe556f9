"""Event source mappings keep all that a template or a request says, with the types and defaults of AWS.

Reason
    A mapping that reads from an instant on, or that was made disabled, would read from the end of the stream
    and run, and its deployment looks right. A property that was taken out of the template would stay.
AWS
    ``StartingPositionTimestamp`` belongs to ``AT_TIMESTAMP``. A stream's ``BatchSize`` is 100 unless given.
    https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-parameters.html
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-lambda-eventsourcemapping.html
MiniStack 1.5.33
    Drops the timestamp on both ways in, takes 10 records of a stream by default, keeps numbers and booleans
    of a template as they are written there, calls a mapping from a template enabled in any case, and keeps
    what an update took away.
Hook
    ``lambda_svc._create_esm`` keeps the timestamp and knows the default. After CloudFormation made or changed
    a mapping, it is brought in line with the template.
"""

from typing import Any, Final

from sms_local.emulator.patches._cloudformation import Properties, after_provisioning, is_true
from sms_local.emulator.patches._pinned import PatchSettings, require, rewrite
from sms_local.emulator.patches._stream_batches import DEFAULT_BATCH_SIZE

QUEUE_BATCH_SIZE: Final = 10

NUMBERS: Final = (
    "MaximumBatchingWindowInSeconds",
    "MaximumRecordAgeInSeconds",
    "MaximumRetryAttempts",
    "ParallelizationFactor",
    "TumblingWindowInSeconds",
)
BOOLEANS: Final = ("BisectBatchOnFunctionError",)
OTHERS: Final = ("DestinationConfig", "FilterCriteria", "ScalingConfig", "StartingPositionTimestamp")


def apply(_: PatchSettings) -> None:
    """Keep the properties."""
    from ministack.services import lambda_svc

    for name in ("_esms", "_create_esm", "_resolve_name_and_qualifier"):
        require(holds=hasattr(lambda_svc, name), what=f"lambda_svc.{name}")
    rewrite(
        lambda_svc,
        "_create_esm",
        ('"DestinationConfig"):', '"DestinationConfig", "StartingPositionTimestamp"):'),
        (
            'data.get("BatchSize", 10)',
            f'data.get("BatchSize", {QUEUE_BATCH_SIZE} if event_source_spec.service == "sqs"'
            f" else {DEFAULT_BATCH_SIZE})",
        ),
    )
    after_provisioning("AWS::Lambda::EventSourceMapping", _bring_in_line)


def _bring_in_line(mapping_id: str, properties: Properties) -> None:
    from ministack.services import lambda_svc

    mapping = lambda_svc._esms.get(mapping_id)
    if mapping is None:
        return
    kept, left_out = _kept(properties, mapping["EventSourceArn"])
    mapping.update(kept)
    for name in left_out:
        mapping.pop(name, None)
    _, mapping["Qualifier"] = lambda_svc._resolve_name_and_qualifier(properties["FunctionName"])


def _kept(properties: Properties, source_arn: str) -> tuple[dict[str, Any], list[str]]:
    """Return what a mapping has, by a template, and the names of what it has not."""
    default = QUEUE_BATCH_SIZE if ":sqs:" in source_arn else DEFAULT_BATCH_SIZE
    is_enabled = is_true(properties.get("Enabled", True))
    given = {name: value for name, value in properties.items() if value is not None}
    return {
        "BatchSize": int(given.get("BatchSize", default)),
        "MaximumBatchingWindowInSeconds": 0,
        "FunctionResponseTypes": given.get("FunctionResponseTypes", []),
        "Enabled": is_enabled,
        "State": "Enabled" if is_enabled else "Disabled",
        **{name: int(given[name]) for name in NUMBERS if name in given},
        **{name: is_true(given[name]) for name in BOOLEANS if name in given},
        **{name: given[name] for name in OTHERS if name in given},
    }, [name for name in (*NUMBERS[1:], *BOOLEANS, *OTHERS) if name not in given]
