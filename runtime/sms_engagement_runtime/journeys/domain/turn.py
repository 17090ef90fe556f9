"""One person's turn at one moment of a journey: what is due, and the text through the channel's gate.

*Decided once.* What a person gets is decided at the moment of the text, written into the enrolment, and
claimed only while the enrolment and the contact are as the decision saw them. Of two attempts that decide
differently, since somebody answered in between, one is in time and the other decides anew.

*Said before it is sent.* A text that asks to confirm makes the person pending first, so that a YES which
comes within a second is understood.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from sms_engagement_runtime.channel.domain.broadcast.outcomes import PersonOutcome
from sms_engagement_runtime.channel.domain.broadcast.run import Run
from sms_engagement_runtime.channel.domain.consent import (
    ConsentState,
    Contact,
    Evidence,
    Scope,
    Source,
    ask_to_confirm,
    replace_contact,
)
from sms_engagement_runtime.channel.domain.errors import ContactChangedError
from sms_engagement_runtime.channel.domain.failed_texts import LASTING_REASONS
from sms_engagement_runtime.channel.domain.gate import ConsentRule
from sms_engagement_runtime.channel.domain.ledger import (
    Guard,
    Intent,
    LedgerRow,
    MessageState,
    intent_key,
    may_claim,
)
from sms_engagement_runtime.channel.domain.named_texts import NamedTexts
from sms_engagement_runtime.channel.domain.outcome_state import OutcomeState
from sms_engagement_runtime.channel.domain.person_names import first_name
from sms_engagement_runtime.channel.domain.phone_number import ParsedNumber
from sms_engagement_runtime.channel.domain.ports import EventBus, PhoneNumberParser, PromptRepository
from sms_engagement_runtime.channel.domain.prompts import ANY_ORIGINATION, Prompt
from sms_engagement_runtime.channel.domain.reasons import Reason
from sms_engagement_runtime.channel.domain.sending import SendOutcome, SendService, outcome_of
from sms_engagement_runtime.journeys.domain.audience import is_in_audience
from sms_engagement_runtime.journeys.domain.bus_events import (
    CONFIRMATION_ASKED,
    CONSTRUCT,
    SCHEMA_VERSION,
)
from sms_engagement_runtime.journeys.domain.conditions import Facts, SubscriberState
from sms_engagement_runtime.journeys.domain.description import Send
from sms_engagement_runtime.journeys.domain.enrolment import (
    KEPT_FOR,
    Enrolment,
    EnrolmentChangedError,
    Sent,
)
from sms_engagement_runtime.journeys.domain.ports import EnrolmentRepository
from sms_engagement_runtime.journeys.domain.preferred_time import next_preferred
from sms_engagement_runtime.journeys.domain.program import Verdict, decide
from sms_engagement_runtime.journeys.domain.reasons import JourneyReason
from sms_engagement_runtime.journeys.domain.replies import LISTENS_FOR, listening_purpose
from sms_engagement_runtime.journeys.domain.runs import StepRun
from sms_engagement_runtime.journeys.domain.subscribers import Subscriber, screen

_MAX_ATTEMPTS: Final = 5
_LOOKS_AGAIN_AFTER: Final = timedelta(minutes=5)

_SENT: Final = frozenset({OutcomeState.ACCEPTED, OutcomeState.UNCERTAIN, OutcomeState.ALREADY_SENT})


@dataclass(frozen=True, slots=True, kw_only=True)
class JourneySender:
    """Takes people's turns. Safe to be shared by threads, as far as its ports are.

    Attributes
    ----------
    subscriber_key
        Returns the key of subscriber ids.
    requires_recorded_consent
        Whether only the channel's contact proves consent. Otherwise, of people about whom the contact says
        nothing, an opt-in in the subscriber's row does.
    """

    send_service: SendService
    enrolments: EnrolmentRepository
    prompts: PromptRepository
    bus: EventBus
    parser: PhoneNumberParser
    subscriber_key: Callable[[], bytes]
    requires_recorded_consent: bool = False

    def take_turn(
        self, person: Subscriber, run: Run, step: StepRun, *, previous_is_over: Callable[[], bool]
    ) -> PersonOutcome:
        """Give one person what is due at a moment; repeated, it texts nobody twice.

        Raises
        ------
        TransientError
            A service did not answer, or others kept writing the person's rows. To be repeated.
        """
        for _ in range(_MAX_ATTEMPTS):
            # Before the row is read: once the step before is over, it writes no more.
            is_over = previous_is_over()
            enrolment = self.enrolments.get(step.run_id, person.subscriber_id, journey=step.journey.name)
            turn = _Turn(self, person, run, step, enrolment)
            try:
                outcome = turn.take(previous_is_over=is_over)
            except EnrolmentChangedError:
                continue
            if outcome is not None:
                return outcome
        raise EnrolmentChangedError


@dataclass(frozen=True, slots=True)
class _Turn:
    """One attempt; ``None`` as its outcome means that things changed meanwhile."""

    sender: JourneySender
    person: Subscriber
    run: Run
    step: StepRun
    enrolment: Enrolment

    @property
    def _now(self) -> datetime:
        return self.sender.send_service.clock.now()

    def take(self, *, previous_is_over: bool) -> PersonOutcome | None:
        enrolment, number = self.enrolment, self.step.number
        if enrolment.settled >= number:
            return self._tell()
        if enrolment.attempt is not None:
            row = self._row(enrolment.attempt)
            if row is not None and not may_claim(row):
                return self._take_in(enrolment.attempt, outcome_of(row, self._now))
        if enrolment.ended is not None:
            return self._settle(enrolment.ended)
        if enrolment.settled < number - 1:
            if previous_is_over:
                return self._settle(JourneyReason.STEP_MISSED, ends=True)
            return self._wait(JourneyReason.EARLIER_STEP, self._now + _LOOKS_AGAIN_AFTER)
        due = self._due
        if self._now < due and not self.run.is_dry:
            return self._wait(JourneyReason.NOT_DUE, due)
        return self._decide(due)

    @property
    def _due(self) -> datetime:
        """When the person's text of this moment is due: counted from their own text before."""
        step, last = self.step, self.enrolment.last_sent
        if last is None:
            return step.started_at + step.at
        number, sent = last
        return sent.at + (step.at - step.offsets[number - 1])

    def _decide(self, due: datetime) -> PersonOutcome | None:
        parsed = screen(self.person, self.sender.parser, self.sender.subscriber_key())
        if not isinstance(parsed, ParsedNumber):
            return self._settle(parsed, ends=True)
        contact = self._contact()
        if reason := self._objection(contact):
            return self._settle(reason, ends=True)
        verdict = self._verdict(contact)
        if verdict.send is None:
            reason = verdict.leaves or JourneyReason.NOTHING_DUE
            return self._settle(reason, ends=verdict.leaves is not None, verdict=verdict)
        if verdict.send.asks_to_confirm and self._is_confirmed(contact):
            return self._settle(JourneyReason.ALREADY_CONFIRMED, ends=True, verdict=verdict)
        if until := self._preferred(verdict.send, parsed, due):
            return self._wait(JourneyReason.PREFERRED_TIME, until)
        return self._send(verdict.send, verdict, parsed, contact)

    def _objection(self, contact: Contact) -> str | None:
        """Say why the person is not to be texted whatever the journey says."""
        if contact.is_opted_out_of(Scope.MARKETING):
            return Reason.OPTED_OUT
        if self.person.state is SubscriberState.OPTED_OUT and not self._is_back(contact):
            return Reason.OPTED_OUT
        # Consent says nothing of a number that is none.
        if self.person.state is SubscriberState.BOUNCED:
            return JourneyReason.NOT_DELIVERED
        if self.step.number == 1 and not self._is_in_audience(contact):
            return JourneyReason.NOT_IN_AUDIENCE
        last = self.enrolment.last_sent
        if last is not None:
            row = self._row(last[1].name)
            # Whose phone was off may have it on again.
            if row is not None and row.state is MessageState.FAILED and row.reason in LASTING_REASONS:
                return JourneyReason.NOT_DELIVERED
        return None

    def _is_back(self, contact: Contact) -> bool:
        """Whether the person wrote START after an opt-out that only the row may know.

        A consent from before it says nothing, and a YES ends no opt-out.
        """
        out, back = self.person.opted_out_at, contact.resubscribed_at
        return out is not None and back is not None and back > out

    def _is_in_audience(self, contact: Contact) -> bool:
        person, attempt = self.person, self.enrolment.attempt
        if is_in_audience(person, self.step):
            return True
        # Whom this very text made pending, and who has not got it yet, stays whom it is for.
        has_asked = attempt is not None and contact.changed_by == self._key(attempt)
        if not has_asked or person.state is not SubscriberState.PENDING:
            return False
        return any(
            is_in_audience(replace(person, state=one), self.step) for one in self.step.journey.audience
        )

    def _verdict(self, contact: Contact) -> Verdict:
        facts = Facts(
            is_confirmed=self._is_confirmed(contact),
            replies=self.enrolment.replies,
            state=self.person.state,
            attributes=self.person.attributes,
        )
        return decide(self.step.journey.steps, at=self.step.at, facts=facts, decided=self.enrolment.decided)

    def _is_confirmed(self, contact: Contact) -> bool:
        state = contact.consents.get(Scope.MARKETING)
        return state is ConsentState.ACTIVE or (state is None and self._counts_on_record)

    @property
    def _counts_on_record(self) -> bool:
        return self.person.is_on_record and not self.sender.requires_recorded_consent

    def _preferred(self, send: Send, parsed: ParsedNumber, due: datetime) -> datetime | None:
        if not send.at_preferred_time or self.run.is_dry:
            return None
        service = self.sender.send_service
        place = service.places.place_of(parsed.number, parsed.country, self._zone)
        at = next_preferred(
            self.person.attributes.get("preferred_time"),
            due=due,
            zone=place.zones[0] if place.zones else None,
            hours=service.policy.quiet_hours.hours_for(place),
        )
        return at if at is not None and at > self._now else None

    @property
    def _zone(self) -> str | None:
        return self.person.attributes.get("time_zone")

    def _send(
        self, send: Send, verdict: Verdict, parsed: ParsedNumber, contact: Contact
    ) -> PersonOutcome | None:
        intent, service = self._intent(send, parsed, contact), self.sender.send_service
        if self.run.is_dry:
            return self._outcome(service.send(intent, dry_run=True))
        current = self.enrolment
        if (current.attempt, current.attempt_decided) != (send.name, verdict.decided):
            if current.attempt != send.name:
                self._drop_attempt()
            current = self.sender.enrolments.save(
                self._kept(
                    replace(current, attempt=send.name, attempt_decided=verdict.decided, updated_at=self._now)
                )
            )
        turn = replace(self, enrolment=current)
        if send.asks_to_confirm:
            turn._ask_to_confirm(intent, send)
        outcome = service.send(intent, still_true=lambda: turn._still(send))
        return turn._take_in(send.name, outcome)

    def _still(self, send: Send) -> Guard | bool:
        """Say whether the decision stands, as long as the enrolment is as it was."""
        repository, known = self.sender.enrolments, self.enrolment
        fresh = repository.get(known.run_id, known.subscriber_id, journey=known.journey)
        if fresh.version != known.version or self._verdict(self._contact()).send != send:
            return False
        return repository.guard(fresh)

    def _ask_to_confirm(self, intent: Intent, send: Send) -> None:
        """Make the person pending and tell the bus, where nothing speaks against the text now."""
        service = self.sender.send_service
        rehearsed = service.send(intent, dry_run=True)
        has_to_wait = rehearsed.reason is not None or service.pause.is_paused()
        if rehearsed.state is not OutcomeState.WOULD_SEND or has_to_wait:
            return
        now = self._now
        evidence = Evidence(
            source=Source.CONFIRMATION_REQUEST,
            words=f"{self.step.journey.name}/{send.name}",
            message_id=intent.key,
            at=now,
        )
        change = ask_to_confirm(contact := self._contact(), evidence)
        if change is not None:
            change = replace_contact(change, phone_number=intent.recipient)
            try:
                service.contacts.save(
                    change.contact, expected_version=contact.version, records=change.records
                )
            except ContactChangedError as error:
                raise EnrolmentChangedError from error
        elif contact.changed_by != intent.key:
            return
        self.sender.bus.publish(
            CONFIRMATION_ASKED,
            {
                "subscriberId": intent.subscriber_id,
                "journeyId": self.step.journey.name,
                "at": round(now.timestamp() * 1000),
                "schemaVersion": SCHEMA_VERSION,
            },
        )

    def _intent(self, send: Send, parsed: ParsedNumber, contact: Contact) -> Intent:
        step, attributes = self.step, self.person.attributes
        text = NamedTexts(send.texts, others=tuple(step.values)).render(
            locale=attributes.get("language"),
            first_name=first_name(attributes.get("name")),
            **step.values,
        )
        return Intent(
            construct=CONSTRUCT,
            purpose=_purpose(step, send.name),
            occasion=step.occasion,
            scope=Scope.MARKETING,
            message_class=send.message_class,
            consent_rule=self._consent_rule(send, contact),
            recipient=parsed.number,
            subscriber_id=self.person.subscriber_id,
            country=parsed.country,
            body=text.body,
            shorter_body=text.without_name,
            locale=text.locale,
            time_zone=self._zone,
            campaign_id=self.run.run_id,
            journey_id=step.journey.name,
        )

    def _consent_rule(self, send: Send, contact: Contact) -> ConsentRule:
        if send.asks_to_confirm:
            return ConsentRule.ASKING
        if not send.message_class.is_promotional:
            return ConsentRule.IMPLIED
        is_silent = Scope.MARKETING not in contact.consents
        return ConsentRule.IMPLIED if is_silent and self._counts_on_record else ConsentRule.RECORDED

    def _take_in(self, name: str, outcome: SendOutcome) -> PersonOutcome | None:
        """Write down what an attempt at a text came to; None where it has to be decided anew."""
        if outcome.reason == Reason.NO_LONGER_TRUE:
            return None
        person = self._outcome(outcome)
        if outcome.state in _SENT:
            row = self._row(name)
            if row is None:
                raise EnrolmentChangedError
            if not self._is_ours(row):
                return self._settle(JourneyReason.ALREADY_TEXTED, ends=True, told=person)
            sent = Sent(name=name, at=row.claimed_at)
            self._listen(name, row)
            told = person
            if outcome.state is OutcomeState.ALREADY_SENT and row.campaign_id == self.run.run_id:
                # By an attempt of this very run that was cut off.
                told = replace(
                    person,
                    state=OutcomeState.ACCEPTED,
                    reason=None,
                    message_id=row.message_id,
                    parts=row.parts,
                )
            ended = JourneyReason.COMPLETED if self.step.is_last else None
            self._save(lambda row: row.settle(self.step.number, now=self._now, sent=sent, ended=ended))
            return told
        if outcome.state is OutcomeState.FAILED:
            return self._settle(JourneyReason.TEXT_FAILED, ends=True, told=person)
        if outcome.state is OutcomeState.SUPPRESSED:
            return self._settle(outcome.reason or JourneyReason.EXITED, ends=True, told=person)
        return person

    def _is_ours(self, row: LedgerRow) -> bool:
        """Whether a text that is out belongs to this person's way in this run."""
        is_by_this_run = row.campaign_id == self.run.run_id
        return is_by_this_run or (not self.step.journey.once and self.step.occasion == self.step.run_id)

    def _listen(self, name: str, row: LedgerRow) -> None:
        """Have what the person writes next come to us, a YES that confirms apart."""
        self.sender.prompts.open(
            Prompt(
                subscriber_id=self.person.subscriber_id,
                origination=ANY_ORIGINATION,
                construct=CONSTRUCT,
                purpose=listening_purpose(self.step.journey.name, name, self.step.run_id),
                occasion=self.step.occasion,
                message_id=row.message_id,
                asked_at=row.claimed_at,
                expires_at=row.claimed_at + LISTENS_FOR,
                asks=False,
            )
        )

    def _tell(self) -> PersonOutcome:
        """Tell what an earlier attempt of this moment came to."""
        sent = self.enrolment.sent.get(self.step.number)
        row = None if sent is None else self._row(sent.name)
        if row is None:
            return self._suppressed(self.enrolment.ended or JourneyReason.NOTHING_DUE)
        outcome = outcome_of(row, self._now)
        if outcome.state is OutcomeState.ALREADY_SENT and row.campaign_id == self.run.run_id:
            outcome = replace(outcome, state=OutcomeState.ACCEPTED, reason=None)
        return self._outcome(outcome)

    def _settle(
        self,
        reason: str,
        *,
        ends: bool = False,
        verdict: Verdict | None = None,
        told: PersonOutcome | None = None,
    ) -> PersonOutcome:
        """End the person's turn without a text, and where it ends for good, their way."""
        if not self.run.is_dry:
            self._drop_attempt()
            decided = None if verdict is None else verdict.decided
            ended = str(reason) if ends else None
            self._save(lambda row: row.settle(self.step.number, now=self._now, decided=decided, ended=ended))
        return told or self._suppressed(reason)

    def _drop_attempt(self) -> None:
        """Close the text that waited for its hour: it is another one now, or none."""
        name = self.enrolment.attempt
        row = None if name is None else self._row(name)
        if row is None or row.state is not MessageState.DEFERRED:
            return
        parsed = screen(self.person, self.sender.parser, self.sender.subscriber_key())
        if isinstance(parsed, ParsedNumber):
            send = next(one for one in self.step.journey.sends if one.name == name)
            self.sender.send_service.drop(self._intent(send, parsed, self._contact()))

    def _save(self, change: Callable[[Enrolment], Enrolment]) -> None:
        """Write the row, over what a reply wrote into it meanwhile."""
        repository, row = self.sender.enrolments, self.enrolment
        for attempt in range(1, _MAX_ATTEMPTS + 1):
            try:
                repository.save(self._kept(change(row)))
            except EnrolmentChangedError:
                if attempt == _MAX_ATTEMPTS:
                    raise
                row = repository.get(row.run_id, row.subscriber_id, journey=row.journey)
            else:
                return

    def _kept(self, row: Enrolment) -> Enrolment:
        """Return the row with how long it is needed: to the end of the journey, and some time after it."""
        left = self.step.offsets[-1] - self.step.at
        return replace(row, kept_until=self._now + left + KEPT_FOR)

    def _row(self, name: str) -> LedgerRow | None:
        return self.sender.send_service.ledger.get(self._key(name))

    def _key(self, name: str) -> str:
        return intent_key(CONSTRUCT, self.person.subscriber_id, _purpose(self.step, name), self.step.occasion)

    def _contact(self) -> Contact:
        return self.sender.send_service.contacts.get(self.person.subscriber_id)

    def _wait(self, reason: JourneyReason, until: datetime) -> PersonOutcome:
        return PersonOutcome(
            user_id=self.person.subscriber_id,
            state=OutcomeState.DEFERRED,
            reason=reason,
            until=until,
        )

    def _suppressed(self, reason: str) -> PersonOutcome:
        return PersonOutcome(user_id=self.person.subscriber_id, state=OutcomeState.SUPPRESSED, reason=reason)

    def _outcome(self, outcome: SendOutcome) -> PersonOutcome:
        states = (OutcomeState.ACCEPTED, OutcomeState.UNCERTAIN, OutcomeState.WOULD_SEND)
        already = outcome.state is OutcomeState.ALREADY_SENT
        return PersonOutcome(
            user_id=self.person.subscriber_id,
            state=outcome.state,
            reason=JourneyReason.ALREADY_TEXTED if already else outcome.reason,
            message_id=outcome.message_id if outcome.state is OutcomeState.ACCEPTED else None,
            parts=outcome.parts if outcome.state in states else 0,
            until=outcome.until,
        )


def _purpose(step: StepRun, name: str) -> str:
    return f"{step.journey.name}/{name}"
