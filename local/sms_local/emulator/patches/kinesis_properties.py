"""Encryption and limits of a Kinesis stream from a template, and registered consumers.

Reason
    A stream of message bodies must be encrypted; the tests read that back from what was deployed.
AWS
    ``StreamEncryption`` starts server-side encryption with a KMS key. ``AWS::Kinesis::StreamConsumer``
    registers a consumer with a throughput of its own.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-kinesis-stream.html
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-kinesis-streamconsumer.html
MiniStack 1.5.33
    Keeps name, mode, shards and retention of a template, and neither encryption nor enhanced metrics; does
    not know consumers as a resource; opens one shard where a request asks for an on-demand stream (AWS: 4).
Hook
    After a stream is created or updated, encryption is started or stopped as the template says; a
    provisioner for consumers; the number of shards of ``CreateStream``. Nothing is encrypted.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from sms_local.emulator.patches._cloudformation import Properties, after_provisioning
from sms_local.emulator.patches._pinned import PatchSettings, require, rewrite

CONSUMER: Final = "AWS::Kinesis::StreamConsumer"
ON_DEMAND_SHARDS: Final = 4
"""https://docs.aws.amazon.com/streams/latest/dev/how-do-i-size-a-stream.html"""


def apply(_: PatchSettings) -> None:
    """Keep encryption, and register consumers."""
    from ministack.services import kinesis
    from ministack.services.cloudformation import provisioners

    for name in (
        "_start_stream_encryption",
        "_stop_stream_encryption",
        "_register_consumer",
        "_deregister_consumer",
        "_consumers",
    ):
        require(holds=hasattr(kinesis, name), what=f"kinesis.{name}")
    require(holds=CONSUMER not in provisioners._RESOURCE_HANDLERS, what=f"gap where {CONSUMER} would be")
    after_provisioning("AWS::Kinesis::Stream", _set_encryption)
    provisioners._RESOURCE_HANDLERS[CONSUMER] = {
        "create": _create_consumer,
        "update": _update_consumer,
        "delete": _delete_consumer,
    }
    vars(kinesis)["_shards_wanted"] = shards_wanted
    rewrite(kinesis, "_create_stream", ('data.get("ShardCount", 1)', "_shards_wanted(data)"))


def shards_wanted(request: Mapping[str, Any]) -> int:
    """Return how many shards a new stream begins with."""
    mode = (request.get("StreamModeDetails") or {}).get("StreamMode")
    return ON_DEMAND_SHARDS if mode == "ON_DEMAND" else int(request.get("ShardCount", 1))


def _set_encryption(stream: str, properties: Properties) -> None:
    from ministack.services import kinesis

    encryption = properties.get("StreamEncryption") or {}
    if encryption.get("EncryptionType", "NONE") == "NONE":
        kinesis._stop_stream_encryption({"StreamName": stream})
    else:
        kinesis._start_stream_encryption({"StreamName": stream, **encryption})


def _create_consumer(
    _logical_id: str, properties: Properties, _stack_name: str
) -> tuple[str, dict[str, str]]:
    from ministack.services import kinesis

    wanted = {name: properties.get(name) for name in ("StreamARN", "ConsumerName")}
    status, _, body = kinesis._register_consumer(wanted)
    answer = json.loads(body)
    if status != 200:
        raise ValueError(answer.get("message") or f"Kinesis refused consumer {wanted['ConsumerName']}")
    return str(answer["Consumer"]["ConsumerARN"]), _attributes(answer["Consumer"]["ConsumerARN"])


def _attributes(consumer_arn: str) -> dict[str, str]:
    from ministack.services import kinesis

    consumer = kinesis._consumers[consumer_arn]
    return {
        "ConsumerARN": consumer_arn,
        "ConsumerName": consumer["ConsumerName"],
        "ConsumerStatus": consumer["ConsumerStatus"],
        "ConsumerCreationTimestamp": str(consumer["ConsumerCreationTimestamp"]),
        "StreamARN": consumer["StreamARN"],
    }


def _update_consumer(
    physical_id: str, old: Properties, new: Properties, stack_name: str, *_: Any
) -> tuple[str, dict[str, str]]:
    names = ("StreamARN", "ConsumerName")
    if all(old.get(name) == new.get(name) for name in names):
        return physical_id, _attributes(physical_id)
    replacement = _create_consumer("", new, stack_name)
    _delete_consumer(physical_id, old)
    return replacement


def _delete_consumer(physical_id: str, _properties: Properties) -> None:
    from ministack.services import kinesis

    kinesis._deregister_consumer({"ConsumerARN": physical_id})
