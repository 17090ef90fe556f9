from typing import ClassVar

import boto3
import pytest
from botocore.stub import Stubber

from sms_engagement_runtime.channel.adapters.clients import sms_client, sms_settings_client
from sms_engagement_runtime.channel.adapters.end_user_messaging import (
    EndUserMessagingOptOutList,
    EndUserMessagingSender,
)
from sms_engagement_runtime.channel.domain.errors import (
    OptOutListRefusedError,
    OutcomeUnknownError,
    PermanentError,
    SendingDisabledError,
    SendRefusedError,
    SendThrottledError,
    TransientError,
)
from sms_engagement_runtime.channel.domain.gate import MessageClass
from tests.support.texts import DESTINATION, outbound_message

POOL = "arn:aws:sms-voice:us-east-1:111122223333:pool/pool-a"
REASONS_OF_CONFLICT = {
    "DESTINATION_PHONE_NUMBER_OPTED_OUT": SendRefusedError,
    "DESTINATION_COUNTRY_BLOCKED_BY_PROTECT_CONFIGURATION": SendRefusedError,
    "DESTINATION_PHONE_NUMBER_BLOCKED_BY_PROTECT_NUMBER_OVERRIDE": SendRefusedError,
    "DESTINATION_PHONE_NUMBER_NOT_VERIFIED": SendingDisabledError,
    "NO_ORIGINATION_IDENTITIES_FOUND": SendingDisabledError,
    "RESOURCE_NOT_ACTIVE": SendingDisabledError,
    "MESSAGE_TYPE_MISMATCH": SendingDisabledError,
}


@pytest.fixture
def client():
    return sms_client()


@pytest.fixture
def stubber(client):
    with Stubber(client) as stub:
        yield stub
        stub.assert_no_pending_responses()


def sender(client, **options):
    return EndUserMessagingSender(client, origination_identity=POOL, configuration_set="channel", **options)


def expected(**fields):
    text = outbound_message()
    return {
        "DestinationPhoneNumber": text.destination.e164,
        "OriginationIdentity": POOL,
        "MessageBody": text.body,
        "MessageType": "PROMOTIONAL",
        "ConfigurationSetName": "channel",
        "Context": {"intent": text.key},
        **fields,
    }


def refuse(stubber, code, *, status=400, reason=None, operation="send_text_message", **members):
    stubber.add_client_error(
        operation,
        service_error_code=code,
        http_status_code=status,
        modeled_fields={**({"Reason": reason} if reason else {}), **members} or None,
    )


def test_a_text_is_sent_with_its_key_as_context(client, stubber):
    stubber.add_response("send_text_message", {"MessageId": "m-1"}, expected())

    message_id = sender(client).send(outbound_message())

    assert message_id == "m-1"


def test_campaign_and_journey_are_echoed_when_there_is_one(client, stubber):
    context = {"intent": outbound_message().key, "campaign": "spring", "journey": "welcome"}
    stubber.add_response("send_text_message", {"MessageId": "m-1"}, expected(Context=context))

    sender(client).send(outbound_message(campaign_id=" spring ", journey_id="welcome"))


@pytest.mark.parametrize(
    ("message_class", "message_type"),
    [
        (MessageClass.PROMOTIONAL, "PROMOTIONAL"),
        (MessageClass.TRANSACTIONAL, "TRANSACTIONAL"),
        (MessageClass.REPLY, "TRANSACTIONAL"),
    ],
)
def test_the_class_becomes_the_message_type(client, stubber, message_class, message_type):
    stubber.add_response("send_text_message", {"MessageId": "m-1"}, expected(MessageType=message_type))

    sender(client).send(outbound_message(message_class=message_class))


def test_a_price_limit_goes_with_every_text(client, stubber):
    stubber.add_response("send_text_message", {"MessageId": "m-1"}, expected(MaxPrice="0.05"))

    sender(client, max_price="0.05").send(outbound_message())


def test_a_campaign_id_that_the_service_cannot_echo_is_refused_before_the_call(client, stubber):
    with pytest.raises(SendRefusedError, match="CONTEXT_TOO_LONG"):
        sender(client).send(outbound_message(campaign_id="c" * 801))


@pytest.mark.parametrize(("reason", "error"), REASONS_OF_CONFLICT.items())
def test_a_conflict_is_classed_by_its_reason(client, stubber, reason, error):
    refuse(stubber, "ConflictException", reason=reason)

    with pytest.raises(error) as caught:
        sender(client).send(outbound_message())

    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("code", "status", "reason", "error"),
    [
        ("ThrottlingException", 400, None, SendThrottledError),
        ("TooManyRequestsException", 429, None, SendThrottledError),
        ("ServiceQuotaExceededException", 400, "MONTHLY_SPEND_LIMIT_REACHED_FOR_TEXT", SendingDisabledError),
        ("AccessDeniedException", 400, "ACCOUNT_DISABLED", SendingDisabledError),
        ("AccessDeniedException", 400, "INSUFFICIENT_ACCOUNT_REPUTATION", SendingDisabledError),
        ("AccessDeniedException", 400, None, SendingDisabledError),
        ("UnrecognizedClientException", 400, None, SendingDisabledError),
        ("ResourceNotFoundException", 400, None, SendingDisabledError),
        ("ValidationException", 400, "PRICE_OVER_THRESHOLD", SendRefusedError),
        ("ValidationException", 400, "COUNTRY_NOT_ENABLED", SendRefusedError),
        ("ValidationException", 400, "DESTINATION_COUNTRY_BLOCKED", SendRefusedError),
        ("ValidationException", 400, "INVALID_PARAMETER", SendRefusedError),
        ("ValidationException", 400, None, SendRefusedError),
        ("InternalServerException", 500, None, OutcomeUnknownError),
        ("ServiceUnavailable", 503, None, OutcomeUnknownError),
    ],
)
def test_an_error_answer_is_classed_by_what_it_proves(client, stubber, code, status, reason, error):
    refuse(stubber, code, status=status, reason=reason)

    with pytest.raises(error) as caught:
        sender(client).send(outbound_message())

    assert caught.value.reason == (reason or code)


def test_every_reason_that_the_service_model_knows_for_a_conflict_is_a_proof_of_refusal(client, stubber):
    model = client.meta.service_model.shape_for("ConflictExceptionReason")

    for reason in model.enum:
        refuse(stubber, "ConflictException", reason=reason)
        with pytest.raises((SendRefusedError, SendingDisabledError)):
            sender(client).send(outbound_message())


def test_reasons_in_these_tests_exist_in_the_service_model(client):
    model = client.meta.service_model.shape_for("ConflictExceptionReason")

    assert REASONS_OF_CONFLICT.keys() <= set(model.enum)


def test_without_credentials_nothing_is_sent_and_nobody_is_lost(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    client = boto3.session.Session(region_name="us-east-1").client("pinpoint-sms-voice-v2")

    with pytest.raises(SendingDisabledError, match="NoCredentialsError"):
        sender(client).send(outbound_message())


class TestOptOutList:
    @pytest.fixture
    def client(self):
        return sms_settings_client()

    @pytest.fixture
    def opt_outs(self, client):
        return EndUserMessagingOptOutList(client, list_name="channel")

    REQUEST: ClassVar = {"OptOutListName": "channel", "OptedOutNumber": DESTINATION.e164}

    def test_a_number_is_put_on_the_list(self, opt_outs, stubber):
        stubber.add_response("put_opted_out_number", {}, self.REQUEST)

        opt_outs.put(DESTINATION)

    def test_a_failed_put_is_tried_again_later(self, opt_outs, stubber):
        refuse(stubber, "AccessDeniedException", operation="put_opted_out_number")

        with pytest.raises(TransientError, match="AccessDeniedException") as caught:
            opt_outs.put(DESTINATION)

        assert DESTINATION.e164 not in str(caught.value)

    def test_a_number_is_taken_off_the_list(self, opt_outs, stubber):
        stubber.add_response("delete_opted_out_number", {}, self.REQUEST)

        opt_outs.delete(DESTINATION)

    def test_a_number_that_is_not_on_the_list_is_fine(self, opt_outs, stubber):
        refuse(
            stubber,
            "ResourceNotFoundException",
            operation="delete_opted_out_number",
            ResourceType="opted-out-number",
        )

        opt_outs.delete(DESTINATION)

    def test_a_list_that_is_gone_is_a_fault(self, opt_outs, stubber):
        refuse(
            stubber,
            "ResourceNotFoundException",
            operation="delete_opted_out_number",
            ResourceType="opt-out-list",
        )

        with pytest.raises(TransientError, match="ResourceNotFoundException"):
            opt_outs.delete(DESTINATION)

    @pytest.mark.parametrize(
        ("code", "reason"),
        [
            ("ValidationException", "PHONE_NUMBER_CANNOT_BE_OPTED_IN"),
            ("ConflictException", "RESOURCE_MODIFICATION_NOT_ALLOWED"),
        ],
    )
    def test_a_number_that_left_within_thirty_days_is_refused(self, opt_outs, stubber, code, reason):
        refuse(stubber, code, reason=reason, operation="delete_opted_out_number")

        with pytest.raises(OptOutListRefusedError, match=reason) as caught:
            opt_outs.delete(DESTINATION)

        assert isinstance(caught.value, PermanentError)

    def test_throttling_is_no_refusal(self, opt_outs, stubber):
        refuse(stubber, "ThrottlingException", operation="delete_opted_out_number")

        with pytest.raises(TransientError, match="ThrottlingException"):
            opt_outs.delete(DESTINATION)
