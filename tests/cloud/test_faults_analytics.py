"""Faults between the carrier and the counts: each event is counted, kept and answered once, or set aside.

After every test the stream, the counts, the archive, the answers, the subscribers and the register are held
against one another.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count as numbers_from
from typing import Any

import pytest

from sms_engagement_runtime.commands.exits import ExitStatus
from sms_engagement_runtime.commands.main import main
from sms_engagement_runtime.sms_analytics_pipeline.domain.archive import partition
from sms_engagement_runtime.sms_analytics_pipeline.domain.counting import Counts, count
from sms_engagement_runtime.sms_analytics_pipeline.domain.events import CanonicalEvent, EventType
from sms_engagement_runtime.sms_analytics_pipeline.domain.metrics import total
from sms_engagement_runtime.sms_analytics_pipeline.domain.register import encode
from sms_engagement_runtime.sms_analytics_pipeline.domain.responses import response_key
from sms_local.outputs import output_value
from sms_local.testing import Cloud, eventually
from tests.support.analytics_drive import (
    INGEST_QUEUES,
    all_counted,
    archived_events,
    dead_letters,
    delivery_event,
    ingested_with_failures,
    invoke,
    metric_sums,
    milliseconds,
    patient,
    pipeline_function,
    publish_to_event_topic,
    put_on_stream,
    refused_on,
    register_rows,
    set_aside,
    set_aside_by_ingest,
    settle_stream,
    stream_records,
    streamed_event_ids,
    subscriber,
)
from tests.support.cloud_drive import (
    client,
    new_customers,
    new_phone,
    outcome,
    replace_customers,
    subscriber_of,
)

pytestmark = pytest.mark.cloud

PRICE = 581
"""Thousandths of a cent for a text to the US, as the simulator's events say."""

READERS = ("event-processor", "analytics", "archive")
"""The consumers that read everything on the stream, as the quarantine calls them."""

WINDOW = timedelta(minutes=6)
"""Longer than the longest window in which a consumer gathers records, and than a queue keeps what failed."""

_ids = numbers_from()


@pytest.fixture(scope="module")
def own_cloud(running_cloud: Cloud) -> Iterator[Cloud]:
    """An empty cloud on its first day, which is emptied again."""
    running_cloud.reset()
    replace_customers(running_cloud, [])
    yield running_cloud
    running_cloud.reset()


@pytest.fixture(autouse=True)
def _all_agree(own_cloud: Cloud) -> Iterator[None]:
    yield
    cloud = own_cloud
    assert dead_letters(cloud) == {}
    streamed, archived = Counter(streamed_event_ids(cloud)), archived_events(cloud)
    assert [event_id for event_id, times in streamed.items() if times > 1] == []
    once = list({each.event_id: each for each in archived}.values())
    assert len(once) == len(archived)
    assert count(once) == all_counted(cloud)

    answers = [event for event in once if event.event_type == EventType.RECEIVED]
    assert {row["response_key"] for row in cloud.rows("responses")} == {
        response_key(event.event_timestamp, event.event_id) for event in answers
    }
    answered = Counter(event.subscriber_id for event in answers)
    register = register_rows(cloud)
    sent = Counter(row["subscriberId"] for row in register.values() if row["isSent"])
    people = {row["subscriber_id"]: row for row in cloud.rows("subscribers") if row.get("phone_number")}
    assert {id_: row["total_responses"] for id_, row in people.items() if row["total_responses"]} == answered
    assert {
        id_: row["total_messages_sent"] for id_, row in people.items() if row["total_messages_sent"]
    } == sent
    assert [row["messageId"] for row in register.values() if row["claims"]] == []
    assert set(register) <= {event.message_id for event in once}


def new_id() -> str:
    """Return a message id that no test has used."""
    return f"message-{next(_ids):04}"


def event(
    cloud: Cloud,
    phone: str,
    campaign: str,
    kind: EventType = EventType.SUCCESS,
    *,
    at: datetime | None = None,
    body: str | None = None,
) -> CanonicalEvent:
    """Return a canonical event, of now unless said otherwise."""
    message_id, at_ms = new_id(), milliseconds(at or cloud.now())
    is_answer = kind == EventType.RECEIVED
    return CanonicalEvent(
        event_type=kind,
        event_id=message_id if is_answer else f"{message_id}/{kind.removeprefix('_SMS.')}/STATUS",
        event_timestamp=at_ms,
        arrival_timestamp=at_ms,
        subscriber_id=subscriber_of(cloud, phone),
        phone_number=phone,
        message_id=message_id,
        campaign_id=campaign,
        record_status=None if is_answer else "STATUS",
        country_code="US",
        price_millicents=None if is_answer else PRICE,
        response_text=body,
    )


def encoded(events: Sequence[CanonicalEvent]) -> list[bytes]:
    """Return events as they lie on the stream."""
    return [encode(each).encode() for each in events]


def counted_of(cloud: Cloud, campaign: str) -> Counts:
    """Return what is counted of a campaign."""
    return total(counts for group, counts in all_counted(cloud).items() if group.campaign_id == campaign)


def archived_of(cloud: Cloud, campaign: str) -> list[str]:
    """Return the ids of a campaign's events in the archive, sorted, each as often as it lies there."""
    return sorted(each.event_id for each in archived_events(cloud) if each.campaign_id == campaign)


def answers_of(cloud: Cloud, campaign: str) -> list[str]:
    """Return what was answered to a campaign, in order."""
    rows = [row for row in cloud.rows("responses") if row.get("campaign_id") == campaign]
    return [row["response_text"] for row in sorted(rows, key=lambda row: row["response_key"])]


def ids_of(events: Sequence[CanonicalEvent]) -> list[str]:
    return sorted(each.event_id for each in events)


# --- records that nobody can read


def test_poison_between_good_events_is_set_aside_and_the_good_ones_count(own_cloud: Cloud) -> None:
    cloud, phone, campaign = own_cloud, new_phone(), "poisoned"
    first, second, third, fourth = (event(cloud, phone, campaign) for _ in range(4))
    answer = event(cloud, phone, campaign, EventType.RECEIVED, body="what is this?")
    later_answer = replace(answer, event_id="later", schema_version=2)
    poison: list[tuple[bytes | Mapping[str, Any], str]] = [
        (b"this is no JSON", "NOT_JSON"),
        (b'{"schema_version": 2, "event_type": {"name": "_SMS.SUCCESS"}}', "FUTURE_SCHEMA"),
        (encode(replace(first, event_id="large", response_text="x" * 700_000)).encode(), "TOO_LARGE"),
        ({**json.loads(encode(first)), "event_id": "odd", "event_timestamp": "yesterday"}, "UNKNOWN_SHAPE"),
        (encode(later_answer).encode(), "FUTURE_SCHEMA"),
        (encode(replace(first, event_id="read", event_type="_SMS.READ")).encode(), "UNKNOWN_EVENT_TYPE"),
    ]
    bad = [record for record, _ in poison]
    records = [
        *encoded([first]),
        *bad[:2],
        *encoded([second, answer]),
        *bad[2:5],
        *encoded([third]),
        bad[5],
        *encoded([fourth]),
    ]

    numbers = put_on_stream(cloud, subscriber_of(cloud, phone), records)
    settle_stream(cloud)

    good = [first, second, third, fourth, answer]
    assert counted_of(cloud, campaign) == Counts(delivered=4, responses=1, cost_millicents=4 * PRICE)
    assert archived_of(cloud, campaign) == ids_of(good)
    assert answers_of(cloud, campaign) == ["what is this?"]
    expected = {numbers[records.index(record)]: reason for record, reason in poison}
    for consumer in READERS:
        assert set_aside(cloud, consumer) == expected
    # The mapping's filter lets answers pass and nothing else.
    assert set_aside(cloud, "response-handler") == {numbers[records.index(bad[4])]: "FUTURE_SCHEMA"}


# --- consumers that are ended on the way


def _batch(cloud: Cloud, campaign: str) -> list[CanonicalEvent]:
    """Return what one person did on two days, the earlier first: so a batch is two objects of the archive."""
    phone, today = new_phone(), cloud.now()
    yesterday = today - timedelta(days=1)
    return [
        event(cloud, phone, campaign, at=yesterday),
        event(cloud, phone, campaign, EventType.FAILURE, at=yesterday),
        event(cloud, phone, campaign, EventType.RECEIVED, at=yesterday, body="who are you?"),
        event(cloud, phone, campaign, at=today),
        event(cloud, phone, campaign, EventType.RECEIVED, at=today, body="great, thanks!"),
        event(cloud, phone, campaign, at=today),
    ]


def _assert_done_once(cloud: Cloud, campaign: str, batch: Sequence[CanonicalEvent]) -> None:
    assert counted_of(cloud, campaign) == Counts(
        delivered=3, failed=1, responses=2, cost_millicents=4 * PRICE
    )
    assert archived_of(cloud, campaign) == ids_of(batch)
    assert answers_of(cloud, campaign) == ["who are you?", "great, thanks!"]
    row = next(row for row in cloud.rows("subscribers") if row["subscriber_id"] == batch[0].subscriber_id)
    assert row["total_responses"] == 2
    assert row["last_response_at"] == batch[4].event_timestamp


@dataclass(frozen=True)
class Consumers:
    """The functions that read the stream, by their duty."""

    monitoring: str
    answers: str
    counts: str
    archive: str

    def __iter__(self) -> Iterator[str]:
        """All of them."""
        return iter((self.monitoring, self.answers, self.counts, self.archive))


@pytest.fixture(scope="module")
def consumers(own_cloud: Cloud) -> Consumers:
    names = ("event_processor", "response_handler", "analytics", "archive")
    return Consumers(*(pipeline_function(own_cloud, name) for name in names))


def table_arn(cloud: Cloud, name: str) -> str:
    """Return the ARN of a table by its name."""
    return f"arn:aws:dynamodb:{cloud.outputs['region']}:*:table/{name}"


def objects_arn(cloud: Cloud, prefix: str) -> str:
    """Return the ARN of the archive's objects below a prefix."""
    return f"arn:aws:s3:::{cloud.outputs['archive_bucket']}/{prefix}*"


def test_consumers_that_end_in_the_middle_of_a_batch_do_all_of_it_once(
    own_cloud: Cloud, consumers: Consumers
) -> None:
    cloud, campaign, tables = own_cloud, "interrupted", own_cloud.outputs["tables"]
    batch = _batch(cloud, campaign)
    today = objects_arn(cloud, f"events/{partition(cloud.now().date())}")

    responses, subscribers = (table_arn(cloud, tables[name]) for name in ("responses", "subscribers"))

    with patient(cloud, *consumers), ExitStack() as until_late, ExitStack() as until_later:
        until_later.enter_context(refused_on(cloud, consumers.answers, "dynamodb:UpdateItem", subscribers))
        for function, action, resource in (
            (consumers.counts, "dynamodb:PutItem", "*"),
            (consumers.answers, "dynamodb:PutItem", responses),
            (consumers.archive, "s3:PutObject", today),
            (consumers.monitoring, "s3:PutObject", "*"),
        ):
            until_late.enter_context(refused_on(cloud, function, action, resource))
        numbers = put_on_stream(cloud, batch[0].subscriber_id, [*encoded(batch), b"poison"])
        cloud.advance(WINDOW)
        half_done = archived_of(cloud, campaign)
        uncounted = counted_of(cloud, campaign)
        unanswered = answers_of(cloud, campaign)
        until_late.close()
        cloud.advance(timedelta(minutes=2))
        unanswered += answers_of(cloud, campaign)
        until_later.close()
        cloud.advance(WINDOW)

    assert half_done == ids_of(batch[:3])
    assert uncounted == Counts()
    assert unanswered == []
    _assert_done_once(cloud, campaign, batch)
    for consumer in READERS:
        assert set_aside(cloud, consumer)[numbers[-1]] == "NOT_JSON"


def test_batches_that_fail_for_too_long_are_brought_back_from_the_dead_letter_queues(
    own_cloud: Cloud, consumers: Consumers, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud, campaign = own_cloud, "brought back"
    batch, afterwards = _batch(cloud, campaign), event(cloud, new_phone(), "meanwhile")

    with (
        refused_on(cloud, consumers.counts, "dynamodb:PutItem"),
        refused_on(cloud, consumers.answers, "dynamodb:BatchGetItem"),
        refused_on(cloud, consumers.archive, "s3:PutObject"),
    ):
        put_on_stream(cloud, batch[0].subscriber_id, encoded(batch))
        cloud.advance(WINDOW)
        given_up = dead_letters(cloud)
    put_on_stream(cloud, afterwards.subscriber_id, encoded([afterwards]))
    cloud.advance(WINDOW)
    before = (archived_of(cloud, campaign), counted_of(cloud, campaign), answers_of(cloud, campaign))
    went_on = counted_of(cloud, "meanwhile")
    status = main(["redrive", "--queue", *given_up, "--endpoint-url", cloud.places.aws_endpoint])

    assert sorted(given_up.values()) == [2, 6, 6]
    assert before == ([], Counts(), [])
    assert went_on == Counts(delivered=1, cost_millicents=PRICE)
    assert status == ExitStatus.DONE, capsys.readouterr()
    _assert_done_once(cloud, campaign, batch)


def test_a_batch_that_comes_again_whole_at_once_and_in_halves_changes_nothing(
    own_cloud: Cloud, consumers: Consumers
) -> None:
    cloud, campaign = own_cloud, "again"
    batch = _batch(cloud, campaign)
    numbers = put_on_stream(cloud, batch[0].subscriber_id, encoded(batch))
    settle_stream(cloud)
    metrics = metric_sums(cloud)
    records = [each for each in stream_records(cloud) if each["kinesis"]["sequenceNumber"] in numbers]

    for function in consumers:
        with ThreadPoolExecutor(2) as pool:
            whole = list(
                pool.map(lambda function: invoke(cloud, function, {"Records": records}), [function] * 2)
            )
        halves = [invoke(cloud, function, {"Records": half}) for half in (records[:3], records[3:])]
        assert whole + halves == [{"batchItemFailures": []}] * 4

    assert len(records) == len(batch)
    _assert_done_once(cloud, campaign, batch)
    assert metric_sums(cloud) == pytest.approx(metrics)


# --- ingest that is ended on the way


def test_events_that_meet_each_fault_of_ingest_in_turn_are_on_the_stream_once(own_cloud: Cloud) -> None:
    cloud, campaign, phones = own_cloud, "lost answers", [new_phone() for _ in range(3)]
    ingest = pipeline_function(cloud, "ingest")
    register = table_arn(cloud, output_value(cloud.outputs, "RegisterTableName") or "")
    ids = [new_id() for _ in phones]
    payloads = [
        delivery_event(cloud, phone, campaign, message_id=id_) for phone, id_ in zip(phones, ids, strict=True)
    ]
    # An answer that nobody replies to: a reply would have delivery events of its own.
    writer = new_phone()

    before = ingested_with_failures(cloud, ingest)

    def tried(times: int) -> None:
        """Let each record of the four be tried so often."""
        eventually(
            lambda: ingested_with_failures(cloud, ingest) - before == 4 * times, what=f"attempt {times}"
        )

    def state() -> tuple[set[str], set[str], set[str]]:
        """Return which of the messages are claimed, marked, and on the stream."""
        rows = [row for id_, row in register_rows(cloud).items() if id_ in ids]
        streamed = {event_id.partition("/")[0] for event_id in streamed_event_ids(cloud)}
        return (
            {row["messageId"] for row in rows if row["claims"]},
            {row["messageId"] for row in rows if row["streamed"]},
            streamed.intersection(ids),
        )

    with refused_on(cloud, ingest, "dynamodb:PutItem", register):
        publish_to_event_topic(cloud, payloads)
        cloud.text_from(writer, "not interested")
        tried(1)
        unclaimed = state()
    with refused_on(cloud, ingest, "kinesis:PutRecords"):
        cloud.advance(WINDOW)
        tried(2)
        claimed = state()
    with refused_on(cloud, ingest, "dynamodb:UpdateItem", register):
        cloud.advance(WINDOW)
        tried(3)
        unmarked = state()
    # An on-demand stream does so by itself: what was put lies in a closed shard by now.
    _split_all_shards(cloud)
    cloud.advance(WINDOW)
    settle_stream(cloud)
    # What came of a shard is read once that is read, each with a window of its own.
    cloud.advance(WINDOW)

    all_ids = set(ids)
    assert unclaimed == (set(), set(), set())
    assert claimed == (all_ids, set(), set())
    assert unmarked == (all_ids, set(), all_ids)
    assert state() == (set(), all_ids, all_ids)
    assert counted_of(cloud, campaign) == Counts(delivered=3, cost_millicents=3 * PRICE)
    assert [subscriber(cloud, phone)["total_messages_sent"] for phone in phones] == [1, 1, 1]
    assert subscriber(cloud, writer)["total_responses"] == 1


def _split_all_shards(cloud: Cloud) -> None:
    kinesis, stream = client(cloud, "kinesis"), cloud.outputs["stream"]
    for shard in kinesis.list_shards(StreamName=stream)["Shards"]:
        if "EndingSequenceNumber" in shard["SequenceNumberRange"]:
            continue
        keys = shard["HashKeyRange"]
        middle = (int(keys["StartingHashKey"]) + int(keys["EndingHashKey"])) // 2
        kinesis.split_shard(StreamName=stream, ShardToSplit=shard["ShardId"], NewStartingHashKey=str(middle))


def test_events_around_the_split_of_a_shard_are_counted_once(own_cloud: Cloud, consumers: Consumers) -> None:
    cloud, campaign, phones = own_cloud, "split", [new_phone() for _ in range(6)]
    before, after = ([event(cloud, phone, campaign) for phone in phones] for _ in range(2))

    for each in before:
        put_on_stream(cloud, each.subscriber_id, encoded([each]))
    _split_all_shards(cloud)
    for each in after:
        put_on_stream(cloud, each.subscriber_id, encoded([each]))
    settle_stream(cloud)
    # What came of a shard is read once that is read, each with a window of its own.
    cloud.advance(WINDOW)
    shards = {
        record["eventID"].partition(":")[0]
        for record in stream_records(cloud)
        if record["kinesis"]["partitionKey"] == before[0].subscriber_id
    }

    assert len(shards) == 2
    assert counted_of(cloud, campaign) == Counts(delivered=12, cost_millicents=12 * PRICE)
    assert archived_of(cloud, campaign) == ids_of([*before, *after])


# --- whatever arrives


def _pinpoint(phone: str, campaign: str, message_id: str, at: datetime) -> dict[str, Any]:
    return {
        "event_type": "_SMS.SUCCESS",
        "event_timestamp": milliseconds(at),
        "arrival_timestamp": milliseconds(at),
        "event_version": "3.1",
        "client": {"client_id": "123456789012"},
        "attributes": {
            "destination_phone_number": phone,
            "record_status": "DELIVERED",
            "iso_country_code": "US",
            "number_of_message_parts": "1",
            "message_id": message_id,
            "message_type": "Transactional",
            "campaign_id": campaign,
        },
        "metrics": {"price_in_millicents_usd": 645.0},
    }


def _delivery_log(phone: str, message_id: str, at: datetime) -> dict[str, Any]:
    return {
        "notification": {"messageId": message_id, "timestamp": f"{at:%Y-%m-%d %H:%M:%S}.558"},
        "delivery": {
            "destination": phone,
            "priceInUSD": 0.00645,
            "smsType": "Promotional",
            "providerResponse": "Phone is currently unreachable/unavailable",
            "numberOfMessageParts": 1,
        },
        "status": "FAILURE",
    }


def _bus_event(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return a delivery event as EventBridge has it: without phone number and context."""
    hidden = {"destinationPhoneNumber", "context"}
    detail = {name: value for name, value in payload.items() if name not in hidden}
    return {
        "version": "0",
        "detail-type": "Text Message Delivery Status Updated",
        "source": "aws.sms-voice",
        "detail": detail,
    }


@dataclass
class Arrivals:
    """What was published on two days, and when the first of them was."""

    at: datetime
    readable: dict[str, tuple[str, EventType, int]] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    overtaken: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="module")
def arrivals(own_cloud: Cloud) -> Arrivals:
    """Publish everything twice, and again a day later, with what else is told of the same messages."""
    cloud, now = own_cloud, own_cloud.now()
    told = Arrivals(at=now)

    def of(campaign: str, **fields: Any) -> dict[str, Any]:
        return delivery_event(cloud, new_phone(), campaign, **{"message_id": new_id(), "at": now, **fields})

    readable = {
        "a text price": of("a text price", totalMessagePrice="0.01234"),
        "ISO time": of("ISO time", eventTimestamp=now.isoformat().replace("+00:00", "Z")),
        "a year behind": of("a year behind", at=now - timedelta(days=365)),
        "legacy": _pinpoint(new_phone(), "legacy", new_id(), now),
        "delivery log": _delivery_log(new_phone(), new_id(), now),
    }
    told.readable = {
        "a text price": ("a text price", EventType.SUCCESS, 1234),
        "ISO time": ("ISO time", EventType.SUCCESS, PRICE),
        "a year behind": ("a year behind", EventType.SUCCESS, PRICE),
        "legacy": ("legacy", EventType.SUCCESS, 645),
        "bus": ("bus", EventType.SUCCESS, PRICE),
    }
    known = of("bus", event_type="TEXT_QUEUED")
    bus = _bus_event({**known, "eventType": "TEXT_DELIVERED", "messageStatus": "DELIVERED", "isFinal": True})
    ahead = of("nobody", at=now + timedelta(days=365))
    unreadable = {
        "CLOCK_AHEAD": json.dumps(ahead),
        "NO_MESSAGE_ID": json.dumps({**of("nobody"), "messageId": ""}),
        "NO_TIMESTAMP": json.dumps({**of("nobody"), "eventTimestamp": "soon"}),
        "NOT_A_TEXT": json.dumps({**of("nobody"), "eventType": "VOICE_COMPLETED"}),
        "UNKNOWN_EVENT_TYPE": json.dumps({**of("nobody"), "eventType": "TEXT_READ"}),
        "UNKNOWN_SHAPE": json.dumps(["a", "list"]),
        "NO_SUBSCRIBER": json.dumps(_bus_event(of("nobody"))),
        # SNS takes 256 KB at most.
        "NOT_JSON": "\u00e9{" * 80_000,
    }
    told.unreadable = unreadable

    unreachable = of("disagree", event_type="TEXT_CARRIER_UNREACHABLE")
    delivered = of("agree", event_type="TEXT_DELIVERED")
    first_day = [*readable.values(), known, bus, *unreadable.values(), unreachable, delivered]
    publish_to_event_topic(cloud, [*first_day, *first_day])
    # An event of EventBridge whose message nobody knows waits for one that tells whose it is.
    for _ in range(3):
        cloud.advance(WINDOW)
    settle_stream(cloud, INGEST_QUEUES)
    cloud.advance(timedelta(days=1))

    later = {**unreachable, "eventType": "TEXT_DELIVERED", "messageStatus": "DELIVERED"}
    later |= {"eventTimestamp": milliseconds(now + timedelta(days=1)), "totalMessagePrice": 0.00700}
    contrary = {**delivered, "eventType": "TEXT_UNREACHABLE", "messageStatus": "UNREACHABLE"}
    queued = {**delivered, "eventType": "TEXT_QUEUED", "messageStatus": "QUEUED", "isFinal": False}
    publish_to_event_topic(cloud, [later, contrary, queued, *readable.values(), known, bus, later, delivered])
    settle_stream(cloud, INGEST_QUEUES)
    return told


@pytest.mark.parametrize("name", ["a text price", "ISO time", "a year behind", "legacy", "bus"])
def test_each_spelling_of_an_event_is_counted_once(own_cloud: Cloud, arrivals: Arrivals, name: str) -> None:
    campaign, kind, price = arrivals.readable[name]
    finals = [
        each
        for each in archived_events(own_cloud)
        if each.campaign_id == campaign and each.event_type != EventType.BUFFERED
    ]

    assert counted_of(own_cloud, campaign) == Counts(delivered=1, cost_millicents=price)
    assert [each.event_type for each in finals] == [kind]


def test_a_delivery_log_is_counted_once(own_cloud: Cloud, arrivals: Arrivals) -> None:
    (line,) = (
        each for each in archived_events(own_cloud) if each.price_millicents == 645 and not each.campaign_id
    )

    assert (line.event_type, line.record_status) == (EventType.FAILURE, "UNREACHABLE")
    assert line.event_timestamp == milliseconds(arrivals.at.replace(microsecond=558_000))


def test_what_happened_a_year_ago_is_counted_in_its_own_hour(own_cloud: Cloud, arrivals: Arrivals) -> None:
    hours = {group.hour for group in all_counted(own_cloud) if group.campaign_id == "a year behind"}

    assert hours == {milliseconds(arrivals.at - timedelta(days=365)) // 3_600_000}


@pytest.mark.parametrize(
    "reason",
    [
        "CLOCK_AHEAD",
        "NO_MESSAGE_ID",
        "NO_TIMESTAMP",
        "NOT_A_TEXT",
        "UNKNOWN_EVENT_TYPE",
        "UNKNOWN_SHAPE",
        "NO_SUBSCRIBER",
        "NOT_JSON",
    ],
)
def test_what_cannot_be_read_is_set_aside_with_its_reason(
    own_cloud: Cloud, arrivals: Arrivals, reason: str
) -> None:
    published = arrivals.unreadable[reason]
    reasons = {why for body, why in set_aside_by_ingest(own_cloud).items() if _holds(body, published)}

    assert reasons == {reason}
    assert counted_of(own_cloud, "nobody") == Counts()


def _holds(body: str, published: str) -> bool:
    """Whether a notification that was set aside brought this payload; a large one is cut."""
    return json.dumps(published)[1:1000].removesuffix('"') in body


def test_delivered_outweighs_failed_a_day_later_and_the_larger_price_counts(
    own_cloud: Cloud, arrivals: Arrivals
) -> None:
    hours = {group.hour for group in all_counted(own_cloud) if group.campaign_id == "disagree"}

    assert counted_of(own_cloud, "disagree") == Counts(delivered=1, cost_millicents=700)
    assert hours == {milliseconds(arrivals.at + timedelta(days=1)) // 3_600_000}
    assert len(archived_of(own_cloud, "disagree")) == 2


@pytest.mark.usefixtures("arrivals")
def test_what_comes_after_the_delivery_changes_no_count(own_cloud: Cloud) -> None:
    assert counted_of(own_cloud, "agree") == Counts(delivered=1, cost_millicents=PRICE)
    assert len(archived_of(own_cloud, "agree")) == 3


def test_events_of_the_carrier_that_come_four_times_and_late_count_once(own_cloud: Cloud) -> None:
    cloud, people = own_cloud, new_customers(2)
    replace_customers(cloud, people)
    delivered, unreachable = (person.phone or "" for person in people)
    outcome(cloud, phone=delivered, event_type="TEXT_DELIVERED", duplicates=3, delay_seconds=90)
    outcome(cloud, phone=unreachable, event_type="TEXT_UNREACHABLE", duplicates=3, delay_seconds=45)

    cloud.broadcast()
    cloud.advance(timedelta(minutes=2))
    settle_stream(cloud, INGEST_QUEUES)
    replace_customers(cloud, [])

    kinds = {
        phone: Counter(each.event_type for each in archived_events(cloud) if each.phone_number == phone)
        for phone in (delivered, unreachable)
    }
    assert kinds[delivered][EventType.SUCCESS] == 1
    assert kinds[unreachable] == {EventType.FAILURE: 1}
    for phone in (delivered, unreachable):
        assert subscriber(cloud, phone)["total_messages_sent"] == 1
