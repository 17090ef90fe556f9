import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID
from moto.sns import sns_backends

from sms_engagement_runtime.channel.adapters.clients import sns_sms_client
from sms_engagement_runtime.channel.adapters.sns_sender import SnsSender
from sms_engagement_runtime.channel.domain.errors import (
    OutcomeUnknownError,
    SendingDisabledError,
    SendRefusedError,
    SendThrottledError,
)
from sms_engagement_runtime.channel.domain.gate import MessageClass
from tests.support.texts import DESTINATION, outbound_message

SENDER_ID_ARN = "arn:aws:sms-voice:eu-west-2:111122223333:sender-id/MYSHOP/GB"


@pytest.fixture
def aws():
    with mock_aws():
        yield


@pytest.fixture
def stubber():
    client = sns_sms_client()
    with Stubber(client) as stub:
        stub.tested = client
        yield stub
        stub.assert_no_pending_responses()


def attributes(sms_type="Promotional", **others):
    own = {"AWS.SNS.SMS.SMSType": {"DataType": "String", "StringValue": sms_type}}
    return own | {name: {"DataType": kind, "StringValue": value} for name, (kind, value) in others.items()}


def expect(stubber, sent):
    text = outbound_message()
    stubber.add_response(
        "publish",
        {"MessageId": "m-1"},
        {"PhoneNumber": DESTINATION.e164, "Message": text.body, "MessageAttributes": sent},
    )


def test_a_text_goes_to_one_phone_number(aws):
    message_id = SnsSender(sns_sms_client()).send(outbound_message())

    sent = sns_backends[DEFAULT_ACCOUNT_ID]["us-east-1"].sms_messages
    assert sent == {message_id: (DESTINATION.e164, outbound_message().body)}


def test_no_subscriber_of_any_topic_gets_a_personal_text(aws):
    sns = boto3.client("sns")
    topic = sns.create_topic(Name="everybody")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sms", Endpoint="+12065550199")

    SnsSender(sns_sms_client()).send(outbound_message())

    assert sns_backends[DEFAULT_ACCOUNT_ID]["us-east-1"].topics[topic].sent_notifications == []


@pytest.mark.parametrize(
    ("message_class", "sms_type"),
    [
        (MessageClass.PROMOTIONAL, "Promotional"),
        (MessageClass.TRANSACTIONAL, "Transactional"),
        (MessageClass.REPLY, "Transactional"),
    ],
)
def test_the_class_becomes_the_sms_type(stubber, message_class, sms_type):
    expect(stubber, attributes(sms_type))

    SnsSender(stubber.tested).send(outbound_message(message_class=message_class))


@pytest.mark.parametrize(
    ("identity", "attribute", "value"),
    [
        ("+12065550100", "AWS.MM.SMS.OriginationNumber", "+12065550100"),
        ("MyShop", "AWS.SNS.SMS.SenderID", "MyShop"),
        (SENDER_ID_ARN, "AWS.SNS.SMS.SenderID", "MYSHOP"),
    ],
)
def test_a_text_comes_from_the_number_or_sender_id(stubber, identity, attribute, value):
    expect(stubber, attributes(**{attribute: ("String", value)}))

    SnsSender(stubber.tested, origination_identity=identity).send(outbound_message())


def test_a_price_limit_goes_with_every_text(stubber):
    expect(stubber, attributes(**{"AWS.SNS.SMS.MaxPrice": ("Number", "0.05")}))

    SnsSender(stubber.tested, max_price="0.05").send(outbound_message())


@pytest.mark.parametrize(
    "identity",
    [
        "arn:aws:sms-voice:us-east-1:111122223333:phone-number/phone-1",
        "arn:aws:sms-voice:us-east-1:111122223333:pool/pool-1",
        "ATwelveChars",
        "12345",
        "My Shop",
        "12065550100123",
    ],
)
def test_an_identity_that_sns_cannot_use_is_refused_at_the_start(stubber, identity):
    with pytest.raises(ValueError, match="cannot be used with SNS"):
        SnsSender(stubber.tested, origination_identity=identity)


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("Throttling", 400, SendThrottledError),
        ("Throttled", 429, SendThrottledError),
        ("AuthorizationError", 403, SendingDisabledError),
        ("InvalidParameter", 400, SendRefusedError),
        ("InternalError", 500, OutcomeUnknownError),
    ],
)
def test_an_error_answer_is_classed_by_what_it_proves(stubber, code, status, error):
    stubber.add_client_error("publish", service_error_code=code, http_status_code=status)

    with pytest.raises(error) as caught:
        SnsSender(stubber.tested).send(outbound_message())

    assert caught.value.reason == code
