"""Review requests by SMS, the form behind the link, and the reviews."""

from sms_engagement.review_collector.construct import ReviewCollector
from sms_engagement.review_collector.schedule import BroadcastSchedule

__all__ = ["BroadcastSchedule", "ReviewCollector"]
