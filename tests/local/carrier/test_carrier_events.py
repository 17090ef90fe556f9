"""Delivery events: their real shape, which of them come, when, where and how often."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_engagement_runtime.channel.domain.encoding import measure
from sms_local.carrier.destinations import parse_destination
from sms_local.carrier.events import EVENT_TYPES, delivery_event, events_until
from sms_local.carrier.messages import Message
from sms_local.carrier.service_model import service_model

US, CA = "+14255550182", "+16135550123"
TOPIC, OTHER_TOPIC = "arn:aws:sns:us-east-1:000000000000:events", "arn:aws:sns:us-east-1:000000000000:other"
ACCEPTED_AT = datetime(2026, 11, 21, 17, tzinfo=UTC)


def shape(event: dict[str, Any]) -> dict[str, type]:
    return {name: type(value) for name, value in event.items()}


def configure(carrier, *event_types: str, topic: str = TOPIC, name: str = "topic") -> None:
    if not carrier.sms.describe_configuration_sets()["ConfigurationSets"]:
        carrier.sms.create_configuration_set(ConfigurationSetName="set")
    carrier.sms.create_event_destination(
        ConfigurationSetName="set",
        EventDestinationName=name,
        MatchingEventTypes=list(event_types or ("TEXT_ALL",)),
        SnsDestination={"TopicArn": topic},
    )


def send(carrier, phone: str = US, **request: Any) -> str:
    request = {"MessageBody": "Hi", "ConfigurationSetName": "set"} | request
    return carrier.sms.send_text_message(DestinationPhoneNumber=phone, **request)["MessageId"]


def test_a_delivery_is_announced_by_the_carrier_and_then_by_the_phone(carrier, until, sample):
    configure(carrier)

    message_id = send(carrier, CA, MessageType="TRANSACTIONAL")

    until(lambda: len(carrier.topics.on(TOPIC)) == 2)
    accepted, delivered = sorted(carrier.topics.on(TOPIC), key=lambda event: event["isFinal"])
    assert shape(accepted) == shape(sample("eum-TEXT_SUCCESSFUL-not-final"))
    assert shape(delivered) == shape(sample("eum-TEXT_DELIVERED"))
    assert list(delivered) == list(sample("eum-TEXT_DELIVERED"))
    constant = {"eventTimestamp", "messageRequestTimestamp", "messageId", "originationPhoneNumber"}
    published = sample("eum-TEXT_DELIVERED")
    assert {k: v for k, v in delivered.items() if k not in constant} == {
        k: v for k, v in published.items() if k not in constant
    }
    assert accepted["messageId"] == delivered["messageId"] == message_id
    assert (accepted["eventType"], accepted["messageStatus"]) == ("TEXT_SUCCESSFUL", "SUCCESSFUL")
    assert delivered["messageRequestTimestamp"] < accepted["eventTimestamp"] <= delivered["eventTimestamp"]
    assert [m["status"] for m in carrier.messages()] == ["TEXT_DELIVERED"]


def test_context_comes_back_in_every_event(carrier, until):
    configure(carrier)

    send(carrier, Context={"key": "abc", "campaign": "spring"})

    until(lambda: len(carrier.topics.on(TOPIC)) == 2)
    assert [e["context"] for e in carrier.topics.on(TOPIC)] == [{"key": "abc", "campaign": "spring"}] * 2


@pytest.mark.parametrize(
    ("event_type", "fixture"),
    [
        ("TEXT_CARRIER_UNREACHABLE", "eum-TEXT_CARRIER_UNREACHABLE"),
        ("TEXT_BLOCKED", "eum-TEXT_BLOCKED-derived"),
    ],
)
def test_a_failure_has_the_shape_of_real_failures(carrier, until, sample, event_type, fixture):
    configure(carrier)
    carrier.control("POST", "outcome", phone=CA, event_type=event_type)

    send(carrier, CA)

    [event] = until(lambda: carrier.topics.on(TOPIC))
    assert shape(event) == shape(sample(fixture))
    assert {n: event[n] for n in ("eventType", "messageStatus", "messageStatusDescription", "isFinal")} == {
        n: sample(fixture)[n] for n in ("eventType", "messageStatus", "messageStatusDescription", "isFinal")
    }


def test_what_the_filter_blocks_costs_nothing_and_names_its_configuration(carrier, until, sample):
    configure(carrier)
    protect_id = carrier.sms.create_protect_configuration()["ProtectConfigurationId"]
    carrier.sms.associate_protect_configuration(ProtectConfigurationId=protect_id, ConfigurationSetName="set")
    carrier.control("POST", "outcome", phone="*", event_type="TEXT_PROTECT_BLOCKED")

    send(carrier, Context={"account": "bar"}, MessageType="PROMOTIONAL")

    [event] = until(lambda: carrier.topics.on(TOPIC))
    published = sample("eum-TEXT_PROTECT_BLOCKED")
    assert list(event) == list(published)
    own = {name for name in event if name.endswith(("Timestamp", "PhoneNumber")) or name == "messageId"}
    published["protectConfiguration"]["protectConfigurationId"] = protect_id
    assert {k: v for k, v in event.items() if k not in own} == {
        k: v for k, v in published.items() if k not in own
    }


def test_each_event_type_of_the_service_but_the_unsupported_can_be_had():
    documented = {
        name
        for name in service_model().shape_for("EventType").enum
        if name.startswith("TEXT_") and name not in {"TEXT_ALL", "TEXT_SENT"}
    }

    assert documented == EVENT_TYPES


@pytest.mark.parametrize("event_type", sorted(EVENT_TYPES))
def test_every_outcome_ends_with_its_event_and_shows_as_status(carrier, until, event_type):
    configure(carrier)
    carrier.control("POST", "outcome", phone="*", event_type=event_type)

    send(carrier)

    expected = [kind for kind, _ in events_until(event_type)]
    until(lambda: len(carrier.topics.on(TOPIC)) == len(expected))
    assert sorted(e["eventType"] for e in carrier.topics.on(TOPIC)) == sorted(expected)
    assert carrier.messages()[0]["status"] == event_type
    assert expected[-1] == event_type


@pytest.mark.parametrize(
    ("event_type", "finals"),
    [
        ("TEXT_DELIVERED", [False, True]),
        ("TEXT_SUCCESSFUL", [True]),
        ("TEXT_QUEUED", [False]),
        ("TEXT_PENDING", [False]),
        ("TEXT_TTL_EXPIRED", [True]),
    ],
)
def test_only_events_that_end_a_message_are_final(event_type, finals):
    assert [is_final for _, is_final in events_until(event_type)] == finals


def test_events_go_where_their_type_is_wanted(carrier, until):
    configure(carrier, "TEXT_DELIVERED", topic=TOPIC, name="one")
    configure(carrier, "TEXT_SUCCESSFUL", "TEXT_SPAM", topic=OTHER_TOPIC, name="two")

    send(carrier)

    until(lambda: len(carrier.topics.published) == 2)
    assert [e["eventType"] for e in carrier.topics.on(TOPIC)] == ["TEXT_DELIVERED"]
    assert [e["eventType"] for e in carrier.topics.on(OTHER_TOPIC)] == ["TEXT_SUCCESSFUL"]


def test_without_configuration_set_or_with_a_disabled_destination_nothing_is_published(carrier, until):
    configure(carrier)
    send(carrier, ConfigurationSetName=None)
    until(lambda: carrier.messages()[0]["status"] == "TEXT_DELIVERED")
    carrier.sms.update_event_destination(
        ConfigurationSetName="set", EventDestinationName="topic", Enabled=False
    )
    send(carrier)
    until(lambda: carrier.messages()[1]["status"] == "TEXT_DELIVERED")

    assert carrier.topics.published == []


def test_a_topic_that_is_gone_stops_neither_the_text_nor_the_other_topics(carrier, until):
    configure(carrier, topic=TOPIC, name="gone")
    configure(carrier, topic=OTHER_TOPIC, name="there")
    carrier.topics.refusing.add(TOPIC)

    send(carrier)

    until(lambda: len(carrier.topics.on(OTHER_TOPIC)) == 2)
    assert carrier.topics.on(TOPIC) == []


def test_duplicates_are_published_extra(carrier, until):
    configure(carrier, "TEXT_DELIVERED")
    carrier.control("POST", "outcome", phone=US, duplicates=2)

    send(carrier)

    until(lambda: len(carrier.topics.on(TOPIC)) == 3)
    first, *others = carrier.topics.on(TOPIC)
    assert others == [first, first]


@given(
    body=st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=1600),
    event_type=st.sampled_from(sorted(EVENT_TYPES)),
    phone=st.sampled_from([US, CA, "+33612345678"]),
)
def test_parts_and_price_follow_from_the_text(body, event_type, phone):
    message = Message(
        id="m",
        origination="+12065550100",
        destination=parse_destination(phone),
        body=body,
        measured=measure(body),
        message_type="PROMOTIONAL",
        context={},
        configuration_set_name="set",
        accepted_at=ACCEPTED_AT,
    )

    event = delivery_event(message, event_type, is_final=True, at=ACCEPTED_AT + timedelta(seconds=1))

    assert event["totalMessageParts"] == measure(body).parts
    assert event["messageEncoding"] == measure(body).encoding
    assert event["eventTimestamp"] - event["messageRequestTimestamp"] == 1000
    free = event_type == "TEXT_PROTECT_BLOCKED"
    price = Decimal(0) if free else message.destination.tariff.price * measure(body).parts
    assert Decimal(str(event["totalMessagePrice"])) == price
    assert body not in event.values()
