"""The topic that a human reads."""

from typing import TYPE_CHECKING, Final

from sms_engagement_runtime.channel.adapters.aws_errors import service_call

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

SUBJECT_LIMIT: Final = 99
"""Longest subject of an SNS notification, which is one line of ASCII (Publish, API reference)."""


class SnsAttentionTopic:
    """Publishes what a human should look at: free texts, ambiguous opt-outs, refused re-subscriptions."""

    def __init__(self, client: "SNSClient", *, topic_arn: str) -> None:
        self._client = client
        self._topic_arn = topic_arn

    def publish(self, subject: str, message: str) -> None:
        """Publish one notice. The subject is made one line of ASCII that SNS takes.

        Raises
        ------
        TransientError
            The call failed.
        """
        one_line = " ".join(subject.encode("ascii", "replace").decode().split())[:SUBJECT_LIMIT]
        with service_call("sns:Publish"):
            self._client.publish(TopicArn=self._topic_arn, Subject=one_line, Message=message)
