"""The saved queries over lines as the archive writes them: what they say is what the consumers counted."""

import json
import random
from collections import defaultdict
from dataclasses import asdict, replace
from datetime import UTC, date, datetime

import pytest

from sms_engagement.sms_analytics_pipeline.queries import SAVED_QUERIES
from sms_engagement_runtime.sms_analytics_pipeline.adapters.s3_archive import objects_of, read
from sms_engagement_runtime.sms_analytics_pipeline.domain.counting import (
    Contribution,
    Counts,
    contribution,
    count,
)
from sms_engagement_runtime.sms_analytics_pipeline.domain.events import (
    CanonicalEvent,
    EventType,
    delivery_event_id,
    opt_out_event_id,
)
from tests.support.archive_sql import COMPACTED, RAW, ArchiveSql
from tests.support.kinesis_events import NOON_MS, stream_batch

HOUR, DAY = 3_600_000, 86_400_000
EVERY_DAY = {"first_day": "20261101", "last_day": "20261231"}
SUCCESS, FAILURE = EventType.SUCCESS.value, EventType.FAILURE.value


def text(number, outcome=SUCCESS, *, at=NOON_MS, status=None, price=581, **fields):
    status = status or ("DELIVERED" if outcome == SUCCESS else "UNREACHABLE")
    return CanonicalEvent(
        **{
            "event_type": outcome,
            "event_id": delivery_event_id(f"message-{number}", outcome, status),
            "event_timestamp": at,
            "arrival_timestamp": at + 300,
            "subscriber_id": f"v1:{number}",
            "message_id": f"message-{number}",
            "campaign_id": "spring",
            "country_code": "US",
            "record_status": status,
            "price_millicents": price,
            **fields,
        }
    )


def answer(number, *, at=NOON_MS, subscriber="v1:1", campaign="spring", words="Yes ❤"):
    return CanonicalEvent(
        event_type=EventType.RECEIVED,
        event_id=f"inbound-{number}",
        event_timestamp=at,
        arrival_timestamp=at + 300,
        subscriber_id=subscriber,
        message_id=f"inbound-{number}",
        campaign_id=campaign,
        country_code="US",
        response_text=words,
    )


def opt_out(of):
    return replace(
        of, event_type=EventType.OPTOUT, event_id=opt_out_event_id(of.event_id), response_text=None
    )


def as_ingest_tells(events):
    """Write into each later event of a message how it was counted before, as ingest does."""
    counted: dict[str, Contribution] = {}
    told = []
    for event in events:
        if event.event_type in {SUCCESS, FAILURE}:
            before = counted.get(event.message_id)
            if before is not None:
                event = replace(
                    event,
                    counted_as=before.outcome,
                    counted_at=before.at,
                    counted_price_millicents=before.price_millicents,
                )
            counted[event.message_id] = contribution(
                before,
                outcome=event.event_type,
                at=event.event_timestamp,
                price_millicents=event.price_millicents,
            )
        told.append(event)
    return told


@pytest.fixture
def archive(tmp_path):
    return ArchiveSql(tmp_path)


def keep(archive, events, *, first=0):
    batch = stream_batch([asdict(event) for event in events], first=first)
    for each in objects_of(read(batch)):
        archive.write(each.key, each.body)


def ask(archive, id, **days):
    (query,) = (query for query in SAVED_QUERIES if query.id == id)
    return archive.ask(query.text(raw=RAW, compacted=COMPACTED, **(days or EVERY_DAY)))


def all_of(archive):
    return {query.id: json.dumps(ask(archive, query.id), default=str) for query in SAVED_QUERIES}


def test_each_text_counts_once_however_many_events_tell_of_it(archive):
    keep(
        archive,
        as_ingest_tells(
            [
                text(1, FAILURE, price=0),
                text(1, SUCCESS, at=NOON_MS + HOUR),
                text(2, SUCCESS, status="SUCCESSFUL"),
                text(2, SUCCESS, at=NOON_MS + DAY, price=900),
                text(3, SUCCESS),
                text(3, FAILURE, at=NOON_MS - HOUR),
                text(4, FAILURE, country_code="CA"),
                text(5, "_SMS.BUFFERED", status="PENDING"),
            ]
        ),
    )

    assert ask(archive, "Delivery") == [
        {
            "campaign_id": "spring",
            "country_code": "US",
            "ended": 3,
            "delivered": 3,
            "failed": 0,
            "delivery_rate_percent": 100.0,
        },
        {
            "campaign_id": "spring",
            "country_code": "CA",
            "ended": 1,
            "delivered": 0,
            "failed": 1,
            "delivery_rate_percent": 0.0,
        },
    ]


def test_rates_are_per_delivered_text_and_nothing_where_none_was(archive):
    stop = answer(2, subscriber="v1:2", words="STOP")
    keep(
        archive,
        [
            *(text(number) for number in range(8)),
            text(8, FAILURE),
            answer(1),
            answer(3),
            stop,
            opt_out(stop),
            answer(4, campaign=None),
        ],
    )

    assert ask(archive, "Responses") == [
        {
            "campaign_id": "spring",
            "delivered": 8,
            "responses": 3,
            "people_who_answered": 2,
            "opt_outs": 1,
            "response_rate_percent": 37.5,
            "opt_out_rate_percent": 12.5,
        },
        {
            "campaign_id": None,
            "delivered": 0,
            "responses": 1,
            "people_who_answered": 1,
            "opt_outs": 0,
            "response_rate_percent": None,
            "opt_out_rate_percent": None,
        },
    ]


def test_cost_is_on_the_day_on_which_a_text_ended(archive):
    keep(archive, [text(1), text(2, price=1162), text(3, at=NOON_MS + DAY, price=0), answer(1)])

    assert [
        (row["day"], row["texts"], row["cost_usd"], row["usd_per_delivered_text"], row["usd_per_response"])
        for row in ask(archive, "Cost")
    ] == [
        (date(2026, 11, 21), 2, 0.01743, 0.008715, 0.01743),
        (date(2026, 11, 22), 1, 0.0, 0.0, None),
    ]


def test_an_answer_that_is_quicker_than_the_receipt_is_of_the_cohort(archive):
    keep(
        archive,
        [text(1, subscriber_id="v1:a"), answer(1, subscriber="v1:a", at=NOON_MS - 5_000)],
    )

    assert [row["answered_in_7_days"] for row in ask(archive, "Cohorts")] == [1]


def test_cohorts_are_people_by_the_week_of_their_first_text(archive):
    keep(
        archive,
        [
            text(1, subscriber_id="v1:a"),
            text(2, subscriber_id="v1:a", at=NOON_MS + 9 * DAY),
            text(3, subscriber_id="v1:b"),
            text(4, subscriber_id="v1:c", at=NOON_MS + 3 * DAY),
            text(5, FAILURE, subscriber_id="v1:d"),
            answer(1, subscriber="v1:a", at=NOON_MS + 7 * DAY),
            answer(2, subscriber="v1:b", at=NOON_MS - DAY),
            answer(3, subscriber="v1:b", at=NOON_MS + 20 * DAY),
            opt_out(answer(4, subscriber="v1:c", at=NOON_MS + 34 * DAY)),
        ],
    )

    assert [tuple(row.values()) for row in ask(archive, "Cohorts")] == [
        (date(2026, 11, 16), 2, 1, 2, 0, 0),
        (date(2026, 11, 23), 1, 0, 0, 0, 0),
    ]


def test_a_subscribers_year_is_that_of_whoever_wrote_last_unless_somebody_is_asked_for(archive):
    stop = answer(1, at=NOON_MS + HOUR, words="STOP")
    keep(
        archive,
        [
            text(1),
            stop,
            opt_out(stop),
            text(2, subscriber_id="v1:2"),
            answer(2, at=NOON_MS - HOUR, subscriber="v1:2"),
        ],
    )

    rows = ask(archive, "Subscriber")

    assert {row["subscriber_id"] for row in rows} == {"v1:1"}
    assert [(row["what"], row["response_text"]) for row in rows] == [
        ("delivered", None),
        ("answered", "STOP"),
        ("opted out", None),
    ]
    assert rows[0]["at_utc"] == datetime.fromtimestamp(NOON_MS / 1000, UTC).replace(tzinfo=None)
    assert rows[0]["cost_usd"] == 0.00581


def test_the_days_asked_for_are_both_included_and_no_other(archive):
    keep(archive, [text(number, at=NOON_MS + number * DAY) for number in range(4)])

    rows = ask(archive, "Cost", first_day="20261122", last_day="20261123")

    assert [row["day"] for row in rows] == [date(2026, 11, 22), date(2026, 11, 23)]


def test_a_text_counted_before_the_days_asked_for_is_not_counted_again(archive):
    keep(archive, as_ingest_tells([text(1, status="SUCCESSFUL"), text(1, at=NOON_MS + DAY)]))

    assert ask(archive, "Delivery", first_day="20261122", last_day="20261130") == []
    assert ask(archive, "Delivery", first_day="20261121", last_day="20261121")[0]["delivered"] == 1


def events_of_days(chance, *, texts=300, days=20):
    events = []
    for number in range(texts):
        at = NOON_MS + chance.randrange(days * DAY)
        about = {
            "campaign_id": chance.choice([None, "spring", "autumn"]),
            "country_code": chance.choice(["US", "CA", None]),
            "subscriber_id": f"v1:{number % 60}",
        }
        for _ in range(chance.choice([1, 1, 1, 2, 3])):
            outcome = chance.choice([SUCCESS, SUCCESS, FAILURE])
            status = chance.choice(["A", "B", "C"])
            price = chance.choice([None, 581, 645, 1162])
            later = at + chance.randrange(2 * DAY)
            events.append(text(number, outcome, at=later, status=status, price=price, **about))
        if chance.random() < 0.2:
            received = answer(number, at=at + HOUR, subscriber=about["subscriber_id"])
            events += [received, opt_out(received)] if chance.random() < 0.3 else [received]
    chance.shuffle(events)
    # Ingest lets one event of an id through.
    return as_ingest_tells({event.event_id: event for event in events}.values())


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_totals_are_those_that_the_consumers_counted_event_by_event(archive, seed):
    events = events_of_days(random.Random(seed))
    keep(archive, events)

    counted: dict[object, Counts] = defaultdict(Counts)
    for group, counts in count(events).items():
        day = date(1970, 1, 1).fromordinal(date(1970, 1, 1).toordinal() + group.hour // 24)
        counted[day, group.campaign_id, group.country_code].add(counts)
    asked = {
        (row["day"], row["campaign_id"], row["country_code"]): (
            row["texts"],
            row["delivered"],
            row["responses"],
            round(row["cost_usd"] * 100_000),
        )
        for row in ask(archive, "Cost")
    }
    assert asked == {
        key: (each.delivered + each.failed, each.delivered, each.responses, each.cost_millicents)
        for key, each in counted.items()
        if each.delivered or each.failed or each.responses
    }
    assert sum(row["opt_outs"] for row in ask(archive, "Responses")) == sum(
        each.opt_outs for each in counted.values()
    )


def test_no_answer_changes_by_a_replay_a_compaction_or_the_end_of_the_raw_objects(archive):
    events = events_of_days(random.Random(4), texts=80, days=3)
    keep(archive, events)
    before = all_of(archive)

    # What a replay with other batches leaves; half of it a second time.
    keep(archive, events[: len(events) // 2], first=10_000)
    assert all_of(archive) == before
    days = {datetime.fromtimestamp(event.event_timestamp / 1000, UTC).date(): event for event in events}
    for day in sorted(days)[::2]:
        archive.compact(day, "a")
    assert all_of(archive) == before
    for day in days:
        archive.compact(day, "b")
    archive.delete_raw()
    assert all_of(archive) == before


def test_compaction_keeps_each_event_once_with_all_that_it_was(archive):
    events = [*as_ingest_tells([text(1, FAILURE), text(1)]), replace(text(2), event_id="other:2"), answer(1)]
    keep(archive, events)
    keep(archive, events[1:], first=100)

    archive.compact(date(2026, 11, 21), "a")
    archive.delete_raw()

    rows = archive.ask(f"SELECT * FROM {COMPACTED} ORDER BY event_id")
    kept = [{name: row[name] for name in asdict(events[0])} for row in rows]
    wanted = sorted((asdict(event) for event in events), key=lambda event: event["event_id"])
    assert [{**row, "schema_version": 1} for row in kept] == wanted


@pytest.mark.parametrize("id", [query.id for query in SAVED_QUERIES])
def test_a_query_as_it_is_saved_reads_the_last_days(archive, id):
    (query,) = (query for query in SAVED_QUERIES if query.id == id)
    too_old, old_enough = NOON_MS - (query.days + 1) * DAY, NOON_MS - query.days * DAY
    saved = query.text(raw=RAW, compacted=COMPACTED)
    assert "current_date" in saved
    today = saved.replace("current_date", "DATE '2026-11-21'")

    keep(archive, [text(1, at=too_old), answer(1, at=too_old)])
    assert archive.ask(today) == []
    keep(archive, [text(2, at=old_enough), answer(2, at=old_enough)], first=10)
    assert archive.ask(today) != []
