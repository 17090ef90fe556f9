"""Send one text: the only way by which a text leaves the system."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sms_engagement_runtime.channel.domain.consent import Contact, Evidence, Source, opt_out, replace_contact
from sms_engagement_runtime.channel.domain.encoding import Measured, measure, normalise
from sms_engagement_runtime.channel.domain.errors import (
    ContactChangedError,
    OutcomeUnknownError,
    SendingDisabledError,
    SendRefusedError,
    SendThrottledError,
)
from sms_engagement_runtime.channel.domain.gate import (
    Decision,
    Defer,
    GateFacts,
    MessageClass,
    Send,
    Suppress,
    decide,
)
from sms_engagement_runtime.channel.domain.ledger import (
    Claimed,
    ContactChanged,
    Held,
    Intent,
    LedgerRow,
    MessageState,
)
from sms_engagement_runtime.channel.domain.outcome_state import OutcomeState
from sms_engagement_runtime.channel.domain.pacing import Lane
from sms_engagement_runtime.channel.domain.ports import (
    Clock,
    ContactRepository,
    MessageLedger,
    MessageSender,
    OutboundMessage,
    Pacer,
    PauseFlag,
)
from sms_engagement_runtime.channel.domain.reasons import Reason

OPTED_OUT_REASONS: Final = frozenset({"DESTINATION_PHONE_NUMBER_OPTED_OUT", "OPTED_OUT"})
"""Reason codes of a number that is on an opt-out list (``ConflictExceptionReason`` of the API)."""

_MAX_ATTEMPTS: Final = 5
"""How often one text is offered to a carrier that throttles, or claimed on a contact that keeps changing."""

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
    """

    allowed_countries: frozenset[str]
    max_parts: int = 1


def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class SendService:
    """Sends texts through gate and ledger. Safe to be shared by threads, as far as its ports are.

    Attributes
    ----------
    on_sending_disabled
        Called with the service's reason code when the account cannot send at all: the place for a metric and
        an alarm.
    """

    contacts: ContactRepository
    ledger: MessageLedger
    sender: MessageSender
    pause: PauseFlag
    pacer: Pacer
    clock: Clock
    policy: SendPolicy
    on_sending_disabled: Callable[[str], None] | None = None

    def send(
        self, intent: Intent, *, still_true: Callable[[], bool] = _always, dry_run: bool = False
    ) -> SendOutcome:
        """Send a text unless something speaks against it, at most once in all attempts with its key.

        The order is fixed: rate slot, gate, claim, one call, record. The rate slot comes first, so that an
        opt-out during the wait is seen. A crash at any point leaves at worst a claim, which is never sent
        again.

        Parameters
        ----------
        still_true
            Asked each time that the gate is: whether the reason for the text still holds.
        dry_run
            Decide, and neither write nor send.

        Raises
        ------
        TransientError
            Where a port other than the sender does not answer. The attempt may be repeated.
        """
        body = normalise(intent.body)
        measured = measure(body if not body.isspace() else "")
        if dry_run:
            return self._rehearse(intent, measured, still_true)
        throttled = 0
        lane = Lane.PROMOTIONAL if intent.message_class is MessageClass.PROMOTIONAL else Lane.TRANSACTIONAL
        self.pacer.acquire(measured.parts, lane)
        for _ in range(_MAX_ATTEMPTS):
            now = self.clock.now()
            contact = self.contacts.get(intent.subscriber_id)
            decision = self._decide(intent, contact, measured, now, still_true)
            if not isinstance(decision, Send):
                return self._refuse(intent, decision, measured, now)
            claim = self.ledger.claim(intent, key=intent.key, contact=contact, parts=measured.parts, now=now)
            match claim:
                case Held(row=row):
                    return _held(row, now)
                case ContactChanged():
                    continue
                case Claimed():
                    pass
            try:
                return self._call(intent, body, measured)
            except SendThrottledError:
                throttled += 1
                self.ledger.release(intent.key, Reason.THROTTLED, self.clock.now())
                if throttled + 1 <= _MAX_ATTEMPTS:
                    self.pacer.back_off(throttled)
                    self.pacer.acquire(measured.parts, lane)
        reason = Reason.THROTTLED if throttled else Reason.CONTACT_CHANGED
        self.ledger.defer(intent, intent.key, reason, None, self.clock.now())
        return _outcome(intent, OutcomeState.DEFERRED, reason, measured)

    def _decide(
        self,
        intent: Intent,
        contact: Contact,
        measured: Measured,
        now: datetime,
        still_true: Callable[[], bool],
    ) -> Decision:
        return decide(
            GateFacts(
                now=now,
                still_true=still_true(),
                expires_at=intent.expires_at,
                is_paused=self.pause.is_paused(),
                contact=contact,
                scope=intent.scope,
                message_class=intent.message_class,
                consent_rule=intent.consent_rule,
                answers=intent.answers,
                country=intent.country,
                allowed_countries=self.policy.allowed_countries,
                measured=measured,
                max_parts=self.policy.max_parts,
            )
        )

    def _rehearse(self, intent: Intent, measured: Measured, still_true: Callable[[], bool]) -> SendOutcome:
        now = self.clock.now()
        decision = self._decide(intent, self.contacts.get(intent.subscriber_id), measured, now, still_true)
        match decision:
            case Suppress(reason=reason):
                return _outcome(intent, OutcomeState.SUPPRESSED, reason, measured)
            case Defer(reason=reason):
                return _outcome(intent, OutcomeState.DEFERRED, reason, measured)
            case Send():
                row = self.ledger.get(intent.key)
                if row is None or row.state in (MessageState.SUPPRESSED, MessageState.DEFERRED):
                    return _outcome(intent, OutcomeState.WOULD_SEND, None, measured)
                return _held(row, now)

    def _refuse(
        self, intent: Intent, decision: Suppress | Defer, measured: Measured, now: datetime
    ) -> SendOutcome:
        if isinstance(decision, Suppress):
            self.ledger.suppress(intent, intent.key, decision.reason, measured.parts, now)
            return _outcome(intent, OutcomeState.SUPPRESSED, decision.reason, measured)
        self.ledger.defer(intent, intent.key, decision.reason, decision.until, now)
        return _outcome(intent, OutcomeState.DEFERRED, decision.reason, measured, until=decision.until)

    def _call(self, intent: Intent, body: str, measured: Measured) -> SendOutcome:
        message = OutboundMessage(
            destination=intent.recipient,
            body=body,
            message_class=intent.message_class,
            key=intent.key,
            campaign_id=intent.campaign_id,
            journey_id=intent.journey_id,
        )
        try:
            message_id = self.sender.send(message)
        except OutcomeUnknownError as error:
            # The row stays CLAIMED on purpose: whoever comes next reads it as UNCERTAIN, and an event may
            # still heal it.
            return _outcome(
                intent, OutcomeState.UNCERTAIN, Reason.OUTCOME_UNKNOWN, measured, detail=error.reason
            )
        except SendRefusedError as error:
            if error.reason in OPTED_OUT_REASONS:
                self._record_carrier_opt_out(intent, error.reason)
            self.ledger.fail(intent.key, error.reason, self.clock.now())
            return _outcome(intent, OutcomeState.FAILED, error.reason, measured)
        except SendingDisabledError as error:
            self.ledger.release(intent.key, Reason.SENDING_DISABLED, self.clock.now())
            if self.on_sending_disabled is not None:
                self.on_sending_disabled(error.reason)
            return _outcome(
                intent, OutcomeState.DEFERRED, Reason.SENDING_DISABLED, measured, detail=error.reason
            )
        self.ledger.accept(intent.key, message_id, self.clock.now())
        return _outcome(intent, OutcomeState.ACCEPTED, None, measured, message_id=message_id)

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


def _outcome(
    intent: Intent,
    state: OutcomeState,
    reason: str | None,
    measured: Measured,
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
        parts=measured.parts,
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


def _held(row: LedgerRow, now: datetime) -> SendOutcome:
    state = row.derived_state(now)
    reason = Reason.OUTCOME_UNKNOWN if state is MessageState.UNCERTAIN else row.reason
    return SendOutcome(
        state=_OUTCOME_OF_HELD[state], reason=reason, key=row.key, message_id=row.message_id, parts=row.parts
    )
