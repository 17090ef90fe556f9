"""The journeys that come with the product. Each is a declaration, as anybody may write another."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from sms_engagement_runtime.journeys.domain.conditions import Confirmed, SubscriberState
from sms_engagement_runtime.journeys.domain.description import (
    Branch,
    JourneyDefinition,
    Seconds,
    Send,
    Wait,
)

WELCOME_TEXT: Final = "Welcome! Reply YES to confirm or STOP to unsubscribe."
REMINDER_TEXT: Final = "Please reply YES to confirm your subscription, or STOP to unsubscribe."
PROMOTION_TEXT: Final = "Hi {{name}}, use code {{promo}} for {{discount}}% off!"
CONFIRMATION_TEXT: Final = "Reply YES to confirm that you want texts from us, or STOP to unsubscribe."

_PROMO: Final = "WELCOME"
_DISCOUNT: Final = "10"


def welcome_series(
    *,
    name: str = "welcome",
    welcome: str | Mapping[str, str] = WELCOME_TEXT,
    reminder: str | Mapping[str, str] = REMINDER_TEXT,
    promotion: str | Mapping[str, str] = PROMOTION_TEXT,
    wait: timedelta | Seconds = timedelta(hours=24),
    promo: str | None = _PROMO,
    discount: str | None = _DISCOUNT,
) -> JourneyDefinition:
    """Welcome new subscribers and ask them to confirm; a day later thank who did, and remind who did not.

    Parameters
    ----------
    name
        Of the journey; one of a name on a channel.
    welcome, reminder, promotion
        Texts, or texts by locale.
    wait
        Between the welcome and what follows it.
    promo, discount
        Filled into the promotion where a run brings no others; None where each has to.
    """
    return JourneyDefinition(
        name=name,
        audience=frozenset({SubscriberState.NEW, SubscriberState.PENDING}),
        once=True,
        values={"promo": promo, "discount": discount},
        steps=(
            Send("welcome", welcome, asks_to_confirm=True),
            Wait(wait),
            Branch(
                on=Confirmed(),
                then=(Send("promotion", promotion),),
                otherwise=(Send("reminder", reminder, asks_to_confirm=True),),
            ),
        ),
    )


def promotional(
    *,
    name: str = "promotional",
    promotion: str | Mapping[str, str] = PROMOTION_TEXT,
    promo: str | None = _PROMO,
    discount: str | None = _DISCOUNT,
) -> JourneyDefinition:
    """Send one promotion to active subscribers who agreed to it, at the hour that each prefers.

    Each run sends it once to a person. `name`, `promotion`, `promo` and `discount` are as in
    `welcome_series`.
    """
    return JourneyDefinition(
        name=name,
        values={"promo": promo, "discount": discount},
        steps=(Send("promotion", promotion, at_preferred_time=True),),
    )


def confirmation(
    *, name: str = "confirmation", request: str | Mapping[str, str] = CONFIRMATION_TEXT
) -> JourneyDefinition:
    """Ask every subscriber whose consent is not on record to confirm, once ever, whatever the run.

    Parameters
    ----------
    name
        Of the journey; one of a name on a channel.
    request
        Text of the question, or texts by locale.
    """
    return JourneyDefinition(
        name=name,
        audience=frozenset({SubscriberState.NEW, SubscriberState.PENDING, SubscriberState.ACTIVE}),
        once=True,
        steps=(Send("request", request, asks_to_confirm=True),),
    )
