"""CDK constructs for SMS customer engagement on AWS.

The smallest use::

    channel = SmsChannel(self, "Channel", origination_identity="arn:aws:sms-voice:…:phone-number/phone-…")
    ReviewCollector(self, "Reviews", channel=channel)
    AppointmentFollowUp(self, "Appointments", channel=channel)
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
from sms_engagement.review_collector import BroadcastSchedule, ReviewCollector

__all__ = [
    "AppointmentFollowUp",
    "Broadcast",
    "BroadcastSchedule",
    "Budget",
    "FrequencyCap",
    "FunctionOptions",
    "OptOuts",
    "Provider",
    "QuietHours",
    "Replies",
    "ReviewCollector",
    "RuntimeFunction",
    "Sender",
    "SmsChannel",
    "SmsChannelAttributes",
    "SmsChannelBase",
    "StopRules",
]
