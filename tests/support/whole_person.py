"""A person with something in every table and in every place of the archive, in moto; and one beside them."""

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3

from sms_engagement_runtime.channel.adapters.dynamodb_contacts import DynamoContacts
from sms_engagement_runtime.channel.adapters.dynamodb_item import to_item
from sms_engagement_runtime.channel.adapters.dynamodb_messages import DynamoLedger
from sms_engagement_runtime.channel.domain.consent import (
    Evidence,
    Scope,
    Source,
    ask_to_confirm,
    confirm,
    replace_contact,
)
from sms_engagement_runtime.channel.domain.gate import ConsentRule, MessageClass
from sms_engagement_runtime.channel.domain.ledger import Intent
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.prompts import Prompt
from sms_engagement_runtime.sms_analytics_pipeline.adapters.notice_archive import key_of
from sms_engagement_runtime.sms_analytics_pipeline.domain.lifecycle import Happening
from sms_engagement_runtime.sms_analytics_pipeline.domain.subscribers import Fact
from sms_engagement_runtime.sms_analytics_pipeline.domain.subscription_notices import Notice
from tests.support.dynamodb_tables import CONTACTS, MESSAGES, create_table
from tests.support.pipeline_drive import BUCKET, REGISTER, STREAM, Pipeline, person, pipeline
from tests.support.review_tables import aws_client
from tests.support.subscriber_tables import RESPONSES, SUBSCRIBERS

HER = "+12025550143"
HIM = "+12025550156"
NAMES = {HER: "Wilhelmina", HIM: "Ferdinand"}
REVIEW_ARCHIVE = "review-archive"
TABLES = {
    "conversations": ("appointmentId", ("subscriberId", "startsAt")),
    "customers": ("userId",),
    "reviews": ("reviewId", ("userId", "timestamp")),
    "review_requests": ("requestId", ("userId", "recordedAt"), ("subscriberId", "recordedAt")),
    "enrolments": ("enrolment_id",),
}


@dataclass
class World:
    """What there is.

    Attributes
    ----------
    outputs
        File as ``cdk deploy --outputs-file`` writes it.
    """

    pipeline: Pipeline
    outputs: Path

    @property
    def dynamodb(self) -> Any:
        return self.pipeline.dynamodb

    def everything(self) -> dict[str, str]:
        """All rows and all versions of all objects as text, by where they are."""
        found = {}
        for table in self.dynamodb.list_tables()["TableNames"]:
            for number, item in enumerate(self.dynamodb.scan(TableName=table)["Items"]):
                found[f"{table}/{number}"] = json.dumps(item, sort_keys=True)
        s3 = aws_client("s3")
        for bucket in (BUCKET, REVIEW_ARCHIVE):
            for each in s3.list_object_versions(Bucket=bucket).get("Versions", []):
                body = s3.get_object(Bucket=bucket, Key=each["Key"], VersionId=each["VersionId"])[
                    "Body"
                ].read()
                text = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
                found[f"{bucket}/{each['Key']}@{each['VersionId']}"] = each["Key"] + text.decode()
        return found

    def with_any(self, *needles: str) -> dict[str, str]:
        """What of everything has one of these in it."""
        return {
            place: text for place, text in self.everything().items() if any(each in text for each in needles)
        }


def secrets_of(phone: str) -> tuple[str, ...]:
    """What must be nowhere once somebody is erased."""
    return (
        phone,
        phone[2:],
        NAMES[phone],
        f"words of {NAMES[phone]}",
        f"user-{phone[-4:]}",
        f"message-{phone[-4:]}",
    )


@contextmanager
def whole_people(folder: Path) -> Iterator[World]:
    """Fill all tables and the archive with two people."""
    with pipeline() as system:
        s3 = aws_client("s3")
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        s3.create_bucket(Bucket=REVIEW_ARCHIVE)
        s3.put_bucket_versioning(Bucket=REVIEW_ARCHIVE, VersioningConfiguration={"Status": "Enabled"})
        for name, (key, *indexes) in TABLES.items():
            create_table(system.dynamodb, name, key, *indexes)
        for phone in (HER, HIM):
            _fill(system, phone)
        for _ in range(2):
            # The second time as when a batch comes again: every object has an old version.
            system.consumed.clear()
            system.consume("archive", "response_handler")
        secret = boto3.client("secretsmanager").describe_secret(SecretId="subscriber-key")["ARN"]
        outputs = {
            "Channel": {
                "ContactsTableName": CONTACTS,
                "MessagesTableName": MESSAGES,
                "SubscriberKeySecretArn": secret,
            },
            "Rest": {
                "ConversationsTableName": "conversations",
                "CustomersTableName": "customers",
                "ReviewsTableName": "reviews",
                "ReviewRequestsTableName": "review_requests",
                "ReviewArchiveName": REVIEW_ARCHIVE,
                "EnrolmentsTableName": "enrolments",
                "ResponsesTableName": RESPONSES,
                "SubscribersTableName": SUBSCRIBERS,
                "RegisterTableName": REGISTER,
                "ArchiveBucketName": BUCKET,
                "StreamName": STREAM,
            },
        }
        file = folder / "outputs.json"
        file.write_text(json.dumps(outputs))
        yield World(system, file)


def _fill(system: Pipeline, phone: str) -> None:
    name, user_id, own = NAMES[phone], f"user-{phone[-4:]}", person(phone)
    now = system.clock.now()
    now_ms = int(now.timestamp() * 1000)
    contacts = DynamoContacts(system.dynamodb, table=CONTACTS)
    evidence = Evidence(
        source=Source.INBOUND_MESSAGE, words=f"words of {name}", message_id=f"message-{phone[-4:]}-in", at=now
    )
    for transition in (ask_to_confirm, confirm):
        contact = contacts.get(own)
        change = transition(
            contact, replace(evidence, message_id=f"message-{phone[-4:]}-{transition.__name__}")
        )
        assert change is not None
        change = replace_contact(change, phone_number=PhoneNumber(phone))
        contacts.save(change.contact, expected_version=contact.version, records=change.records)
    contacts.open(
        Prompt(
            subscriber_id=own,
            origination="+12025550100",
            construct="appointments",
            purpose="confirmation",
            occasion=f"appointment-{user_id}",
            message_id=f"message-{phone[-4:]}-1",
            asked_at=now,
            expires_at=now + timedelta(days=1),
            opt_out_reply=f"Bye, {name}",
        )
    )
    ledger = DynamoLedger(system.dynamodb, messages_table=MESSAGES, contacts_table=CONTACTS)
    for number, (construct, journey) in enumerate([("reviews", None), ("journeys", "welcome")]):
        intent = Intent(
            construct=construct,
            purpose="review-request",
            occasion=f"order of {user_id}",
            scope=Scope.REVIEWS,
            message_class=MessageClass.PROMOTIONAL,
            consent_rule=ConsentRule.IMPLIED,
            recipient=PhoneNumber(phone),
            subscriber_id=own,
            country="US",
            body=f"Hi {name}",
            campaign_id="spring-run-1_welcome_1" if journey else "run-1",
            journey_id=journey,
        )
        ledger.claim(intent, key=intent.key, contact=contacts.get(own), parts=1, now=now)
        ledger.accept(intent.key, f"message-{phone[-4:]}-{number}", now)
    put = {
        "conversations": {
            "appointmentId": f"appointment-{user_id}",
            "subscriberId": own,
            "startsAt": now_ms // 1000,
            "phoneNumber": phone,
            "inviteeName": name,
            "status": "CONFIRMED",
            "createdAt": now_ms,
            "updatedAt": now_ms,
        },
        # As people write it, and unlike the ledger's.
        "customers": {
            "userId": user_id,
            "phoneNumber": f"({phone[2:5]}) {phone[5:8]}-{phone[8:]}",
            "name": name,
        },
        "review_requests": {
            "requestId": f"request-{user_id}",
            "userId": user_id,
            "subscriberId": own,
            "recordedAt": now_ms // 1000,
            "askedAt": now_ms // 1000,
            "name": name,
        },
        "reviews": {
            "reviewId": f"request-{user_id}",
            "userId": user_id,
            "timestamp": now_ms,
            "rating": 5,
            "reviewText": f"words of {name}",
            "status": "new",
        },
        "enrolments": {"enrolment_id": f"welcome/run-1#{own}", "subscriber_id": own, "updated_at": now_ms},
    }
    for table, row in put.items():
        system.dynamodb.put_item(TableName=table, Item=to_item(row))
    system.dynamodb.put_item(
        TableName=CONTACTS, Item=to_item({"subscriberId": "campaign#run-1", "record": f"counted#{own}"})
    )
    s3 = aws_client("s3")
    for number in range(2):
        s3.put_object(
            Bucket=REVIEW_ARCHIVE,
            Key=f"reviews/year=2025/month=0{number + 1}/old-{phone[-4:]}-{number}.json",
            Body=json.dumps({"userId": user_id, "reviewText": f"words of {name}"}).encode(),
        )
    notice = Notice(subscriber_id=own, fact=Fact(happening=Happening.ASKED_TO_CONFIRM, at=now_ms, id="event"))
    s3.put_object(Bucket=BUCKET, Key=key_of(notice), Body=b"")
    s3.put_object(
        Bucket=BUCKET, Key=f"quarantine/ingest/a-{phone[-4:]}.json", Body=f'{{"x": "{phone}"}}'.encode()
    )
    s3.put_object(Bucket=BUCKET, Key=f"query-results/{phone[-4:]}.csv", Body=f'"{phone}"\n'.encode())
    system.ingest(
        [
            {
                "eventType": "TEXT_DELIVERED",
                "eventTimestamp": now_ms - day * 86_400_000,
                "isFinal": True,
                "messageId": f"message-{phone[-4:]}-{day}",
                "messageStatus": "DELIVERED",
                "destinationPhoneNumber": phone,
                "originationPhoneNumber": "+12025550100",
                "isoCountryCode": "US",
                "totalMessageParts": 1,
                "totalMessagePrice": 0.00581,
            }
            for day in range(3)
        ]
        + [
            {
                "originationNumber": phone,
                "destinationNumber": "+12025550100",
                "messageKeyword": "KEYWORD_1",
                "messageBody": f"words of {name}",
                "inboundMessageId": f"message-{phone[-4:]}-reply",
            }
        ]
    )
