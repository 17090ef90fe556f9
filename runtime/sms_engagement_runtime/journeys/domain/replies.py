"""What people answer to texts of a journey: written down, and a clear no ends their way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sms_engagement_runtime.channel.domain.keywords import Keyword
from sms_engagement_runtime.channel.domain.ports import AttentionTopic, Clock, PromptRepository
from sms_engagement_runtime.channel.domain.prompts import ANY_ORIGINATION, Prompt
from sms_engagement_runtime.channel.domain.reasons import Reason
from sms_engagement_runtime.journeys.domain.bus_events import CONSTRUCT
from sms_engagement_runtime.journeys.domain.conditions import ReplyKind
from sms_engagement_runtime.journeys.domain.enrolment import Enrolment, EnrolmentChangedError
from sms_engagement_runtime.journeys.domain.ports import EnrolmentRepository, SubscriberDirectory
from sms_engagement_runtime.journeys.domain.reasons import JourneyReason

LISTENS_FOR: Final = timedelta(days=30)
"""How long after a text what the person writes counts as an answer to it, as a YES does."""

_MAX_ATTEMPTS: Final = 5

# The channel has told a human already that these may be an opt-out or a wrong number.
_FLAGGED: Final = frozenset({Keyword.AMBIGUOUS_OPT_OUT, Keyword.AMBIGUOUS_WRONG_NUMBER})


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a prompt of ours is about.

    Attributes
    ----------
    journey, send, run_id
        Which text of which run.
    """

    journey: str
    send: str
    run_id: str


def listening_purpose(journey: str, send: str, run_id: str, *, after: str | None = None) -> str:
    """Name a prompt that listens to what is answered to a text.

    The run is part of it, since the occasion is that of the ledger: by it the channel finds out which of
    several open prompts an answer is for.

    Parameters
    ----------
    after
        Inbound message id of the answer before; None for the first.
    """
    return "/".join(part for part in (journey, send, run_id, after) if part)


def read_subject(purpose: object) -> Subject | None:
    """Read what `listening_purpose` named; None for anything else."""
    parts = purpose.split("/", 3) if isinstance(purpose, str) else []
    if len(parts) < 3 or not all(parts[:3]):
        return None
    return Subject(journey=parts[0], send=parts[1], run_id=parts[2])


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer.

    Attributes
    ----------
    inbound_id
        The same for every delivery of the answer.
    occasion
        Of the text that it answers.
    """

    inbound_id: str
    subscriber_id: str
    subject: Subject
    occasion: str
    body: str
    keyword: str
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """Somebody opted out of everything, while these texts were open."""

    subscriber_id: str
    subjects: tuple[Subject, ...]


type PhoneEvent = Reply | Left


def read_event(
    event_type: object, detail: object, *, to_instant: Callable[[int], datetime]
) -> PhoneEvent | None:
    """Read an event of the channel; None for one that cannot be carried out."""
    if not isinstance(detail, Mapping) or not isinstance(detail.get("subscriberId"), str):
        return None
    if event_type == "OptedOut":
        return Left(subscriber_id=detail["subscriberId"], subjects=tuple(_subjects(detail)))
    subject = read_subject(detail.get("purpose"))
    inbound_id, at = detail.get("inboundMessageId"), detail.get("receivedAt")
    occasion = detail.get("occasion")
    if (
        event_type != "ReplyReceived"
        or subject is None
        or not isinstance(inbound_id, str)
        or not isinstance(occasion, str)
        or not isinstance(at, int)
    ):
        return None
    return Reply(
        inbound_id=inbound_id,
        subscriber_id=detail["subscriberId"],
        subject=subject,
        occasion=occasion,
        body=str(detail.get("body") or ""),
        keyword=str(detail.get("keyword") or ""),
        received_at=to_instant(at),
    )


def _subjects(detail: Mapping[str, Any]) -> list[Subject]:
    open_prompts = detail.get("conversations")
    return [
        subject
        for one in (open_prompts if isinstance(open_prompts, list) else ())
        if isinstance(one, Mapping) and one.get("construct") == CONSTRUCT
        if (subject := read_subject(one.get("purpose"))) is not None
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Handled:
    """What was done about an event, for logs: no words and no number."""

    action: str
    run_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyService:
    """Takes in what people answer. Every step may be repeated.

    Attributes
    ----------
    read_kind
        Says what words mean.
    """

    enrolments: EnrolmentRepository
    subscribers: SubscriberDirectory
    prompts: PromptRepository
    attention: AttentionTopic
    clock: Clock
    read_kind: Callable[[str], ReplyKind]

    def handle(self, event: PhoneEvent) -> Handled:
        """Carry out one event.

        Raises
        ------
        TransientError
            A service did not answer. The event is to be delivered again.
        """
        match event:
            case Reply():
                return self._reply(event)
            case Left():
                return self._left(event)

    def _reply(self, reply: Reply) -> Handled:
        kind = self._kind(reply)
        ended = JourneyReason.DECLINED if kind is ReplyKind.NEGATIVE else None
        is_known = self._change(
            reply.subject,
            reply.subscriber_id,
            lambda row: row.answer(kind, now=self.clock.now(), ended=ended),
        )
        if not is_known:
            # Of another engine on this channel, or so long ago that the row is gone.
            return Handled(action="UNKNOWN")
        self._listen_on(reply)
        if kind is ReplyKind.NEUTRAL and reply.keyword not in _FLAGGED:
            self._tell(reply)
        return Handled(action=kind.value, run_ids=(reply.subject.run_id,))

    def _kind(self, reply: Reply) -> ReplyKind:
        if reply.keyword == Keyword.AMBIGUOUS_OPT_OUT:
            # A human decides whether it ends the subscription. This journey it ends.
            return ReplyKind.NEGATIVE
        if reply.keyword == Keyword.CONFIRM:
            return ReplyKind.POSITIVE
        return self.read_kind(reply.body)

    def _left(self, left: Left) -> Handled:
        for subject in left.subjects:
            self._change(
                subject,
                left.subscriber_id,
                lambda row: row.answer(ReplyKind.NEGATIVE, now=self.clock.now(), ended=Reason.OPTED_OUT),
            )
        return Handled(action="LEFT", run_ids=tuple(one.run_id for one in left.subjects))

    def _change(self, subject: Subject, subscriber_id: str, change: Callable[[Enrolment], Enrolment]) -> bool:
        for attempt in range(1, _MAX_ATTEMPTS + 1):
            row = self.enrolments.get(subject.run_id, subscriber_id, journey=subject.journey)
            if row.version == 0:
                return False
            changed = change(row)
            if (changed.replies, changed.ended) == (row.replies, row.ended):
                return True
            try:
                self.enrolments.save(changed)
            except EnrolmentChangedError:
                if attempt == _MAX_ATTEMPTS:
                    raise
            else:
                return True
        raise AssertionError("the last attempt returns or raises")

    def _listen_on(self, reply: Reply) -> None:
        """Have what they write next come here too: the prompt that brought this answer is closed."""
        subject = reply.subject
        self.prompts.open(
            Prompt(
                subscriber_id=reply.subscriber_id,
                origination=ANY_ORIGINATION,
                construct=CONSTRUCT,
                purpose=listening_purpose(
                    subject.journey, subject.send, subject.run_id, after=reply.inbound_id
                ),
                occasion=reply.occasion,
                message_id=None,
                asked_at=reply.received_at,
                expires_at=reply.received_at + LISTENS_FOR,
                asks=False,
            )
        )

    def _tell(self, reply: Reply) -> None:
        """Let a human read what is neither a yes nor a no."""
        person = self.subscribers.find([reply.subscriber_id]).get(reply.subscriber_id)
        who = person.phone_number if person and person.phone_number else reply.subscriber_id
        self.attention.publish(
            "Answer to a journey",
            f"{who} wrote “{reply.body.strip()}”\n"
            f"It answers {reply.subject.journey}, {reply.subject.send}.\n"
            f"Inbound message: {reply.inbound_id}",
        )
