"""What happens when a person writes to us.

The order is fixed: compliance words, then the open question that was last put to that phone, then the state
of the subscription (YES from PENDING), then a human.

Every step is safe to repeat, and is recognised when it is: an inbound message may be delivered twice, and the
process may end between any two steps. The contact row remembers which message changed it last, the one reply
to a message is a row of the ledger keyed by the message, and the opt-out list is set to what the contact row
says.

*While sending is paused*, or the account is not allowed to send, an opt-out is recorded at once all the same,
and so is everything else; only the reply waits. The message is put back into its queue until the reply could
go out: within moments of the end of a short pause, within four minutes of that of a long one, and so once. A
reply that is late does not come at night, and one that is not sent within a day of the message never is: a
human is told of it then, once. Until the confirmation of an opt-out is settled so or so, the number stays off
the service's list, which would block it; the contact row blocks everything else.

*Every opt-out* is told to the bus (``OptedOut``), with what was being talked about, before it is confirmed.
CANCEL opts out by law, and may mean an appointment: where the person was asked about one, the confirmation
says what of it stands (``Prompt.opt_out_reply``).

*Of a person who was erased* nothing is kept, told or answered, whatever they write: not even START, since the
words of a phone do not show that it still is the same person's. Their number is on the service's list.

*A wrong number* is an opt-out, and ends whatever we were talking about: all open prompts are closed, and the
bus is told (``WrongNumber``), and a human, who has a customer's record to correct.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from sms_engagement_runtime.channel.domain.bus_events import (
    CONSTRUCT,
    OPTED_OUT,
    REPLY_RECEIVED,
    SCHEMA_VERSION,
    WRONG_NUMBER,
)
from sms_engagement_runtime.channel.domain.campaign_counts import answered_text
from sms_engagement_runtime.channel.domain.consent import (
    Change,
    Contact,
    Evidence,
    Source,
    confirm,
    opt_out,
    replace_contact,
    resubscribe,
)
from sms_engagement_runtime.channel.domain.errors import (
    ContactChangedError,
    InvalidPhoneNumberError,
    OptOutListRefusedError,
    TransientError,
)
from sms_engagement_runtime.channel.domain.gate import PROMPT, Answers, ConsentRule, MessageClass
from sms_engagement_runtime.channel.domain.introduction import plain
from sms_engagement_runtime.channel.domain.keywords import (
    Keyword,
    is_answered_by_service,
    is_service_opt_out,
    recognise,
    says_cancel,
    says_wrong_number,
)
from sms_engagement_runtime.channel.domain.ledger import Intent, LedgerRow, may_claim
from sms_engagement_runtime.channel.domain.outcome_state import OutcomeState
from sms_engagement_runtime.channel.domain.phone_number import ParsedNumber, PhoneNumber
from sms_engagement_runtime.channel.domain.ports import (
    AttentionTopic,
    CampaignCounts,
    Clock,
    ContactRepository,
    EventBus,
    MessageLedger,
    OptOutList,
    PhoneNumberParser,
    PromptRepository,
)
from sms_engagement_runtime.channel.domain.prompts import Prompt, alternatives_to, answered_prompt
from sms_engagement_runtime.channel.domain.reasons import Reason
from sms_engagement_runtime.channel.domain.sending import SendOutcome, SendService
from sms_engagement_runtime.channel.domain.subscriber import subscriber_id

REPLY_PURPOSE: Final = "keyword-reply"
"""One purpose for all our replies: with the inbound message id as occasion, none is answered twice."""

REPLY_USEFUL_FOR: Final = timedelta(days=1)
"""How long after a message a reply to it may go out. Whoever is answered later has forgotten the question."""

_FIRST_RETRY: Final = timedelta(seconds=5)
# Short of the five minutes after which a text that waits in the queue is an alarm.
_LAST_RETRY: Final = timedelta(minutes=4)

_LEDGER_LOOKBACK: Final = 50
_RECENT_TEXTS: Final = 10
# The clocks of the service and of whoever asked are not the same.
_CLOCK_SKEW: Final = timedelta(seconds=5)
_MAX_ATTEMPTS: Final = 5
_STORED_PRECISION: Final = timedelta(milliseconds=1)


class OptOutMode(StrEnum):
    """Who answers opt-outs on the origination number."""

    SELF_MANAGED = "self"
    """We do, exactly once."""
    AWS_MANAGED = "aws"
    """End User Messaging does; we record, and answer only what it does not recognise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replies:
    """The texts of our own replies."""

    opted_out: str = "You have been unsubscribed. Reply START to subscribe again."
    confirmed: str = "Thank you for confirming! You're now subscribed to our updates."
    welcome_back: str = "Welcome back! You're now subscribed."
    help: str = "Reply STOP to unsubscribe. For help, visit our website."


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundMessage:
    """One inbound message, as it came.

    Attributes
    ----------
    id
        ``inboundMessageId``: the same for every delivery of the message.
    from_
        ``originationNumber``: usually E.164; a short code, a sender id or nothing where it cannot be
        answered.
    to
        ``destinationNumber``: our number.
    received_at
        When the service published it, aware UTC. The payload has no time, the SNS envelope has.
    previous_message_id
        ``previousPublishedMessageId``.
    keyword
        ``messageKeyword``: the keyword that the service matched, or ``KEYWORD_<account>``.

    Source: AWS, *Two-way SMS message payload*.
    """

    id: str
    from_: str | None
    to: str | None
    body: str | None
    received_at: datetime
    previous_message_id: str | None = None
    keyword: str | None = None


@dataclass(frozen=True, slots=True)
class OptOut:
    """The person opts out of everything.

    Attributes
    ----------
    is_wrong_number
        Whether they say that the number is another person's.
    """

    by_service: bool
    is_wrong_number: bool = False


@dataclass(frozen=True, slots=True)
class Resubscribe:
    """The person comes back after an opt-out."""

    by_service: bool


@dataclass(frozen=True, slots=True)
class Confirm:
    """The person confirms a subscription that is pending."""

    by_service: bool


@dataclass(frozen=True, slots=True)
class Help:
    """The person asks for help."""

    by_service: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """The message answers a question that some construct asked."""

    prompt: Prompt


@dataclass(frozen=True, slots=True)
class Forward:
    """Nobody but a human can read this."""


@dataclass(frozen=True, slots=True)
class Ignore:
    """There is nothing to do."""

    reason: Reason


type Route = OptOut | Resubscribe | Confirm | Help | Answer | Forward | Ignore


def route(
    message: InboundMessage, keyword: Keyword, *, contact: Contact, prompt: Prompt | None, mode: OptOutMode
) -> Route:
    """Decide what becomes of an inbound message.

    Parameters
    ----------
    keyword
        What ``recognise`` makes of the body.
    prompt
        What ``answered_prompt`` makes of the open prompts.
    """
    by_service = mode is OptOutMode.AWS_MANAGED and is_answered_by_service(message.body, message.keyword)
    if _asks_to_stop(message, keyword, mode):
        return OptOut(by_service, says_wrong_number(message.body))
    if keyword is Keyword.START:
        return _start(message, contact, by_service=by_service)
    if keyword is Keyword.HELP:
        return Help(by_service)
    if keyword is Keyword.EMPTY:
        return Ignore(Reason.EMPTY_BODY)
    # A redelivered YES finds the subscription active by its own doing: it still owes the reply.
    if keyword is Keyword.CONFIRM and _is_own_change(contact, message):
        return Confirm(by_service)
    is_asked = prompt is not None and prompt.asks
    if keyword is Keyword.CONFIRM and contact.is_pending_at(message.received_at) and not is_asked:
        return Confirm(by_service)
    return Forward() if prompt is None else Answer(prompt)


def _asks_to_stop(message: InboundMessage, keyword: Keyword, mode: OptOutMode) -> bool:
    return keyword in (Keyword.OPT_OUT, Keyword.WRONG_NUMBER) or (
        mode is OptOutMode.AWS_MANAGED and is_service_opt_out(message.keyword)
    )


def _start(message: InboundMessage, contact: Contact, *, by_service: bool) -> Route:
    if contact.is_opted_out:
        return Resubscribe(by_service)
    if _is_own_change(contact, message):
        came_back = contact.resubscribed_at
        was_this = came_back is not None and abs(message.received_at - came_back) <= _STORED_PRECISION
        return Resubscribe(by_service) if was_this else Confirm(by_service)
    return Confirm(by_service) if contact.is_pending_at(message.received_at) else Help(by_service)


def _is_own_change(contact: Contact, message: InboundMessage) -> bool:
    return contact.changed_by == message.id


class InboundAction(StrEnum):
    """What was done about an inbound message."""

    ALREADY_HANDLED = "ALREADY_HANDLED"
    OPTED_OUT = "OPTED_OUT"
    RESUBSCRIBED = "RESUBSCRIBED"
    RESUBSCRIPTION_REFUSED = "RESUBSCRIPTION_REFUSED"
    CONFIRMED = "CONFIRMED"
    HELPED = "HELPED"
    ROUTED = "ROUTED"
    """Handed to the construct that asked."""
    FORWARDED = "FORWARDED"
    """Handed to a human."""
    IGNORED = "IGNORED"


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundResult:
    """What was done about an inbound message, for logs and metrics: no number, no words.

    Attributes
    ----------
    reason
        For IGNORED and for what was done only in part.
    reply
        The outcome of our own reply, None where none was owed.
    is_flagged
        Whether a human was told that this may be an opt-out, or may say that the number is wrong.
    is_wrong_number
        For OPTED_OUT: whether they said that the number is another person's.
    """

    action: InboundAction
    keyword: Keyword | None = None
    reason: Reason | None = None
    subscriber_id: str | None = None
    reply: SendOutcome | None = None
    is_flagged: bool = False
    is_wrong_number: bool = False


class ReplyDeferredError(TransientError):
    """Our reply could not be sent yet: the inbound message shall be delivered again.

    Attributes
    ----------
    retry_after
        How long to wait with that: as long as the message is old, so that rounds get rarer.
    """

    def __init__(self, reason: str | None, *, retry_after: timedelta) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sender:
    """Who wrote."""

    number: PhoneNumber
    country: str | None
    subscriber_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundService:
    """Handles inbound messages, each of them once.

    Attributes
    ----------
    subscriber_key
        Key of the subscriber ids.
    """

    contacts: ContactRepository
    prompts: PromptRepository
    ledger: MessageLedger
    send_service: SendService
    opt_out_list: OptOutList
    bus: EventBus
    attention: AttentionTopic
    counts: CampaignCounts
    clock: Clock
    parser: PhoneNumberParser
    subscriber_key: bytes
    replies: Replies = Replies()
    mode: OptOutMode = OptOutMode.SELF_MANAGED

    def handle(self, message: InboundMessage) -> InboundResult:
        """Do everything that an inbound message calls for, or what of it is not done yet.

        Raises
        ------
        ReplyDeferredError
            All is done but our reply, which has to wait.
        TransientError
            Something did not answer. The message shall be delivered again.
        """
        if self.contacts.was_handled(message.id):
            return InboundResult(action=InboundAction.ALREADY_HANDLED)
        result = self._handle(message, recognise(message.body))
        self.contacts.mark_handled(message.id, self.clock.now())
        return result

    def close_gate(self, message: InboundMessage) -> None:
        """Record an opt-out, and leave all else of it to :meth:`handle`; other messages are left alone.

        A batch of messages has this done for each of them before the first one is answered: replies wait for
        their rate slots, and for a carrier that throttles, and no opt-out may wait behind them.

        Raises
        ------
        TransientError
            Something did not answer; :meth:`handle` will record it.
        """
        keyword = recognise(message.body)
        if not _asks_to_stop(message, keyword, self.mode) or self.contacts.was_handled(message.id):
            return
        try:
            sender = self._identify(message.from_)
        except InvalidPhoneNumberError:
            return
        # Of a CANCEL is noted, before it closes the gate, what it answered.
        prompt = self._answered(message, sender) if says_cancel(message.body) else None
        self._close_gate(message, sender, prompt)

    def _handle(self, message: InboundMessage, keyword: Keyword) -> InboundResult:
        try:
            sender = self._identify(message.from_)
        except InvalidPhoneNumberError as error:
            return self._from_nobody(message, keyword, error.reason)
        contact = self.contacts.get(sender.subscriber_id)
        if contact.is_erased:
            return InboundResult(
                action=InboundAction.IGNORED,
                keyword=keyword,
                reason=Reason.ERASED,
                subscriber_id=sender.subscriber_id,
            )
        previous = self._previous(message, sender)
        # What confirms an opt-out may have to wait, and the question that it answers may expire meanwhile.
        open_at = message.received_at if _asks_to_stop(message, keyword, self.mode) else self.clock.now()
        prompts = self._asked(message, sender, open_at)
        prompt = answered_prompt(prompts, previous, message.id)
        if keyword is Keyword.CONFIRM and not contact.is_pending_at(message.received_at):
            prompt = _asking_rather_than(prompt, prompts, previous, message.id)
        is_flagged = keyword in (Keyword.AMBIGUOUS_OPT_OUT, Keyword.AMBIGUOUS_WRONG_NUMBER)
        if is_flagged:
            self._flag(message, sender, keyword)
        match route(message, keyword, contact=contact, prompt=prompt, mode=self.mode):
            case OptOut() as opt_out_:
                result = self._opt_out(message, sender, opt_out_, prompt)
            case Resubscribe(by_service=by_service):
                result = self._resubscribe(message, sender, by_service=by_service)
            case Confirm(by_service=by_service):
                result = self._confirm(message, sender, by_service=by_service)
            case Help(by_service=by_service):
                reply = None if by_service else self._reply(message, sender, self.replies.help, Answers.HELP)
                result = InboundResult(action=InboundAction.HELPED, reply=reply)
            case Answer(prompt=answered):
                alternatives = alternatives_to(answered, prompts, previous)
                result = self._hand_over(message, sender, keyword, answered, alternatives)
            case Forward():
                result = self._forward(message, sender, previous, is_flagged=is_flagged)
            case Ignore(reason=reason):
                result = InboundResult(action=InboundAction.IGNORED, reason=reason)
        return _completed(result, keyword, sender, is_flagged=is_flagged)

    def _identify(self, raw: str | None) -> _Sender:
        parsed = self._parse(raw)
        return _Sender(
            number=parsed.number,
            country=parsed.country,
            subscriber_id=subscriber_id(parsed.number, self.subscriber_key),
        )

    def _parse(self, raw: str | None) -> ParsedNumber:
        try:
            return self.parser.parse(raw)
        except InvalidPhoneNumberError:
            # Somebody wrote from it, so it exists, whatever the numbering plan says: an opt-out must not be
            # lost.
            try:
                return ParsedNumber(number=PhoneNumber((raw or "").strip()), country=None)
            except ValueError:
                pass
            raise

    def _previous(self, message: InboundMessage, sender: _Sender) -> LedgerRow | None:
        if message.previous_message_id is None:
            return None
        rows = self.ledger.recent(sender.subscriber_id, _LEDGER_LOOKBACK)
        return next((row for row in rows if row.message_id == message.previous_message_id), None)

    def _asked(self, message: InboundMessage, sender: _Sender, open_at: datetime) -> Sequence[Prompt]:
        """List the prompts, open at this instant, that a message may answer."""
        if message.to is None:
            return ()
        prompts = self.prompts.open_prompts(
            sender.subscriber_id, message.to, inbound_id=message.id, now=open_at
        )
        # A message that is delivered again, hours later perhaps, answers nothing that was asked meanwhile.
        return [prompt for prompt in prompts if prompt.asked_at <= message.received_at + _CLOCK_SKEW]

    def _answered(self, message: InboundMessage, sender: _Sender) -> Prompt | None:
        """Give the prompt that an opt-out answers."""
        prompts = self._asked(message, sender, message.received_at)
        return answered_prompt(prompts, self._previous(message, sender), message.id)

    def _opt_out(
        self, message: InboundMessage, sender: _Sender, route: OptOut, prompt: Prompt | None
    ) -> InboundResult:
        """Close the gate, confirm, and only then block the number: its list blocks the confirmation too."""
        contact = self._close_gate(message, sender, prompt)
        if contact.is_erased:
            # Between the first look and this one.
            return InboundResult(action=InboundAction.IGNORED, reason=Reason.ERASED)
        if not contact.is_opted_out:
            return self._overtaken(message, sender)
        is_own = _is_own_change(contact, message)
        # Before the confirmation, which may have to wait: no campaign and no conversation goes on meanwhile.
        if is_own:
            self._tell_of_opt_out(message, sender, prompt, is_wrong_number=route.is_wrong_number)
        if is_own or route.is_wrong_number:
            self._end_what_was_said(message, sender, is_wrong_number=route.is_wrong_number)
        result = InboundResult(
            action=InboundAction.OPTED_OUT,
            reason=_opt_out_reason(route, is_own=is_own),
            is_wrong_number=route.is_wrong_number,
        )
        if route.by_service:
            return result
        try:
            reply = self._confirm_opt_out(message, sender, contact, prompt)
        except ReplyDeferredError:
            if is_own:
                raise
            reply = None
            is_settled = False
        else:
            is_settled = reply is None or reply.state is not OutcomeState.IN_FLIGHT
        if not is_settled:
            # The message that opted the person out is under way with it, here or in the queue, and lists the
            # number next. Now it would be blocked.
            return result
        self.opt_out_list.put(sender.number)
        is_sent_now = reply is not None and reply.state is not OutcomeState.ALREADY_SENT
        return replace(result, reply=reply if is_sent_now else None)

    def _tell_of_opt_out(
        self, message: InboundMessage, sender: _Sender, prompt: Prompt | None, *, is_wrong_number: bool
    ) -> None:
        told = f"{message.id}#opted-out"
        if self.contacts.was_handled(told):
            return
        self.bus.publish(
            OPTED_OUT,
            {
                "inboundMessageId": message.id,
                "subscriberId": sender.subscriber_id,
                "body": message.body,
                "isCancel": says_cancel(message.body),
                "isWrongNumber": is_wrong_number,
                "conversations": [_subject(open_) for open_ in self._conversations(message, sender)],
                "answeredPrompt": None if prompt is None else _subject(prompt),
                "receivedAt": round(message.received_at.timestamp() * 1000),
                "schemaVersion": SCHEMA_VERSION,
            },
        )
        self.contacts.mark_handled(told, self.clock.now())

    def _conversations(self, message: InboundMessage, sender: _Sender) -> Sequence[Prompt]:
        """List what the person was being asked, on all our numbers, when they wrote."""
        return self.prompts.open_prompts(
            sender.subscriber_id, None, inbound_id=message.id, now=message.received_at
        )

    def _end_what_was_said(self, message: InboundMessage, sender: _Sender, *, is_wrong_number: bool) -> None:
        """Count an opt-out against the campaign that it answers; end the conversations of a wrong number."""
        texts = self.ledger.recent(sender.subscriber_id, _RECENT_TEXTS)
        answered = answered_text(
            (row for row in texts if row.construct != CONSTRUCT), received_at=message.received_at
        )
        if answered is not None and answered.campaign_id is not None:
            self.counts.add(answered.campaign_id, opted_out=1, once=sender.subscriber_id)
        told = f"{message.id}#wrong-number"
        if is_wrong_number and not self.contacts.was_handled(told):
            self._end_conversations(message, sender, answered)
            self.contacts.mark_handled(told, self.clock.now())

    def _end_conversations(
        self, message: InboundMessage, sender: _Sender, answered: LedgerRow | None
    ) -> None:
        prompts = self._conversations(message, sender)
        for prompt in prompts:
            self.prompts.close(prompt, inbound_id=message.id)
        self.bus.publish(
            WRONG_NUMBER,
            {
                "inboundMessageId": message.id,
                "subscriberId": sender.subscriber_id,
                "conversations": [_subject(prompt) for prompt in prompts],
                "answeredText": None if answered is None else _subject(answered),
                "receivedAt": round(message.received_at.timestamp() * 1000),
                "schemaVersion": SCHEMA_VERSION,
            },
        )
        self.attention.publish(
            "Wrong number",
            f"{sender.number.e164} wrote {_quoted(message)}{_about(answered)}\n"
            "They are unsubscribed from everything. The customer's record has a number that is not theirs.\n"
            f"Inbound message: {message.id}",
        )

    def _confirm_opt_out(
        self, message: InboundMessage, sender: _Sender, contact: Contact, prompt: Prompt | None
    ) -> SendOutcome | None:
        """Confirm an opt-out, once; None where it was the carrier's word and there is nobody to answer.

        The confirmation belongs to the message that opted the person out. Another STOP finds it in the
        ledger, and sends it where that message did not come so far: the list would block it for good.
        """
        if contact.opted_out_by != Source.INBOUND_MESSAGE:
            return None
        body = self._opt_out_reply(message, sender, contact, prompt)
        for attempt in range(1, _MAX_ATTEMPTS + 1):
            reply = self._reply(message, sender, body, Answers.OPT_OUT, occasion=contact.changed_by)
            if reply.state is not OutcomeState.IN_FLIGHT or not _is_own_change(contact, message):
                return reply
            # Another STOP makes our call, or we made it and were cut off.
            self.send_service.pacer.back_off(attempt)
        raise self._deferred(message, OutcomeState.IN_FLIGHT)

    def _opt_out_reply(
        self, message: InboundMessage, sender: _Sender, contact: Contact, prompt: Prompt | None
    ) -> str:
        """Give what confirms an opt-out: the text of the prompt that a bare CANCEL answered, else our own.

        The CANCEL is this message, or the one that opted the person out.
        """
        reply = _reply_to_cancel(message, prompt)
        if reply is None and contact.changed_by is not None and not _is_own_change(contact, message):
            reply = self._reply_to_earlier_cancel(message, sender, contact.changed_by)
        return self.replies.opted_out if reply is None or not self._can_be_sent(reply) else reply

    def _reply_to_earlier_cancel(self, message: InboundMessage, sender: _Sender, earlier: str) -> str | None:
        if not self.contacts.was_handled(_cancel_mark(earlier)):
            return None
        prompts = self.prompts.open_prompts(
            sender.subscriber_id, None, inbound_id=earlier, now=message.received_at
        )
        asked = [prompt for prompt in prompts if prompt.opt_out_reply is not None]
        latest = max(asked, key=lambda prompt: prompt.asked_at, default=None)
        return None if latest is None else latest.opt_out_reply

    def _can_be_sent(self, body: str) -> bool:
        # The gate refuses other lengths, and the person would get no confirmation at all.
        return 0 < plain(body).measured.parts <= self.send_service.policy.max_parts

    def _close_gate(self, message: InboundMessage, sender: _Sender, prompt: Prompt | None) -> Contact:
        if _reply_to_cancel(message, prompt) is not None:
            # Whoever sends the confirmation that this message owes has to know what it said.
            self.contacts.mark_handled(_cancel_mark(message.id), self.clock.now())
        return self._change(
            message,
            sender,
            lambda contact, evidence: None if _came_back(contact, message) else opt_out(contact, evidence),
        )

    def _resubscribe(self, message: InboundMessage, sender: _Sender, *, by_service: bool) -> InboundResult:
        """Take the number off the service's list first: we never show ACTIVE while the service refuses."""
        contact = self.contacts.get(sender.subscriber_id)
        if contact.is_opted_out and _left_later(contact, message):
            return self._overtaken(message, sender)
        if contact.is_opted_out and not by_service:
            try:
                self.opt_out_list.delete(sender.number)
            except OptOutListRefusedError:
                self._tell_of_refusal(message, sender)
                return InboundResult(
                    action=InboundAction.RESUBSCRIPTION_REFUSED, reason=Reason.OPT_OUT_LIST_REFUSED
                )
        contact = self._change(
            message,
            sender,
            lambda contact, evidence: (
                None if _left_later(contact, message) else resubscribe(contact, evidence)
            ),
        )
        if contact.is_opted_out:
            # A STOP came in between, and may have put the number on the list before we took it off.
            self.opt_out_list.put(sender.number)
            return self._overtaken(message, sender)
        if by_service:
            return InboundResult(action=InboundAction.RESUBSCRIBED, reason=Reason.ANSWERED_BY_SERVICE)
        reply = self._reply(message, sender, self.replies.welcome_back, Answers.MESSAGE)
        return InboundResult(action=InboundAction.RESUBSCRIBED, reply=reply)

    def _confirm(self, message: InboundMessage, sender: _Sender, *, by_service: bool) -> InboundResult:
        contact = self._change(message, sender, confirm)
        if not _is_own_change(contact, message):
            return self._overtaken(message, sender)
        if by_service:
            return InboundResult(action=InboundAction.CONFIRMED, reason=Reason.ANSWERED_BY_SERVICE)
        reply = self._reply(message, sender, self.replies.confirmed, Answers.MESSAGE)
        return InboundResult(action=InboundAction.CONFIRMED, reply=reply)

    def _change(
        self,
        message: InboundMessage,
        sender: _Sender,
        transition: Callable[[Contact, Evidence], Change | None],
    ) -> Contact:
        """Apply a transition to the contact as it is now, however often others write it meanwhile."""
        evidence = Evidence(
            source=Source.INBOUND_MESSAGE,
            words=message.body or "",
            message_id=message.id,
            at=message.received_at,
        )
        for attempt in range(1, _MAX_ATTEMPTS + 1):
            contact = self.contacts.get(sender.subscriber_id)
            change = transition(contact, evidence)
            if change is None:
                return contact
            change = replace_contact(change, phone_number=sender.number)
            try:
                return self.contacts.save(
                    change.contact, expected_version=contact.version, records=change.records
                )
            except ContactChangedError:
                if attempt == _MAX_ATTEMPTS:
                    raise
        raise AssertionError("the last attempt returns or raises")

    def _reply(
        self,
        message: InboundMessage,
        sender: _Sender,
        body: str,
        answers: Answers,
        *,
        occasion: str | None = None,
    ) -> SendOutcome:
        """Send our one reply, or what another message of the person is owed (``occasion``).

        Raises
        ------
        ReplyDeferredError
            It has to wait.
        """
        intent = _reply_intent(message, sender, body, answers, occasion=occasion)
        if self._is_late_at_night(message, sender, intent):
            raise self._deferred(message, Reason.QUIET_HOURS)
        outcome = self.send_service.send(intent)
        if outcome.state is OutcomeState.DEFERRED:
            raise self._deferred(message, outcome.reason)
        if outcome.reason == Reason.EXPIRED and intent.occasion == message.id:
            self.attention.publish(
                "A reply was not sent",
                f"{sender.number.e164} wrote {_quoted(message)} and got no answer: none could be sent within "
                f"a day. It would have been: {body}\nInbound message: {message.id}",
            )
        return outcome

    def _overtaken(self, message: InboundMessage, sender: _Sender) -> InboundResult:
        """Do nothing about a word that a later one has overtaken, and give up the reply that waited."""
        waiting = _reply_intent(message, sender, self.replies.opted_out, Answers.MESSAGE, occasion=None)
        self.send_service.drop(waiting)
        return InboundResult(action=InboundAction.IGNORED, reason=Reason.STALE_KEYWORD)

    def _is_late_at_night(self, message: InboundMessage, sender: _Sender, intent: Intent) -> bool:
        now = self.clock.now()
        if not PROMPT < now - message.received_at < REPLY_USEFUL_FOR:
            return False
        if not may_claim(self.ledger.get(intent.key)):
            # It went out when it was time.
            return False
        place = self.send_service.places.place_of(sender.number, sender.country, None)
        return not self.send_service.policy.quiet_hours.hours_for(place).is_open(now)

    def _deferred(self, message: InboundMessage, reason: str | None) -> ReplyDeferredError:
        age = self.clock.now() - message.received_at
        return ReplyDeferredError(reason, retry_after=min(max(age, _FIRST_RETRY), _LAST_RETRY))

    def _hand_over(
        self,
        message: InboundMessage,
        sender: _Sender,
        keyword: Keyword,
        prompt: Prompt,
        alternatives: Sequence[Prompt],
    ) -> InboundResult:
        self.bus.publish(
            REPLY_RECEIVED,
            {
                "inboundMessageId": message.id,
                "subscriberId": sender.subscriber_id,
                "construct": prompt.construct,
                "purpose": prompt.purpose,
                "occasion": prompt.occasion,
                "messageId": prompt.message_id,
                "alternatives": [
                    {"purpose": other.purpose, "occasion": other.occasion} for other in alternatives
                ],
                "origination": message.to,
                "body": message.body,
                "keyword": keyword.value,
                "receivedAt": round(message.received_at.timestamp() * 1000),
                "schemaVersion": SCHEMA_VERSION,
            },
        )
        self.prompts.close(prompt, inbound_id=message.id)
        return InboundResult(action=InboundAction.ROUTED)

    def _forward(
        self, message: InboundMessage, sender: _Sender, previous: LedgerRow | None, *, is_flagged: bool
    ) -> InboundResult:
        if not is_flagged:
            self.attention.publish(
                "Inbound message",
                f"{sender.number.e164} wrote {_quoted(message)}{_about(previous)}\n"
                f"Inbound message: {message.id}",
            )
        return InboundResult(action=InboundAction.FORWARDED)

    def _flag(self, message: InboundMessage, sender: _Sender, keyword: Keyword) -> None:
        subject, doubt = (
            ("Possible opt-out", "This may be a request to stop.")
            if keyword is Keyword.AMBIGUOUS_OPT_OUT
            else ("Possible wrong number", "This may say that the number is not theirs.")
        )
        self.attention.publish(
            subject,
            f"{sender.number.e164} wrote {_quoted(message)}\n"
            f"{doubt} Their subscription is unchanged.\n"
            f"Inbound message: {message.id}",
        )

    def _tell_of_refusal(self, message: InboundMessage, sender: _Sender) -> None:
        self.attention.publish(
            "START refused by AWS",
            f"{sender.number.e164} wrote {_quoted(message)}, but AWS keeps the number on its opt-out list: "
            "it can leave once in 30 days. They stay unsubscribed, and got no answer.\n"
            f"Inbound message: {message.id}",
        )

    def _from_nobody(self, message: InboundMessage, keyword: Keyword, reason: Reason) -> InboundResult:
        """Keep a message that cannot be answered: from a short code, a sender id, or nobody."""
        if keyword is not Keyword.EMPTY:
            self.attention.publish(
                "Inbound message without a phone number",
                f"{message.from_ or 'Nobody'} wrote {_quoted(message)}\nInbound message: {message.id}",
            )
        return InboundResult(action=InboundAction.IGNORED, keyword=keyword, reason=reason)


def _reply_intent(
    message: InboundMessage, sender: _Sender, body: str, answers: Answers, *, occasion: str | None
) -> Intent:
    return Intent(
        construct=CONSTRUCT,
        purpose=REPLY_PURPOSE,
        occasion=occasion or message.id,
        scope=None,
        message_class=MessageClass.REPLY,
        consent_rule=ConsentRule.NONE,
        answers=answers,
        recipient=sender.number,
        subscriber_id=sender.subscriber_id,
        country=sender.country,
        body=body,
        expires_at=message.received_at + REPLY_USEFUL_FOR,
    )


def _asking_rather_than(
    prompt: Prompt | None, prompts: Sequence[Prompt], previous: LedgerRow | None, inbound_id: str
) -> Prompt | None:
    """Give who asked something a yes, rather than another construct that only listens.

    Who is asked about an appointment, and gets a promotion before they answer, still means the appointment.
    """
    if prompt is None or prompt.asks or prompt.answered_by == inbound_id:
        return prompt
    asking = [other for other in prompts if other.asks and other.construct != prompt.construct]
    return answered_prompt(asking, previous, inbound_id) or prompt


def _came_back(contact: Contact, message: InboundMessage) -> bool:
    """Whether the person has written START after this message was received."""
    return contact.resubscribed_at is not None and contact.resubscribed_at > message.received_at


def _left_later(contact: Contact, message: InboundMessage) -> bool:
    """Whether the person has opted out after this message was received, or at the same instant."""
    return (
        contact.opted_out_by == Source.INBOUND_MESSAGE
        and contact.opted_out_at is not None
        and contact.opted_out_at >= message.received_at
    )


def _reply_to_cancel(message: InboundMessage, prompt: Prompt | None) -> str | None:
    """Give what the prompt that a message answers says to a bare CANCEL, None where the message is none."""
    return prompt.opt_out_reply if prompt is not None and says_cancel(message.body) else None


def _cancel_mark(inbound_id: str) -> str:
    return f"{inbound_id}#cancel"


def _opt_out_reason(route: OptOut, *, is_own: bool) -> Reason | None:
    if not is_own:
        return Reason.ALREADY_OPTED_OUT
    if route.by_service:
        return Reason.ANSWERED_BY_SERVICE
    return Reason.WRONG_NUMBER if route.is_wrong_number else None


def _subject(of: Prompt | LedgerRow) -> Mapping[str, object]:
    return {
        "construct": of.construct,
        "purpose": of.purpose,
        "occasion": of.occasion,
        "messageId": of.message_id,
    }


def _about(text: LedgerRow | None) -> str:
    return f"\nOur last text to them: {text.construct}, {text.purpose}" if text else ""


def _quoted(message: InboundMessage) -> str:
    return f"“{(message.body or '').strip()}”"


def _completed(
    result: InboundResult, keyword: Keyword, sender: _Sender, *, is_flagged: bool
) -> InboundResult:
    return replace(result, keyword=keyword, subscriber_id=sender.subscriber_id, is_flagged=is_flagged)
