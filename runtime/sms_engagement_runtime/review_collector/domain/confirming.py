"""Thanking a customer for a review by text, once a review."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sms_engagement_runtime.channel.domain.broadcast.outcomes import PersonOutcome
from sms_engagement_runtime.channel.domain.consent import Scope
from sms_engagement_runtime.channel.domain.gate import ConsentRule, MessageClass
from sms_engagement_runtime.channel.domain.ledger import Intent
from sms_engagement_runtime.channel.domain.named_texts import NamedTexts
from sms_engagement_runtime.channel.domain.outcome_state import OutcomeState
from sms_engagement_runtime.channel.domain.person_names import first_name
from sms_engagement_runtime.channel.domain.ports import PhoneNumberParser
from sms_engagement_runtime.channel.domain.reasons import Reason
from sms_engagement_runtime.channel.domain.sending import SendService
from sms_engagement_runtime.channel.domain.subscriber import subscriber_id
from sms_engagement_runtime.review_collector.domain.asking import CONSTRUCT
from sms_engagement_runtime.review_collector.domain.ports import CustomerDirectory
from sms_engagement_runtime.review_collector.domain.reasons import AskReason
from sms_engagement_runtime.review_collector.domain.screening import screen

CONFIRMATION: Final = "review-confirmation"
"""Purpose of the text that thanks for a review; its occasion is the review's id."""

CONFIRMATION_LIFETIME: Final = timedelta(days=1)
"""How long the thanks for a review are of use."""

STANDARD_CONFIRMATIONS: Final[Mapping[str, str]] = {"en": "Thank you for your review, {{name}}!"}


def confirmation_texts(texts: Mapping[str, str] | None = None) -> NamedTexts:
    """Read the texts by locale, with ``{{name}}``; nothing means the standard text.

    Raises
    ------
    ValueError
        As :class:`NamedTexts`.
    """
    return NamedTexts(texts or STANDARD_CONFIRMATIONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewConfirmer:
    """Thanks customers through the channel's gate and ledger.

    Attributes
    ----------
    subscriber_key
        Returns the key of subscriber ids.
    texts
        As :func:`confirmation_texts` reads them.
    """

    send_service: SendService
    customers: CustomerDirectory
    parser: PhoneNumberParser
    subscriber_key: Callable[[], bytes]
    texts: NamedTexts

    def confirm(self, review_id: str, user_id: str, *, requested_at: datetime | None = None) -> PersonOutcome:
        """Thank one customer for one review, unless something speaks against it.

        The text follows from what the customer just did, so it is transactional, and only an opt-out or the
        channel's own limits hold it back; one that is late does not come at night. The ledger has it once a
        review, however often the event comes.

        Parameters
        ----------
        requested_at
            When the review came: thanks that come more than a day later are none.

        Raises
        ------
        TransientError
            A service did not answer. The attempt may be repeated.
        """
        customer = self.customers.find([user_id]).get(user_id)
        if customer is None:
            return _skipped(user_id, AskReason.NO_CUSTOMER)
        parsed = screen(customer, self.parser)
        if isinstance(parsed, Reason):
            return _skipped(user_id, parsed)
        caused_at = requested_at or self.send_service.clock.now()
        text = self.texts.render(locale=customer.locale, first_name=first_name(customer.name))
        outcome = self.send_service.send(
            Intent(
                construct=CONSTRUCT,
                purpose=CONFIRMATION,
                occasion=review_id,
                scope=Scope.REVIEWS,
                message_class=MessageClass.TRANSACTIONAL,
                consent_rule=ConsentRule.IMPLIED,
                recipient=parsed.number,
                subscriber_id=subscriber_id(parsed.number, self.subscriber_key()),
                country=parsed.country,
                body=text.body,
                shorter_body=text.without_name,
                locale=text.locale,
                time_zone=customer.time_zone,
                caused_at=caused_at,
                expires_at=caused_at + CONFIRMATION_LIFETIME,
            )
        )
        return PersonOutcome(
            user_id=user_id,
            state=outcome.state,
            reason=outcome.reason,
            message_id=outcome.message_id,
            parts=outcome.parts if outcome.state is OutcomeState.ACCEPTED else 0,
            until=outcome.until,
        )


def _skipped(user_id: str, reason: Reason | AskReason) -> PersonOutcome:
    return PersonOutcome(user_id=user_id, state=OutcomeState.SUPPRESSED, reason=reason)
