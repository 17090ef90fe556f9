"""Every delivery event and every answer: stream, tables, metrics, archive."""

from sms_engagement.sms_analytics_pipeline.archive import ArchiveLifecycle, EventArchive
from sms_engagement.sms_analytics_pipeline.construct import SmsAnalyticsPipeline
from sms_engagement.sms_analytics_pipeline.consumers import ConsumerBatch

__all__ = ["ArchiveLifecycle", "ConsumerBatch", "EventArchive", "SmsAnalyticsPipeline"]
