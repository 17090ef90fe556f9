"""The steps of an appointment's state machine: confirm, follow up, remind, finish; and telling of its end.

Each step reads the row, sends what it calls for through the channel's gate and ledger, records it, and says
what comes next. All of it may be repeated: the ledger knows what went out, prompts and events have ids, and
rows converge. A step is the only thing that sends, so whatever the row says when a text is claimed is what
counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Final

from sms_engagement_runtime.appointment_follow_up.domain import bus_events
from sms_engagement_runtime.appointment_follow_up.domain import conversation as rules
from sms_engagement_runtime.appointment_follow_up.domain.bookings import Booking, Party, appointment_id
from sms_engagement_runtime.appointment_follow_up.domain.changing import change
from sms_engagement_runtime.appointment_follow_up.domain.conversation import (
    TOLD_BY,
    Conversation,
    Event,
    Recipient,
    Status,
)
from sms_engagement_runtime.appointment_follow_up.domain.offers import (
    LONGEST_LOOK,
    MOST_MOVES,
    SENT,
    offer,
    waits_until,
)
from sms_engagement_runtime.appointment_follow_up.domain.policy import FollowUpPolicy
from sms_engagement_runtime.appointment_follow_up.domain.ports import ConversationRepository
from sms_engagement_runtime.appointment_follow_up.domain.purposes import CONSTRUCT, Purpose
from sms_engagement_runtime.appointment_follow_up.domain.reply_kinds import ReplyKind
from sms_engagement_runtime.appointment_follow_up.domain.speaking import Speaker
from sms_engagement_runtime.channel.domain.consent import Scope
from sms_engagement_runtime.channel.domain.gate import ConsentRule, MessageClass
from sms_engagement_runtime.channel.domain.ledger import (
    Guard,
    Intent,
    LedgerRow,
    MessageState,
    intent_key,
    may_claim,
)
from sms_engagement_runtime.channel.domain.ports import Clock, EventBus, PromptRepository
from sms_engagement_runtime.channel.domain.prompts import ANY_ORIGINATION, Prompt
from sms_engagement_runtime.channel.domain.reasons import Reason
from sms_engagement_runtime.channel.domain.sending import (
    OPTED_OUT_REASONS,
    SendOutcome,
    SendService,
    outcome_of,
)

_MAX_ATTEMPTS: Final = 3
"""How often one text is composed anew because the provider told of another time meanwhile."""

_LONG_AGO: Final = timedelta(days=1)
"""More than a text may follow by at any hour (``gate.PROMPT``)."""

_EARLY: Final = timedelta(seconds=60)
"""How much too early a step may be called. More than that, and it was moved under the same id."""

_ASKING: Final = frozenset({Purpose.CONFIRMATION, Purpose.MOVED, Purpose.FOLLOW_UP, Purpose.REMINDER})
"""Texts that ask for an answer."""

_ANSWERED_FOR: Final = timedelta(days=3)
"""How long words about a cancellation or a no-show go to the host: these texts ask whether there are any."""

_UNKNOWN: Final = "UNKNOWN"
"""Reason of a text of which the carrier never said whether it was delivered (event ``TEXT_UNKNOWN``)."""


class Next(StrEnum):
    """What the state machine does after a step."""

    ANSWER = "ANSWER"
    """Wait for an answer, then follow up."""
    AGAIN = "AGAIN"
    """Wait until an instant, then do the same step again."""
    REMINDER = "REMINDER"
    """Wait until an instant, then remind."""
    END = "END"
    """Wait until an instant after the end, then finish."""
    OVER = "OVER"
    """Nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """How a step ended.

    Attributes
    ----------
    until
        For AGAIN, REMINDER and END.
    lead
        For REMINDER, and for the AGAIN of one: how long before the start it is.
    state, reason
        Of the text, for logs: an outcome, or None where there was nothing to send.
    """

    next: Next
    until: datetime | None = None
    lead: timedelta | None = None
    state: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUpService:
    """Carries out the steps.

    Attributes
    ----------
    bus
        Told what happens to appointments.
    channel_bus
        Where ReviewCollector listens; mostly the same.
    """

    conversations: ConversationRepository
    send_service: SendService
    prompts: PromptRepository
    bus: EventBus
    channel_bus: EventBus
    speaker: Speaker
    clock: Clock
    policy: FollowUpPolicy

    def confirm(self, appointment_id: str) -> Step:
        """Tell the invitee of the appointment, and the bus."""
        conversation = self._read(appointment_id)
        booking, purpose = _booking(conversation), conversation.first_purpose()
        self._drop_replaced(conversation)
        if self._tells_bus(conversation, purpose):
            self._publish(bus_events.BOOKED, conversation, booking.booked_at)
            if booking.replaces is not None:
                self._publish_moved(conversation, booking)
        outcome = self._send(conversation, purpose, expires_at=booking.starts_at)
        if outcome is None:
            return self._untold(appointment_id, booking)
        if (again := self._again(conversation, outcome)) is not None:
            return again
        if outcome.state in SENT:
            conversation = self._change(
                conversation, lambda one: rules.tell(one, Event.CONFIRMATION_SENT, self.clock.now())
            )
            self._publish(bus_events.CONFIRMATION_SENT, conversation, conversation.told_at)
        else:
            conversation = self._record_refusal(conversation, outcome)
        return self._after(conversation, outcome, Next.ANSWER)

    def _untold(self, appointment_id: str, booking: Booking) -> Step:
        """Say what comes after no text: a no-show before the start is a mistake, and may be taken back."""
        now = self.clock.now()
        if self._read(appointment_id).status is not Status.NO_SHOW or now >= booking.starts_at:
            return Step(next=Next.OVER)
        return Step(next=Next.AGAIN, until=min(now + LONGEST_LOOK, booking.starts_at))

    def follow_up(self, appointment_id: str) -> Step:
        """Ask once more, unless the invitee answered or it is too late for an answer."""
        conversation = self._read(appointment_id)
        # Once more: a step of the old time may have been at it when the first text was sent.
        self._drop_replaced(conversation)
        expires_at = _booking(conversation).starts_at - self.policy.near_start
        outcome = None
        if self.clock.now() < expires_at:
            outcome = self._send(conversation, Purpose.FOLLOW_UP, expires_at=expires_at)
        else:
            self._drop(conversation, Purpose.FOLLOW_UP)
        if outcome is not None:
            if (again := self._again(conversation, outcome)) is not None:
                return again
            if outcome.state in SENT:
                conversation = self._change(
                    conversation, lambda one: rules.tell(one, Event.FOLLOW_UP_SENT, self.clock.now())
                )
                self._publish(bus_events.FOLLOW_UP_SENT, conversation, conversation.followed_up_at)
            else:
                conversation = self._record_refusal(conversation, outcome)
        return self._after(conversation, outcome)

    def remind(self, appointment_id: str, lead: timedelta) -> Step:
        """Remind of the appointment so long before it."""
        conversation = self._read(appointment_id)
        starts_at = _booking(conversation).starts_at
        due_at = starts_at - lead
        if due_at > self.clock.now() + _EARLY:
            return Step(next=Next.REMINDER, until=due_at, lead=lead)
        outcome = self._send(conversation, Purpose.REMINDER, lead=lead, expires_at=starts_at)
        if outcome is not None:
            if (again := self._again(conversation, outcome)) is not None:
                return replace(again, lead=lead)
            if outcome.state not in SENT:
                conversation = self._record_refusal(conversation, outcome)
        return self._after(conversation, outcome)

    def finish(self, appointment_id: str) -> Step:
        """Tell the bus that it took place, and ask ReviewCollector to ask for a review."""
        conversation = self._read(appointment_id)
        ends_at = self._end(conversation)
        if ends_at > self.clock.now() + _EARLY:
            return Step(next=Next.END, until=ends_at)
        if conversation.may_send(Purpose.FEEDBACK):
            booking = _booking(conversation)
            self._publish(bus_events.FINISHED, conversation, booking.ends_at)
            if self.policy.feedback_delay is not None:
                self.channel_bus.publish(
                    bus_events.REVIEW_REQUESTED, self.speaker.review_request(conversation, booking)
                )
        return Step(next=Next.OVER)

    def notify(self, appointment_id: str, purpose: Purpose) -> Step:
        """Tell of a cancellation or a no-show: the bus, and the invitee where they were told of it before."""
        conversation = self._read(appointment_id)
        booking = _booking(conversation)
        if purpose is Purpose.CANCELLED:
            if conversation.status is not Status.CANCELED:
                return Step(next=Next.OVER)
            self._drop_all(conversation)
            self._drop_replaced(conversation)
            occurred_at = conversation.cancelled_at or conversation.updated_at
            by = conversation.cancelled_by
            if self._tells_bus(conversation, purpose):
                self._publish(bus_events.CANCELLED, conversation, occurred_at, by=by and by.value)
            # What a host does gives nobody a text at night; what the invitee does, at once.
            caused_at = min(occurred_at, conversation.updated_at) if by is Party.INVITEE else None
            expires_at = booking.starts_at
        else:
            if conversation.status is not Status.NO_SHOW or conversation.no_show_at is None:
                return Step(next=Next.OVER)
            occurred_at = conversation.no_show_at
            if self._tells_bus(conversation, purpose):
                occasion = str(round(occurred_at.timestamp()))
                self._publish(bus_events.NO_SHOW, conversation, occurred_at, occasion=occasion)
            caused_at = None
            expires_at = occurred_at + self.policy.no_show_useful_for
        if not self._was_told(conversation) or self.clock.now() >= expires_at:
            self._drop(conversation, purpose)
            return Step(next=Next.OVER)
        outcome = self._send(conversation, purpose, expires_at=expires_at, caused_at=caused_at)
        if outcome is None:
            return Step(next=Next.OVER)
        return self._again(conversation, outcome) or _ended(outcome)

    def _read(self, appointment_id: str) -> Conversation:
        conversation = self.conversations.get(appointment_id)
        if conversation is None or conversation.booking is None:
            # The row is written before the machine starts, and kept longer than it runs.
            raise MissingConversationError(appointment_id)
        return conversation

    def _send(
        self,
        conversation: Conversation,
        purpose: Purpose,
        *,
        expires_at: datetime,
        caused_at: datetime | None = None,
        lead: timedelta | None = None,
    ) -> SendOutcome | None:
        """Send a text while the row allows it; None where it does not, and nothing went out before."""
        name = _name(purpose, lead)
        outcome = None
        for _ in range(_MAX_ATTEMPTS):
            recipient, booking = conversation.recipient, _booking(conversation)
            if recipient is None:
                return None
            if not conversation.may_send(purpose):
                self._drop(conversation, purpose, lead)
                row = self._row(conversation, name)
                outcome = None if row is None else outcome_of(row, self.clock.now())
                break
            intent = self._intent(
                conversation,
                recipient,
                booking,
                purpose,
                name,
                expires_at=expires_at,
                caused_at=caused_at or _caused_at(conversation, booking),
            )
            if intent is None:
                return None
            outcome = offer(self.send_service, intent, partial(self._still_true, conversation, purpose))
            if outcome.reason != Reason.NO_LONGER_TRUE:
                break
            # It was answered or cancelled; or the provider told of another time, and the text is to say that.
            conversation = self._read(conversation.appointment_id)
        if outcome is not None and outcome.state in SENT:
            assert recipient is not None
            self._open_prompt(conversation, recipient, purpose, name, outcome)
        return outcome

    def _drop_replaced(self, conversation: Conversation) -> None:
        """Close what still waits to be told about the times before this one: their executions are stopped."""
        for _ in range(MOST_MOVES):
            booking = conversation.booking
            if booking is None or booking.replaces is None:
                return
            before = self.conversations.get(appointment_id(booking.provider, booking.replaces))
            if before is None or before.booking is None:
                return
            if before.is_over:
                self._drop_all(before)
            conversation = before

    def _drop_all(self, conversation: Conversation) -> None:
        """Close what waits of the texts that look ahead to an appointment which is over."""
        for purpose in (Purpose.CONFIRMATION, Purpose.MOVED, Purpose.FOLLOW_UP):
            self._drop(conversation, purpose)
        for lead in self.policy.reminders:
            self._drop(conversation, Purpose.REMINDER, lead)

    def _drop(self, conversation: Conversation, purpose: Purpose, lead: timedelta | None = None) -> None:
        """Close a text that waits for its hour, where it will not be offered again."""
        recipient, name = conversation.recipient, _name(purpose, lead)
        if recipient is None:
            return
        key = intent_key(CONSTRUCT, recipient.subscriber_id, name, conversation.appointment_id)
        row = self.send_service.ledger.get(key)
        if row is None or row.state is not MessageState.DEFERRED:
            return
        now = self.clock.now()
        intent = self._intent(
            conversation, recipient, _booking(conversation), purpose, name, expires_at=now, caused_at=now
        )
        if intent is not None:
            self.send_service.drop(intent)

    def _still_true(self, as_read: Conversation, purpose: Purpose) -> bool | Guard:
        """Look at the row as it is now, and have the claim look at it again."""
        conversation = self.conversations.get(as_read.appointment_id)
        if conversation is None or not conversation.may_send(purpose):
            return False
        if (conversation.booking, conversation.recipient) != (as_read.booking, as_read.recipient):
            # The text says what was true before.
            return False
        return self.conversations.guard(conversation)

    def _intent(
        self,
        conversation: Conversation,
        recipient: Recipient,
        booking: Booking,
        purpose: Purpose,
        name: str,
        *,
        expires_at: datetime,
        caused_at: datetime,
    ) -> Intent | None:
        reply = conversation.reply
        is_confirmed = reply is not None and reply.kind is ReplyKind.CONFIRM
        text = self.speaker.text(booking, recipient, purpose, is_confirmed=is_confirmed)
        if text is None:
            return None
        return Intent(
            construct=CONSTRUCT,
            purpose=name,
            occasion=conversation.appointment_id,
            scope=Scope.APPOINTMENTS,
            message_class=MessageClass.TRANSACTIONAL,
            consent_rule=ConsentRule.IMPLIED,
            recipient=recipient.number,
            subscriber_id=recipient.subscriber_id,
            country=recipient.country,
            body=text.text.body,
            shorter_body=text.text.without_name,
            locale=text.text.locale,
            time_zone=booking.time_zone,
            campaign_id=text.campaign_id,
            expires_at=expires_at,
            caused_at=caused_at,
        )

    def _open_prompt(
        self,
        conversation: Conversation,
        recipient: Recipient,
        purpose: Purpose,
        name: str,
        outcome: SendOutcome,
    ) -> None:
        booking, row = _booking(conversation), self._row(conversation, name)
        # When the text was claimed: nobody answers it earlier, and a repeated step opens the same.
        asked_at = self.clock.now() if row is None else row.claimed_at
        is_asking = purpose in _ASKING
        self.prompts.open(
            Prompt(
                subscriber_id=recipient.subscriber_id,
                origination=ANY_ORIGINATION,
                construct=CONSTRUCT,
                purpose=name,
                occasion=conversation.appointment_id,
                message_id=outcome.message_id,
                asked_at=asked_at,
                expires_at=booking.ends_at if is_asking else asked_at + _ANSWERED_FOR,
                opt_out_reply=self.speaker.opt_out_reply(booking, recipient) if is_asking else None,
            )
        )

    def _row(self, conversation: Conversation, name: str) -> LedgerRow | None:
        """Return the ledger's row of a text; None where it is proven not to have gone out."""
        recipient = conversation.recipient
        if recipient is None:
            return None
        key = intent_key(CONSTRUCT, recipient.subscriber_id, name, conversation.appointment_id)
        row = self.send_service.ledger.get(key)
        return None if may_claim(row) else row

    def _tells_bus(self, conversation: Conversation, purpose: Purpose) -> bool:
        """Whether this attempt tells the bus: not where one before it had to wait, and has told it."""
        recipient = conversation.recipient
        if recipient is None:
            return True
        key = intent_key(CONSTRUCT, recipient.subscriber_id, purpose, conversation.appointment_id)
        row = self.send_service.ledger.get(key)
        return row is None or not may_claim(row)

    def _was_told(self, conversation: Conversation) -> bool:
        """Whether a text told of the appointment, or may have.

        The state that calls for a notice was recorded before, and no text is claimed over it: so what is not
        claimed by now never will be.
        """
        for _ in range(MOST_MOVES):
            rows = [self._row(conversation, purpose) for purpose in TOLD_BY]
            if any(row is not None and not _never_came(row) for row in rows):
                return True
            booking = conversation.booking
            if booking is None or booking.replaces is None:
                return False
            # Who was told of the old time, and not yet that it was moved, expects an appointment too.
            before = self.conversations.get(appointment_id(booking.provider, booking.replaces))
            if before is None:
                return False
            conversation = before
        return False

    def _again(self, conversation: Conversation, outcome: SendOutcome) -> Step | None:
        until = waits_until(outcome, now=self.clock.now(), since=conversation.created_at)
        if until is None:
            return None
        return Step(next=Next.AGAIN, until=until, state=outcome.state, reason=outcome.reason)

    def _record_refusal(self, conversation: Conversation, outcome: SendOutcome) -> Conversation:
        """Record why a text did not go out; what was overtaken, or is too late, is no refusal."""
        reason = outcome.reason or outcome.state
        if reason in OPTED_OUT_REASONS:
            return self._change(conversation, lambda one: rules.fail(one, Event.OPTED_OUT, Reason.OPTED_OUT))
        if reason == Reason.ERASED:
            return self._change(conversation, rules.forget)
        if reason == Reason.NO_LONGER_TRUE or (reason in _TOO_LATE and conversation.told_at is not None):
            return self.conversations.get(conversation.appointment_id) or conversation
        return self._change(conversation, lambda one: rules.fail(one, Event.TEXT_FAILED, reason))

    def _after(
        self, conversation: Conversation, outcome: SendOutcome | None, wanted: Next | None = None
    ) -> Step:
        """Say what comes after a text, whether or not it went out."""
        state, reason = (None, None) if outcome is None else (outcome.state, outcome.reason)
        if conversation.is_over and conversation.status is not Status.NO_SHOW:
            return Step(next=Next.OVER, state=state, reason=reason)
        if wanted is Next.ANSWER:
            return Step(next=Next.ANSWER, state=state, reason=reason)
        now, starts_at = self.clock.now(), _booking(conversation).starts_at
        lead = self.policy.next_reminder(starts_at, now)
        if lead is not None:
            return Step(next=Next.REMINDER, until=starts_at - lead, lead=lead, state=state, reason=reason)
        return Step(next=Next.END, until=self._end(conversation), state=state, reason=reason)

    def _end(self, conversation: Conversation) -> datetime:
        return _booking(conversation).ends_at + (self.policy.feedback_delay or timedelta())

    def _change(
        self, conversation: Conversation, transition: Callable[[Conversation], Conversation]
    ) -> Conversation:
        _, after = change(self.conversations, conversation.appointment_id, transition, now=self.clock.now())
        return after

    def _publish(
        self,
        event_type: str,
        conversation: Conversation,
        occurred_at: datetime | None,
        *,
        occasion: str = "",
        **more: object,
    ) -> None:
        detail: Mapping[str, object] = bus_events.detail(
            event_type,
            conversation,
            occurred_at=occurred_at or self.clock.now(),
            occasion=occasion,
            **more,
        )
        self.bus.publish(event_type, detail)

    def _publish_moved(self, conversation: Conversation, booking: Booking) -> None:
        assert booking.replaces is not None
        self._publish(
            bus_events.MOVED,
            conversation,
            booking.booked_at,
            movedFrom=appointment_id(booking.provider, booking.replaces),
            movedFromExternalId=booking.replaces,
        )


class MissingConversationError(Exception):
    """There is no row of an appointment whose state machine runs: it was deleted by hand."""


_TOO_LATE: Final = frozenset({Reason.EXPIRED, Reason.EXPIRES_IN_QUIET_HOURS, Reason.TIME_ZONE_UNKNOWN})


def _name(purpose: Purpose, lead: timedelta | None) -> str:
    """Return the ledger's purpose of a text: each reminder has its own."""
    return purpose if lead is None else f"{purpose}-{lead // timedelta(minutes=1)}"


def _caused_at(conversation: Conversation, booking: Booking) -> datetime:
    """Say when the invitee did what all texts follow from; long ago where it was not they who did it.

    A provider's clock may be ahead of ours, and makes no evening of the night.
    """
    if not booking.by_invitee:
        return conversation.created_at - _LONG_AGO
    return min(booking.booked_at, conversation.created_at)


def _booking(conversation: Conversation) -> Booking:
    assert conversation.booking is not None
    return conversation.booking


def _never_came(row: LedgerRow) -> bool:
    return row.state in (MessageState.FAILED, MessageState.EXPIRED) and row.reason != _UNKNOWN


def _ended(outcome: SendOutcome) -> Step:
    return Step(next=Next.OVER, state=outcome.state, reason=outcome.reason)
