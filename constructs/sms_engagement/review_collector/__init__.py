"""Review requests by SMS, the form behind the link, and the reviews."""

from sms_engagement.review_collector.construct import ReviewCollector

__all__ = ["ReviewCollector"]
