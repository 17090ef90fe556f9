"""The analytics pipeline of the simulation: ingest, the stream, the counts, the answers and the subscribers.

The archive's files and Athena have no counterpart here; what the archive would hold is what the stream holds.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

from benchmarks.soak_audit import Person, Stored, Totals
from benchmarks.soak_channel import Channel, Inbound
from benchmarks.soak_transport import Detail, Queue, Stream, World
from sms_engagement_runtime.channel.domain.delivery import loads
from sms_engagement_runtime.channel.domain.errors import TransientError
from sms_engagement_runtime.channel.domain.sentiment import analyse
from sms_engagement_runtime.channel.domain.subscriber import subscriber_id
from sms_engagement_runtime.sms_analytics_pipeline.adapters.text_attribution import LedgerAttribution
from sms_engagement_runtime.sms_analytics_pipeline.domain.answering_patterns import AnsweringPatterns
from sms_engagement_runtime.sms_analytics_pipeline.domain.counting import Countable, Counts, Group, count
from sms_engagement_runtime.sms_analytics_pipeline.domain.events import CanonicalEvent, EventType
from sms_engagement_runtime.sms_analytics_pipeline.domain.ingesting import Arrival, IngestService
from sms_engagement_runtime.sms_analytics_pipeline.domain.ports import StreamRecord
from sms_engagement_runtime.sms_analytics_pipeline.domain.responses import Response, ResponseKeeper
from sms_engagement_runtime.sms_analytics_pipeline.domain.subscribers import (
    Subscriber,
    SubscriberChangedError,
)
from sms_engagement_runtime.sms_analytics_pipeline.domain.subscription_notices import (
    CONFIRMATION_ASKED,
    SubscriptionRecorder,
    read_notice,
)
from tests.support.analytics_fakes import FakeQuarantine, FakeRegister, FakeSubscriberRows
from tests.support.fakes import SUBSCRIBER_KEY


class Rows(FakeSubscriberRows):
    """Rows of subscribers that are written one at a time too."""

    def __init__(self, register: FakeRegister) -> None:
        super().__init__(register)
        self.rows = register.subscribers

    def put(self, subscriber: Subscriber, *, expected_version: int) -> None:
        """Write a row, if it still has the version in which it was read."""
        stored = self.rows.get(subscriber.subscriber_id)
        if (stored.version if stored else 0) != expected_version:
            raise SubscriberChangedError
        self.rows[subscriber.subscriber_id] = replace(subscriber, version=expected_version + 1)


class Responses:
    """Answers, written together with the rows of their subscribers."""

    def __init__(self, subscribers: Rows) -> None:
        self.rows: dict[tuple[str, str], Response] = {}
        self._subscribers = subscribers

    def exists(self, subscriber_id: str, response_key: str) -> bool:
        """Say whether an answer is kept."""
        return (subscriber_id, response_key) in self.rows

    def add(self, response: Response, subscriber: Subscriber) -> bool:
        """Keep an answer and its subscriber, both or neither."""
        key = (response.subscriber_id, response.response_key)
        if key in self.rows:
            return False
        self._subscribers.put(subscriber, expected_version=subscriber.version)
        self.rows[key] = response
        return True


class Analytics:
    """The pipeline behind the channel's two topics."""

    def __init__(self, channel: Channel, world: World) -> None:
        self.world = world
        wrap = channel.wrap
        self.register = FakeRegister()
        self.subscribers = Rows(self.register)
        self.stream = Stream(world)
        self.responses = Responses(self.subscribers)
        self.quarantine = FakeQuarantine()
        self._counted: dict[tuple[int, int], dict[Group, Counts]] = {}
        self._service = IngestService(
            register=wrap(self.register),
            subscribers=wrap(self.subscribers),
            stream=wrap(self.stream),
            attribution=LedgerAttribution(wrap(channel.ledger)),
            quarantine=wrap(self.quarantine),
            parser=channel.parser,
            subscriber_id_of=lambda number: subscriber_id(number, SUBSCRIBER_KEY),
            clock=world.schedule,
            pause=lambda attempt: world.schedule.sleep(0.02 * 2**attempt),
            bus=wrap(channel.bus),
        )
        self._keeper = ResponseKeeper(
            store=wrap(self.responses),
            subscribers=wrap(self.subscribers),
            analyse=analyse,
            patterns=AnsweringPatterns.from_settings({}),
            topic=None,
            sleep=world.schedule.sleep,
            jitter=world.luck.chance.random,
        )
        self._recorder = SubscriptionRecorder(
            subscribers=wrap(self.subscribers), sleep=world.schedule.sleep, jitter=world.luck.chance.random
        )
        queue = Queue(world, "ingest", self._ingest)
        channel.carrier.queues.append(queue)
        channel.inbound_queues.append(queue)
        self.stream.consumer(self._count)
        self.stream.consumer(self._keep)
        channel.bus.rule("subscription-events", (CONFIRMATION_ASKED,), self._notice)

    # --- the functions

    def _ingest(self, batch: Sequence[Any]) -> Sequence[Any]:
        now_ms = round(self.world.now.timestamp() * 1000)
        arrivals = []
        for number, one in enumerate(batch):
            is_inbound = isinstance(one, Inbound)
            body = json.dumps(one.payload if is_inbound else one)
            at = round(one.told_at.timestamp() * 1000) if is_inbound else now_ms
            arrivals.append(
                Arrival(
                    record=str(number),
                    name=f"n-{id(one)}",
                    received_at_ms=at,
                    payload=loads(body),
                    body=body,
                )
            )
        failed = self._service.ingest(arrivals).failed
        return [one for number, one in enumerate(batch) if str(number) in failed]

    def _count(self, shard: int, first: int, records: Sequence[StreamRecord]) -> int | None:
        # One write of a whole batch, by its place: a batch that comes again replaces what it wrote.
        self._counted[shard, first] = count(map(_countable, records))
        return None

    def _keep(self, shard: int, first: int, records: Sequence[StreamRecord]) -> int | None:  # noqa: ARG002
        rows: dict[str, Subscriber | None] = {}
        for number, record in enumerate(records):
            event = _event(record)
            if event.event_type != EventType.RECEIVED:
                continue
            person = event.subscriber_id
            try:
                if person not in rows:
                    rows[person] = self._keeper.subscribers.find([person]).get(person)
                _, rows[person] = self._keeper.keep(event, rows[person])
            except TransientError:
                return number
        return None

    def _notice(self, event_id: str, event_type: str, detail: Detail) -> None:
        notice = read_notice(event_type, detail, event_id)
        assert notice is not None
        self._recorder.record(notice)

    # --- what the books are made of

    def stored(self) -> list[Stored]:
        """Tell which answers are kept."""
        return [
            Stored(inbound_id=row.message_id or "", phone=row.phone_number or "", body=row.response_text)
            for row in self.responses.rows.values()
        ]

    def people(self) -> dict[str, Person]:
        """Tell what the subscribers' rows count, by phone."""
        return {
            row.phone_number or "": Person(
                texts=row.total_messages_sent, responses=row.total_responses, status=row.subscription_status
            )
            for row in self.register.subscribers.values()
        }

    def counted(self) -> Totals:
        """Add up the counts."""
        found = [counts for groups in self._counted.values() for counts in groups.values()]
        return Totals(
            delivered=sum(one.delivered for one in found),
            failed=sum(one.failed for one in found),
            responses=sum(one.responses for one in found),
        )

    def streamed(self) -> Totals:
        """Add up what is on the stream, where an event may be twice."""
        ids: dict[str, set[str]] = {kind: set() for kind in ("_SMS.SUCCESS", "_SMS.FAILURE", "_SMS.RECEIVED")}
        for shard in self.stream.shards:
            for record in shard:
                event = json.loads(record.data)
                if event["event_type"] in ids:
                    ids[event["event_type"]].add(event["message_id"])
        return Totals(
            delivered=len(ids["_SMS.SUCCESS"]),
            failed=len(ids["_SMS.FAILURE"] - ids["_SMS.SUCCESS"]),
            responses=len(ids["_SMS.RECEIVED"]),
        )


def _countable(record: StreamRecord) -> Countable:
    return cast("Countable", _event(record))


def _event(record: StreamRecord) -> CanonicalEvent:
    return CanonicalEvent(**json.loads(record.data))
