"""Hears what the cloud publishes: notices to the admin, what waits for a human, texts and delivery events.

One queue, subscribed to the topics, as any other subscriber would be: what the page shows went through the
cloud.
"""

import json
import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from sms_local import aws
from sms_local.phone.threads import Reply
from sms_local.places import Places

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import DeleteMessageBatchRequestEntryTypeDef, MessageTypeDef

_QUEUE_NAME = "sms-local-phone-page"
_WAIT_SECONDS = 1
_RETRY_SECONDS = 1.0

#: What is remembered of each kind, the newest: a broadcast to many has many delivery events.
_MOST_REMEMBERED = 2000

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A message to a human; `at` is ISO 8601 in UTC, `kind` is ``admin``, ``host`` or ``attention``."""

    id: str
    kind: str
    subject: str
    text: str
    at: str


class Listener:
    """Collects notices, replies and delivery events in the background until it is stopped.

    Parameters
    ----------
    places
        Where the embedded cloud listens.
    topics
        ARN of a topic → its kind: ``admin``, ``host``, ``attention``, ``inbound`` or ``events``.
    """

    def __init__(self, places: Places, topics: Mapping[str, str]) -> None:
        self._clients = aws.Clients(places.aws_endpoint)
        self._topics = dict(topics)
        self._lock = threading.Lock()
        self._notices: dict[str, Notice] = {}
        self._replies: dict[str, Reply] = {}
        self._deliveries: dict[tuple[str, str], Mapping[str, Any]] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="phone-page-listener", daemon=True)

    def start(self) -> None:
        """Subscribe to the topics and begin to listen."""
        self._sqs = self._clients("sqs")
        queue_url = self._sqs.create_queue(QueueName=_QUEUE_NAME)["QueueUrl"]
        attributes = self._sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])
        queue_arn = attributes["Attributes"]["QueueArn"]
        self._sqs.set_queue_attributes(QueueUrl=queue_url, Attributes={"Policy": self._policy(queue_arn)})
        for topic in self._topics:
            self._clients("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue_arn)
        self._queue_url = queue_url
        self._thread.start()

    def stop(self) -> None:
        """End listening; returns when the thread has ended."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=_WAIT_SECONDS + 2)

    def add_reply(self, reply: Reply) -> None:
        """Show a text from a phone at once; the inbound topic tells it again under the same id."""
        with self._lock:
            self._replies.setdefault(reply.id, reply)
            _bound(self._replies)

    def forget(self) -> None:
        """Drop everything heard so far."""
        with self._lock:
            self._notices.clear()
            self._replies.clear()
            self._deliveries.clear()

    @property
    def notices(self) -> list[Notice]:
        """What the admin's line got, newest first."""
        with self._lock:
            return sorted(self._notices.values(), key=lambda notice: notice.at, reverse=True)

    @property
    def replies(self) -> list[Reply]:
        """What the phones sent."""
        with self._lock:
            return list(self._replies.values())

    @property
    def deliveries(self) -> list[Mapping[str, Any]]:
        """Delivery events, as the service publishes them, each once."""
        with self._lock:
            return list(self._deliveries.values())

    def hear(self, body: str) -> None:
        """Take one SNS envelope as SQS delivers it; what is not understood is dropped with a log line."""
        try:
            envelope = json.loads(body)
            kind = self._topics[envelope["TopicArn"]]
            identifier, at, message = envelope["MessageId"], envelope["Timestamp"], envelope["Message"]
            if kind == "inbound":
                self._hear_reply(json.loads(message), at)
                return
            if kind == "events":
                self._hear_delivery(json.loads(message))
                return
        except (ValueError, KeyError, TypeError) as error:
            logger.warning("A message of an unknown shape was dropped: %s", type(error).__name__)
            return
        notice = Notice(id=identifier, kind=kind, subject=envelope.get("Subject") or "", text=message, at=at)
        with self._lock:
            self._notices[identifier] = notice
            _bound(self._notices)

    def _hear_delivery(self, event: Mapping[str, Any]) -> None:
        key = (event["messageId"], event["eventType"])
        if not {"destinationPhoneNumber", "eventTimestamp"} <= event.keys():
            raise KeyError
        with self._lock:
            self._deliveries.setdefault(key, event)
            _bound(self._deliveries)

    def _hear_reply(self, inbound: Mapping[str, Any], at: str) -> None:
        number = inbound.get("originationNumber")
        if number:
            self.add_reply(
                Reply(
                    id=inbound["inboundMessageId"], phone=number, body=inbound.get("messageBody") or "", at=at
                )
            )

    def _listen(self) -> None:
        while not self._stopping.is_set():
            try:
                batch = self._sqs.receive_message(
                    QueueUrl=self._queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=_WAIT_SECONDS
                ).get("Messages", [])
                for message in batch:
                    self.hear(message["Body"])
                if batch:
                    self._delete(batch)
            except (BotoCoreError, ClientError) as error:
                logger.warning("The queue of the phone page does not answer: %s", type(error).__name__)
                self._stopping.wait(_RETRY_SECONDS)

    def _delete(self, batch: "Sequence[MessageTypeDef]") -> None:
        entries: list[DeleteMessageBatchRequestEntryTypeDef] = [
            {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
            for number, message in enumerate(batch)
        ]
        self._sqs.delete_message_batch(QueueUrl=self._queue_url, Entries=entries)

    def _policy(self, queue_arn: str) -> str:
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": queue_arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": list(self._topics)}},
        }
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _bound(remembered: dict[Any, Any]) -> None:
    """Forget the oldest ones."""
    while len(remembered) > _MOST_REMEMBERED:
        del remembered[next(iter(remembered))]
