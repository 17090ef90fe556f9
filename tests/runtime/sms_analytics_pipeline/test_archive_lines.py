"""A line of the archive, and the event that it was."""

import gzip
import json
import random
from dataclasses import asdict

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_engagement_runtime.sms_analytics_pipeline.adapters.archive_json import (
    ArchiveLine,
    line_of_record,
    unpacked,
)
from sms_engagement_runtime.sms_analytics_pipeline.domain.compaction import COLUMNS
from sms_engagement_runtime.sms_analytics_pipeline.domain.events import (
    LATEST_TIMESTAMP,
    CanonicalEvent,
    EventType,
    delivery_event_id,
    opt_out_event_id,
)
from tests.support.archived_lines import packed
from tests.support.kinesis_events import NOON_MS, canonical

FIELDS_OF_THE_CONTRACT = [
    "event_type",
    "event_timestamp",
    "subscriber_id",
    "phone_number",
    "message_id",
    "campaign_id",
    "journey_id",
    "record_status",
    "message_type",
    "country_code",
    "price_millicents",
    "response_text",
    "archived_at",
]

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
instants = st.integers(0, LATEST_TIMESTAMP)
prices = st.integers(0, 100_000_000_000)
kinds = st.sampled_from([kind.value for kind in EventType])


@st.composite
def canonical_events(draw):
    """Events with ids of every form: as ingest makes them, those of others, and those that look alike."""
    kind, status = draw(kinds), draw(st.none() | st.sampled_from(["DELIVERED", "SPAM"]) | texts)
    message_id = draw(st.none() | texts)
    event_id = draw(
        st.sampled_from(
            [
                delivery_event_id(message_id or "", kind, status),
                opt_out_event_id(message_id or ""),
                message_id or "",
                f"{message_id}:{status}",
            ]
        )
        | texts
    )
    optional_text, optional_number = st.none() | texts, st.none() | prices
    return CanonicalEvent(
        event_type=kind,
        event_id=event_id,
        event_timestamp=draw(instants),
        arrival_timestamp=draw(instants),
        subscriber_id=draw(texts),
        phone_number=draw(optional_text),
        message_id=message_id,
        campaign_id=draw(optional_text),
        journey_id=draw(optional_text),
        record_status=status,
        message_type=draw(optional_text),
        country_code=draw(optional_text),
        price_millicents=draw(optional_number),
        parts=draw(st.none() | st.integers(0, 1_000)),
        response_text=draw(optional_text),
        keyword=draw(optional_text),
        origination=draw(optional_text),
        counted_as=draw(st.none() | st.sampled_from(["_SMS.SUCCESS", "_SMS.FAILURE"])),
        counted_at=draw(st.none() | instants),
        counted_price_millicents=draw(optional_number),
        schema_version=1,
    )


def on_the_stream(event: CanonicalEvent) -> bytes:
    return json.dumps(asdict(event), ensure_ascii=False).encode()


def line(event: CanonicalEvent) -> ArchiveLine:
    read = line_of_record(on_the_stream(event))
    read.archived_at = NOON_MS
    return read


@given(st.lists(canonical_events(), max_size=5))
def test_the_archive_gives_back_the_events_as_they_were_on_the_stream(events):
    assert list(unpacked(packed([line(event) for event in events]))) == events


@pytest.mark.parametrize(
    ("fields", "event_id", "written"),
    [
        ({}, "message-0/SUCCESS/DELIVERED", {}),
        ({"event_type": "_SMS.RECEIVED", "record_status": None}, "message-0", {}),
        ({"event_type": "_SMS.OPTOUT", "record_status": None}, "message-0/optout", {}),
        ({}, "message-0:DELIVERED", {"event_id_ending": ":DELIVERED"}),
        ({"message_id": None}, "something-else", {"event_id": "something-else"}),
    ],
)
def test_a_line_says_of_the_event_id_only_what_cannot_be_told(fields, event_id, written):
    content = gzip.decompress(
        packed([line_of_record(json.dumps(canonical(**fields, event_id=event_id)).encode())])
    )

    assert {name: value for name, value in json.loads(content).items() if "event_id" in name} == written


def test_a_line_has_the_fields_of_the_contract_first_and_in_order_without_those_that_are_null():
    received = CanonicalEvent(
        event_type="_SMS.RECEIVED",
        event_id="inbound-1",
        event_timestamp=NOON_MS,
        arrival_timestamp=NOON_MS + 300,
        subscriber_id="v1:abc",
        phone_number="+12025550101",
        message_id="inbound-1",
        campaign_id="spring",
        journey_id="welcome",
        record_status="RECEIVED",
        message_type="PROMOTIONAL",
        country_code="US",
        price_millicents=0,
        response_text="Oui ❤\nmerci",
        parts=1,
    )

    content = gzip.decompress(packed([line(received)])).decode()

    written = json.loads(content)
    assert list(written)[:13] == FIELDS_OF_THE_CONTRACT
    assert written["archived_at"] == NOON_MS
    assert written["response_text"] == "Oui ❤\nmerci"
    assert content.count("\n") == 1
    assert "null" not in content
    assert (
        "journey_id"
        not in gzip.decompress(packed([line_of_record(json.dumps(canonical()).encode())])).decode()
    )


def test_the_same_lines_give_the_same_bytes():
    lines = [line_of_record(json.dumps(canonical(number)).encode()) for number in range(50)]

    assert packed(lines) == packed(lines)
    assert packed(lines)[4:8] == b"\0\0\0\0"  # RFC 1952: MTIME, 0 for none


@pytest.mark.parametrize(
    "fields",
    [
        {"price_millicents": 2**63},
        {"price_millicents": "581"},
        {"event_timestamp": LATEST_TIMESTAMP + 1},
        {"event_timestamp": -1},
        {"event_timestamp": "2026-11-21T17:00:00Z"},
        {"event_id": None},
        {"arrival_timestamp": None},
        {"subscriber_id": None},
    ],
)
def test_what_would_make_an_object_unreadable_never_becomes_a_line(fields):
    with pytest.raises(msgspec.ValidationError):
        line_of_record(json.dumps(canonical(**fields)).encode())


def test_the_catalogue_has_a_column_for_each_field_of_a_line():
    columns = dict(COLUMNS) | {"event_id_ending": "string"}

    assert set(ArchiveLine.__struct_fields__) == set(columns)
    for field in msgspec.structs.fields(ArchiveLine):
        assert (columns[field.name] == "string") == ("str" in str(field.type)), field.name


def test_a_line_costs_at_most_fifty_two_bytes():
    """Ids, numbers and times as random as they are, in a batch of a thousand."""
    chance = random.Random(5)
    lines = []
    for number in range(1000):
        campaign = chance.randrange(40)
        people = chance.randrange(90)
        event = canonical(
            number * 9,
            message_id=(message := f"{chance.getrandbits(128):032x}"),
            event_id=f"{message}/SUCCESS/DELIVERED",
            arrival_timestamp=NOON_MS + number * 9 + chance.randint(80, 1500),
            subscriber_id=f"v1:{hash((people, 1)) & 0xFFFF_FFFF_FFFF_FFFF:016x}",
            phone_number=f"+1202555{100 + people:04d}",
            campaign_id=f"campaign-{campaign:03d}",
            journey_id=f"journey-{campaign:03d}",
            parts=chance.choice((1, 1, 1, 2)),
        )
        read = line_of_record(json.dumps(event).encode())
        read.archived_at = NOON_MS
        lines.append(read)

    assert len(packed(lines)) / len(lines) <= 52
