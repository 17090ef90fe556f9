"""What invitees write, and what else happens to their phones: answers, opt-outs, texts that failed.

All of it comes from the bus, at least once. The row is changed first; what follows from it (a text in answer,
a word to the host) has the id of the inbound message, or is marked as done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sms_engagement_runtime.appointment_follow_up.domain import bus_events
from sms_engagement_runtime.appointment_follow_up.domain import conversation as rules
from sms_engagement_runtime.appointment_follow_up.domain.changing import change
from sms_engagement_runtime.appointment_follow_up.domain.conversation import (
    Conversation,
    Event,
    Reply,
    Status,
)
from sms_engagement_runtime.appointment_follow_up.domain.host_words import (
    answer_words,
    opt_out_words,
    parties,
)
from sms_engagement_runtime.appointment_follow_up.domain.offers import MOST_MOVES, SENT, offer, waits_until
from sms_engagement_runtime.appointment_follow_up.domain.phone_events import (
    OptedOut,
    PhoneEvent,
    ReplyReceived,
    TextFailed,
)
from sms_engagement_runtime.appointment_follow_up.domain.ports import ConversationRepository, HostTopic
from sms_engagement_runtime.appointment_follow_up.domain.purposes import CONSTRUCT, Purpose
from sms_engagement_runtime.appointment_follow_up.domain.replies import read_choice, read_reply
from sms_engagement_runtime.appointment_follow_up.domain.reply_kinds import ReplyKind
from sms_engagement_runtime.appointment_follow_up.domain.speaking import Speaker
from sms_engagement_runtime.appointment_follow_up.domain.texts import MAX_CHOICES
from sms_engagement_runtime.channel.domain.gate import Answers, ConsentRule, MessageClass
from sms_engagement_runtime.channel.domain.introduction import plain
from sms_engagement_runtime.channel.domain.ledger import Guard, Intent, intent_key, may_claim
from sms_engagement_runtime.channel.domain.outcome_state import OutcomeState
from sms_engagement_runtime.channel.domain.ports import Clock, ContactRepository, EventBus, PromptRepository
from sms_engagement_runtime.channel.domain.prompts import ANY_ORIGINATION, Prompt
from sms_engagement_runtime.channel.domain.reasons import Reason
from sms_engagement_runtime.channel.domain.sending import SendOutcome, SendService

_ANSWER_USEFUL_FOR: Final = timedelta(days=1)
"""As long as the channel's own replies are."""

_CONVERSATION: Final = "conversation"
"""Purpose of the prompts that stand open after an answer, with the id of the answer behind it."""

_LISTENS_FOR: Final = timedelta(days=3)
"""How long words about an appointment that is over go to the host."""

_SHORTEST: Final = {ReplyKind.CONFIRM: "1", ReplyKind.RESCHEDULE: "R"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What was made of an event, for logs and metrics.

    Attributes
    ----------
    until
        Where the answer has to wait: when to come back.
    said
        Then: the shortest words that mean the same, since what a person wrote waits nowhere.
    """

    action: str
    reason: str | None = None
    appointment_ids: tuple[str, ...] = ()
    until: datetime | None = None
    said: str | None = None


_NO_APPOINTMENT: Final = Answered(action="IGNORED", reason="NO_APPOINTMENT")


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerService:
    """Handles what the channel told, each of it as often as it comes."""

    conversations: ConversationRepository
    send_service: SendService
    contacts: ContactRepository
    prompts: PromptRepository
    bus: EventBus
    host: HostTopic
    speaker: Speaker
    clock: Clock = field(repr=False)

    def handle(self, event: PhoneEvent) -> Answered:
        """Do what an event calls for.

        Raises
        ------
        TransientError
            Something did not answer. The event may be repeated.
        """
        match event:
            case ReplyReceived():
                return self._reply(event)
            case OptedOut():
                return self._opt_out(event)
            case TextFailed():
                return self._text_failed(event)

    # An answer

    def _reply(self, event: ReplyReceived) -> Answered:
        if event.purpose == Purpose.WHICH:
            return self._chosen(event)
        kind = read_reply(event.body)
        named = [self._standing(one, event) for one in (event.occasion, *event.alternatives)]
        meant = _distinct([one for one in named if one is not None])
        if not meant:
            return _NO_APPOINTMENT
        if named[0] is not None and named[0].is_over:
            # The newest text was about its end, and so are these words: they decide about no other one.
            return self._answered(event, kind, [named[0]])
        open_ones = [one for one in meant if not one.is_over]
        if (before := self._done_before(event, kind, open_ones)) is not None:
            return before
        if kind is ReplyKind.OTHER or len(open_ones) < 2:
            # A human reads free words, and knows which one they are about; nobody is asked again meanwhile.
            return self._answered(event, kind, open_ones or meant[:1])
        unconfirmed = [one for one in open_ones if one.reply is None or one.reply.kind is not kind]
        candidates = unconfirmed if kind is ReplyKind.CONFIRM and unconfirmed else open_ones
        if len(candidates) == 1:
            return self._answered(event, kind, candidates)
        return self._ask_which(event, kind, candidates)

    def _done_before(
        self, event: ReplyReceived, kind: ReplyKind, conversations: Sequence[Conversation]
    ) -> Answered | None:
        """Repeat what was made of an answer when it came first; None where this is the first time.

        What it can be about changes: the same words, read again, would decide about another appointment.
        """
        replies = [one.reply for one in conversations if one.reply is not None]
        said = next((reply for reply in replies if reply.at == event.received_at), None)
        if said is not None:
            # What a human reads is about all of them; a first attempt may have got to some only.
            is_read = said.kind is ReplyKind.OTHER
            again = conversations if is_read else [one for one in conversations if one.reply == said]
            return self._answered(event, said.kind, again)
        was_overtaken = len(conversations) < 2 or any(reply.at > event.received_at for reply in replies)
        if not event.alternatives or not was_overtaken:
            return None
        key = intent_key(CONSTRUCT, event.subscriber_id, Purpose.WHICH, event.inbound_id)
        if may_claim(self.send_service.ledger.get(key)):
            return None
        # They were asked which one was meant; they have written since, or one of them is over.
        ids = tuple(one.appointment_id for one in conversations)
        return Answered(action="ASKED_WHICH", reason=kind.value, appointment_ids=ids)

    def _chosen(self, event: ReplyReceived) -> Answered:
        kind_name, *ids = event.occasion.split("|")
        choice = read_choice(event.body, len(ids))
        if choice is None:
            found = [one for each in ids if (one := self._standing(each, event)) is not None]
            return self._answered(event, ReplyKind.OTHER, found) if found else _NO_APPOINTMENT
        conversation = self._standing(ids[choice - 1], event)
        if conversation is None:
            return _NO_APPOINTMENT
        return self._answered(event, ReplyKind(kind_name), [conversation], said=str(choice))

    def _answered(
        self,
        event: ReplyReceived,
        kind: ReplyKind,
        conversations: Sequence[Conversation],
        *,
        said: str | None = None,
    ) -> Answered:
        reply = Reply(at=event.received_at, kind=kind)
        changed = [
            self._change(one.appointment_id, lambda row: rules.answer(row, reply)) for one in conversations
        ]
        for conversation in changed:
            self._close_prompts(event, conversation.appointment_id)
            self._listen_on(event, conversation)
            self._publish(bus_events.REPLIED, conversation, event, answer=kind.value)
            if kind is ReplyKind.CONFIRM and conversation.status is Status.RESPONDED:
                self._publish(bus_events.CONFIRMED, conversation, event)
        outcome, about_it = None, ""
        if kind is ReplyKind.RESCHEDULE and not changed[0].is_over:
            outcome, about_it = self._offer_another_time(event, changed[0])
        if kind is not ReplyKind.CONFIRM or any(one.is_over for one in changed):
            words = answer_words(event.body, kind, changed, self.speaker, about_it)
            self._tell_host(event.inbound_id, *words)
        ids = tuple(one.appointment_id for one in changed)
        if outcome is not None and (until := self._waits_until(event, outcome)):
            return Answered(
                action="REPLIED",
                reason=outcome.reason,
                appointment_ids=ids,
                until=until,
                said=said or _SHORTEST[kind],
            )
        return Answered(action="REPLIED", reason=kind.value, appointment_ids=ids)

    def _offer_another_time(
        self, event: ReplyReceived, conversation: Conversation
    ) -> tuple[SendOutcome, str]:
        """Send the link to choose another time, and say to the host what became of that."""
        booking, recipient = parties(conversation)
        purpose = Purpose.CALL_BACK
        if booking.reschedule_url:
            text = self.speaker.answer(booking, recipient, Purpose.RESCHEDULE)
            if plain(text.body).measured.parts <= self.send_service.policy.max_parts:
                purpose = Purpose.RESCHEDULE
        outcome = self._send(event, [conversation], purpose)
        if self._waits_until(event, outcome):
            return outcome, "They are answered as soon as texts may go out."
        if outcome.state not in SENT:
            return outcome, "No answer could be sent to them: get in touch."
        if purpose is Purpose.RESCHEDULE:
            return outcome, "They were sent the link to choose another time."
        return outcome, "They were told that you will get in touch: there is no link that fits into a text."

    def _listen_on(self, event: ReplyReceived, conversation: Conversation) -> None:
        """Have what they write next about this appointment come here too, as long as it is one."""
        booking, recipient = parties(conversation)
        is_over = conversation.is_over
        self.prompts.open(
            Prompt(
                subscriber_id=recipient.subscriber_id,
                origination=ANY_ORIGINATION,
                construct=CONSTRUCT,
                purpose=_listening(event),
                occasion=conversation.appointment_id,
                message_id=None,
                asked_at=event.received_at,
                expires_at=event.received_at + _LISTENS_FOR if is_over else booking.ends_at,
                opt_out_reply=None if is_over else self.speaker.opt_out_reply(booking, recipient),
                asks=False,
            )
        )

    def _waits_until(self, event: ReplyReceived, outcome: SendOutcome) -> datetime | None:
        return waits_until(outcome, now=self.clock.now(), since=event.received_at)

    def _ask_which(
        self, event: ReplyReceived, kind: ReplyKind, conversations: Sequence[Conversation]
    ) -> Answered:
        """Ask once which of several appointments was meant."""
        choices = sorted(conversations[:MAX_CHOICES], key=lambda one: parties(one)[0].starts_at)
        bookings = [parties(one)[0] for one in choices]
        booking, recipient = parties(choices[0])
        if len({self.speaker.time(one, recipient) for one in bookings}) < len(bookings):
            # Two people with one phone, at the same hour: a number would tell nothing apart.
            return self._answered(event, ReplyKind.OTHER, conversations)
        outcome = self._send(event, choices, Purpose.WHICH, choices=self.speaker.choices(bookings, recipient))
        ids = tuple(one.appointment_id for one in choices)
        if until := self._waits_until(event, outcome):
            return Answered(
                action="ASKED_WHICH",
                reason=outcome.reason,
                appointment_ids=ids,
                until=until,
                said=_SHORTEST[kind],
            )
        if outcome.state in (OutcomeState.SUPPRESSED, OutcomeState.FAILED):
            # Nobody can be asked any more: a human decides what was meant.
            return self._answered(event, ReplyKind.OTHER, conversations)
        if outcome.state in SENT:
            row = self.send_service.ledger.get(outcome.key)
            self.prompts.open(
                Prompt(
                    subscriber_id=recipient.subscriber_id,
                    origination=ANY_ORIGINATION,
                    construct=CONSTRUCT,
                    purpose=Purpose.WHICH,
                    occasion="|".join((kind.value, *ids)),
                    message_id=outcome.message_id,
                    asked_at=self.clock.now() if row is None else row.claimed_at,
                    expires_at=min(one.starts_at for one in bookings),
                    opt_out_reply=self.speaker.opt_out_reply(booking, recipient),
                )
            )
        return Answered(action="ASKED_WHICH", reason=kind.value, appointment_ids=ids)

    def _send(
        self,
        event: ReplyReceived,
        conversations: Sequence[Conversation],
        purpose: Purpose,
        *,
        choices: str | None = None,
    ) -> SendOutcome:
        """Send the one answer to an inbound message, while the appointments that it is about stand."""
        booking, recipient = parties(conversations[0])
        text = self.speaker.answer(booking, recipient, purpose, choices=choices)
        intent = Intent(
            construct=CONSTRUCT,
            purpose=purpose,
            occasion=event.inbound_id,
            scope=None,
            message_class=MessageClass.REPLY,
            consent_rule=ConsentRule.NONE,
            answers=Answers.MESSAGE,
            recipient=recipient.number,
            subscriber_id=recipient.subscriber_id,
            country=recipient.country,
            body=text.body,
            locale=text.locale,
            time_zone=booking.time_zone,
            # One that is late, since sending was paused, does not come at night.
            caused_at=event.received_at,
            expires_at=min(event.received_at + _ANSWER_USEFUL_FOR, booking.starts_at),
        )
        return offer(self.send_service, intent, lambda: self._all_stand(conversations))

    def _all_stand(self, conversations: Sequence[Conversation]) -> bool | Guard:
        """Look at the rows as they are now; the claim looks at the first one again."""
        now = [self.conversations.get(one.appointment_id) for one in conversations]
        if any(one is None or one.is_over for one in now) or now[0] is None:
            return False
        return self.conversations.guard(now[0])

    def _close_prompts(self, event: ReplyReceived, appointment_id: str) -> None:
        """Close what else was asked about this appointment, or an old question would take the next words."""
        for prompt in self.prompts.open_prompts(
            event.subscriber_id, None, inbound_id=event.inbound_id, now=self.clock.now()
        ):
            is_ours = prompt.construct == CONSTRUCT and prompt.occasion == appointment_id
            # What stands open after this answer stays so, where the same answer comes again.
            is_own = prompt.purpose == _listening(event)
            if is_ours and not is_own and prompt.asked_at <= event.received_at:
                self.prompts.close(prompt, inbound_id=event.inbound_id)

    # An opt-out

    def _opt_out(self, event: OptedOut) -> Answered:
        now = self.clock.now()
        reason = Reason.WRONG_NUMBER if event.is_wrong_number else Reason.OPTED_OUT
        # Those that have begun lately may still call for a text about their end.
        since = now - timedelta(days=2)
        found = [
            one
            for one in self.conversations.of_subscriber(event.subscriber_id, since=since)
            # The event may come late, after they came back and booked anew.
            if one.created_at <= event.received_at
        ]
        changed = [
            self._change(one.appointment_id, lambda row: rules.fail(row, Event.OPTED_OUT, reason))
            for one in found
        ]
        standing = [one for one in changed if one.booking is not None and one.booking.starts_at > now]
        standing = [one for one in standing if one.status not in (Status.CANCELED, Status.RESCHEDULED)]
        if standing:
            self._tell_host(event.inbound_id, *opt_out_words(event, standing, self.speaker))
        return Answered(
            action="OPTED_OUT", reason=reason, appointment_ids=tuple(one.appointment_id for one in found)
        )

    # A text that failed

    def _text_failed(self, event: TextFailed) -> Answered:
        if event.purpose in (Purpose.CANCELLED, Purpose.NO_SHOW, Purpose.RESCHEDULE, Purpose.WHICH):
            return Answered(action="IGNORED", reason=event.reason)
        if self.conversations.get(event.occasion) is None:
            return Answered(action="IGNORED", reason="NO_APPOINTMENT")
        self._change(event.occasion, lambda row: rules.fail(row, Event.TEXT_FAILED, event.reason))
        return Answered(action="TEXT_FAILED", reason=event.reason, appointment_ids=(event.occasion,))

    # What they share

    def _standing(self, appointment_id: str, event: ReplyReceived) -> Conversation | None:
        """Read a conversation, or that of the appointment to which it was moved.

        Whoever had not been told of the new time when they wrote meant the old one: a 1 confirms no time that
        nobody named.
        """
        standing = conversation = self._addressed(appointment_id)
        for _ in range(MOST_MOVES):
            if conversation is None or conversation.status is not Status.RESCHEDULED:
                break
            conversation = None if conversation.moved_to is None else self._addressed(conversation.moved_to)
            told_at = None if conversation is None else conversation.told_at
            if told_at is not None and told_at <= event.received_at:
                standing = conversation
        return standing

    def _addressed(self, appointment_id: str) -> Conversation | None:
        conversation = self.conversations.get(appointment_id)
        if conversation is None or conversation.booking is None or conversation.recipient is None:
            return None
        return conversation

    def _change(
        self, appointment_id: str, transition: Callable[[Conversation], Conversation]
    ) -> Conversation:
        _, after = change(self.conversations, appointment_id, transition, now=self.clock.now())
        return after

    def _publish(
        self, event_type: str, conversation: Conversation, event: ReplyReceived, **more: object
    ) -> None:
        self.bus.publish(
            event_type,
            bus_events.detail(
                event_type,
                conversation,
                occurred_at=event.received_at,
                occasion=event.inbound_id,
                inboundMessageId=event.inbound_id,
                **more,
            ),
        )

    def _tell_host(self, inbound_id: str, subject: str, message: str) -> None:
        told = f"{inbound_id}#host"
        if not self.contacts.was_handled(told):
            self.host.publish(subject, f"{message}\nInbound message: {inbound_id}")
            self.contacts.mark_handled(told, self.clock.now())


def _listening(event: ReplyReceived) -> str:
    return f"{_CONVERSATION}/{event.inbound_id}"


def _distinct(conversations: Sequence[Conversation]) -> list[Conversation]:
    return list({one.appointment_id: one for one in conversations}.values())
