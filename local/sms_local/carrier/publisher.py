"""Publishes to the SNS topics of the account's cloud."""

import asyncio
import json
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

_log = logging.getLogger(__name__)
_CONCURRENT_PUBLISHES = 8


class PublishError(Exception):
    """The topic did not take the message. The text names the topic and the cause, never the content."""


class Publisher(Protocol):
    """Where events and inbound messages go."""

    async def publish(self, topic_arn: str, content: Mapping[str, Any]) -> None:
        """Publish `content` as JSON; raise `PublishError` where the topic does not take it."""
        ...

    def close(self) -> None:
        """Let go of connections and threads."""
        ...


class SnsPublisher:
    """Publishes by boto3 in threads of its own, so that a slow cloud never holds up the carrier."""

    def __init__(self, *, endpoint_url: str, region: str) -> None:
        self._client: SNSClient = boto3.client(
            "sns",
            endpoint_url=endpoint_url,
            region_name=region,
            # The embedded cloud's own account; explicit, so that no credentials of the developer are read.
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106 - a public constant of the embedded cloud
            config=Config(
                connect_timeout=5,
                read_timeout=10,
                max_pool_connections=_CONCURRENT_PUBLISHES,
                retries={"mode": "standard", "total_max_attempts": 3},
            ),
        )
        self._threads = ThreadPoolExecutor(_CONCURRENT_PUBLISHES, thread_name_prefix="sns-publish")

    async def publish(self, topic_arn: str, content: Mapping[str, Any]) -> None:
        """Publish `content` as JSON; raise `PublishError` where the topic does not take it."""
        await asyncio.get_running_loop().run_in_executor(
            self._threads, self._publish, topic_arn, json.dumps(content, ensure_ascii=False)
        )

    def _publish(self, topic_arn: str, message: str) -> None:
        try:
            self._client.publish(TopicArn=topic_arn, Message=message)
        except ClientError as exc:
            raise PublishError(f"{topic_arn} refused: {exc.response['Error']['Code']}") from exc
        except BotoCoreError as exc:
            raise PublishError(f"{topic_arn} cannot be reached: {type(exc).__name__}") from exc

    def close(self) -> None:
        """Let go of connections and threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._client.close()


async def publish_or_log(publisher: Publisher, topic_arn: str, content: Mapping[str, Any]) -> None:
    """Publish what nobody waits for: a topic that refuses, one deleted for instance, is logged."""
    try:
        await publisher.publish(topic_arn, content)
    except PublishError as exc:
        _log.warning("event not published: %s", exc)
