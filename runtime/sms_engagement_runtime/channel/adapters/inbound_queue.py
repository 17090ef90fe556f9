"""The queue that inbound texts come from, as the place where one of them waits for its reply."""

from datetime import timedelta
from typing import TYPE_CHECKING

from sms_engagement_runtime.channel.adapters.aws_errors import service_call

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class InboundQueue:
    """Puts inbound texts back, to be delivered later.

    A record that is reported as failed comes back too, but so only a few times, and then ends among the dead
    letters, which is for records that nobody can handle.
    """

    def __init__(self, client: "SQSClient", *, url: str) -> None:
        self._client = client
        self._url = url

    def put_back(self, body: str, delay: timedelta) -> None:
        """Put a copy of a record into the queue; the record itself is done then.

        Parameters
        ----------
        body
            The SNS envelope, unchanged.
        delay
            At most 15 minutes (``DelaySeconds`` of ``SendMessage``), which are counted in whole seconds.

        Raises
        ------
        TransientError
            The call failed.
        """
        with service_call("sqs:SendMessage"):
            self._client.send_message(
                QueueUrl=self._url, MessageBody=body, DelaySeconds=round(delay.total_seconds())
            )
