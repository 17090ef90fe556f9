"""Asking one customer for a review, once an occasion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sms_engagement_runtime.channel.domain import ledger
from sms_engagement_runtime.channel.domain.consent import Scope
from sms_engagement_runtime.channel.domain.gate import ConsentRule, MessageClass
from sms_engagement_runtime.channel.domain.ledger import Intent, LedgerRow, MessageState
from sms_engagement_runtime.channel.domain.outcome_state import OutcomeState
from sms_engagement_runtime.channel.domain.phone_number import ParsedNumber
from sms_engagement_runtime.channel.domain.ports import PhoneNumberParser
from sms_engagement_runtime.channel.domain.reasons import Reason
from sms_engagement_runtime.channel.domain.sending import SendOutcome, SendService
from sms_engagement_runtime.channel.domain.subscriber import subscriber_id
from sms_engagement_runtime.review_collector.domain.customers import Customer, first_name
from sms_engagement_runtime.review_collector.domain.link_keys import LinkKeySource
from sms_engagement_runtime.review_collector.domain.outcomes import AskReason, PersonOutcome
from sms_engagement_runtime.review_collector.domain.ports import CustomerDirectory, ReviewRequestRepository
from sms_engagement_runtime.review_collector.domain.request_texts import RequestTexts
from sms_engagement_runtime.review_collector.domain.requests import (
    REGISTRATION,
    ReviewRequest,
    id_to_reference,
    reference_to_id,
    request_id,
)
from sms_engagement_runtime.review_collector.domain.screening import screen

CONSTRUCT: Final = "reviews"
"""Name of this capability in ledger keys."""

REQUEST: Final = "review-request"
"""Purpose of the text that asks."""

NEW_LINK: Final = "review-link"
"""Purpose of the text that brings a new link in place of an expired one."""

# A claim or an acceptance leaves the person asked; in every other state nothing was sent.
_NOT_ASKED: Final = frozenset({OutcomeState.SUPPRESSED, OutcomeState.DEFERRED})

_HELD_OUTCOMES: Final = {
    MessageState.CLAIMED: OutcomeState.IN_FLIGHT,
    MessageState.UNCERTAIN: OutcomeState.UNCERTAIN,
    MessageState.ACCEPTED: OutcomeState.ALREADY_SENT,
    MessageState.DELIVERED: OutcomeState.ALREADY_SENT,
    MessageState.FAILED: OutcomeState.FAILED,
    MessageState.EXPIRED: OutcomeState.FAILED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewAsker:
    """Asks customers for reviews through the channel's gate and ledger. Safe to be shared by threads.

    Attributes
    ----------
    subscriber_key
        Returns the key of subscriber and request ids; it is never rotated.
    link_base_url
        Without a slash at its end; a link is this, ``/r/`` and the token.
    link_lifetime
        From the moment of asking.
    consent_rule
        ``IMPLIED``: an active customer may be asked until they opt out.
    """

    send_service: SendService
    requests: ReviewRequestRepository
    customers: CustomerDirectory
    parser: PhoneNumberParser
    subscriber_key: Callable[[], bytes]
    link_keys: LinkKeySource
    texts: RequestTexts
    link_base_url: str
    link_lifetime: timedelta
    consent_rule: ConsentRule = ConsentRule.IMPLIED

    def ask(
        self, customer: Customer, occasion: str, *, dry_run: bool = False, run_id: str | None = None
    ) -> PersonOutcome:
        """Ask one customer about one occasion, unless something speaks against it.

        The row that the link stands for is written before the text goes out: a link may be opened before the
        call to the carrier has returned. Where the gate refuses, the row stays without ``askedAt``.

        Parameters
        ----------
        dry_run
            Decide, and neither write nor send.
        run_id
            The broadcast that asks, recorded as the text's campaign: a text that the same run sent before it
            was cut off counts as sent by it, and one that another run sends at the same time does not.

        Raises
        ------
        TransientError
            A service did not answer. The attempt may be repeated.
        """
        parsed = screen(customer, self.parser)
        if isinstance(parsed, Reason):
            return _skipped(customer.user_id, parsed)
        request = ReviewRequest(
            request_id=reference_to_id(request_id(customer.user_id, occasion, self.subscriber_key())),
            user_id=customer.user_id,
            occasion=occasion,
            name=customer.name,
            first_name=first_name(customer.name),
            locale=customer.locale,
            asked_at=self.send_service.clock.now(),
        )
        intent = self._intent(parsed, request, purpose=REQUEST, run_id=run_id)
        held = self._held(intent, customer.user_id)
        if held is not None:
            was_sent = held.state == OutcomeState.ALREADY_SENT
            return (was_sent and self._opted_out(intent, customer.user_id)) or held
        if occasion == REGISTRATION and self.requests.was_asked(customer.user_id, besides=request.request_id):
            # Who was asked about a purchase has registered long ago.
            nothing_new = _skipped(customer.user_id, AskReason.NO_OCCASION)
            return self._opted_out(intent, customer.user_id) or nothing_new
        if dry_run:
            outcome = self.send_service.send(intent, dry_run=True)
            return _outcome(customer.user_id, outcome)
        existing = self.requests.reserve(request)
        outcome = self.send_service.send(intent)
        self._keep_asked_at(request, existing, outcome)
        return _outcome(customer.user_id, outcome)

    def ask_by_id(self, user_id: str, occasion: str) -> PersonOutcome:
        """Ask a customer who is named by id; raises as `ask`."""
        customer = self.customers.find([user_id]).get(user_id)
        if customer is None:
            return _skipped(user_id, AskReason.NO_CUSTOMER)
        return self.ask(customer, occasion)

    def send_new_link(self, identifier: str) -> PersonOutcome:
        """Send a new link for a request whose link has expired, once an occasion; raises as `ask`.

        The customer is read anew: the text goes to the number that the customer has now.
        """
        request = self.requests.get(identifier)
        if request is None:
            return _skipped("", AskReason.NO_REQUEST)
        if request.answered_at is not None:
            return _skipped(request.user_id, Reason.NO_LONGER_TRUE)
        customer = self.customers.find([request.user_id]).get(request.user_id)
        if customer is None:
            return _skipped(request.user_id, AskReason.NO_CUSTOMER)
        parsed = screen(customer, self.parser)
        if isinstance(parsed, Reason):
            return _skipped(request.user_id, parsed)
        intent = self._intent(parsed, request, purpose=NEW_LINK)
        held = self._held(intent, request.user_id)
        return held or _outcome(request.user_id, self.send_service.send(intent))

    def _intent(
        self, parsed: ParsedNumber, request: ReviewRequest, *, purpose: str, run_id: str | None = None
    ) -> Intent:
        token = self.link_keys.current().mint(
            id_to_reference(request.request_id),
            expires_at=self.send_service.clock.now() + self.link_lifetime,
        )
        return Intent(
            construct=CONSTRUCT,
            purpose=purpose,
            occasion=request.occasion,
            scope=Scope.REVIEWS,
            message_class=MessageClass.PROMOTIONAL,
            consent_rule=self.consent_rule,
            recipient=parsed.number,
            subscriber_id=subscriber_id(parsed.number, self.subscriber_key()),
            country=parsed.country,
            body=self.texts.render(
                locale=request.locale,
                first_name=request.first_name,
                link=f"{self.link_base_url}/r/{token}",
            ),
            campaign_id=run_id,
        )

    def _held(self, intent: Intent, user_id: str) -> PersonOutcome | None:
        """Tell what an earlier attempt came to, before a rate slot is spent on finding that out."""
        row = self.send_service.ledger.get(intent.key)
        if row is None or ledger.may_claim(row):
            return None
        return _held_outcome(row, user_id, self.send_service.clock.now(), intent.campaign_id)

    def _opted_out(self, intent: Intent, user_id: str) -> PersonOutcome | None:
        """Tell whether a person whom nobody would ask now has opted out: that says more."""
        outcome = self.send_service.send(intent, dry_run=True)
        return _outcome(user_id, outcome) if outcome.reason == Reason.OPTED_OUT else None

    def _keep_asked_at(
        self, request: ReviewRequest, existing: ReviewRequest | None, outcome: SendOutcome
    ) -> None:
        asked_at = request.asked_at
        assert asked_at is not None
        if outcome.state in _NOT_ASKED:
            if existing is None:
                self.requests.withdraw(request.request_id, asked_at)
        elif existing is not None and existing.asked_at is None:
            self.requests.mark_asked(request.request_id, asked_at)


def _held_outcome(row: LedgerRow, user_id: str, now: datetime, run_id: str | None) -> PersonOutcome:
    state = row.derived_state(now)
    outcome = _HELD_OUTCOMES[state]
    if outcome is not OutcomeState.ALREADY_SENT:
        reason = Reason.OUTCOME_UNKNOWN if state is MessageState.UNCERTAIN else row.reason
        return PersonOutcome(user_id=user_id, state=outcome, reason=reason)
    if run_id is not None and row.campaign_id == run_id:
        return PersonOutcome(
            user_id=user_id, state=OutcomeState.ACCEPTED, message_id=row.message_id, parts=row.parts
        )
    return PersonOutcome(user_id=user_id, state=outcome, reason=AskReason.ALREADY_ASKED)


def _outcome(user_id: str, outcome: SendOutcome) -> PersonOutcome:
    sent = outcome.state in (OutcomeState.ACCEPTED, OutcomeState.UNCERTAIN, OutcomeState.WOULD_SEND)
    already = outcome.state is OutcomeState.ALREADY_SENT
    return PersonOutcome(
        user_id=user_id,
        state=outcome.state,
        reason=AskReason.ALREADY_ASKED if already else outcome.reason,
        message_id=outcome.message_id if outcome.state is OutcomeState.ACCEPTED else None,
        parts=outcome.parts if sent else 0,
    )


def _skipped(user_id: str, reason: Reason | AskReason) -> PersonOutcome:
    return PersonOutcome(user_id=user_id, state=OutcomeState.SUPPRESSED, reason=reason)
