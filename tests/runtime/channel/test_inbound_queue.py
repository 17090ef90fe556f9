"""The queue of inbound texts, as the place where one of them waits for its reply."""

from datetime import timedelta

import boto3
import pytest
from moto import mock_aws

from sms_engagement_runtime.channel.adapters.aws_errors import ServiceCallError
from sms_engagement_runtime.channel.adapters.inbound_queue import InboundQueue
from tests.support.sqs_records import envelope


@pytest.fixture
def client():
    with mock_aws():
        yield boto3.client("sqs")


def test_a_text_is_put_back_unchanged_and_delivered_when_its_delay_is_over(client):
    url = client.create_queue(QueueName="inbound")["QueueUrl"]
    body = envelope({"messageBody": "STÖP 🛑", "inboundMessageId": "in-1"})

    InboundQueue(client, url=url).put_back(body, timedelta(0))

    (message,) = client.receive_message(QueueUrl=url)["Messages"]
    assert message["Body"] == body


def test_until_then_nobody_sees_it(client):
    url = client.create_queue(QueueName="inbound")["QueueUrl"]

    InboundQueue(client, url=url).put_back(envelope({}), timedelta(minutes=4))

    attributes = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert attributes["ApproximateNumberOfMessagesDelayed"] == "1"
    assert "Messages" not in client.receive_message(QueueUrl=url)


def test_a_queue_that_does_not_take_it_is_told_to_the_caller(client):
    queue = InboundQueue(client, url="https://sqs.us-east-1.amazonaws.com/111122223333/gone")

    with pytest.raises(ServiceCallError, match="sqs:SendMessage"):
        queue.put_back(envelope({}), timedelta(0))
