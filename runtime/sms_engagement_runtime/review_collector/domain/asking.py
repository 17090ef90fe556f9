"""Asking customers for reviews: once an occasion, and one reminder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from sms_engagement_runtime.channel.domain import ledger
from sms_engagement_runtime.channel.domain.broadcast.outcomes import PersonOutcome
from sms_engagement_runtime.channel.domain.consent import Scope
from sms_engagement_runtime.channel.domain.errors import TransientError
from sms_engagement_runtime.channel.domain.gate import ConsentRule, MessageClass
from sms_engagement_runtime.channel.domain.ledger import Intent, LedgerRow, MessageState, intent_key
from sms_engagement_runtime.channel.domain.outcome_state import OutcomeState
from sms_engagement_runtime.channel.domain.person_names import first_name
from sms_engagement_runtime.channel.domain.phone_number import ParsedNumber
from sms_engagement_runtime.channel.domain.ports import PhoneNumberParser
from sms_engagement_runtime.channel.domain.reasons import Reason
from sms_engagement_runtime.channel.domain.sending import SendOutcome, SendService
from sms_engagement_runtime.channel.domain.subscriber import subscriber_id
from sms_engagement_runtime.review_collector.domain.customers import Customer
from sms_engagement_runtime.review_collector.domain.link_keys import LinkKeySource
from sms_engagement_runtime.review_collector.domain.occasions import (
    LONGEST_RUN,
    REMINDER_WINDOW,
    UNSETTLED,
    Ask,
    Nothing,
    OccasionPolicy,
    Remind,
    Settle,
    choose,
    is_later,
    last_asked,
    remind,
    reminder_useful_until,
    useful_until,
)
from sms_engagement_runtime.review_collector.domain.ports import (
    CustomerDirectory,
    CustomerRegister,
    ReviewRequestRepository,
)
from sms_engagement_runtime.review_collector.domain.reasons import AskReason, TextFault
from sms_engagement_runtime.review_collector.domain.request_texts import (
    STANDARD_REMINDERS,
    RequestTexts,
    find_fault,
    render_given,
)
from sms_engagement_runtime.review_collector.domain.requests import (
    GivenText,
    ReviewRequest,
    id_to_reference,
    reference_to_id,
    request_id,
)
from sms_engagement_runtime.review_collector.domain.screening import screen
from sms_engagement_runtime.review_collector.domain.tokens import TOKEN_LENGTH

CLOCK_SKEW: Final = timedelta(minutes=5)
"""How far the clock of whoever publishes an event may be ahead of ours."""

FARTHEST_OCCASION: Final = timedelta(days=300)
"""How far ahead an occasion may lie that an event waits for; an execution ends after a year (Step Functions,
quotas)."""

LONGEST_ATTEMPT: Final = timedelta(minutes=15) + CLOCK_SKEW
"""Age at which whoever wrote that they ask is at it no more: no function lives longer (Lambda, quotas)."""

CONSTRUCT: Final = "reviews"
"""Name of this capability in ledger keys."""

REQUEST: Final = "review-request"
"""Purpose of the text that asks."""

REMINDER: Final = "review-reminder"
"""Purpose of the text that reminds of it."""

NEW_LINK: Final = "review-link"
"""Purpose of the text that brings a new link in place of an expired one."""

SOURCE: Final = "appointment"
"""``source`` of a customer whom an event brought: an invitee, most often in no table until then."""

RECORDED: Final = "RECORDED"
"""State of an occasion that was written down for the next broadcast."""

# A claim or an acceptance leaves the person asked; in every other state nothing was sent.
_NOT_SENT: Final = frozenset({OutcomeState.SUPPRESSED, OutcomeState.DEFERRED})

_LINK_PATH: Final = "/r/"

_HELD_OUTCOMES: Final = {
    MessageState.CLAIMED: OutcomeState.IN_FLIGHT,
    MessageState.UNCERTAIN: OutcomeState.UNCERTAIN,
    MessageState.ACCEPTED: OutcomeState.ALREADY_SENT,
    MessageState.DELIVERED: OutcomeState.ALREADY_SENT,
    MessageState.FAILED: OutcomeState.FAILED,
    MessageState.EXPIRED: OutcomeState.FAILED,
}


@dataclass(frozen=True, slots=True)
class _Person:
    """A customer who can be texted, with what their number stands for worked out once."""

    customer: Customer
    parsed: ParsedNumber
    subscriber_id: str

    @property
    def user_id(self) -> str:
        return self.customer.user_id


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
    policy
        How often people are asked.
    consent_rule
        ``IMPLIED``: an active customer may be asked until they opt out.
    register
        Where customers are added whom events bring; None where nobody is.
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
    reminder_texts: RequestTexts = field(default_factory=lambda: RequestTexts(standard=STANDARD_REMINDERS))
    policy: OccasionPolicy = field(default_factory=OccasionPolicy)
    consent_rule: ConsentRule = ConsentRule.IMPLIED
    register: CustomerRegister | None = None

    def ask_due(
        self, customer: Customer, *, run_id: str, dry_run: bool = False, follow_up: bool = False
    ) -> PersonOutcome:
        """Ask one customer about what is due, or remind them of it; most often there is nothing to do.

        Parameters
        ----------
        run_id
            The broadcast that asks, recorded as the text's campaign: a text that the same run sent before it
            was cut off counts as sent by it, and one that another run sends at the same time does not.
        dry_run
            Decide, and neither write nor send.
        follow_up
            Remind, and ask nobody anew. Whose reminder is not due yet is DEFERRED until it is.

        Raises
        ------
        TransientError
            A service did not answer. The attempt may be repeated.
        """
        person = self._meet(customer)
        if isinstance(person, PersonOutcome):
            return person
        turn = _Turn(self, person, run_id=run_id, is_dry=dry_run)
        return turn.take(self.requests.of_customer(person.user_id), follow_up=follow_up)

    def ask_by_id(
        self,
        user_id: str,
        occasion: str,
        *,
        occurred_at: datetime | None = None,
        requested_at: datetime | None = None,
        newcomer: Customer | None = None,
        text: GivenText | None = None,
    ) -> PersonOutcome:
        """Ask a customer who is named by id, about an occasion that is named; raises as `ask_due`.

        The cooldown is for broadcasts: whoever names an occasion wants to know about that one.

        Parameters
        ----------
        occurred_at
            When it happened: with it the occasion ages. Before it, nobody is asked.
        requested_at
            When this was first asked for; the same, where nobody said when it happened.
        newcomer
            Who is added where the table has nobody of this id; whoever is there already stays as they are.
        text
            In place of the standard texts; `find_fault` finds none in it.
        """
        now = self.send_service.clock.now()
        ends_at = (occurred_at or requested_at or now) + self.policy.lifetime
        customer = self.customers.find([user_id]).get(user_id)
        if customer is not None:
            person = self._meet(customer)
        elif newcomer is None or self.register is None:
            return _skipped(user_id, AskReason.NO_CUSTOMER)
        else:
            occasion_row = ReviewRequest(
                request_id=self.request_id(user_id, occasion),
                user_id=user_id,
                occasion=occasion,
                occurred_at=occurred_at,
                recorded_at=now,
                text=text,
            )
            person = self._welcome(newcomer, occasion_row, self.register, ends_at=ends_at)
        if isinstance(person, PersonOutcome):
            return person
        if occurred_at is not None and occurred_at > now + CLOCK_SKEW:
            is_near = occurred_at - now <= FARTHEST_OCCASION
            return _waiting(user_id, AskReason.NOT_BEGUN, occurred_at if is_near else None)
        return _Turn(self, person, useful_until=ends_at).ask(occasion, occurred_at=occurred_at, text=text)

    def remind_by_id(self, user_id: str, occasion: str) -> PersonOutcome:
        """Remind a customer who is named by id, once, unless they answered; raises as `ask_due`.

        Of two requests that went out soon after one another, the person is reminded of the last one.
        """
        person = self._meet_by_id(user_id)
        if isinstance(person, PersonOutcome):
            return person
        request = self.requests.get(self.request_id(user_id, occasion))
        last = last_asked(self.requests.of_customer(user_id))
        if request and last and last.request_id != request.request_id and is_later(last, request):
            return _skipped(user_id, AskReason.ASKED_SINCE)
        match remind(request, self.send_service.clock.now(), self.policy):
            case Remind(due):
                return _Turn(self, person).remind(due)
            case Nothing(reason, until):
                if reason is AskReason.ANSWERED and request is not None:
                    _Turn(self, person).drop_reminders([request])
                return _waiting(user_id, reason, until)

    def record(self, user_id: str, occasion: str, *, occurred_at: datetime | None) -> PersonOutcome:
        """Write an occasion down for the next broadcast. It is recorded once, whoever tells it how often."""
        now = self.send_service.clock.now()
        if occurred_at is not None and now >= occurred_at + self.policy.lifetime:
            return _skipped(user_id, Reason.EXPIRED)
        request = ReviewRequest(
            request_id=self.request_id(user_id, occasion),
            user_id=user_id,
            occasion=occasion,
            occurred_at=occurred_at,
            recorded_at=now,
        )
        if not self.requests.record(request):
            return PersonOutcome(user_id=user_id, state=RECORDED, reason=AskReason.ALREADY_RECORDED)
        return PersonOutcome(user_id=user_id, state=RECORDED)

    def send_new_link(self, identifier: str, *, requested_at: datetime | None = None) -> PersonOutcome:
        """Send a new link for a request whose link has expired, once an occasion; raises as `ask_due`.

        The customer is read anew: the text goes to the number that the customer has now. The person asked for
        it a moment ago, so it is no promotion and waits for no hour, unless it is late.

        Parameters
        ----------
        requested_at
            When the person asked for it: they wait no longer than a link lives.
        """
        request = self.requests.get(identifier)
        if request is None:
            return _skipped("", AskReason.NO_REQUEST)
        if request.answered_at is not None:
            return _skipped(request.user_id, AskReason.ANSWERED)
        person = self._meet_by_id(request.user_id)
        if isinstance(person, PersonOutcome):
            return person
        since = requested_at or self.send_service.clock.now()
        return _Turn(self, person, useful_until=since + self.link_lifetime).send_link(
            request, requested_at=since
        )

    def find_fault(self, text: GivenText) -> TextFault | None:
        """Say why a text cannot go out with any of our links; None where it can."""
        return find_fault(text, link_length=len(self.link_base_url) + len(_LINK_PATH) + TOKEN_LENGTH)

    def request_id(self, user_id: str, occasion: str) -> str:
        """Return the id of the request about an occasion of a customer."""
        return reference_to_id(request_id(user_id, occasion, self.subscriber_key()))

    def _meet_by_id(self, user_id: str) -> _Person | PersonOutcome:
        customer = self.customers.find([user_id]).get(user_id)
        return _skipped(user_id, AskReason.NO_CUSTOMER) if customer is None else self._meet(customer)

    def _welcome(
        self, newcomer: Customer, request: ReviewRequest, register: CustomerRegister, *, ends_at: datetime
    ) -> _Person | PersonOutcome:
        """Add a customer whom we do not know yet, unless there is nothing to ask or no number to ask at."""
        person = self._meet(newcomer)
        if isinstance(person, PersonOutcome):
            return person
        # Who was erased does not come back as a customer, whoever tells of them.
        if self.send_service.contacts.get(person.subscriber_id).is_erased:
            return _skipped(newcomer.user_id, Reason.ERASED)
        now = request.recorded_at
        if now >= ends_at:
            return _skipped(newcomer.user_id, Reason.EXPIRED)
        if request.occurred_at is not None and request.occurred_at - now > FARTHEST_OCCASION:
            return _skipped(newcomer.user_id, AskReason.NOT_BEGUN)
        # The occasion first: of a customer without any, a broadcast would ask about the registration.
        self.requests.record(request)
        added = replace(newcomer, phone_number=person.parsed.number.e164)
        standing = register.add(added, created_at=now, source=SOURCE)
        return self._meet(standing or added)

    def _meet(self, customer: Customer) -> _Person | PersonOutcome:
        parsed = screen(customer, self.parser)
        if isinstance(parsed, Reason):
            return _skipped(customer.user_id, parsed)
        return _Person(customer, parsed, subscriber_id(parsed.number, self.subscriber_key()))


@dataclass(frozen=True, slots=True)
class _Turn:
    """One person's turn.

    Attributes
    ----------
    run_id
        None outside broadcasts.
    useful_until
        Of the text; None where it follows from the request.
    """

    asker: ReviewAsker
    person: _Person
    run_id: str | None = None
    is_dry: bool = False
    useful_until: datetime | None = None

    def take(self, rows: Sequence[ReviewRequest], *, follow_up: bool) -> PersonOutcome:
        """Do what is due in a broadcast.

        Parameters
        ----------
        rows
            All requests of the person.
        follow_up
            As in `ReviewAsker.ask_due`.
        """
        match choose(rows, self._now, self.asker.policy, run_id=self.run_id, follow_up=follow_up):
            case Ask(occasion, row):
                return self.ask(occasion, row)
            case Remind(request):
                return self.remind(request)
            case Settle(request):
                return self._reminded_already(rows) or self._settle(request, rows, follow_up=follow_up)
            case Nothing(reason, until):
                if reason is AskReason.ANSWERED and not self.is_dry:
                    self.drop_reminders(rows)
                already = self._reminded_already(rows) or self._asked_already(rows)
                return already or _waiting(self.person.user_id, reason, until)

    def ask(
        self,
        occasion: str,
        row: ReviewRequest | None = None,
        *,
        occurred_at: datetime | None = None,
        text: GivenText | None = None,
    ) -> PersonOutcome:
        """Ask about an occasion.

        The row that the link stands for is written before the text goes out: a link may be opened before the
        call to the carrier has returned. Where the gate refuses, or a service does not answer before the text
        is claimed, the row stays without ``askedAt``.

        Parameters
        ----------
        row
            What is known of the occasion; one with ``asked_at`` only where the text is proven not to have
            gone out.
        text
            In place of that of the row, and of the standard text where it has none.
        """
        customer, now = self.person.customer, self._now
        replaced = row.asked_at if row else None
        request = ReviewRequest(
            request_id=row.request_id if row else self.asker.request_id(customer.user_id, occasion),
            user_id=customer.user_id,
            occasion=occasion,
            name=customer.name,
            first_name=first_name(customer.name),
            locale=customer.locale,
            occurred_at=(row.occurred_at if row else None) or occurred_at,
            recorded_at=row.recorded_at if row else now,
            asked_at=_after(replaced, now),
            subscriber_id=self.person.subscriber_id,
            run_id=self.run_id,
            text=text or (row.text if row else None),
        )
        expires_at = self.useful_until or useful_until(request, self.asker.policy)
        intent = self._intent(request, REQUEST, self.asker.texts, expires_at=expires_at)
        if self.is_dry:
            return self._send(intent)
        standing = self.asker.requests.reserve(request, instead_of=replaced)
        if standing is not None:
            refusal = self._objection_of(standing)
            if refusal is not None:
                return refusal
            # Another attempt has written the row and not claimed the text: it was cut off, or is at it now.
            # Then the claim decides between the two.
            replaced = standing.asked_at
            request = replace(request, asked_at=_after(replaced, now))
            self.asker.requests.reserve(request, instead_of=replaced)
        try:
            outcome = self._send(intent)
        except TransientError:
            # The first error says what to do. A row that stays as it is, is settled later.
            with suppress(TransientError):
                if ledger.may_claim(self.asker.send_service.ledger.get(intent.key)):
                    self._withdraw(request, replaced)
            raise
        if outcome.state in _NOT_SENT:
            self._withdraw(request, replaced)
        return outcome

    def remind(self, request: ReviewRequest) -> PersonOutcome:
        """Remind of a request, unless its text never went out: then that one goes out now."""
        requests = self.asker.requests
        text = self._text_of(request, REQUEST)
        if text is None:
            return self.ask(request.occasion, request)
        if _HELD_OUTCOMES[text.state] is OutcomeState.FAILED:
            return _skipped(self.person.user_id, AskReason.NOT_DELIVERED)

        def is_unanswered() -> bool:
            current = requests.get(request.request_id)
            return current is not None and current.answered_at is None

        outcome = self._send(
            self._intent(
                # Who has a new name or language since is spoken to by it.
                replace(
                    request,
                    first_name=first_name(self.person.customer.name),
                    locale=self.person.customer.locale,
                ),
                REMINDER,
                self.asker.reminder_texts,
                expires_at=reminder_useful_until(request, self.asker.policy),
            ),
            still_true=is_unanswered,
        )
        if outcome.reason == Reason.NO_LONGER_TRUE:
            return replace(outcome, reason=AskReason.ANSWERED)
        if not self.is_dry and outcome.state not in _NOT_SENT:
            # After the text, since the ledger sends no second one: cut off in between, the next attempt
            # writes it.
            requests.mark_reminded(request.request_id, self._now)
        return outcome

    def drop_reminders(self, requests: Sequence[ReviewRequest]) -> None:
        """Close reminders that waited for their hour while their requests were answered."""
        service = self.asker.send_service
        for request in requests:
            if request.answered_at is None:
                continue
            key = intent_key(CONSTRUCT, self.person.subscriber_id, REMINDER, request.occasion)
            row = service.ledger.get(key)
            if row is not None and row.state is MessageState.DEFERRED:
                service.drop(self._intent(request, REMINDER, self.asker.reminder_texts, expires_at=None))

    def send_link(self, request: ReviewRequest, *, requested_at: datetime) -> PersonOutcome:
        """Send a new link for a request."""
        # Finding out that it was sent costs no rate slot.
        text = self._text_of(replace(request, subscriber_id=self.person.subscriber_id), NEW_LINK)
        if text is not None:
            return self._outcome_of(text)
        return self._send(
            self._intent(
                request,
                NEW_LINK,
                self.asker.texts,
                expires_at=self.useful_until,
                message_class=MessageClass.TRANSACTIONAL,
                caused_at=requested_at,
            )
        )

    @property
    def _now(self) -> datetime:
        return self.asker.send_service.clock.now()

    def _settle(
        self, request: ReviewRequest, rows: Sequence[ReviewRequest], *, follow_up: bool
    ) -> PersonOutcome:
        """Tell what asking came to; ask where the text never went out, and nobody else has asked since."""
        outcome = self._objection_of(request)
        asked_at = request.asked_at
        assert asked_at is not None
        if outcome is not None:
            is_old = self._now >= asked_at + UNSETTLED and request.run_id != self.run_id
            if is_old and outcome.state == OutcomeState.FAILED:
                # It counted as a failure of that run, and is none of each run after it.
                return _skipped(self.person.user_id, AskReason.NOT_DELIVERED)
            if is_old and outcome.state == OutcomeState.UNCERTAIN:
                return _skipped(self.person.user_id, AskReason.ALREADY_ASKED)
            return outcome
        if not any(is_later(other, request) for other in rows):
            return self.ask(request.occasion, request)
        if not self.is_dry:
            self._withdraw(request, replaced=asked_at)
        others = [replace(row, asked_at=None) if row is request else row for row in rows]
        return self.take(others, follow_up=follow_up)

    def _reminded_already(self, requests: Sequence[ReviewRequest]) -> PersonOutcome | None:
        """Tell of the reminder that this very run has sent, before its part was cut off and sent again."""
        now = self._now
        for request in requests:
            ends_at = reminder_useful_until(request, self.asker.policy)
            if ends_at is None or now >= ends_at + LONGEST_RUN:
                continue
            # The mark comes after the text, so it may be missing.
            if request.reminded_at is not None or now >= ends_at - REMINDER_WINDOW:
                text = self._text_of(replace(request, subscriber_id=self.person.subscriber_id), REMINDER)
                if text is not None and text.campaign_id == self.run_id:
                    return self._outcome_of(text)
        return None

    def _asked_already(self, requests: Sequence[ReviewRequest]) -> PersonOutcome | None:
        """Tell of the text that this very run has sent, where another attempt wrote over its row."""
        for request in requests:
            if request.asked_at is not None and self._now < request.asked_at + LONGEST_RUN:
                text = self._text_of(request, REQUEST)
                if text is not None and text.campaign_id == self.run_id:
                    return self._outcome_of(text)
        return None

    def _withdraw(self, request: ReviewRequest, replaced: datetime | None) -> None:
        """Take back that a text went out which did not, unless somebody else may be about to send it.

        Parameters
        ----------
        replaced
            When another attempt wrote that it asks, and was overwritten; None where there was none. As long
            as it may live, it may pass where this one did not: a row without ``askedAt`` would then hide its
            text from the cooldown. The row is settled later instead.
        """
        assert request.asked_at is not None
        if replaced is None or self._now >= replaced + LONGEST_ATTEMPT:
            self.asker.requests.withdraw(request.request_id, request.asked_at)

    def _objection_of(self, standing: ReviewRequest) -> PersonOutcome | None:
        """Tell why a request that was made must not be made again; None where its text never went out."""
        text = self._text_of(standing, REQUEST)
        if text is None:
            is_answered = standing.answered_at is not None
            return _skipped(self.person.user_id, AskReason.ANSWERED) if is_answered else None
        outcome = self._outcome_of(text)
        if outcome.state == OutcomeState.ALREADY_SENT and self._has_opted_out():
            # Nobody would ask this person now: that says more.
            return _skipped(self.person.user_id, Reason.OPTED_OUT)
        return outcome

    def _text_of(self, request: ReviewRequest, purpose: str) -> LedgerRow | None:
        """Return the ledger's row of a request's text; None where it is proven not to have gone out."""
        recipient = request.subscriber_id or self.person.subscriber_id
        row = self.asker.send_service.ledger.get(intent_key(CONSTRUCT, recipient, purpose, request.occasion))
        return None if row is None or ledger.may_claim(row) else row

    def _has_opted_out(self) -> bool:
        contact = self.asker.send_service.contacts.get(self.person.subscriber_id)
        return contact.is_opted_out_of(Scope.REVIEWS)

    def _outcome_of(self, text: LedgerRow) -> PersonOutcome:
        user_id, state = self.person.user_id, text.derived_state(self._now)
        outcome = _HELD_OUTCOMES[state]
        if outcome is not OutcomeState.ALREADY_SENT:
            reason = Reason.OUTCOME_UNKNOWN if state is MessageState.UNCERTAIN else text.reason
            return PersonOutcome(user_id=user_id, state=outcome, reason=reason)
        if self.run_id is not None and text.campaign_id == self.run_id:
            return PersonOutcome(
                user_id=user_id, state=OutcomeState.ACCEPTED, message_id=text.message_id, parts=text.parts
            )
        return PersonOutcome(user_id=user_id, state=outcome, reason=AskReason.ALREADY_ASKED)

    def _send(self, intent: Intent, still_true: Callable[[], bool] = lambda: True) -> PersonOutcome:
        service = self.asker.send_service
        outcome = service.send(intent, still_true=still_true, dry_run=self.is_dry)
        if outcome.state is OutcomeState.ALREADY_SENT:
            text = service.ledger.get(intent.key)
            if text is not None:
                return self._outcome_of(text)
        return _outcome(self.person.user_id, outcome)

    def _intent(
        self,
        request: ReviewRequest,
        purpose: str,
        texts: RequestTexts,
        *,
        expires_at: datetime | None,
        message_class: MessageClass = MessageClass.PROMOTIONAL,
        caused_at: datetime | None = None,
    ) -> Intent:
        asker, person = self.asker, self.person
        token = asker.link_keys.current().mint(
            id_to_reference(request.request_id), expires_at=self._now + asker.link_lifetime
        )
        link = f"{asker.link_base_url}{_LINK_PATH}{token}"
        given, locale, called = request.text, request.locale, request.first_name
        if given is None or asker.find_fault(given) is not None:
            text = texts.render(locale=locale, first_name=called, link=link)
        else:
            text = render_given(
                given,
                locale=locale,
                first_name=called,
                link=link,
                is_reminder=purpose == REMINDER,
            )
        return Intent(
            construct=CONSTRUCT,
            purpose=purpose,
            occasion=request.occasion,
            scope=Scope.REVIEWS,
            message_class=message_class,
            consent_rule=asker.consent_rule,
            recipient=person.parsed.number,
            subscriber_id=person.subscriber_id,
            country=person.parsed.country,
            body=text.body,
            shorter_body=text.without_name,
            locale=text.locale,
            time_zone=person.customer.time_zone,
            campaign_id=self.run_id,
            expires_at=expires_at,
            caused_at=caused_at,
        )


def _after(replaced: datetime | None, now: datetime) -> datetime:
    """Return when an attempt asks. No two share a second of the table, so each takes back its own only."""
    return now if replaced is None else max(now, replaced + timedelta(seconds=1))


def _outcome(user_id: str, outcome: SendOutcome) -> PersonOutcome:
    sent = outcome.state in (OutcomeState.ACCEPTED, OutcomeState.UNCERTAIN, OutcomeState.WOULD_SEND)
    already = outcome.state is OutcomeState.ALREADY_SENT
    return PersonOutcome(
        user_id=user_id,
        state=outcome.state,
        reason=AskReason.ALREADY_ASKED if already else outcome.reason,
        message_id=outcome.message_id if outcome.state is OutcomeState.ACCEPTED else None,
        parts=outcome.parts if sent else 0,
        until=outcome.until,
    )


def _skipped(user_id: str, reason: Reason | AskReason) -> PersonOutcome:
    return PersonOutcome(user_id=user_id, state=OutcomeState.SUPPRESSED, reason=reason)


def _waiting(user_id: str, reason: AskReason, until: datetime | None) -> PersonOutcome:
    state = OutcomeState.SUPPRESSED if until is None else OutcomeState.DEFERRED
    return PersonOutcome(user_id=user_id, state=state, reason=reason, until=until)
