"""Bus, attention topic, pause flag and secrets, each against moto."""

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID
from moto.sns import sns_backends

from sms_engagement_runtime.channel.adapters.attention import SnsAttentionTopic
from sms_engagement_runtime.channel.adapters.aws_errors import service_call
from sms_engagement_runtime.channel.adapters.clients import (
    dynamodb_client,
    events_client,
    secrets_client,
    sns_client,
)
from sms_engagement_runtime.channel.adapters.event_bus import EventBridgeBus
from sms_engagement_runtime.channel.adapters.pause import DynamoPauseFlag
from sms_engagement_runtime.channel.adapters.secrets import SecretCache, SecretFormatError
from sms_engagement_runtime.channel.domain.errors import CallRefusedError, TransientError
from tests.support.dynamodb_tables import CONTACTS, channel_tables
from tests.support.fakes import FakePause


class Ticker:
    """A clock that is told what time it is."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def ticker():
    return Ticker()


class TestEventBus:
    @pytest.fixture
    def client(self):
        return events_client()

    @pytest.fixture
    def stubber(self, client):
        with Stubber(client) as stub:
            yield stub
            stub.assert_no_pending_responses()

    def test_an_event_goes_to_the_bus_of_the_channel(self, client, stubber):
        entry = {
            "EventBusName": "channel",
            "Source": "sms-engagement",
            "DetailType": "ReplyReceived",
            "Detail": '{"body":"Zoë","keyword":"FREE_TEXT"}',
        }
        stubber.add_response(
            "put_events", {"FailedEntryCount": 0, "Entries": [{"EventId": "e"}]}, {"Entries": [entry]}
        )

        EventBridgeBus(client, bus_name="channel").publish(
            "ReplyReceived", {"body": "Zoë", "keyword": "FREE_TEXT"}
        )

    def test_an_entry_that_was_not_taken_is_an_error_though_the_call_was_answered(self, client, stubber):
        stubber.add_response(
            "put_events",
            {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "InternalFailure", "ErrorMessage": "no"}]},
        )

        with pytest.raises(TransientError, match="InternalFailure"):
            EventBridgeBus(client, bus_name="channel").publish("ReplyReceived", {})


class TestAttentionTopic:
    @pytest.fixture
    def topic_arn(self):
        with mock_aws():
            yield boto3.client("sns").create_topic(Name="attention")["TopicArn"]

    def sent(self, topic_arn):
        topic = sns_backends[DEFAULT_ACCOUNT_ID]["us-east-1"].topics[topic_arn]
        return [(subject, message) for _, message, subject, *_ in topic.sent_notifications]

    def test_a_notice_is_published(self, topic_arn):
        SnsAttentionTopic(sns_client(), topic_arn=topic_arn).publish("Inbound message", "“Où?” 💬")

        assert self.sent(topic_arn) == [("Inbound message", "“Où?” 💬")]

    @pytest.mark.parametrize(
        ("subject", "published"),
        [("one\ntwo\tthree", "one two three"), ("Zoë", "Zo?"), ("a" * 150, "a" * 99)],
    )
    def test_a_subject_becomes_one_that_sns_takes(self, topic_arn, subject, published):
        SnsAttentionTopic(sns_client(), topic_arn=topic_arn).publish(subject, "text")

        assert self.sent(topic_arn) == [(published, "text")]

    def test_a_topic_that_is_gone_is_a_transient_error(self, topic_arn):
        with pytest.raises(TransientError, match="NotFound"):
            SnsAttentionTopic(sns_client(), topic_arn=f"{topic_arn}-2").publish("subject", "text")


class TestPauseFlag:
    @pytest.fixture(params=["fake", "dynamodb"])
    def switch(self, request):
        """The flag, and a function that sets it."""
        if request.param == "fake":
            flag = FakePause()
            yield flag, lambda paused: setattr(flag, "paused", paused)
            return
        with channel_tables() as client:
            yield (
                DynamoPauseFlag(client, table=CONTACTS, max_age_seconds=0),
                lambda paused: pause(client, paused),
            )

    def test_sending_is_not_paused_until_somebody_pauses_it(self, switch):
        flag, set_paused = switch

        assert flag.is_paused() is False
        set_paused(True)
        assert flag.is_paused() is True
        set_paused(False)
        assert flag.is_paused() is False

    def test_the_table_is_asked_once_in_max_age_seconds(self, ticker):
        with channel_tables() as client:
            flag = DynamoPauseFlag(client, table=CONTACTS, max_age_seconds=1, clock=ticker)
            assert flag.is_paused() is False
            pause(client, True)

            ticker.now = 0.9
            assert flag.is_paused() is False
            ticker.now = 1.0
            assert flag.is_paused() is True

    def test_while_it_is_unknown_whether_sending_is_paused_nothing_is_decided(self):
        with channel_tables():
            flag = DynamoPauseFlag(dynamodb_client(), table="missing")

            with pytest.raises(TransientError, match="ResourceNotFoundException"):
                flag.is_paused()


def pause(client, paused):
    item = {"subscriberId": {"S": "control"}, "record": {"S": "sending"}, "paused": {"BOOL": paused}}
    client.put_item(TableName=CONTACTS, Item=item)


class TestSecrets:
    @pytest.fixture
    def store(self):
        with mock_aws():
            yield boto3.client("secretsmanager")

    def cached(self, store, text, **options):
        arn = store.create_secret(Name="secret", SecretString=text)["ARN"]
        return SecretCache(secrets_client(), arn, **options)

    def test_the_whole_text_is_the_key(self, store):
        assert self.cached(store, "täxt").key() == "täxt".encode()

    def test_a_json_object_is_read(self, store):
        assert self.cached(store, '{"active": 1}').get() == {"active": 1}

    def test_a_rotated_secret_is_seen_after_max_age_seconds(self, store, ticker):
        secret = self.cached(store, "one", max_age_seconds=300, clock=ticker)
        assert secret.text() == "one"
        store.put_secret_value(SecretId="secret", SecretString="two")

        ticker.now = 299.0
        assert secret.text() == "one"
        ticker.now = 300.0
        assert secret.text() == "two"

    @pytest.mark.parametrize("text", ["hunter2", '["hunter2"]', '"hunter2"'])
    def test_a_secret_of_another_form_is_refused_and_not_quoted(self, store, text):
        with pytest.raises(SecretFormatError) as caught:
            self.cached(store, text).get()

        assert "hunter2" not in str(caught.value)
        assert caught.value.__cause__ is None

    def test_a_binary_secret_is_refused(self, store):
        arn = store.create_secret(Name="binary", SecretBinary=b"\x00")["ARN"]

        with pytest.raises(SecretFormatError, match="holds no text"):
            SecretCache(secrets_client(), arn).text()

    def test_a_secret_that_cannot_be_read_is_a_transient_error(self, store):
        with pytest.raises(TransientError, match="ResourceNotFoundException"):
            SecretCache(secrets_client(), "missing").text()


@pytest.mark.parametrize(
    ("code", "refuses"),
    [
        ("AccessDeniedException", True),
        ("ResourceNotFoundException", True),
        ("ThrottlingException", False),
        ("InternalServerError", False),
    ],
)
def test_a_service_that_refuses_us_is_told_from_one_that_does_not_answer(code, refuses):
    error = ClientError({"Error": {"Code": code, "Message": "of +12025550123"}}, "GetItem")

    with pytest.raises(TransientError, match=f"{code}$") as caught, service_call("dynamodb:GetItem"):
        raise error

    assert isinstance(caught.value, CallRefusedError) is refuses
    assert "+1202" not in str(caught.value)
