"""Send one text: the only way by which a text leaves the system."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Self

from sms_engagement_runtime.channel.domain.budget import Unlimited
from sms_engagement_runtime.channel.domain.consent import Contact, Evidence, Source, opt_out, replace_contact
from sms_engagement_runtime.channel.domain.errors import (
    ContactChangedError,
    OutcomeUnknownError,
    SendingDisabledError,
    SendRefusedError,
    SendThrottledError,
    TransientError,
)
from sms_engagement_runtime.channel.domain.frequency import FrequencyCap
from sms_engagement_runtime.channel.domain.gate import (
    Defer,
    GateFacts,
    MessageClass,
    Send,
    Suppress,
    decide,
    objections,
)
from sms_engagement_runtime.channel.domain.introduction import Text, introduced, plain
from sms_engagement_runtime.channel.domain.ledger import (
    Claimed,
    ContactChanged,
    Guard,
    Held,
    Intent,
    LedgerRow,
    MessageState,
    may_claim,
)
from sms_engagement_runtime.channel.domain.outcome_state import OutcomeState
from sms_engagement_runtime.channel.domain.pacing import Lane, Slot
from sms_engagement_runtime.channel.domain.ports import (
    Budget,
    Clock,
    ContactRepository,
    MessageLedger,
    MessageSender,
    OutboundMessage,
    Pacer,
    PauseFlag,
    PlaceFinder,
)
from sms_engagement_runtime.channel.domain.quiet_hours import QuietHoursPolicy, RecipientHours
from sms_engagement_runtime.channel.domain.reasons import Reason

OPTED_OUT_REASONS: Final = frozenset({"DESTINATION_PHONE_NUMBER_OPTED_OUT", "OPTED_OUT"})
"""Reason codes of a number that is on an opt-out list (``ConflictExceptionReason`` of the API)."""

_MAX_ATTEMPTS: Final = 5
"""How often one text is offered to a carrier that throttles, or claimed on a contact or a guard that keeps
changing."""

_MOST_MISSED: Final = 2
"""How often one text gives up a slot that it missed. A machine that is always late is too slow to pass any
rate: it sends all the same, late."""

_NOT_SENT: Final = frozenset({OutcomeState.SUPPRESSED, OutcomeState.DEFERRED})
_STOPPING_REASONS: Final = frozenset(
    {Reason.SENDING_DISABLED, Reason.PAUSED, Reason.DAY_BUDGET, Reason.CAMPAIGN_BUDGET}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SendOutcome:
    """How an attempt to send ended.

    Attributes
    ----------
    reason
        A ``Reason``, or the reason code of the service or of the delivery event. None where there is nothing
        to explain.
    detail
        For SENDING_DISABLED: the service's own reason code.
    until
        For DEFERRED: the first instant worth asking again; None where that is not known.
    """

    state: OutcomeState
    reason: str | None
    key: str
    message_id: str | None = None
    parts: int = 0
    detail: str | None = None
    until: datetime | None = None

    @property
    def stops_sending(self) -> bool:
        """Whether no other text would be accepted either, so that whoever sends many must stop."""
        return self.state is OutcomeState.DEFERRED and self.reason in _STOPPING_REASONS


@dataclass(frozen=True, slots=True, kw_only=True)
class SendPolicy:
    """What the channel allows.

    Attributes
    ----------
    allowed_countries
        ISO 3166-1 alpha-2, upper case.
    max_parts
        At least 1.
    quiet_hours, frequency_cap
        When, and how often, a person may be sent promotional texts.
    sender_name
        Who speaks, as the first text to a person says it; None says nothing but how to opt out.
    """

    allowed_countries: frozenset[str]
    max_parts: int = 1
    quiet_hours: QuietHoursPolicy = field(default_factory=QuietHoursPolicy)
    frequency_cap: FrequencyCap = field(default_factory=FrequencyCap)
    sender_name: str | None = None


def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class SendService:
    """Sends texts through gate and ledger. Safe to be shared by threads, as far as its ports are.

    Attributes
    ----------
    budget
        Whoever has no more texts for now calls its ``settle``.
    on_sending_disabled
        Called with the service's reason code when the account cannot send at all: the place for a metric and
        an alarm.
    """

    contacts: ContactRepository
    ledger: MessageLedger
    sender: MessageSender
    pause: PauseFlag
    pacer: Pacer
    places: PlaceFinder
    clock: Clock
    policy: SendPolicy
    budget: Budget = field(default_factory=Unlimited)
    on_sending_disabled: Callable[[str], None] | None = None

    def send(
        self, intent: Intent, *, still_true: Callable[[], bool | Guard] = _always, dry_run: bool = False
    ) -> SendOutcome:
        """Send a text unless something speaks against it, at most once in all attempts with its key.

        The order is fixed: wait for the rate, budget, gate, claim, the slot to the instant, one call, record.
        Waiting for the rate comes first, so that an opt-out during it is seen: behind the gate a text waits
        for a moment only, and where it misses its slot there, it gives its claim back and waits in front of
        the gate again. A crash at any point leaves at worst a claim, which is never sent again, and its price
        reserved.

        Parameters
        ----------
        still_true
            Asked each time that the gate is: whether the reason for the text still holds. A ``Guard`` says
            that it does for as long as that row has that version. The text is claimed on this condition, so
            that nothing that was over is ever claimed; where the row has changed, the question is asked anew.
        dry_run
            Decide, and neither write nor send. A pause is not looked at; a text that has to wait, for its
            hour or for the frequency cap, is one that would be sent, with that as its reason.

        Raises
        ------
        TransientError
            Where a port other than the sender does not answer. The attempt may be repeated.
        """
        text = plain(intent.body)
        if dry_run:
            return self._rehearse(intent, text, still_true)
        lane = Lane.PROMOTIONAL if intent.message_class.is_promotional else Lane.TRANSACTIONAL
        parts = text.measured.parts
        slot = self.pacer.acquire(parts, lane)
        with _Reservation(self.budget, intent, parts, self.clock.now()) as reservation:
            throttled = missed = 0
            for attempts_left in reversed(range(_MAX_ATTEMPTS)):
                step = self._claim(intent, text, slot, reservation, still_true)
                if isinstance(step, SendOutcome):
                    if (throttled or missed) and step.state in _NOT_SENT:
                        self._forget(intent)
                    return step
                if step is None:
                    continue
                if not self.pacer.hold(slot) and attempts_left and missed < _MOST_MISSED:
                    missed += 1
                    self.ledger.release(intent.key, Reason.SLOT_MISSED, self.clock.now())
                    slot = self._acquire_again(intent, parts, lane)
                    continue
                try:
                    return self._call(intent, step, reservation)
                except SendThrottledError:
                    throttled += 1
                    reservation.is_spent = False
                    self.ledger.release(intent.key, Reason.THROTTLED, self.clock.now())
                    if attempts_left:
                        self.pacer.back_off(throttled)
                        slot = self._acquire_again(intent, parts, lane)
            reason = Reason.THROTTLED if throttled else Reason.CONTACT_CHANGED
            outcome = self._refuse(intent, Defer(reason), text, self.clock.now())
            if (throttled or missed) and outcome.state in _NOT_SENT:
                self._forget(intent)
            return outcome

    def drop(self, intent: Intent) -> None:
        """Close a text that has to wait, and that nobody will offer again: its reason is gone.

        Nothing is changed where it does not wait. Without this its row would say DEFERRED for good.

        Raises
        ------
        TransientError
            The ledger does not answer. It may be repeated.
        """
        row = self.ledger.get(intent.key)
        if row is not None and row.state is MessageState.DEFERRED:
            self.ledger.suppress(intent, intent.key, Reason.NO_LONGER_TRUE, row.parts, self.clock.now())

    def _acquire_again(self, intent: Intent, parts: int, lane: Lane) -> Slot:
        """Wait for another slot for a text whose claim was given back."""
        try:
            return self.pacer.acquire(parts, lane)
        except TransientError:
            if may_claim(self.ledger.get(intent.key)):
                self._forget(intent)
            raise

    def _claim(
        self,
        intent: Intent,
        text: Text,
        slot: Slot,
        reservation: "_Reservation",
        still_true: Callable[[], bool | Guard],
    ) -> SendOutcome | Text | None:
        """Ask the gate, and claim the text: how it ended, or what to send now.

        None where the contact or the guard has changed in between, so that the gate is to be asked again.
        """
        now = self.clock.now()
        # What counts is when it leaves: a text that passes the gate just before its time is over is too late.
        leaves_at = max(now, slot.at)
        contact = self.contacts.get(intent.subscriber_id)
        is_paused = self.pause.is_paused()
        answer = still_true()
        decision = decide(
            self._facts(
                intent,
                contact,
                text,
                leaves_at,
                still_true=bool(answer),
                is_paused=is_paused,
                over_budget=reservation.objection,
            )
        )
        if not isinstance(decision, Send):
            return self._refuse(intent, decision, text, now)
        text, becomes = self._compose(intent, text, contact, leaves_at)
        claim = self.ledger.claim(
            intent,
            key=intent.key,
            contact=contact,
            becomes=becomes,
            parts=text.measured.parts,
            now=now,
            guard=answer if isinstance(answer, Guard) else None,
        )
        match claim:
            case Claimed():
                return text
            case ContactChanged():
                return None
            case Held(row=row):
                return outcome_of(row, now)

    def _facts(
        self,
        intent: Intent,
        contact: Contact,
        text: Text,
        now: datetime,
        *,
        still_true: bool,
        is_paused: bool,
        over_budget: Reason | None,
    ) -> GateFacts:
        return GateFacts(
            key=intent.key,
            now=now,
            still_true=still_true,
            expires_at=intent.expires_at,
            is_paused=is_paused,
            contact=contact,
            scope=intent.scope,
            message_class=intent.message_class,
            consent_rule=intent.consent_rule,
            answers=intent.answers,
            hours=self._hours(intent),
            frequency_cap=self.policy.frequency_cap,
            country=intent.country,
            allowed_countries=self.policy.allowed_countries,
            over_budget=over_budget,
            measured=text.measured,
            max_parts=self.policy.max_parts,
            caused_at=intent.caused_at,
        )

    def _hours(self, intent: Intent) -> RecipientHours | None:
        if not intent.message_class.is_promotional and intent.caused_at is None:
            return None
        place = self.places.place_of(intent.recipient, intent.country, intent.time_zone)
        return self.policy.quiet_hours.hours_for(place)

    def _compose(
        self, intent: Intent, text: Text, contact: Contact, now: datetime
    ) -> tuple[Text, Contact | None]:
        """Give what is sent, and the contact as it is after that; None where it does not change."""
        changes: dict[str, Any] = {}
        if intent.message_class.is_promotional:
            changes["recent_texts"] = self.policy.frequency_cap.remember(
                contact.recent_texts, intent.key, now
            )
        if intent.message_class is not MessageClass.REPLY and contact.needs_introduction(intent.key):
            with_introduction = introduced(
                text,
                shorter_body=intent.shorter_body,
                sender_name=self.policy.sender_name,
                locale=intent.locale,
            )
            # Who has not been told yet is told with the next text into which it fits.
            if with_introduction is not None:
                text = with_introduction
                changes |= {"introduced_at": now, "introduced_by": intent.key}
        return text, replace(contact, **changes) if changes else None

    def _rehearse(self, intent: Intent, text: Text, still_true: Callable[[], bool | Guard]) -> SendOutcome:
        now = self.clock.now()
        contact = self.contacts.get(intent.subscriber_id)
        facts = self._facts(
            intent, contact, text, now, still_true=bool(still_true()), is_paused=False, over_budget=None
        )
        waits: Defer | None = None
        for objection in objections(facts):
            if isinstance(objection, Suppress):
                return _outcome(intent, OutcomeState.SUPPRESSED, objection.reason, text)
            waits = waits or objection
        row = self.ledger.get(intent.key)
        if not may_claim(row):
            assert row is not None
            return outcome_of(row, now)
        text, _ = self._compose(intent, text, contact, now)
        if waits is None:
            return _outcome(intent, OutcomeState.WOULD_SEND, None, text)
        return _outcome(intent, OutcomeState.WOULD_SEND, waits.reason, text, until=waits.until)

    def _refuse(self, intent: Intent, decision: Suppress | Defer, text: Text, now: datetime) -> SendOutcome:
        """Record what the gate decided, unless the text is out already, or another attempt is at it."""
        key, reason = intent.key, decision.reason
        if isinstance(decision, Suppress):
            held = self.ledger.suppress(intent, key, reason, text.measured.parts, now)
            if held:
                return outcome_of(held.row, now)
            return _outcome(intent, OutcomeState.SUPPRESSED, reason, text)
        held = self.ledger.defer(intent, key, reason, decision.until, now)
        if held:
            return outcome_of(held.row, now)
        return _outcome(intent, OutcomeState.DEFERRED, reason, text, until=decision.until)

    def _call(self, intent: Intent, text: Text, reservation: "_Reservation") -> SendOutcome:
        message = OutboundMessage(
            destination=intent.recipient,
            body=text.body,
            message_class=intent.message_class,
            key=intent.key,
            campaign_id=intent.campaign_id,
            journey_id=intent.journey_id,
        )
        reservation.is_spent = True
        try:
            message_id = self.sender.send(message)
        except OutcomeUnknownError as error:
            # The row stays CLAIMED on purpose: whoever comes next reads it as UNCERTAIN, and an event may
            # still heal it.
            return _outcome(intent, OutcomeState.UNCERTAIN, Reason.OUTCOME_UNKNOWN, text, detail=error.reason)
        except SendRefusedError as error:
            reservation.is_spent = False
            if error.reason in OPTED_OUT_REASONS:
                self._record_carrier_opt_out(intent, error.reason)
            self.ledger.fail(intent.key, error.reason, self.clock.now())
            self._forget(intent)
            return _outcome(intent, OutcomeState.FAILED, error.reason, text)
        except SendingDisabledError as error:
            reservation.is_spent = False
            self.ledger.release(intent.key, Reason.SENDING_DISABLED, self.clock.now())
            self._forget(intent)
            if self.on_sending_disabled is not None:
                self.on_sending_disabled(error.reason)
            return _outcome(intent, OutcomeState.DEFERRED, Reason.SENDING_DISABLED, text, detail=error.reason)
        self.ledger.accept(intent.key, message_id, self.clock.now())
        return _outcome(intent, OutcomeState.ACCEPTED, None, text, message_id=message_id)

    def _forget(self, intent: Intent) -> None:
        # A reply leaves nothing with the contact.
        if intent.message_class is not MessageClass.REPLY:
            self.contacts.forget_text(intent.subscriber_id, intent.key)

    def _record_carrier_opt_out(self, intent: Intent, reason: str) -> None:
        evidence = Evidence(source=Source.CARRIER, words=reason, message_id=intent.key, at=self.clock.now())
        for attempt in range(1, _MAX_ATTEMPTS + 1):
            contact = self.contacts.get(intent.subscriber_id)
            change = opt_out(contact, evidence)
            if change is None:
                return
            change = replace_contact(change, phone_number=intent.recipient)
            try:
                self.contacts.save(change.contact, expected_version=contact.version, records=change.records)
            except ContactChangedError:
                if attempt == _MAX_ATTEMPTS:
                    raise
            else:
                return


class _Reservation:
    """The price of one text, held while nobody knows yet whether it will be sent.

    Attributes
    ----------
    objection
        Why there is none.
    is_spent
        Whether the text went out, or may have: else its price is given back at the end.
    """

    __slots__ = ("_arguments", "_budget", "_is_exempt", "is_spent", "objection")

    def __init__(self, budget: Budget, intent: Intent, parts: int, now: datetime) -> None:
        self._budget = budget
        self._arguments = (intent.campaign_id, parts, now)
        self._is_exempt = not intent.message_class.is_promotional
        self.is_spent = False
        self.objection: Reason | None = None

    def __enter__(self) -> Self:
        self.objection = self._budget.reserve(*self._arguments, is_exempt=self._is_exempt)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # An error ends the attempt, and whoever sends many texts goes on with the next one, even where nobody
        # foresaw it. Anything else ends the process, whose reservations stay.
        goes_on = kind is None or issubclass(kind, Exception)
        if goes_on and self.objection is None and not self.is_spent:
            self._budget.give_back(*self._arguments, is_exempt=self._is_exempt)


def _outcome(
    intent: Intent,
    state: OutcomeState,
    reason: str | None,
    text: Text,
    *,
    message_id: str | None = None,
    detail: str | None = None,
    until: datetime | None = None,
) -> SendOutcome:
    return SendOutcome(
        state=state,
        reason=reason,
        key=intent.key,
        message_id=message_id,
        parts=text.measured.parts,
        detail=detail,
        until=until,
    )


_OUTCOME_OF_HELD: Final = {
    MessageState.CLAIMED: OutcomeState.IN_FLIGHT,
    MessageState.UNCERTAIN: OutcomeState.UNCERTAIN,
    MessageState.ACCEPTED: OutcomeState.ALREADY_SENT,
    MessageState.DELIVERED: OutcomeState.ALREADY_SENT,
    MessageState.FAILED: OutcomeState.FAILED,
    MessageState.EXPIRED: OutcomeState.FAILED,
}


def outcome_of(row: LedgerRow, now: datetime) -> SendOutcome:
    """Say how a text stands that is claimed, or that has been sent or refused."""
    state = row.derived_state(now)
    reason = Reason.OUTCOME_UNKNOWN if state is MessageState.UNCERTAIN else row.reason
    return SendOutcome(
        state=_OUTCOME_OF_HELD[state], reason=reason, key=row.key, message_id=row.message_id, parts=row.parts
    )
