"""Texts by SNS ``Publish(PhoneNumber=…)``: the sender for accounts that have no End User Messaging set-up.

SNS echoes no ``Context`` and has no configuration set, so a text whose outcome is unknown stays unknown.
"""

import re
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from sms_engagement_runtime.channel.adapters.fresh_connection import FreshConnection
from sms_engagement_runtime.channel.adapters.send_errors import send_call
from sms_engagement_runtime.channel.domain.errors import OutcomeUnknownError
from sms_engagement_runtime.channel.domain.ports import OutboundMessage

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sns.type_defs import MessageAttributeValueTypeDef

_PHONE_NUMBER: Final = re.compile(r"\+[1-9]\d{6,14}")
# Amazon SNS developer guide, "Publishing SMS messages": 1 to 11 letters and digits, at least one letter.
_SENDER_ID: Final = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9]{1,11}")
_SENDER_ID_ARN: Final = re.compile(r"arn:[^:]+:sms-voice:[^:]*:[^:]*:sender-id/([^/]+)(?:/[A-Z]{2})?")


class SnsSender:
    """Sends one text by ``Publish`` to a phone number, in one attempt. It never publishes to a topic.

    Parameters
    ----------
    client
        Must make exactly one attempt a call: :func:`~.clients.sns_sms_client`.
    origination_identity
        E.164 number, or sender id or its ARN, or ``""`` to let SNS choose.
    max_price
        Decimal USD a text, as ``"0.05"``; SNS does not deliver above it. No limit when left out.
    clock
        As of :class:`~.fresh_connection.FreshConnection`.

    Raises
    ------
    ValueError
        The origination identity is none of these. SNS cannot address a pool or the ARN of a number.
    """

    def __init__(
        self,
        client: "SNSClient",
        *,
        origination_identity: str = "",
        max_price: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._origination = _origination_attributes(origination_identity)
        self._max_price = max_price
        self._connection = FreshConnection(client, clock=clock)

    def send(self, message: OutboundMessage) -> str:
        """Send a text and return its message id.

        Raises
        ------
        SendThrottledError, SendRefusedError, SendingDisabledError, OutcomeUnknownError
            As :func:`~.send_errors.send_call` classes the answer.
        """
        with send_call(), self._connection.call():
            response = self._client.publish(
                PhoneNumber=message.destination.e164,
                Message=message.body,
                MessageAttributes=self._attributes(message),
            )
        message_id = response.get("MessageId")
        if not message_id:
            raise OutcomeUnknownError("NO_MESSAGE_ID")
        return message_id

    def _attributes(self, message: OutboundMessage) -> "Mapping[str, MessageAttributeValueTypeDef]":
        attributes = {
            "AWS.SNS.SMS.SMSType": _string(message.message_class.message_type.capitalize()),
            **self._origination,
        }
        if self._max_price is not None:
            attributes["AWS.SNS.SMS.MaxPrice"] = {"DataType": "Number", "StringValue": self._max_price}
        return attributes


def _origination_attributes(identity: str) -> "dict[str, MessageAttributeValueTypeDef]":
    if not identity:
        return {}
    if _PHONE_NUMBER.fullmatch(identity):
        # This one attribute has the prefix AWS.MM.
        return {"AWS.MM.SMS.OriginationNumber": _string(identity)}
    arn = _SENDER_ID_ARN.fullmatch(identity)
    sender_id = arn.group(1) if arn else identity
    if _SENDER_ID.fullmatch(sender_id):
        return {"AWS.SNS.SMS.SenderID": _string(sender_id)}
    raise ValueError(
        f"origination identity {identity!r} cannot be used with SNS; give an E.164 number, "
        "a sender id of 1 to 11 letters and digits, or leave it empty"
    )


def _string(value: str) -> "MessageAttributeValueTypeDef":
    return {"DataType": "String", "StringValue": value}
