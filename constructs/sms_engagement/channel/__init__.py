"""The SMS channel that all systems share, and the broadcast engine on top of it."""

from sms_engagement.channel.base import OptOuts, Sender, SmsChannelBase
from sms_engagement.channel.broadcast import Broadcast
from sms_engagement.channel.construct import Replies, SmsChannel, SmsChannelAttributes
from sms_engagement.channel.hours import QuietHours
from sms_engagement.channel.limits import Budget, FrequencyCap
from sms_engagement_runtime.channel.domain.broadcast.stop_rules import StopRules

__all__ = [
    "Broadcast",
    "Budget",
    "FrequencyCap",
    "OptOuts",
    "QuietHours",
    "Replies",
    "Sender",
    "SmsChannel",
    "SmsChannelAttributes",
    "SmsChannelBase",
    "StopRules",
]
