"""Texts and the opt-out list on AWS End User Messaging SMS (API ``pinpoint-sms-voice-v2``)."""

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, cast

from botocore.exceptions import ClientError

from sms_engagement_runtime.channel.adapters.aws_errors import error_code, error_reason, service_call
from sms_engagement_runtime.channel.adapters.fresh_connection import FreshConnection
from sms_engagement_runtime.channel.adapters.send_errors import send_call
from sms_engagement_runtime.channel.domain.delivery import (
    CONTEXT_CAMPAIGN,
    CONTEXT_INTENT,
    CONTEXT_JOURNEY,
)
from sms_engagement_runtime.channel.domain.errors import (
    OptOutListRefusedError,
    OutcomeUnknownError,
    SendRefusedError,
)
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.ports import OutboundMessage

if TYPE_CHECKING:
    from mypy_boto3_pinpoint_sms_voice_v2 import PinpointSMSVoiceV2Client
    from mypy_boto3_pinpoint_sms_voice_v2.literals import MessageTypeType
    from mypy_boto3_pinpoint_sms_voice_v2.type_defs import SendTextMessageRequestTypeDef

CONTEXT_VALUE_LIMIT: Final = 800
"""Longest value of a ``Context`` pair (SendTextMessage, API reference)."""


class EndUserMessagingSender:
    """Sends one text by ``SendTextMessage``, in one attempt.

    Parameters
    ----------
    client
        Must make exactly one attempt a call: :func:`~.clients.sms_client`.
    origination_identity
        ARN of the phone number, pool or sender id that the text comes from.
    configuration_set
        Name or ARN; without one no delivery event is published.
    max_price
        Decimal USD a part, as ``"0.05"``; a text above it is refused. No limit when left out.
    clock
        As of :class:`~.fresh_connection.FreshConnection`.
    """

    def __init__(
        self,
        client: "PinpointSMSVoiceV2Client",
        *,
        origination_identity: str,
        configuration_set: str,
        max_price: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._origination_identity = origination_identity
        self._configuration_set = configuration_set
        self._max_price = max_price
        self._connection = FreshConnection(client, clock=clock)

    def send(self, message: OutboundMessage) -> str:
        """Send a text and return its message id.

        Raises
        ------
        SendThrottledError, SendRefusedError, SendingDisabledError, OutcomeUnknownError
            As :func:`~.send_errors.send_call` classes the answer.
        """
        request = self._request(message)
        with send_call(), self._connection.call():
            response = self._client.send_text_message(**request)
        message_id = response.get("MessageId")
        if not message_id:
            raise OutcomeUnknownError("NO_MESSAGE_ID")
        return message_id

    def _request(self, message: OutboundMessage) -> "SendTextMessageRequestTypeDef":
        request: SendTextMessageRequestTypeDef = {
            "DestinationPhoneNumber": message.destination.e164,
            "OriginationIdentity": self._origination_identity,
            "MessageBody": message.body,
            "MessageType": cast("MessageTypeType", message.message_class.message_type),
            "ConfigurationSetName": self._configuration_set,
            "Context": context_of(message),
        }
        if self._max_price is not None:
            request["MaxPrice"] = self._max_price
        return request


def context_of(message: OutboundMessage) -> Mapping[str, str]:
    """Pairs that every event of this text echoes: ``intent``, and ``campaign`` and ``journey`` if any.

    Raises
    ------
    SendRefusedError
        A value is longer than the service takes. A shortened one would name another campaign, so none is
        sent.
    """
    pairs = {
        CONTEXT_INTENT: message.key,
        CONTEXT_CAMPAIGN: (message.campaign_id or "").strip(),
        CONTEXT_JOURNEY: (message.journey_id or "").strip(),
    }
    if any(len(value) > CONTEXT_VALUE_LIMIT for value in pairs.values()):
        raise SendRefusedError("CONTEXT_TOO_LONG")
    return {name: value for name, value in pairs.items() if value}


class EndUserMessagingOptOutList:
    """The AWS opt-out list of the channel.

    While a number is on it, AWS refuses every text to it, our own replies included.
    """

    def __init__(self, client: "PinpointSMSVoiceV2Client", *, list_name: str) -> None:
        self._client = client
        self._list_name = list_name

    def put(self, number: PhoneNumber) -> None:
        """Put a number on the list; one that is there already stays.

        Raises
        ------
        TransientError
            The call failed; to be tried again.
        """
        with service_call("sms-voice:PutOptedOutNumber"):
            self._client.put_opted_out_number(OptOutListName=self._list_name, OptedOutNumber=number.e164)

    def delete(self, number: PhoneNumber) -> None:
        """Take a number off the list; one that is not on it is fine.

        Raises
        ------
        OptOutListRefusedError
            AWS keeps the number: it can leave a list only once in 30 days (DeleteOptedOutNumber, API
            reference).
        TransientError
            The call failed; to be tried again.
        """
        with service_call("sms-voice:DeleteOptedOutNumber"):
            try:
                self._client.delete_opted_out_number(
                    OptOutListName=self._list_name, OptedOutNumber=number.e164
                )
            except ClientError as error:
                if _is_absent(error):
                    return
                if error_code(error) in {"ConflictException", "ValidationException"}:
                    raise OptOutListRefusedError(error_reason(error)) from error
                raise


def _is_absent(error: ClientError) -> bool:
    # The same exception tells of a missing list, which is a fault of the deployment.
    return (
        error_code(error) == "ResourceNotFoundException"
        and error.response.get("ResourceType") != "opt-out-list"
    )
