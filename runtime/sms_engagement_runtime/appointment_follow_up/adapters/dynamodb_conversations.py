"""The ``conversations`` table: one row an appointment.

Row: ``appointmentId`` (PK), ``version``, ``status``, ``beforeNoShow``, ``reason``; of the booking
``provider``, ``externalId``, ``eventName``, ``inviteeName``, ``hostName``, ``timeZone``, ``locale``,
``startsAt``, ``endsAt``, ``bookedAt`` (epoch seconds), ``rescheduleUrl``, ``cancelUrl``, ``replaces``,
``replacesExternalId``; of the recipient ``phoneNumber``, ``country``, ``subscriberId``; ``movedTo``,
``cancelledBy``; ``bookingAt``, ``cancelledAt``, ``noShowAt`` (epoch microseconds, as providers tell the order
of their events by them); ``confirmationSentAt``, ``followedUpAt``, ``answer``, ``repliedAt``, ``createdAt``,
``updatedAt`` (epoch milliseconds); ``seen``, ``expiresAt`` (epoch seconds, time to live), ``schemaVersion``.
Index by ``subscriberId`` and ``startsAt``, which every row with a phone has.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from sms_engagement_runtime.appointment_follow_up.domain.bookings import (
    Booking,
    Party,
    Provider,
    appointment_id,
)
from sms_engagement_runtime.appointment_follow_up.domain.changing import ConversationChangedError
from sms_engagement_runtime.appointment_follow_up.domain.conversation import (
    Conversation,
    Recipient,
    Reply,
    Status,
    kept_until,
)
from sms_engagement_runtime.appointment_follow_up.domain.reply_kinds import ReplyKind
from sms_engagement_runtime.channel.adapters.aws_errors import is_failed_condition, service_call
from sms_engagement_runtime.channel.adapters.busy_rows import write_when_free
from sms_engagement_runtime.channel.adapters.dynamodb_item import Item, Value, from_item, to_item
from sms_engagement_runtime.channel.adapters.instants import from_milliseconds, to_milliseconds, to_seconds
from sms_engagement_runtime.channel.domain.ledger import Guard
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SCHEMA_VERSION: Final = 1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PAUSES: Final = (0.02, 0.05, 0.1, 0.2, 0.4)

INDEX: Final = "subscriberId-startsAt-index"
KEY: Final = "appointmentId"


class DynamoConversations:
    """Conversations on DynamoDB.

    Parameters
    ----------
    retention
        How long a row is kept after its appointment.
    sleep
        Waits before a write that met another one is tried again.
    """

    def __init__(
        self,
        client: DynamoDBClient,
        *,
        table: str,
        retention: timedelta,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._table = table
        self._retention = retention
        self._sleep = sleep

    def get(self, appointment_id: str) -> Conversation | None:
        """Read a conversation, strongly consistent."""
        with service_call("dynamodb:GetItem"):
            response = self._client.get_item(
                TableName=self._table, Key={KEY: {"S": appointment_id}}, ConsistentRead=True
            )
        item = response.get("Item")
        return None if item is None else _conversation(from_item(item))

    def save(self, conversation: Conversation) -> Conversation:
        """Write the row, if it still has the version that was read; 0 means that there was none."""
        saved = replace(conversation, version=conversation.version + 1)
        item = to_item(_row(saved, kept_until(saved, self._retention)))
        # A text about the appointment may be under way in a transaction of its own.
        write_when_free(
            lambda: self._put(item, expected=conversation.version),
            operation="dynamodb:PutItem",
            pauses=_PAUSES,
            sleep=self._sleep,
        )
        return saved

    def _put(self, item: Item, *, expected: int) -> None:
        condition: dict[str, Any] = {"ConditionExpression": f"attribute_not_exists({KEY})"}
        if expected:
            condition = {
                "ConditionExpression": "version = :version",
                "ExpressionAttributeValues": to_item({":version": expected}),
            }
        try:
            self._client.put_item(TableName=self._table, Item=item, **condition)
        except ClientError as error:
            if is_failed_condition(error):
                raise ConversationChangedError from error
            raise

    def of_subscriber(self, subscriber_id: str, *, since: datetime) -> Sequence[Conversation]:
        """List the conversations of a person by the index, which lags behind the table by moments."""
        with service_call("dynamodb:Query"):
            pages = self._client.get_paginator("query").paginate(
                TableName=self._table,
                IndexName=INDEX,
                KeyConditionExpression="subscriberId = :subscriber AND startsAt >= :since",
                ExpressionAttributeValues=to_item(
                    {":subscriber": subscriber_id, ":since": to_seconds(since)}
                ),
            )
            return [_conversation(from_item(item)) for page in pages for item in page["Items"]]

    def guard(self, conversation: Conversation) -> Guard:
        """Give the condition that this row is as it was read."""
        return Guard(table=self._table, key=(KEY, conversation.appointment_id), version=conversation.version)


def _row(conversation: Conversation, kept_until: datetime) -> Mapping[str, Value | None]:
    booking, recipient, reply = conversation.booking, conversation.recipient, conversation.reply
    row: dict[str, Value | None] = {
        KEY: conversation.appointment_id,
        "version": conversation.version,
        "status": conversation.status.value,
        "beforeNoShow": conversation.before_no_show and conversation.before_no_show.value,
        "reason": conversation.reason and str(conversation.reason),
        "bookingAt": _microseconds(conversation.booking_at),
        "noShowAt": _microseconds(conversation.no_show_at),
        "movedTo": conversation.moved_to,
        "cancelledBy": conversation.cancelled_by and conversation.cancelled_by.value,
        "cancelledAt": _microseconds(conversation.cancelled_at),
        "confirmationSentAt": _milliseconds(conversation.told_at),
        "followedUpAt": _milliseconds(conversation.followed_up_at),
        "answer": None if reply is None else reply.kind.value,
        "repliedAt": None if reply is None else to_milliseconds(reply.at),
        "seen": " ".join(sorted(conversation.seen)) or None,
        "createdAt": to_milliseconds(conversation.created_at),
        "updatedAt": to_milliseconds(conversation.updated_at),
        "expiresAt": to_seconds(kept_until),
        "schemaVersion": SCHEMA_VERSION,
    }
    if booking is not None:
        row |= {
            "provider": booking.provider.value,
            "externalId": booking.external_id,
            "eventName": booking.event_name,
            "inviteeName": booking.invitee_name,
            "hostName": booking.host_name,
            "timeZone": booking.time_zone,
            "locale": booking.locale,
            "startsAt": to_seconds(booking.starts_at),
            "endsAt": to_seconds(booking.ends_at),
            "bookedAt": to_seconds(booking.booked_at),
            "rescheduleUrl": booking.reschedule_url,
            "cancelUrl": booking.cancel_url,
            "replaces": booking.replaces and appointment_id(booking.provider, booking.replaces),
            "replacesExternalId": booking.replaces,
            "byInvitee": booking.by_invitee,
        }
    if recipient is not None:
        row |= {
            "phoneNumber": recipient.number.e164,
            "country": recipient.country,
            "subscriberId": recipient.subscriber_id,
        }
    return row


def _conversation(row: Mapping[str, Any]) -> Conversation:
    before, by, answer = row.get("beforeNoShow"), row.get("cancelledBy"), row.get("answer")
    return Conversation(
        appointment_id=row[KEY],
        version=row["version"],
        status=Status(row["status"]),
        before_no_show=None if before is None else Status(before),
        reason=row.get("reason"),
        booking=_booking(row) if "externalId" in row else None,
        booking_at=_from_microseconds(row.get("bookingAt")),
        recipient=_recipient(row) if "subscriberId" in row else None,
        no_show_at=_from_microseconds(row.get("noShowAt")),
        moved_to=row.get("movedTo"),
        cancelled_by=None if by is None else Party(by),
        cancelled_at=_from_microseconds(row.get("cancelledAt")),
        told_at=_instant(row.get("confirmationSentAt")),
        followed_up_at=_instant(row.get("followedUpAt")),
        reply=None
        if answer is None
        else Reply(at=from_milliseconds(row["repliedAt"]), kind=ReplyKind(answer)),
        seen=frozenset(row.get("seen", "").split()),
        created_at=from_milliseconds(row["createdAt"]),
        updated_at=from_milliseconds(row["updatedAt"]),
    )


def _booking(row: Mapping[str, Any]) -> Booking:
    """Read a booking; the candidates for its phone number are not kept, since one was chosen."""
    return Booking(
        provider=Provider(row["provider"]),
        external_id=row["externalId"],
        booked_at=from_milliseconds(row["bookedAt"] * 1000),
        starts_at=from_milliseconds(row["startsAt"] * 1000),
        ends_at=from_milliseconds(row["endsAt"] * 1000),
        event_name=row["eventName"],
        invitee_name=row.get("inviteeName"),
        host_name=row.get("hostName"),
        time_zone=row.get("timeZone"),
        locale=row.get("locale"),
        reschedule_url=row.get("rescheduleUrl"),
        cancel_url=row.get("cancelUrl"),
        replaces=row.get("replacesExternalId"),
        by_invitee=row.get("byInvitee", True),
    )


def _recipient(row: Mapping[str, Any]) -> Recipient:
    return Recipient(
        number=PhoneNumber(row["phoneNumber"]),
        country=row.get("country"),
        subscriber_id=row["subscriberId"],
    )


def _milliseconds(instant: datetime | None) -> int | None:
    return None if instant is None else to_milliseconds(instant)


def _instant(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else from_milliseconds(milliseconds)


def _microseconds(instant: datetime | None) -> int | None:
    return None if instant is None else (instant - _EPOCH) // timedelta(microseconds=1)


def _from_microseconds(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else _EPOCH + timedelta(microseconds=microseconds)
