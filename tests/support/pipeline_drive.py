"""The analytics pipeline in moto: ingest, stream, three consumers; batches come again as at Lambda."""

import base64
import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import ModuleType
from typing import Any
from unittest.mock import patch

from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.subscriber import subscriber_id
from tests.support.dynamodb_tables import CONTACTS, MESSAGES, create_table
from tests.support.fakes import FakeClock
from tests.support.handlers import Context, fresh_handler
from tests.support.review_tables import aws_client
from tests.support.sqs_records import envelope, failed, sqs_event
from tests.support.subscriber_tables import RESPONSES, SUBSCRIBERS, subscriber_tables

STREAM, REGISTER, COUNTS, BUCKET = "events", "register", "counts", "archive"
KEY = "the text of the subscriber key secret"
_HANDLERS = "sms_engagement_runtime.sms_analytics_pipeline.handlers"
_ENVIRONMENT = {
    "REGISTER_TABLE": REGISTER,
    "SUBSCRIBERS_TABLE": SUBSCRIBERS,
    "RESPONSES_TABLE": RESPONSES,
    "COUNTS_TABLE": COUNTS,
    "COUNTS_RETENTION_SECONDS": "34560000",
    "MESSAGES_TABLE": MESSAGES,
    "CONTACTS_TABLE": CONTACTS,
    "BUS_NAME": "channel",
    "STREAM_NAME": STREAM,
    "ARCHIVE_BUCKET": BUCKET,
    "SUBSCRIBER_KEY_SECRET_ARN": "subscriber-key",
    "DEFAULT_COUNTRY": "US",
}
DONE = {"batchItemFailures": []}


def create_counts(client: Any, name: str = COUNTS) -> None:
    """Make a counts table with the keys that the construct gives it."""
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[
            {"AttributeName": "day", "KeyType": "HASH"},
            {"AttributeName": "batch", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "day", "AttributeType": "S"},
            {"AttributeName": "batch", "AttributeType": "S"},
        ],
    )


def rows(client: Any, table: str) -> list[dict[str, Any]]:
    """All rows of a table, in an order that does not depend on their writing."""
    items: list[dict[str, Any]] = client.scan(TableName=table)["Items"]
    return sorted(items, key=repr)


def person(phone: str) -> str:
    """Subscriber id of a phone number."""
    return subscriber_id(PhoneNumber(phone), KEY.encode())


@dataclass
class Pipeline:
    """The functions, and what has been consumed."""

    ingest_module: ModuleType
    consumers: dict[str, ModuleType]
    clock: FakeClock
    dynamodb: Any
    chance: random.Random
    consumed: dict[str, int] = field(default_factory=dict)

    def ingest(self, payloads: list[dict[str, Any]]) -> None:
        """Bring payloads to the stream; what is not taken comes again."""
        while payloads:
            some, payloads = payloads[:10], payloads[10:]
            assert failed(self.ingest_module.handler(sqs_event(*map(envelope, some)), Context())) == []

    def records(self) -> dict[str, list[dict[str, Any]]]:
        """Records of the stream as Lambda hands them over, by shard."""
        kinesis = aws_client("kinesis")
        shards = {}
        for shard in kinesis.list_shards(StreamName=STREAM)["Shards"]:
            name = shard["ShardId"]
            iterator = kinesis.get_shard_iterator(
                StreamName=STREAM, ShardId=name, ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            shards[name] = [
                as_lambda_record(name, record)
                for record in kinesis.get_records(ShardIterator=iterator)["Records"]
            ]
        return shards

    def consume(self, *names: str) -> None:
        """Give the consumers what is new, in batches of any size, some of them again and in halves."""
        shards = self.records()
        for name in names or self.consumers:
            for shard, records in shards.items():
                place = f"{name}/{shard}"
                start = self.consumed.get(place, 0)
                self.consumed[place] = len(records)
                new = records[start:]
                while new:
                    size = self.chance.randint(1, 12)
                    batch, new = new[:size], new[size:]
                    self._hand_over(name, batch)

    def _hand_over(self, name: str, batch: list[dict[str, Any]]) -> None:
        handler = self.consumers[name].handler
        if len(batch) > 1 and self.chance.random() < 0.3:
            # Done, and the answer is lost: the batch comes again in halves.
            handler({"Records": batch}, Context())
            middle = len(batch) // 2
            self._hand_over(name, batch[:middle])
            self._hand_over(name, batch[middle:])
            return
        assert handler({"Records": batch}, Context()) == DONE


def as_lambda_record(shard: str, record: dict[str, Any]) -> dict[str, Any]:
    """A record of ``GetRecords`` as a function gets it."""
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": record["PartitionKey"],
            "sequenceNumber": record["SequenceNumber"],
            "data": base64.b64encode(record["Data"]).decode(),
            "approximateArrivalTimestamp": record["ApproximateArrivalTimestamp"].timestamp(),
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"{shard}:{record['SequenceNumber']}",
        "eventName": "aws:kinesis:record",
        "awsRegion": "us-east-1",
        "eventSourceARN": f"arn:aws:kinesis:us-east-1:123456789012:stream/{STREAM}",
    }


@contextmanager
def pipeline(seed: int = 0) -> Iterator[Pipeline]:
    """Everything empty."""
    with ExitStack() as stack:
        dynamodb = stack.enter_context(subscriber_tables())
        create_table(dynamodb, REGISTER, "messageId")
        create_counts(dynamodb)
        aws_client("secretsmanager").create_secret(Name="subscriber-key", SecretString=KEY)
        aws_client("kinesis").create_stream(StreamName=STREAM, ShardCount=2)
        aws_client("s3").create_bucket(Bucket=BUCKET)

        def module(name: str) -> ModuleType:
            return stack.enter_context(fresh_handler(f"{_HANDLERS}.{name}", _ENVIRONMENT))

        clock = FakeClock()
        ingest = module("ingest")
        stack.enter_context(patch.object(ingest, "_clock", clock))
        stack.enter_context(patch.object(ingest, "_service", replace(ingest._service, clock=clock)))
        consumers = {name: module(name) for name in ("response_handler", "analytics", "archive")}
        yield Pipeline(ingest, consumers, clock, dynamodb, random.Random(seed))


_PHONES = [f"+1202555{number:04}" for number in range(100, 112)]
_STATUSES = [
    ("TEXT_QUEUED", "QUEUED", False),
    ("TEXT_SENT", "SENT", False),
    ("TEXT_DELIVERED", "DELIVERED", True),
    ("TEXT_DELIVERED", "DELIVERED", True),
    ("TEXT_SUCCESSFUL", "SUCCESSFUL", True),
    ("TEXT_UNREACHABLE", "UNREACHABLE", True),
    ("TEXT_INVALID", "INVALID", True),
    ("TEXT_CARRIER_BLOCKED", "CARRIER_BLOCKED", True),
    ("TEXT_UNKNOWN", "UNKNOWN", True),
]
_WORDS = [
    "YES",
    "STOP",
    "START",
    "great, thanks",
    "not interested",
    "no",
    "1",
    "Sí",
    "👍",
    "wrong number",
    "",
]


def random_payloads(chance: random.Random, amount: int, *, now: datetime) -> list[dict[str, Any]]:
    """Delivery events and inbound texts of the last five days, some twice, messages that end twice."""
    now_ms = int(now.astimezone(UTC).timestamp() * 1000)
    payloads: list[dict[str, Any]] = []
    for number in range(amount):
        at = now_ms - chance.randint(0, 5 * 86_400_000)
        phone = chance.choice(_PHONES)
        if payloads and chance.random() < 0.15:
            payloads.append(chance.choice(payloads))
        elif chance.random() < 0.3:
            payloads.append(
                {
                    "originationNumber": phone,
                    "destinationNumber": "+12065550100",
                    "messageKeyword": "KEYWORD_1",
                    "messageBody": chance.choice(_WORDS),
                    "inboundMessageId": f"inbound-{number}",
                    "previousPublishedMessageId": "none",
                    "eventTimestamp": at,
                }
            )
        else:
            message = chance.randint(0, amount // 2)
            of_message = random.Random(message)
            kind, status, is_final = chance.choice(_STATUSES)
            payloads.append(
                {
                    "eventType": kind,
                    "eventVersion": "1.0",
                    "eventTimestamp": at,
                    "isFinal": is_final,
                    "originationPhoneNumber": "+12065550100",
                    "destinationPhoneNumber": of_message.choice(_PHONES),
                    "isoCountryCode": of_message.choice(["US", "CA", "PR"]),
                    "messageId": f"message-{message}",
                    "messageType": "PROMOTIONAL",
                    "messageStatus": status,
                    "totalMessageParts": 1,
                    "totalMessagePrice": chance.choice([0.00581, 0.00581, 0.01, 0.0]),
                    "context": {"campaign": of_message.choice(["spring", "summer", ""])},
                }
            )
    return payloads
