"""What cannot be read is set aside with its reason, and stops nothing."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_engagement_runtime.sms_analytics_pipeline.adapters.kinesis_records import decode_batch
from sms_engagement_runtime.sms_analytics_pipeline.domain.events import MAX_EVENT_BYTES, SetAside
from tests.support.kinesis_events import SHARD, canonical, stream_batch


class Small(msgspec.Struct):
    event_type: str
    event_id: str
    event_timestamp: int
    schema_version: int = 1


decode = msgspec.json.Decoder(Small).decode


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (b"", SetAside.NOT_JSON),
        (b"no JSON", SetAside.NOT_JSON),
        (b'{"event_type": "_SMS.SUCCESS"', SetAside.NOT_JSON),
        (b"\xff\xfe\x00", SetAside.NOT_JSON),
        (b"[" * 100_000, SetAside.UNKNOWN_SHAPE),
        (b'{"a": ' * 20_000, SetAside.NOT_JSON),
        ("this is ** no base64", SetAside.NOT_BASE64),
        ("a", SetAside.NOT_BASE64),
        (b"[]", SetAside.UNKNOWN_SHAPE),
        (b"null", SetAside.UNKNOWN_SHAPE),
        ({"foo": 1}, SetAside.UNKNOWN_SHAPE),
        (canonical(event_timestamp="2026-11-21T17:00:00Z"), SetAside.UNKNOWN_SHAPE),
        (canonical(event_id=None), SetAside.UNKNOWN_SHAPE),
        (canonical(schema_version="1"), SetAside.UNKNOWN_SHAPE),
        (canonical(schema_version=2), SetAside.FUTURE_SCHEMA),
        (canonical(schema_version=2, event_timestamp={"seconds": 1}), SetAside.FUTURE_SCHEMA),
        (canonical(event_type="_email.send"), SetAside.UNKNOWN_EVENT_TYPE),
        (canonical(event_type=""), SetAside.UNKNOWN_EVENT_TYPE),
        (canonical(response_text="x" * MAX_EVENT_BYTES), SetAside.TOO_LARGE),
        (b"x" * 9_000_000, SetAside.TOO_LARGE),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_record_in_the_middle_that_cannot_be_read_stops_no_other(record, reason):
    batch = decode_batch(stream_batch([canonical(0), record, canonical(2)], first=10), decode)

    assert [event.event_id for event in batch.events] == [
        "message-0/SUCCESS/DELIVERED",
        "message-2/SUCCESS/DELIVERED",
    ]
    assert [number[-2:] for number in batch.sequence_numbers] == ["10", "12"]
    assert [(each.sequence_number[-2:], each.reason) for each in batch.rejected] == [("11", reason)]
    assert batch.shard_id == SHARD
    assert batch.first_sequence_number.endswith("10")


def test_base64_in_lines_is_read():
    event = stream_batch([canonical(0)])
    kinesis = event["Records"][0]["kinesis"]
    kinesis["data"] = f"{kinesis['data'][:76]}\r\n{kinesis['data'][76:]}\n"

    assert len(decode_batch(event, decode).events) == 1


def test_the_longest_text_that_there_is_fits():
    batch = decode_batch(stream_batch([canonical(response_text="\U0001f389" * 1_600)]), decode)

    assert len(batch.events) == 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)


@given(st.lists(st.binary(max_size=60) | json_values.map(lambda value: json.dumps(value).encode())))
def test_every_record_is_either_read_or_set_aside(records):
    batch = decode_batch(stream_batch([canonical(0), *records]), decode)

    assert len(batch.events) + len(batch.rejected) == len(records) + 1


@given(st.dictionaries(st.sampled_from(list(canonical())), json_values, max_size=4))
def test_an_event_with_any_values_is_either_read_or_set_aside(changes):
    batch = decode_batch(stream_batch([{**canonical(0), **changes}]), decode)

    assert len(batch.events) + len(batch.rejected) == 1
