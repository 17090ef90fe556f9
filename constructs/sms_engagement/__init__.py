"""CDK constructs for SMS customer engagement on AWS.

The smallest use::

    channel = SmsChannel(self, "Channel", origination_identity="arn:aws:sms-voice:…:phone-number/phone-…")
    ReviewCollector(self, "Reviews", channel=channel)
    AppointmentFollowUp(self, "Appointments", channel=channel)
    SmsAnalyticsPipeline(self, "Analytics", channel=channel)
"""

from sms_engagement.appointment_follow_up import AppointmentFollowUp, Provider
from sms_engagement.channel import (
    Broadcast,
    Budget,
    FrequencyCap,
    OptOuts,
    QuietHours,
    Replies,
    Sender,
    SmsChannel,
    SmsChannelAttributes,
    SmsChannelBase,
    StopRules,
)
from sms_engagement.functions import FunctionOptions, RuntimeFunction
from sms_engagement.journeys import (
    Branch,
    Confirmed,
    Exit,
    Goal,
    HasAttribute,
    InState,
    Journey,
    JourneyDefinition,
    JourneyEngine,
    Replied,
    RepliedNegatively,
    RepliedPositively,
    Send,
    SubscriberState,
    Wait,
    confirmation,
    promotional,
    welcome_series,
)
from sms_engagement.review_collector import BroadcastSchedule, ReviewCollector
from sms_engagement.sms_analytics_pipeline import (
    ArchiveLifecycle,
    ConsumerBatch,
    EventArchive,
    SmsAnalyticsPipeline,
)

__all__ = [
    "AppointmentFollowUp",
    "ArchiveLifecycle",
    "Branch",
    "Broadcast",
    "BroadcastSchedule",
    "Budget",
    "Confirmed",
    "ConsumerBatch",
    "EventArchive",
    "Exit",
    "FrequencyCap",
    "FunctionOptions",
    "Goal",
    "HasAttribute",
    "InState",
    "Journey",
    "JourneyDefinition",
    "JourneyEngine",
    "OptOuts",
    "Provider",
    "QuietHours",
    "Replied",
    "RepliedNegatively",
    "RepliedPositively",
    "Replies",
    "ReviewCollector",
    "RuntimeFunction",
    "Send",
    "Sender",
    "SmsAnalyticsPipeline",
    "SmsChannel",
    "SmsChannelAttributes",
    "SmsChannelBase",
    "StopRules",
    "SubscriberState",
    "Wait",
    "confirmation",
    "promotional",
    "welcome_series",
]
