"""What the functions that send about appointments have in common: settings, and services put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sms_engagement_runtime.appointment_follow_up.adapters.dynamodb_conversations import DynamoConversations
from sms_engagement_runtime.appointment_follow_up.domain.policy import FollowUpPolicy
from sms_engagement_runtime.appointment_follow_up.domain.purposes import Purpose
from sms_engagement_runtime.appointment_follow_up.domain.speaking import Speaker
from sms_engagement_runtime.appointment_follow_up.domain.texts import AppointmentTexts
from sms_engagement_runtime.channel.adapters.campaign_counts import DynamoCampaignCounts
from sms_engagement_runtime.channel.adapters.text_files import load_texts
from sms_engagement_runtime.channel.adapters.wiring import SendingSettings
from sms_engagement_runtime.channel.domain.ports import Clock

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TEXTS: Final = "appointments"
"""Name of the texts that replace the standard ones, in the layer that holds them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakingSettings(SendingSettings):
    """Environment of these functions, beside that of everything that sends.

    Attributes
    ----------
    follow_up_policy
        ``{"followUpDelaySeconds": 1800, "nearStartSeconds": 3600, "reminderSeconds": [86400],
        "feedbackDelaySeconds": 7200, "retentionSeconds": 7776000}``, which also is the default; a delay of
        null asks nobody for a review.
    default_locale, default_time_zone
        Where nobody knows those of the invitee.
    holdouts
        Purpose to per cent of people who are not sent that text.
    """

    conversations_table: str
    bus_name: str
    follow_up_policy: Mapping[str, Any] = field(default_factory=dict)
    default_locale: str = "en"
    default_time_zone: str = "UTC"
    holdouts: Mapping[str, int] = field(default_factory=dict)


def build_speaker(settings: SpeakingSettings, dynamodb: DynamoDBClient, clock: Clock) -> Speaker:
    """Make what composes texts."""
    return Speaker(
        texts=AppointmentTexts(load_texts(TEXTS)),
        counts=DynamoCampaignCounts(dynamodb, table=settings.contacts_table, clock=clock),
        default_locale=settings.default_locale,
        default_time_zone=settings.default_time_zone,
        holdout_percents={Purpose(name): percent for name, percent in settings.holdouts.items()},
    )


def build_conversations(settings: SpeakingSettings, dynamodb: DynamoDBClient) -> DynamoConversations:
    """Make the repository of conversations."""
    policy = FollowUpPolicy.from_settings(settings.follow_up_policy)
    return DynamoConversations(dynamodb, table=settings.conversations_table, retention=policy.retention)
