"""The time of a notification."""

import json
from datetime import UTC, datetime, timedelta


def timestamps_of_five_notifications(running):
    sns, sqs = running.client("sns"), running.client("sqs")
    topic = sns.create_topic(Name="timestamps")["TopicArn"]
    url = sqs.create_queue(QueueName="timestamps")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allow = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    for number in range(5):
        sns.publish(TopicArn=topic, Message=str(number))
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=5)["Messages"]
    assert len(messages) == 5
    return [json.loads(message["Body"])["Timestamp"] for message in messages]


def test_it_has_milliseconds(patched):
    texts = timestamps_of_five_notifications(patched)

    assert {len(text) for text in texts} == {len("2012-04-26T20:06:41.581Z")}
    # All five at a full second would be one chance in 10 to the 15.
    assert any(not text.endswith(".000Z") for text in texts)
    for text in texts:
        assert abs(datetime.now(UTC) - datetime.fromisoformat(text)) < timedelta(minutes=5)


def test_without_the_patch_it_has_whole_seconds(unpatched):
    assert all(text.endswith(".000Z") for text in timestamps_of_five_notifications(unpatched))
