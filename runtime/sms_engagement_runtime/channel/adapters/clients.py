"""boto3 clients with the time-outs and retries that the channel relies on.

Low-level clients only: a resource costs import time and hides the request. Endpoint and region come from
the environment, so the embedded cloud needs no code of its own.
"""

from typing import TYPE_CHECKING, Final

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_pinpoint_sms_voice_v2 import PinpointSMSVoiceV2Client
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient

SENDING: Final = Config(
    # `SendTextMessage` has no idempotency token, and a repeated call is a second text on a phone. botocore
    # repeats a call that was answered 500, dropped or left unanswered; one attempt in all switches that
    # off.
    retries={"total_max_attempts": 1, "mode": "standard"},
    connect_timeout=2,
    read_timeout=8,
    # Parts of a broadcast are sent by up to so many threads of one function (`pacing.MOST_WORKERS`); a thread
    # without a connection in the pool would open one for each call.
    max_pool_connections=128,
)
"""For calls that put a text on its way: one attempt, never repeated by the client."""

RETRYING: Final = Config(
    retries={"total_max_attempts": 4, "mode": "standard"},
    connect_timeout=2,
    read_timeout=8,
    max_pool_connections=128,
)
"""For calls that may be repeated: four attempts with exponential back-off and jitter."""

ANSWERING: Final = Config(
    retries={"total_max_attempts": 2, "mode": "standard"},
    connect_timeout=1,
    read_timeout=2,
)
"""For calls that may be repeated while a person waits: over within seven seconds, back-off included.

Two attempts of three seconds, and at the most one second between them (*Retry behavior*, AWS SDKs reference
guide).
"""


def sms_client() -> "PinpointSMSVoiceV2Client":
    """End User Messaging client for sending: exactly one attempt a call."""
    return boto3.client("pinpoint-sms-voice-v2", config=SENDING)


def sms_settings_client() -> "PinpointSMSVoiceV2Client":
    """End User Messaging client for opt-out lists, numbers and keywords, whose calls may be repeated."""
    return boto3.client("pinpoint-sms-voice-v2", config=RETRYING)


def sns_sms_client() -> "SNSClient":
    """SNS client for texts to a phone number: exactly one attempt a call."""
    return boto3.client("sns", config=SENDING)


def sns_client(config: Config = RETRYING) -> "SNSClient":
    """SNS client for topics."""
    return boto3.client("sns", config=config)


def sqs_client() -> "SQSClient":
    """SQS client."""
    return boto3.client("sqs", config=RETRYING)


def dynamodb_client(endpoint_url: str | None = None, config: Config = RETRYING) -> "DynamoDBClient":
    """DynamoDB client."""
    return boto3.client("dynamodb", config=config, endpoint_url=endpoint_url)


def events_client(config: Config = RETRYING) -> "EventBridgeClient":
    """EventBridge client."""
    return boto3.client("events", config=config)


def secrets_client(config: Config = RETRYING) -> "SecretsManagerClient":
    """Secrets Manager client."""
    return boto3.client("secretsmanager", config=config)


def stepfunctions_client(config: Config = RETRYING) -> "SFNClient":
    """Step Functions client."""
    return boto3.client("stepfunctions", config=config)


def s3_client(endpoint_url: str | None = None) -> "S3Client":
    """S3 client."""
    return boto3.client("s3", config=RETRYING, endpoint_url=endpoint_url)
