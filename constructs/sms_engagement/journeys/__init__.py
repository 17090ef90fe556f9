"""Journeys: texts in an order, each when it is due, to whoever is still on the way."""

from sms_engagement.journeys.engine import JourneyEngine
from sms_engagement.journeys.journey import Journey
from sms_engagement_runtime.journeys.domain.conditions import (
    Confirmed,
    HasAttribute,
    InState,
    Replied,
    RepliedNegatively,
    RepliedPositively,
    SubscriberState,
)
from sms_engagement_runtime.journeys.domain.description import (
    Branch,
    Exit,
    Goal,
    JourneyDefinition,
    Send,
    Wait,
)
from sms_engagement_runtime.journeys.domain.stock import confirmation, promotional, welcome_series

__all__ = [
    "Branch",
    "Confirmed",
    "Exit",
    "Goal",
    "HasAttribute",
    "InState",
    "Journey",
    "JourneyDefinition",
    "JourneyEngine",
    "Replied",
    "RepliedNegatively",
    "RepliedPositively",
    "Send",
    "SubscriberState",
    "Wait",
    "confirmation",
    "promotional",
    "welcome_series",
]
