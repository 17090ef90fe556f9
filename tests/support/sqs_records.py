"""SQS events as Lambda hands them over, with SNS envelopes inside."""

import json
from typing import Any

PUBLISHED = "2026-11-21T17:00:00.123Z"


def envelope(payload: object, *, message_id: str = "n-1", published: str = PUBLISHED) -> str:
    """Body of an SQS record; a ``str`` payload is the message itself."""
    return json.dumps(
        {
            "Type": "Notification",
            "MessageId": message_id,
            "TopicArn": "arn:aws:sns:us-east-1:111122223333:topic",
            "Message": payload if isinstance(payload, str) else json.dumps(payload),
            "Timestamp": published,
            "SignatureVersion": "1",
            "Signature": "signature",
            "SigningCertURL": "https://sns.us-east-1.amazonaws.com/cert.pem",
            "UnsubscribeURL": "https://sns.us-east-1.amazonaws.com/?Action=Unsubscribe",
        }
    )


def sqs_event(*bodies: str) -> dict[str, Any]:
    """A batch; the records' ids are ``r-0``, ``r-1`` …"""
    return {
        "Records": [
            {
                "messageId": f"r-{number}",
                "receiptHandle": "handle",
                "body": body,
                "attributes": {
                    "ApproximateReceiveCount": "1",
                    "SentTimestamp": "1795280400200",
                    "SenderId": "AIDAEXAMPLE",
                    "ApproximateFirstReceiveTimestamp": "1795280400201",
                },
                "messageAttributes": {},
                "md5OfBody": "",
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:111122223333:queue",
                "awsRegion": "us-east-1",
            }
            for number, body in enumerate(bodies)
        ]
    }


def failed(response: dict[str, Any]) -> list[str]:
    """Ids of the records that a batch response reports as failed."""
    return [item["itemIdentifier"] for item in response["batchItemFailures"]]
