import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_engagement_runtime.channel.domain.delivery import NotATextEvent, loads, parse
from sms_engagement_runtime.channel.domain.ledger import DeliveryEvent
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.reasons import Reason

EVENTS = Path(__file__).parents[2] / "events"


def _load(name: str) -> dict:
    event = loads((EVENTS / name).read_text("utf-8"))
    assert isinstance(event, dict)
    return event


DELIVERED = _load("eum-TEXT_DELIVERED.json")


def test_reads_a_delivered_text():
    event = parse({**DELIVERED, "context": {"intent": "key-1", "campaign": "spring", "journey": "welcome"}})

    assert event == DeliveryEvent(
        message_id="221bc70c-7ee6-4987-b1ba-9684ba25be20",
        key="key-1",
        event_type="TEXT_DELIVERED",
        status="DELIVERED",
        is_final=True,
        at=datetime(2024, 4, 12, 17, 51, 8, 877000, UTC),
        destination=PhoneNumber("+16135550123"),
        country="CA",
        parts=1,
        price_millicents=581,
        carrier_fee_millicents=600,
        carrier="Bell Cellular Inc. / Aliant Telecom",
        origination="+13655550100",
        message_type="TRANSACTIONAL",
        campaign_id="spring",
        journey_id="welcome",
    )


@pytest.mark.parametrize(
    ("name", "event_type", "is_final", "price"),
    [
        ("eum-TEXT_DELIVERED.json", "TEXT_DELIVERED", True, 581),
        ("eum-TEXT_SUCCESSFUL.json", "TEXT_SUCCESSFUL", True, 9582),
        ("eum-TEXT_SUCCESSFUL-not-final.json", "TEXT_SUCCESSFUL", False, 581),
        ("eum-TEXT_QUEUED-derived.json", "TEXT_QUEUED", False, 9582),
        ("eum-TEXT_BLOCKED-derived.json", "TEXT_BLOCKED", True, 581),
        ("eum-TEXT_INVALID-derived.json", "TEXT_INVALID", True, 581),
        ("eum-TEXT_CARRIER_UNREACHABLE.json", "TEXT_CARRIER_UNREACHABLE", True, 581),
        ("eum-TEXT_PROTECT_BLOCKED.json", "TEXT_PROTECT_BLOCKED", True, 0),
        ("eum-eventbridge-TEXT_DELIVERED.json", "TEXT_DELIVERED", True, 581),
    ],
)
def test_reads_every_published_sample(name, event_type, is_final, price):
    event = parse(_load(name))

    assert isinstance(event, DeliveryEvent)
    assert (event.event_type, event.is_final, event.price_millicents) == (event_type, is_final, price)
    assert event.key is None


def test_eventbridge_says_neither_destination_nor_context():
    event = parse(_load("eum-eventbridge-TEXT_DELIVERED.json"))

    assert isinstance(event, DeliveryEvent)
    assert (event.destination, event.message_id) == (None, "9539975a-e71f-45f3-b496-8d98dc098a77")


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (_load("eum-VOICE_COMPLETED.json"), Reason.NOT_A_TEXT_EVENT),
        ({"eventType": "RCS_FALLEN_BACK_TO_SMS"}, Reason.NOT_A_TEXT_EVENT),
        ({"eventType": "MEDIA_DELIVERED", "messageId": "m"}, Reason.NOT_A_TEXT_EVENT),
        (None, Reason.MALFORMED_EVENT),
        ("TEXT_DELIVERED", Reason.MALFORMED_EVENT),
        ([DELIVERED], Reason.MALFORMED_EVENT),
        ({}, Reason.MALFORMED_EVENT),
        ({**DELIVERED, "eventType": 5}, Reason.MALFORMED_EVENT),
        ({**DELIVERED, "messageId": None}, Reason.MALFORMED_EVENT),
        ({**DELIVERED, "messageId": ""}, Reason.MALFORMED_EVENT),
        ({**DELIVERED, "eventTimestamp": "2024-04-12"}, Reason.MALFORMED_EVENT),
        ({**DELIVERED, "eventTimestamp": 10**18}, Reason.MALFORMED_EVENT),
        ({**DELIVERED, "eventTimestamp": -1}, Reason.MALFORMED_EVENT),
        ({**DELIVERED, "eventTimestamp": True}, Reason.MALFORMED_EVENT),
        ({"detail-type": "Text Message Delivery Status Updated", "detail": "x"}, Reason.MALFORMED_EVENT),
    ],
    ids=str,
)
def test_sets_aside_what_is_no_event_of_a_text(payload, reason):
    assert parse(payload) == NotATextEvent(reason)


@pytest.mark.parametrize(
    ("price", "millicents"),
    [
        ("0.00581", 581),
        ("0.07451", 7451),
        ("0.29", 29_000),
        ("0.1", 10_000),
        ("1", 100_000),
        ("0", 0),
        ("5.81E-3", 581),
        ("0.000005", 0),
        ("0.000015", 2),
        ("12.345675", 1_234_568),
        ('"0.00581"', 581),
        ("-0.1", None),
        ("1e30", None),
        ("NaN", None),
        ("Infinity", None),
        ('"free"', None),
        ("null", None),
        ("true", None),
        ("{}", None),
    ],
)
def test_reads_prices_as_decimal_dollars(price, millicents):
    payload = json.dumps({**DELIVERED, "totalMessagePrice": "@"}, default=str).replace('"@"', price)

    event = parse(loads(payload))

    assert isinstance(event, DeliveryEvent)
    assert event.price_millicents == millicents


@given(st.integers(0, 10**8))
def test_no_price_passes_through_binary_floating_point(millicents):
    dollars = Decimal(millicents) / 100_000

    event = parse(
        loads(json.dumps({**DELIVERED, "totalMessagePrice": "@"}, default=str).replace('"@"', f"{dollars:f}"))
    )

    assert isinstance(event, DeliveryEvent)
    assert event.price_millicents == millicents


def test_json_is_read_with_decimals():
    assert loads('{"totalMessagePrice": 0.10000000000000000001}') == {
        "totalMessagePrice": Decimal("0.10000000000000000001")
    }


def test_a_float_is_read_as_it_was_written():
    event = parse({**DELIVERED, "totalMessagePrice": 0.07451})

    assert isinstance(event, DeliveryEvent)
    assert event.price_millicents == 7451


@pytest.mark.parametrize(
    "field",
    [
        "context",
        "destinationPhoneNumber",
        "isoCountryCode",
        "totalMessageParts",
        "totalCarrierFee",
        "carrierName",
        "isFinal",
    ],
)
@pytest.mark.parametrize("value", [None, [], {}, "", "x y", 7.5, -3, True, {"intent": 5}])
def test_odd_values_of_optional_fields_do_not_hide_the_event(field, value):
    event = parse({**DELIVERED, field: value})

    assert isinstance(event, DeliveryEvent)
    assert event.key is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=10), children, max_size=3)
    ),
    max_leaves=8,
)


@given(JSON, st.dictionaries(st.sampled_from(sorted(DELIVERED)), JSON, max_size=4))
def test_foreign_shapes_never_raise(payload, fields):
    assert isinstance(parse(payload), DeliveryEvent | NotATextEvent)
    assert isinstance(parse({**DELIVERED, **fields}), DeliveryEvent | NotATextEvent)
