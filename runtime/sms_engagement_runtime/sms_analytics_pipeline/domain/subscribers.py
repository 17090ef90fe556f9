"""The row of a subscriber: a projection of what happened, and never what decides whether a text is sent.

A row is made of facts. It keeps of all facts those that its status hangs on: of most happenings the latest
instant, of texts that did not arrive the latest few, of questions to confirm and of YES those that may still
find each other. What is kept of two sets of facts says what is to be kept of both, so a row is the same in
whatever order facts come, however often, and in whatever portions. The status is what ``lifecycle.fold``
makes of them.

A row that was written by hand has no facts. Its status and instants are read as facts (:func:`given_facts`).
Whoever corrects the status of a row that has facts removes the attribute ``facts`` as well.

All instants are epoch milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final, Protocol

from sms_engagement_runtime.channel.domain.errors import TransientError
from sms_engagement_runtime.channel.domain.keywords import Keyword, recognise
from sms_engagement_runtime.sms_analytics_pipeline.domain.events import EventType
from sms_engagement_runtime.sms_analytics_pipeline.domain.lifecycle import (
    PENDING_FOR,
    STRIKES,
    Happening,
    SubscriptionStatus,
    fold,
)

FAILED_FOR_GOOD: Final = frozenset({"INVALID"})
"""Record statuses that speak of the number itself: it is none. Other lasting ones (blocked, spam, content,
price) speak of a text, a route or our account, and are no reason to give up a person.

Source: AWS, *Event types for configuration sets*."""

FAILED: Final = frozenset({"UNREACHABLE", "CARRIER_UNREACHABLE", "UNKNOWN"})
"""Record statuses that say of the phone that it was not reached, which may pass. TTL_EXPIRED is none: how
long a text may take is our own choice. Source: as before."""

MOST_OPEN: Final = 32
"""So many questions to confirm, and words of YES, are remembered that have not found each other, the latest:
people say YES to appointments too."""

_EMPTY: Final[Mapping[str, Any]] = MappingProxyType({})
_KEPT_LATEST: Final = frozenset(
    {
        Happening.TEXTED,
        Happening.DELIVERED,
        Happening.RESPONDED,
        Happening.FAILED_FOR_GOOD,
        Happening.STARTED,
        Happening.OPTED_OUT,
    }
)
_OPT_OUTS: Final = frozenset({Keyword.OPT_OUT, Keyword.WRONG_NUMBER})


class SubscriberChangedError(TransientError):
    """The row was written by somebody else since it was read."""


class Told(Protocol):
    """What facts are read from; see ``CanonicalEvent``."""

    @property
    def event_type(self) -> str: ...  # noqa: D102
    @property
    def event_id(self) -> str: ...  # noqa: D102
    @property
    def event_timestamp(self) -> int: ...  # noqa: D102
    @property
    def message_id(self) -> str | None: ...  # noqa: D102
    @property
    def record_status(self) -> str | None: ...  # noqa: D102
    @property
    def response_text(self) -> str | None: ...  # noqa: D102
    @property
    def counted_as(self) -> str | None: ...  # noqa: D102
    @property
    def counted_at(self) -> int | None: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something that happened to a subscriber.

    Attributes
    ----------
    at
        Epoch milliseconds.
    id
        What makes two facts of the same happening one: of FAILED the message, of which several events may
        tell; else the event. Only that of FAILED is kept.
    """

    happening: Happening
    at: int
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a row keeps of its facts.

    Attributes
    ----------
    latest
        The latest instant of a happening; of ENTERED the first.
    first_opted_out
        The first opt-out: who said YES after it had not been asked by us.
    strikes
        Message id and instant of the latest texts that did not arrive.
    asked, confirmed
        In order: when they were asked to confirm, and when they said YES; up to the first YES that answers a
        question, and without what is too old for ``MOST_OPEN``.
    """

    latest: Mapping[Happening, int] = _EMPTY  # type: ignore[assignment]  # an empty mapping is one of any keys
    first_opted_out: int | None = None
    strikes: Mapping[str, int] = _EMPTY
    asked: tuple[int, ...] = ()
    confirmed: tuple[int, ...] = ()

    def __iter__(self) -> Iterator[tuple[int, Happening]]:
        """Everything that is kept, for the fold."""
        yield from ((at, happening) for happening, at in self.latest.items())
        if self.first_opted_out is not None:
            yield self.first_opted_out, Happening.OPTED_OUT
        yield from ((at, Happening.FAILED) for at in self.strikes.values())
        yield from ((at, Happening.ASKED_TO_CONFIRM) for at in self.asked)
        yield from ((at, Happening.CONFIRMED) for at in self.confirmed)

    def and_these(self, facts: Iterable[Fact]) -> Facts:
        """Keep what is to be kept of these facts too."""
        latest, strikes = dict(self.latest), dict(self.strikes)
        first_opted_out = self.first_opted_out
        asked, confirmed = set(self.asked), set(self.confirmed)
        for fact in facts:
            happening, at = fact.happening, fact.at
            if happening in _KEPT_LATEST:
                latest[happening] = max(at, latest.get(happening, at))
                if happening is Happening.OPTED_OUT:
                    first_opted_out = at if first_opted_out is None else min(at, first_opted_out)
            elif happening is Happening.ENTERED:
                latest[happening] = min(at, latest.get(happening, at))
            elif happening is Happening.FAILED:
                strikes[fact.id] = max(at, strikes.get(fact.id, at))
            elif happening is Happening.ASKED_TO_CONFIRM:
                asked.add(at)
            elif happening is Happening.CONFIRMED:
                confirmed.add(at)
        if len(strikes) > STRIKES:
            # A message of the same instant as another is as good as it: the name decides, so that it is
            # always the same.
            ranked = sorted(strikes.items(), key=lambda strike: (strike[1], strike[0]))
            strikes = dict(ranked[-STRIKES:])
        kept_asked, kept_confirmed = _open(asked, confirmed) if asked or confirmed else ((), ())
        return Facts(
            latest=latest,
            first_opted_out=first_opted_out,
            strikes=strikes,
            asked=kept_asked,
            confirmed=kept_confirmed,
        )


def _open(asked: set[int], confirmed: set[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Keep the first YES that answers a question, and what may still turn out to be one before it.

    What comes after it changes nothing: who confirmed stays ACTIVE until an opt-out, which only START ends.
    """
    answer = min((yes for yes in confirmed if any(a <= yes < a + PENDING_FOR for a in asked)), default=None)
    if answer is None:
        return tuple(sorted(asked)[-MOST_OPEN:]), tuple(sorted(confirmed)[-MOST_OPEN:])
    questions = sorted(a for a in asked if a <= answer)
    earlier = sorted(yes for yes in confirmed if yes < answer)
    return tuple(questions[-MOST_OPEN:]), (*earlier[-MOST_OPEN:], answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscriber:
    """A row of ``subscribers``.

    Attributes
    ----------
    subscription_status
        As of ``updated_at``; see :func:`effective_status`.
    created_at, updated_at
        Event times of the first and the latest fact, so that a row that is made anew is the same.
    opt_in_timestamp, opt_out_timestamp
        Of the latest word that was one.
    total_messages_sent, total_responses
        Counted once a text by the writer, in the transaction that remembers the text.
    attributes
        ``segment``, ``preferred_time``, ``language`` and what else others keep here. Read only.
    facts
        None for a row that was written by hand.
    version
        0 for a row that was written by hand, or is not stored yet.
    """

    subscriber_id: str
    phone_number: str | None = None
    subscription_status: SubscriptionStatus = SubscriptionStatus.NEW
    created_at: int | None = None
    updated_at: int | None = None
    opt_in_timestamp: int | None = None
    opt_out_timestamp: int | None = None
    total_messages_sent: int = 0
    total_responses: int = 0
    last_response_at: int | None = None
    attributes: Mapping[str, Any] = _EMPTY
    facts: Facts | None = None
    version: int = 0

    def written(self) -> Subscriber:
        """Return the row as it is stored once it was written."""
        return replace(self, version=self.version + 1)


def record(
    subscriber: Subscriber | None,
    facts: Iterable[Fact],
    *,
    subscriber_id: str,
    phone_number: str | None,
    messages_sent: int = 0,
    responses: int = 0,
) -> Subscriber:
    """Record what happened to a subscriber.

    The same facts give the same row, in any order, any number of times, and in any portions. Counters only
    grow: the caller sees to it that each text is counted once.

    Parameters
    ----------
    subscriber
        The row so far; None where there is none. Its ``version`` is kept.
    phone_number
        E.164; that of the row stays.
    messages_sent, responses
        Added to the counters.
    """
    row = subscriber or Subscriber(subscriber_id=subscriber_id)
    facts = tuple(facts)
    kept = _kept(row).and_these(facts)
    instants = [fact.at for fact in facts]
    created_at = min((at for at in (row.created_at, *instants) if at is not None), default=None)
    updated_at = max((at for at in (row.updated_at, *instants) if at is not None), default=None)
    life = fold(kept, until=0 if updated_at is None else updated_at)
    return replace(
        row,
        phone_number=row.phone_number or phone_number,
        subscription_status=life.status,
        created_at=created_at,
        updated_at=updated_at,
        opt_in_timestamp=life.opted_in_at,
        opt_out_timestamp=kept.latest.get(Happening.OPTED_OUT),
        total_messages_sent=row.total_messages_sent + messages_sent,
        total_responses=row.total_responses + responses,
        last_response_at=_later(row.last_response_at, kept.latest.get(Happening.RESPONDED)),
        facts=kept,
    )


def effective_status(subscriber: Subscriber, now: int) -> SubscriptionStatus:
    """Return the status at an instant: PENDING expires without anything happening.

    Parameters
    ----------
    now
        Epoch milliseconds.
    """
    return fold(_kept(subscriber), until=now).status


def given_facts(subscriber: Subscriber) -> Iterator[Fact]:
    """Read a row that was written by hand as facts.

    Its status holds from the instant on that belongs to it; without any, from ever. So what happened after
    that counts, and an opt-out that happened before an ACTIVE row was written does too.
    """
    row, at = subscriber, subscriber.created_at or 0
    match row.subscription_status:
        case SubscriptionStatus.PENDING:
            yield _given(Happening.ASKED_TO_CONFIRM, row.updated_at or at)
            return
        case SubscriptionStatus.NEW:
            return
        case SubscriptionStatus.ACTIVE if row.opt_in_timestamp is None:
            # To have been written down is no opt-in.
            yield _given(Happening.ENTERED, at or row.updated_at or 0)
        case SubscriptionStatus.OPTED_OUT:
            yield _given(Happening.OPTED_OUT, row.opt_out_timestamp or row.updated_at or at)
        case SubscriptionStatus.BOUNCED:
            known = (row.created_at, row.updated_at, row.opt_in_timestamp, row.last_response_at)
            yield _given(Happening.FAILED_FOR_GOOD, row.updated_at or max(at or 0 for at in known))
    if row.opt_in_timestamp is not None:
        yield _given(Happening.ASKED_TO_CONFIRM, row.opt_in_timestamp)
        yield _given(Happening.CONFIRMED, row.opt_in_timestamp)


def facts_of(event: Told) -> tuple[Fact, ...]:
    """Return what an event says of its subscriber.

    A message may end twice, and two ends may disagree. Then it was delivered, as in the counts: the delivery
    is put at the later of the two, so that it proves the number alive after the failure.
    """
    kind, at, event_id = event.event_type, event.event_timestamp, event.event_id
    if kind == EventType.RECEIVED:
        return _facts_of_answer(event)
    if kind == EventType.OPTOUT:
        return (Fact(happening=Happening.OPTED_OUT, at=at, id=event_id),)
    if kind not in (EventType.SUCCESS, EventType.FAILURE, EventType.BUFFERED):
        return ()
    texted = Fact(happening=Happening.TEXTED, at=at, id=event_id)
    if kind == EventType.BUFFERED:
        return (texted,)
    ended = at if event.counted_at is None else max(at, event.counted_at)
    delivered = Fact(happening=Happening.DELIVERED, at=ended, id=event_id)
    if kind == EventType.SUCCESS:
        return texted, delivered
    failure = _failure_of(event)
    if event.counted_as == EventType.SUCCESS:
        return texted, *failure, delivered
    return texted, *failure


def _failure_of(event: Told) -> tuple[Fact, ...]:
    status = event.record_status or ""
    message = event.message_id or event.event_id
    if status in FAILED_FOR_GOOD:
        return (Fact(happening=Happening.FAILED_FOR_GOOD, at=event.event_timestamp, id=message),)
    if status in FAILED:
        return (Fact(happening=Happening.FAILED, at=event.event_timestamp, id=message),)
    if status == "OPTED_OUT":
        # The service has the number on its opt-out list.
        return (Fact(happening=Happening.OPTED_OUT, at=event.event_timestamp, id=event.event_id),)
    return ()


_SAID: Final = {Keyword.CONFIRM: Happening.CONFIRMED, Keyword.START: Happening.STARTED}


def _facts_of_answer(event: Told) -> tuple[Fact, ...]:
    at, event_id = event.event_timestamp, event.event_id
    keyword = recognise(event.response_text)
    said = _SAID.get(keyword)
    # By its words alone: where the service opted them out by the keyword that it matched, ingest has made an
    # event of its own of that, and whoever reads the archive, which has no keywords, comes to the same.
    if keyword in _OPT_OUTS:
        said = Happening.OPTED_OUT
    responded = Fact(happening=Happening.RESPONDED, at=at, id=event_id)
    return (responded,) if said is None else (responded, Fact(happening=said, at=at, id=event_id))


def _kept(row: Subscriber) -> Facts:
    return Facts().and_these(given_facts(row)) if row.facts is None else row.facts


def _given(happening: Happening, at: int) -> Fact:
    return Fact(happening=happening, at=at, id="given")


def _later(one: int | None, other: int | None) -> int | None:
    return max((at for at in (one, other) if at is not None), default=None)
