"""Ingest: from whatever arrives to canonical events on the stream, each exactly once.

A batch is read, its rows are fetched together, its events are claimed subscriber by subscriber, put together
and marked. What fails on the way comes back with its record, and finds in the register how far it came.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import batched
from typing import Final, NamedTuple, Protocol

from sms_engagement_runtime.channel.domain.errors import InvalidPhoneNumberError, TransientError
from sms_engagement_runtime.channel.domain.phone_number import ParsedNumber, PhoneNumber
from sms_engagement_runtime.channel.domain.ports import Clock, EventBus, PhoneNumberParser
from sms_engagement_runtime.sms_analytics_pipeline.domain.events import (
    CanonicalEvent,
    EventType,
    SetAside,
)
from sms_engagement_runtime.sms_analytics_pipeline.domain.opt_out_reports import (
    OPT_OUT_REPORTED,
    report_of,
)
from sms_engagement_runtime.sms_analytics_pipeline.domain.ports import (
    Attribution,
    EventStream,
    MessageRegister,
    Quarantine,
    Sought,
    StreamRecord,
    SubscriberRows,
    TextAttribution,
)
from sms_engagement_runtime.sms_analytics_pipeline.domain.reading import Draft, read
from sms_engagement_runtime.sms_analytics_pipeline.domain.register import (
    PUT_WITHIN_MS,
    RegisterRow,
    Verdict,
    take,
)
from sms_engagement_runtime.sms_analytics_pipeline.domain.subscribers import (
    Fact,
    Subscriber,
    facts_of,
    record,
)

MOST_MESSAGES: Final = 90
"""Messages of one subscriber in one transaction, which takes a hundred rows (AWS, *TransactWriteItems*): as
many as may be, since two transactions of one subscriber are in each other's way."""

_TELL_OF_TEXTS: Final = frozenset({EventType.SUCCESS, EventType.FAILURE, EventType.BUFFERED})

KNOWN_WITHIN_MS: Final = 15 * 60_000
"""How long an event that names nobody waits for one that does. It comes again each time that its queue gives
it out, some six minutes apart."""

ROUTED_WITHIN_MS: Final = 24 * 3600_000
"""How long after an inbound text the channel's router, which gets it too, may still be at it."""

_ATTEMPTS: Final = 6
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One payload that arrived.

    Attributes
    ----------
    record
        Id of the record that brought it, and that comes back where it fails. A record may bring several.
    name
        The same for each delivery; the name that it gets in the quarantine.
    notification_id
        Of the notification that it came in, if any.
    received_at_ms
        Epoch milliseconds: when it was published, else when it came.
    payload
        Decoded JSON, or why there is none.
    body
        As it came.
    """

    record: str
    name: str
    received_at_ms: int
    payload: object
    body: str
    notification_id: str | None = None


@dataclass(slots=True, kw_only=True)
class IngestReport:
    """What became of a batch.

    Attributes
    ----------
    failed
        Records that shall come again.
    ingested, duplicates
        Events.
    erased
        Events of people who were erased: nothing of them is kept.
    set_aside
        Payloads and events that are in the quarantine, by reason.
    errors
        What failed, by kind: for a log, without anything personal.
    """

    failed: set[str] = field(default_factory=set)
    ingested: int = 0
    duplicates: int = 0
    erased: int = 0
    set_aside: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)

    def fail(self, records: Iterable[str], error: str) -> None:
        """Have records come again."""
        new = set(records) - self.failed
        self.failed |= new
        if new:
            self.errors[error] += len(new)


class RunAll(Protocol):
    """How calls that do not depend on one another are made: in turn, or in several threads."""

    def __call__[T, R](self, work: Callable[[T], R], things: Iterable[T], /) -> Iterable[R]:
        """Give the results in the order of the things."""
        ...


def run_in_turn[T, R](work: Callable[[T], R], things: Iterable[T], /) -> Iterable[R]:
    """Do one after the other."""
    return [work(thing) for thing in things]


class RowsBusyError(TransientError):
    """Somebody else wrote the same rows each time."""


class _Person(NamedTuple):
    """Whose event it is."""

    subscriber_id: str
    phone_number: str | None
    country: str | None


class _Item(NamedTuple):
    """A draft on its way."""

    arrival: Arrival
    draft: Draft
    person: _Person | None


class _Ready(NamedTuple):
    """An event that lacks nothing but what the register knows."""

    record: str
    event: CanonicalEvent
    is_routed: bool
    """Whether the channel's router reads it as well, and does about an opt-out what is to be done."""


class _Group(NamedTuple):
    """Events of one subscriber, with the rows as they were read."""

    subscriber_id: str
    events: Sequence[_Ready]
    rows: Mapping[str, RegisterRow]
    subscriber: Subscriber | None

    @property
    def message_ids(self) -> set[str]:
        return {ready.event.message_id or "" for ready in self.events}

    @property
    def records(self) -> set[str]:
        return {ready.record for ready in self.events}


class _Put(NamedTuple):
    """An event that is ours to put. One in doubt is sought on the stream first."""

    record: str
    message_id: str
    for_stream: StreamRecord
    doubt: Sought | None
    opt_out: Mapping[str, object] | None
    """What the bus is told of it."""


@dataclass(slots=True)
class _Plan:
    """What a group of events makes of its rows."""

    rows: dict[str, RegisterRow] = field(default_factory=dict)
    subscriber: Subscriber | None = None
    puts: list[_Put] = field(default_factory=list)
    duplicates: int = 0
    under_way: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestService:
    """Takes in what arrives.

    Attributes
    ----------
    subscriber_id_of
        Keyed hash of a phone number.
    pause
        Waits before rows that somebody else wrote are tried again; takes the number of the attempt.
    bus
        Told of the opt-outs that the channel's router has not seen, before they count as done.
    service_opts_out
        Whether the service opts people out by the keyword that it matched.
    erased
        Subscriber ids of who was erased.
    """

    register: MessageRegister
    subscribers: SubscriberRows
    stream: EventStream
    attribution: TextAttribution
    quarantine: Quarantine
    parser: PhoneNumberParser
    subscriber_id_of: Callable[[PhoneNumber], str]
    clock: Clock
    pause: Callable[[int], None]
    bus: EventBus
    service_opts_out: bool = False
    run_all: RunAll = run_in_turn
    erased: Callable[[], AbstractSet[str]] = frozenset

    def ingest(self, arrivals: Sequence[Arrival]) -> IngestReport:
        """Take in a batch. What fails is in the report, and shall come again; nothing is raised for it."""
        report = IngestReport()
        aside: dict[str, tuple[Arrival, SetAside]] = {}
        items = self._read(arrivals, aside, report)
        rows = self._find_rows(items, report)
        if rows is not None:
            ready = self._kept(self._completed(items, rows, aside, report), report)
            groups = self._grouped(ready, rows, report)
            puts = self._claim_all(groups, report)
            self._put_all(puts, report)
        self._keep_all(aside.values(), report)
        return report

    # Reading

    def _read(
        self, arrivals: Sequence[Arrival], aside: dict[str, tuple[Arrival, SetAside]], report: IngestReport
    ) -> list[_Item]:
        items = []
        for arrival in arrivals:
            try:
                drafts = self._drafts(arrival)
                if isinstance(drafts, SetAside):
                    aside[arrival.name] = (arrival, drafts)
                else:
                    items += [_Item(arrival, draft, self._person(draft)) for draft in drafts]
            except Exception as error:  # noqa: BLE001 - reported for the record, not for its batch
                report.fail([arrival.record], _told(error))
        return items

    def _drafts(self, arrival: Arrival) -> list[Draft] | SetAside:
        if isinstance(arrival.payload, SetAside):
            return arrival.payload
        return read(
            arrival.payload,
            received_at_ms=arrival.received_at_ms,
            notification_id=arrival.notification_id,
            service_opts_out=self.service_opts_out,
        )

    def _person(self, draft: Draft) -> _Person | None:
        parsed = self._parsed(draft.phone)
        if parsed is not None:
            return _Person(self.subscriber_id_of(parsed.number), parsed.number.e164, parsed.country)
        return None if draft.subscriber_id is None else _Person(draft.subscriber_id, None, None)

    def _parsed(self, raw: str | None) -> ParsedNumber | None:
        """Read a number as the channel does, so that a person has one subscriber id everywhere.

        What has letters is none: a sender id, or a number that somebody blanked out (``+1XXX5550100``), which
        might be read as the word of somebody else's.
        """
        if raw is None or any(map(str.isalpha, raw)):
            return None
        try:
            return self.parser.parse(raw)
        except InvalidPhoneNumberError:
            # A text came from it or went there, so it exists, whatever the numbering plan says.
            try:
                return ParsedNumber(number=PhoneNumber(raw.strip()), country=None)
            except ValueError:
                return None

    # Completing

    def _find_rows(self, items: Sequence[_Item], report: IngestReport) -> Mapping[str, RegisterRow] | None:
        try:
            return self.register.find({item.draft.message_id for item in items}) if items else {}
        except TransientError as error:
            report.fail((item.arrival.record for item in items), _told(error))
            return None

    def _completed(
        self,
        items: Sequence[_Item],
        rows: Mapping[str, RegisterRow],
        aside: dict[str, tuple[Arrival, SetAside]],
        report: IngestReport,
    ) -> list[_Ready]:
        people = {
            row.message_id: _Person(row.subscriber_id, row.phone_number, row.country_code)
            for row in rows.values()
        } | {item.draft.message_id: item.person for item in items if item.person is not None}
        attributions = self._attributions(items, rows)
        ready = []
        # Of two that tell of one message, the one that knows more comes first.
        for item in sorted(items, key=lambda item: item.person is None):
            person = item.person or people.get(item.draft.message_id)
            attribution = attributions.get(item.draft.message_id)
            if person is None and self._may_be_known_soon(item):
                report.fail([item.arrival.record], "NotKnownYet")
            elif person is None:
                aside[item.arrival.name] = (item.arrival, SetAside.NO_SUBSCRIBER)
            elif isinstance(attribution, TransientError):
                report.fail([item.arrival.record], _told(attribution))
            else:
                event = _event(item.draft, person, attribution)
                ready.append(_Ready(item.arrival.record, event, self._is_routed(item)))
        return ready

    def _kept(self, ready: list[_Ready], report: IngestReport) -> list[_Ready]:
        """Leave out what is of erased people: no row and no record of the stream is to name them again."""
        if not ready:
            return ready
        try:
            erased = self.erased()
        except TransientError as error:
            report.fail((one.record for one in ready), _told(error))
            return []
        kept = [one for one in ready if one.event.subscriber_id not in erased]
        report.erased += len(ready) - len(kept)
        return kept

    def _is_routed(self, item: _Item) -> bool:
        is_inbound = item.draft.is_to_attribute and item.arrival.notification_id is not None
        return is_inbound and self._now() - item.arrival.received_at_ms < ROUTED_WITHIN_MS

    def _may_be_known_soon(self, item: _Item) -> bool:
        """Whether another event, which names the phone, may still come: EventBridge may be quicker."""
        draft = item.draft
        names_nobody = draft.phone is None and draft.event_type in _TELL_OF_TEXTS
        return names_nobody and self._now() - item.arrival.received_at_ms < KNOWN_WITHIN_MS

    def _attributions(
        self, items: Sequence[_Item], rows: Mapping[str, RegisterRow]
    ) -> Mapping[str, Attribution | TransientError | None]:
        """Look up what the inbound texts answer that are not known yet, by their message ids."""
        asking = {
            item.draft.message_id: item
            for item in items
            if item.draft.is_to_attribute and item.person is not None and _is_new(item.draft, rows)
        }
        return dict(zip(asking, self.run_all(self._attribution, asking.values()), strict=True))

    def _attribution(self, item: _Item) -> Attribution | TransientError | None:
        assert item.person is not None
        try:
            return self.attribution.of(
                item.person.subscriber_id,
                previous_message_id=item.draft.answers,
                received_at=_EPOCH + timedelta(milliseconds=item.draft.event_timestamp),
            )
        except TransientError as error:
            return error

    # Claiming

    def _grouped(
        self, ready: Sequence[_Ready], rows: Mapping[str, RegisterRow], report: IngestReport
    ) -> list[_Group]:
        by_person: dict[str, dict[str, list[_Ready]]] = {}
        for one in ready:
            messages = by_person.setdefault(one.event.subscriber_id, {})
            messages.setdefault(one.event.message_id or "", []).append(one)
        # The rows of people are written with new events only.
        wanted = {one.event.subscriber_id for one in ready if _is_new(one.event, rows)}
        try:
            subscribers = self.subscribers.find(wanted) if wanted else {}
        except TransientError as error:
            report.fail((one.record for one in ready), _told(error))
            return []
        return [
            _Group(
                subscriber_id,
                [one for of_message in chunk for one in of_message],
                rows,
                subscribers.get(subscriber_id),
            )
            for subscriber_id, messages in by_person.items()
            for chunk in batched(messages.values(), MOST_MESSAGES)
        ]

    def _claim_all(self, groups: Sequence[_Group], report: IngestReport) -> list[_Put]:
        puts: list[_Put] = []
        for group, plan in zip(groups, self.run_all(self._claim, groups), strict=True):
            if isinstance(plan, Exception):
                report.fail(group.records, type(plan).__name__)
                continue
            puts += plan.puts
            report.duplicates += plan.duplicates
            report.fail(plan.under_way, Verdict.UNDER_WAY)
        return puts

    def _claim(self, group: _Group) -> _Plan | Exception:
        try:
            return self._claim_until_free(group)
        except Exception as error:  # noqa: BLE001 - reported for the records concerned, not for their batch
            return error

    def _claim_until_free(self, group: _Group) -> _Plan:
        rows, subscriber = group.rows, group.subscriber
        for attempt in range(1, _ATTEMPTS + 1):
            now = self._now()
            plan = _plan(group.events, rows, subscriber, now)
            if not plan.rows or self.register.write(list(plan.rows.values()), plan.subscriber, now=now):
                return plan
            self.pause(attempt)
            rows = self.register.find(group.message_ids)
            subscriber = self.subscribers.find([group.subscriber_id]).get(group.subscriber_id)
        raise RowsBusyError

    # Putting

    def _put_all(self, puts: Sequence[_Put], report: IngestReport) -> None:
        # What is in doubt comes last: to search the stream for it may take long.
        self._put([put for put in puts if put.doubt is None], report)
        doubtful = [put for put in puts if put.doubt is not None]
        if not doubtful:
            return
        try:
            found = self.stream.find([put.doubt for put in doubtful if put.doubt])
        except TransientError as error:
            report.fail((put.record for put in doubtful), _told(error))
            return
        self._mark_all([put for put in doubtful if _id(put) in found], report)
        self._put([put for put in doubtful if _id(put) not in found], report)

    def _put(self, puts: Sequence[_Put], report: IngestReport) -> None:
        if not puts:
            return
        try:
            there = self.stream.put([put.for_stream for put in puts])
        except TransientError as error:
            report.fail((put.record for put in puts), _told(error))
            return
        report.fail((put.record for put in puts if _id(put) not in there), "NotPut")
        self._mark_all([put for put in puts if _id(put) in there], report)

    def _mark_all(self, puts: Sequence[_Put], report: IngestReport) -> None:
        report.ingested += len(puts)
        puts = self._told(puts, report)
        by_message: dict[str, list[_Put]] = {}
        for put in puts:
            by_message.setdefault(put.message_id, []).append(put)
        for of_message, error in zip(
            by_message.values(), self.run_all(self._mark, by_message.items()), strict=True
        ):
            if error is not None:
                report.fail((put.record for put in of_message), _told(error))

    def _told(self, puts: Sequence[_Put], report: IngestReport) -> list[_Put]:
        """Tell the bus of opt-outs. What it does not take is not marked, and so told when it comes again."""
        opt_outs = [put for put in puts if put.opt_out is not None]
        if not opt_outs:
            return list(puts)
        untold = set()
        for put, error in zip(opt_outs, self.run_all(self._tell, opt_outs), strict=True):
            if error is not None:
                untold.add(put.message_id)
                report.fail([put.record], _told(error))
        return [put for put in puts if put.message_id not in untold]

    def _tell(self, put: _Put) -> TransientError | None:
        assert put.opt_out is not None
        try:
            self.bus.publish(OPT_OUT_REPORTED, put.opt_out)
        except TransientError as error:
            return error
        return None

    def _mark(self, of_message: tuple[str, Sequence[_Put]]) -> TransientError | None:
        message_id, puts = of_message
        try:
            self.register.mark(message_id, [_id(put) for put in puts], now=self._now())
        except TransientError as error:
            return error
        return None

    # The rest

    def _keep_all(self, aside: Iterable[tuple[Arrival, SetAside]], report: IngestReport) -> None:
        # A record that comes again is kept then: what it is may be known by that time.
        kept = [(arrival, reason) for arrival, reason in aside if arrival.record not in report.failed]
        for (arrival, reason), error in zip(kept, self.run_all(self._keep, kept), strict=True):
            if error is None:
                report.set_aside[reason] += 1
            else:
                report.fail([arrival.record], _told(error))

    def _keep(self, one: tuple[Arrival, SetAside]) -> TransientError | None:
        arrival, reason = one
        received_at = _EPOCH + timedelta(milliseconds=arrival.received_at_ms)
        try:
            self.quarantine.keep(arrival.name, reason, arrival.body, received_at=received_at)
        except TransientError as error:
            return error
        return None

    def _now(self) -> int:
        return (self.clock.now() - _EPOCH) // timedelta(milliseconds=1)


def _told(error: Exception) -> str:
    """Return what a log says of an error: which call, and AWS's code. Other texts may quote anything."""
    is_ours = isinstance(error, TransientError) and str(error)
    return str(error) if is_ours else type(error).__name__


def _id(put: _Put) -> str:
    return put.for_stream.event_id


def _is_new(event: Draft | CanonicalEvent, rows: Mapping[str, RegisterRow]) -> bool:
    row = rows.get(event.message_id or "")
    return row is None or not row.knows(event.event_id)


def _event(draft: Draft, person: _Person, attribution: Attribution | None) -> CanonicalEvent:
    return CanonicalEvent(
        event_type=draft.event_type,
        event_id=draft.event_id,
        event_timestamp=draft.event_timestamp,
        arrival_timestamp=draft.arrival_timestamp,
        subscriber_id=person.subscriber_id,
        phone_number=person.phone_number,
        message_id=draft.message_id,
        campaign_id=attribution.campaign_id if attribution else draft.campaign_id,
        journey_id=attribution.journey_id if attribution else draft.journey_id,
        record_status=draft.record_status,
        message_type=draft.message_type,
        country_code=draft.country_code or person.country,
        price_millicents=draft.price_millicents,
        parts=draft.parts,
        response_text=draft.response_text,
        keyword=draft.keyword,
        origination=draft.origination,
    )


def _plan(
    events: Sequence[_Ready], rows: Mapping[str, RegisterRow], subscriber: Subscriber | None, now: int
) -> _Plan:
    """Say what the events make of their rows, one after the other."""
    plan = _Plan()
    ours: set[str] = set()
    facts: list[Fact] = []
    sent = 0
    for record_id, event, is_routed in events:
        message_id = event.message_id or ""
        row = plan.rows.get(message_id) or rows.get(message_id)
        if event.event_id in ours:
            plan.duplicates += 1
            continue
        taken = take(row, event, now=now)
        if taken.verdict is Verdict.STREAMED:
            plan.duplicates += 1
            continue
        if taken.verdict is Verdict.UNDER_WAY:
            plan.under_way.add(record_id)
            continue
        ours.add(event.event_id)
        plan.rows[message_id] = taken.row
        opt_out = None if is_routed else report_of(event)
        plan.puts.append(_put(record_id, event, taken.row, row, opt_out))
        sent += taken.is_first
        if taken.event is not None and event.event_type != EventType.RECEIVED:
            # What an answer says is recorded by who keeps the answers.
            facts += facts_of(taken.event)
    if facts or sent:
        person = events[0].event
        after = record(
            subscriber,
            facts,
            subscriber_id=person.subscriber_id,
            phone_number=person.phone_number,
            messages_sent=sent,
        )
        plan.subscriber = None if after == subscriber else after
    return plan


def _put(
    record_id: str,
    event: CanonicalEvent,
    row: RegisterRow,
    before: RegisterRow | None,
    opt_out: Mapping[str, object] | None,
) -> _Put:
    claim = row.claims[event.event_id]
    former = before.claims.get(event.event_id) if before else None
    doubt = (
        None
        if former is None
        else Sought(
            event.event_id,
            event.subscriber_id,
            since=former.claimed_at,
            until=former.leased_at + PUT_WITHIN_MS,
        )
    )
    message_id = event.message_id or ""
    for_stream = StreamRecord(event.event_id, event.subscriber_id, claim.event)
    return _Put(record_id, message_id, for_stream, doubt, opt_out)
