"""The daily digest of reviews to the admin topic."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from sms_engagement_runtime import settings
from sms_engagement_runtime.channel.adapters import clients
from sms_engagement_runtime.channel.adapters.attention import SnsAttentionTopic
from sms_engagement_runtime.channel.adapters.clock import build_clock
from sms_engagement_runtime.observability import instrumented, logger
from sms_engagement_runtime.review_collector.adapters.dynamodb_reviews import DynamoReviews
from sms_engagement_runtime.review_collector.domain.digest import DigestHour, daily_digest


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestSettings:
    """Environment of the digest function.

    Attributes
    ----------
    digest_time_zone
        IANA zone of the hour.
    """

    reviews_table: str
    admin_topic_arn: str
    digest_time_zone: str
    digest_hour: int = 8
    digest_minute: int = 0


_settings = settings.load(DigestSettings)
_reviews = DynamoReviews(clients.dynamodb_client(), table=_settings.reviews_table)
_topic = SnsAttentionTopic(clients.sns_client(), topic_arn=_settings.admin_topic_arn)
_hour = DigestHour(
    zone=ZoneInfo(_settings.digest_time_zone), hour=_settings.digest_hour, minute=_settings.digest_minute
)
_clock = build_clock()


@instrumented
def handler(_event: object, _context: object) -> dict[str, str]:
    """Publish the digest of the day that ended last; called again, it publishes the same one again.

    Returns
    -------
    dict
        ``{"digest"}``: its first line.
    """
    notice = daily_digest(_reviews, _hour, _clock.now())
    _topic.publish(notice.subject, notice.message)
    headline = notice.message.partition("\n")[0]
    logger.info("Digest published", digest=headline)
    return {"digest": headline}
