"""What each shape of payload is read as, and what is set aside with which reason."""

import json
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_engagement_runtime.channel.domain.delivery import loads
from sms_engagement_runtime.sms_analytics_pipeline.domain.events import (
    LATEST_TIMESTAMP,
    EventType,
    SetAside,
)
from sms_engagement_runtime.sms_analytics_pipeline.domain.reading import Draft, read
from sms_engagement_runtime.sms_analytics_pipeline.domain.reading.draft import (
    LONGEST_BODY,
    LONGEST_ID,
    LONGEST_NAME,
)

SAMPLES = Path(__file__).parents[2] / "events"
NOW = 1_795_280_400_123
DAY = 24 * 3_600_000


def sample(name, **changes):
    return loads((SAMPLES / f"{name}.json").read_text()) | changes


def one(payload, **options):
    """The only draft of a payload."""
    drafts = read(payload, **({"received_at_ms": NOW} | options))
    assert not isinstance(drafts, SetAside), drafts
    (draft,) = drafts
    return draft


def told(draft):
    """What a draft tells, without what it does not."""
    return {name: value for name, value in asdict(draft).items() if value is not None and value is not False}


SUCCESS = {
    "schema_version": 1,
    "event_type": "_SMS.SUCCESS",
    "event_id": "m-1/SUCCESS/DELIVERED",
    "event_timestamp": 1_712_944_268_877,
    "arrival_timestamp": 1_712_944_269_000,
    "subscriber_id": "v1:abc",
    "phone_number": "+12025550101",
    "message_id": "m-1",
    "campaign_id": "run-1",
    "journey_id": "welcome",
    "record_status": "DELIVERED",
    "message_type": "PROMOTIONAL",
    "country_code": "US",
    "price_millicents": 581,
    "parts": 1,
    "origination": "+12025550199",
}
RECEIVED = {
    "event_type": "_SMS.RECEIVED",
    "event_timestamp": "2024-01-15T10:30:00.009Z",
    "arrival_timestamp": "2024-01-15T10:30:00.500Z",
    "application": {"app_id": "abc123", "sdk": {}},
    "client": {"client_id": "user-1"},
    "attributes": {
        "origination_number": "+12025550101",
        "destination_number": "+12065550100",
        "message_body": "STOP",
        "keyword": "STOP",
        "inbound_message_id": "in-1",
        "campaign_id": "campaign-001",
        "journey_id": "journey-001",
    },
    "metrics": {},
}


class TestDeliveryEvents:
    def test_one_is_read_whole(self):
        payload = sample("eum-TEXT_DELIVERED", context={"campaign": "run-1", "journey": "welcome"})

        assert told(one(payload)) == {
            "event_type": "_SMS.SUCCESS",
            "event_id": "221bc70c-7ee6-4987-b1ba-9684ba25be20/SUCCESS/DELIVERED",
            "message_id": "221bc70c-7ee6-4987-b1ba-9684ba25be20",
            "event_timestamp": 1_712_944_268_877,
            "arrival_timestamp": NOW,
            "phone": "+16135550123",
            "campaign_id": "run-1",
            "journey_id": "welcome",
            "record_status": "DELIVERED",
            "message_type": "TRANSACTIONAL",
            "country_code": "CA",
            "price_millicents": 581,
            "parts": 1,
            "origination": "+13655550100",
        }

    @pytest.mark.parametrize(
        ("name", "event_type", "status"),
        [
            ("eum-TEXT_QUEUED-derived", "_SMS.BUFFERED", "QUEUED"),
            ("eum-TEXT_SUCCESSFUL-not-final", "_SMS.BUFFERED", "SUCCESSFUL"),
            ("eum-TEXT_SUCCESSFUL", "_SMS.SUCCESS", "SUCCESSFUL"),
            ("eum-TEXT_DELIVERED", "_SMS.SUCCESS", "DELIVERED"),
            ("eum-TEXT_INVALID-derived", "_SMS.FAILURE", "INVALID"),
            ("eum-TEXT_BLOCKED-derived", "_SMS.FAILURE", "BLOCKED"),
            ("eum-TEXT_CARRIER_UNREACHABLE", "_SMS.FAILURE", "CARRIER_UNREACHABLE"),
            ("eum-TEXT_PROTECT_BLOCKED", "_SMS.FAILURE", "PROTECT_BLOCKED"),
        ],
    )
    def test_samples_of_aws(self, name, event_type, status):
        draft = one(sample(name))

        assert (draft.event_type, draft.record_status) == (event_type, status)

    @pytest.mark.parametrize(
        ("kind", "event_type"),
        [
            *[(kind, "_SMS.BUFFERED") for kind in ("SENT", "PENDING", "QUEUED")],
            *[(kind, "_SMS.SUCCESS") for kind in ("SUCCESSFUL", "DELIVERED")],
            *[
                (kind, "_SMS.FAILURE")
                for kind in (
                    "INVALID",
                    "INVALID_MESSAGE",
                    "UNREACHABLE",
                    "CARRIER_UNREACHABLE",
                    "BLOCKED",
                    "CARRIER_BLOCKED",
                    "SPAM",
                    "UNKNOWN",
                    "TTL_EXPIRED",
                    "PROTECT_BLOCKED",
                )
            ],
        ],
    )
    def test_every_type_of_a_text(self, kind, event_type):
        payload = sample("eum-TEXT_DELIVERED", eventType=f"TEXT_{kind}", messageStatus=kind)

        assert one(payload).event_type == event_type

    def test_a_failure_that_is_not_final_may_still_be_delivered(self):
        payload = sample("eum-TEXT_CARRIER_UNREACHABLE", isFinal=False)

        assert one(payload).event_type == "_SMS.BUFFERED"

    def test_a_type_that_nobody_knows_is_kept_and_not_taken_for_anything(self):
        payload = sample("eum-TEXT_DELIVERED", eventType="TEXT_EVAPORATED")

        assert read(payload, received_at_ms=NOW) is SetAside.UNKNOWN_EVENT_TYPE

    @pytest.mark.parametrize("kind", ["VOICE_COMPLETED", "MEDIA_DELIVERED", "RCS_FALLEN_BACK_TO_SMS"])
    def test_other_channels_are_no_texts(self, kind):
        payload = sample("eum-VOICE_COMPLETED", eventType=kind)

        assert read(payload, received_at_ms=NOW) is SetAside.NOT_A_TEXT

    def test_eventbridge_tells_neither_whose_nor_what_for(self):
        draft = one(sample("eum-eventbridge-TEXT_DELIVERED"))

        assert (draft.event_type, draft.message_id) == (
            "_SMS.SUCCESS",
            "9539975a-e71f-45f3-b496-8d98dc098a77",
        )
        assert (draft.phone, draft.campaign_id) == (None, None)

    def test_another_event_of_the_bus_is_of_no_known_shape(self):
        payload = {"detail-type": "Registration Status Change", "detail": {"registrationId": "r"}}

        assert read(payload, received_at_ms=NOW) is SetAside.UNKNOWN_SHAPE

    def test_a_number_that_is_none_leaves_the_event_without_a_person(self):
        assert one(sample("eum-TEXT_DELIVERED", destinationPhoneNumber="AcmeCorp")).phone is None


class TestPrices:
    @pytest.mark.parametrize(
        ("price", "millicents"),
        [
            (Decimal("0.00581"), 581),
            (0.00581, 581),
            ("0.00581", 581),
            (0, 0),
            (1, 100_000),
            ("1", 100_000),
            (Decimal("0.000004"), 0),
            (Decimal("1E+3"), 100_000_000),
            ("1000.00001", None),
            (Decimal("1E+400"), None),
            (-1, None),
            ("-0.5", None),
            ("NaN", None),
            ("Infinity", None),
            (float("inf"), None),
            ("free", None),
            ("", None),
            ("9" * 5_000, None),
            pytest.param(10**5_000, None, id="endless"),
            (True, None),
            ([], None),
            (None, None),
        ],
    )
    def test_dollars_become_millicents(self, price, millicents):
        assert one(sample("eum-TEXT_DELIVERED", totalMessagePrice=price)).price_millicents == millicents

    @pytest.mark.parametrize(("price", "millicents"), [(645, 645), (Decimal("645.0"), 645), ("645.0", 645)])
    def test_pinpoint_has_millicents(self, price, millicents):
        payload = sample("pinpoint-_SMS.SUCCESS", metrics={"price_in_millicents_usd": price})

        assert one(payload).price_millicents == millicents


class TestTimes:
    @pytest.mark.parametrize(
        "spelled",
        [
            1_712_944_268_877,
            1_712_944_268_877.0,
            Decimal("1712944268877.9"),
            "1712944268877",
            "2024-04-12T17:51:08.877Z",
            "2024-04-12T19:51:08.877+02:00",
            "2024-04-12 17:51:08.877",
        ],
    )
    def test_milliseconds_and_iso_are_the_same(self, spelled):
        payload = sample("eum-TEXT_DELIVERED", eventTimestamp=spelled)

        assert one(payload).event_timestamp == 1_712_944_268_877

    @pytest.mark.parametrize(
        "spelled",
        [
            None,
            "not-a-date",
            "",
            True,
            -1,
            0,
            1_712_944_268,
            "1712944268",
            LATEST_TIMESTAMP + 1,
            "0001-01-01T00:00:00+14:00",
            "2024-13-01T00:00:00Z",
            [],
            {},
            10**30,
            "9" * 300,
        ],
    )
    def test_what_is_no_time_in_milliseconds_is_set_aside(self, spelled):
        payload = sample("eum-TEXT_DELIVERED", eventTimestamp=spelled)

        assert read(payload, received_at_ms=NOW) is SetAside.NO_TIMESTAMP

    def test_a_clock_may_be_a_day_ahead_and_no_more(self):
        payload = sample("eum-TEXT_DELIVERED", eventTimestamp=NOW + DAY)

        assert one(payload).event_timestamp == NOW + DAY
        payload["eventTimestamp"] += 1
        assert read(payload, received_at_ms=NOW) is SetAside.CLOCK_AHEAD

    def test_an_old_archive_is_read(self):
        assert one(sample("pinpoint-_SMS.SUCCESS")).event_timestamp == 1_553_104_954_322


@pytest.mark.parametrize(
    ("payload", "path"),
    [
        (sample("eum-TEXT_DELIVERED"), ("messageId",)),
        (sample("eum-inbound-YES"), ("inboundMessageId",)),
        (sample("pinpoint-_SMS.SUCCESS"), ("attributes", "message_id")),
        (sample("sns-sms-SUCCESS"), ("notification", "messageId")),
        (SUCCESS, ("event_id",)),
    ],
)
@pytest.mark.parametrize(
    ("message_id", "reason"),
    [
        ("", SetAside.NO_MESSAGE_ID),
        (None, SetAside.NO_MESSAGE_ID),
        ("   ", SetAside.UNKNOWN_SHAPE),
        (17, SetAside.UNKNOWN_SHAPE),
        ("m" * (LONGEST_ID + 1), SetAside.UNKNOWN_SHAPE),
    ],
)
def test_what_has_no_message_id_is_set_aside(payload, path, message_id, reason):
    payload = json.loads(json.dumps(payload, default=float))
    parent = payload[path[0]] if len(path) == 2 else payload
    parent[path[-1]] = message_id

    assert read(payload, received_at_ms=NOW) is reason


class TestInboundTexts:
    @pytest.mark.parametrize(("by_service", "kinds"), [(True, 2), (False, 1)])
    def test_the_keyword_of_the_service_opts_out_where_the_service_does(self, by_service, kinds):
        payload = sample("eum-inbound-STOP", messageBody="Stop by the shop", messageKeyword="STOP")

        drafts = read(payload, received_at_ms=NOW, service_opts_out=by_service)

        assert len(drafts) == kinds
        assert {"_SMS.RECEIVED", "_SMS.OPTOUT"} >= {draft.event_type for draft in drafts}

    def test_the_time_is_that_of_the_notification(self):
        payload = sample("eum-inbound-YES")

        assert told(one(payload)) == {
            "event_type": "_SMS.RECEIVED",
            "event_id": "cae173d2-66b9-564c-8309-21f858e9fb84",
            "message_id": "cae173d2-66b9-564c-8309-21f858e9fb84",
            "event_timestamp": NOW,
            "arrival_timestamp": NOW,
            "phone": "+14255550182",
            "response_text": "Yes",
            "keyword": "KEYWORD_171875617347",
            "origination": "+12125550101",
            "answers": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "is_to_attribute": True,
        }

    @pytest.mark.parametrize("body", ["STOP", "stop.", "Please stop texting me", "wrong number"])
    def test_a_text_that_opts_out_is_two_events(self, body):
        drafts = read(sample("eum-inbound-STOP", messageBody=body), received_at_ms=NOW)

        assert [draft.event_type for draft in drafts] == ["_SMS.RECEIVED", "_SMS.OPTOUT"]
        assert drafts[1].event_id == f"{drafts[0].event_id}/optout"
        assert (drafts[1].phone, drafts[1].answers) == (drafts[0].phone, drafts[0].answers)
        assert drafts[1].response_text is None

    @pytest.mark.parametrize("body", ["HELP", "stop by the shop tomorrow", "not interested in moving it", ""])
    def test_other_texts_are_one_event(self, body):
        assert one(sample("eum-inbound-HELP", messageBody=body)).response_text == body

    def test_a_text_without_id_is_known_by_its_notification(self):
        payload = sample("eum-inbound-YES")
        del payload["inboundMessageId"]

        assert one(payload, notification_id="n-1").event_id == "sns-n-1"

    def test_half_of_a_character_can_be_stored(self):
        assert one(sample("eum-inbound-YES", messageBody="Yes \ud83d")).response_text == "Yes \ufffd"

    def test_an_endless_text_is_cut(self):
        assert len(one(sample("eum-inbound-YES", messageBody="a" * 10**6)).response_text) == LONGEST_BODY


class TestPinpoint:
    def test_one_is_read_whole(self):
        payload = sample("pinpoint-_SMS.SUCCESS")
        payload["attributes"]["customer_context"] = '{"campaign": "other", "journey": "welcome"}'

        assert told(one(payload)) == {
            "event_type": "_SMS.SUCCESS",
            "event_id": "1111-2222-3333/SUCCESS/DELIVERED",
            "message_id": "1111-2222-3333",
            "event_timestamp": 1_553_104_954_322,
            "arrival_timestamp": 1_553_104_954_064,
            "phone": "+14255550199",
            "campaign_id": "52dc44b35c4742c98c5935269example",
            "journey_id": "welcome",
            "record_status": "DELIVERED",
            "message_type": "TRANSACTIONAL",
            "country_code": "US",
            "price_millicents": 645,
            "parts": 1,
            "origination": "+12065550142",
        }

    @pytest.mark.parametrize(
        ("name", "event_id"),
        [
            ("pinpoint-_SMS.BUFFERED", "1111-2222-3333/BUFFERED/PENDING"),
            ("pinpoint-_SMS.FAILURE", "1111-2222-3333/FAILURE/UNREACHABLE"),
            ("pinpoint-_SMS.OPTOUT", "1111-2222-3333/OPTOUT/"),
        ],
    )
    def test_the_other_types(self, name, event_id):
        assert one(sample(name)).event_id == event_id

    def test_an_answer_with_iso_times_has_its_own_campaign_and_no_second_event(self):
        assert told(one(RECEIVED)) == {
            "event_type": "_SMS.RECEIVED",
            "event_id": "in-1",
            "message_id": "in-1",
            "event_timestamp": 1_705_314_600_009,
            "arrival_timestamp": 1_705_314_600_500,
            "phone": "+12025550101",
            "campaign_id": "campaign-001",
            "journey_id": "journey-001",
            "response_text": "STOP",
            "keyword": "STOP",
            "origination": "+12065550100",
        }

    @pytest.mark.parametrize("kind", ["_journey.send", "_campaign.send", "_email.send", "_custom.event"])
    def test_what_is_no_text_is_set_aside(self, kind):
        payload = sample("pinpoint-_journey.send", event_type=kind)

        assert read(payload, received_at_ms=NOW) is SetAside.NOT_A_TEXT

    @pytest.mark.parametrize("kind", ["_SMS.EVAPORATED", "purchase", ""])
    def test_what_nobody_knows_is_set_aside(self, kind):
        payload = sample("pinpoint-_journey.send", event_type=kind)

        assert read(payload, received_at_ms=NOW) is SetAside.UNKNOWN_EVENT_TYPE

    @pytest.mark.parametrize("context", ["{broken", "[]", "[" * 9_000, "x" * 20_000, 17, None])
    def test_a_context_that_cannot_be_read_is_passed_over(self, context):
        payload = sample("pinpoint-_SMS.SUCCESS")
        payload["attributes"]["customer_context"] = context

        assert one(payload).journey_id is None


class TestSnsLogs:
    def test_one_is_read_whole_and_its_time_is_utc(self):
        payload = sample("sns-sms-SUCCESS")

        assert told(one(payload)) == {
            "event_type": "_SMS.SUCCESS",
            "event_id": "34d9b400-c6dd-5444-820d-fbeb0f1f54cf/SUCCESS/SUCCESSFUL",
            "message_id": "34d9b400-c6dd-5444-820d-fbeb0f1f54cf",
            "event_timestamp": 1_467_074_434_558,
            "arrival_timestamp": NOW,
            "phone": "+1XXX5550100",
            "record_status": "SUCCESSFUL",
            "message_type": "TRANSACTIONAL",
            "price_millicents": 645,
            "parts": 1,
        }

    @pytest.mark.parametrize(
        ("response", "status"),
        [
            ("Unknown error attempting to reach phone", "UNKNOWN"),
            ("Blocked as spam by phone carrier", "SPAM"),
            ("Invalid phone number", "INVALID"),
            ("Phone number is opted out", "OPTED_OUT"),
            ("Phone carrier is currently unreachable/unavailable", "CARRIER_UNREACHABLE"),
            ("Something that SNS never said before", "FAILURE"),
            (None, "FAILURE"),
            (17, "FAILURE"),
        ],
    )
    def test_what_the_provider_says_becomes_a_status(self, response, status):
        payload = sample("sns-sms-FAILURE")
        payload["delivery"]["providerResponse"] = response

        assert (one(payload).event_type, one(payload).record_status) == ("_SMS.FAILURE", status)


class TestCanonicalEvents:
    def test_one_is_read_as_it_was_but_for_how_it_was_counted(self):
        counted = {"counted_as": "_SMS.FAILURE", "counted_at": 1, "counted_price_millicents": 2}
        later = {"archived_at": 3, "field_of_tomorrow": {}}

        draft = told(one(SUCCESS | counted | later))

        assert draft == {
            "phone" if name == "phone_number" else name: value
            for name, value in SUCCESS.items()
            if name != "schema_version"
        }

    @pytest.mark.parametrize("version", [2, 17])
    def test_a_future_schema_is_set_aside(self, version):
        payload = {"schema_version": version, "type": "what will be"}

        assert read(payload, received_at_ms=NOW) is SetAside.FUTURE_SCHEMA

    @pytest.mark.parametrize("version", [0, -1, True, "1", None, 1.5, []])
    def test_a_schema_that_is_none_is_no_shape_of_ours(self, version):
        payload = SUCCESS | {"schema_version": version}

        assert read(payload, received_at_ms=NOW) is SetAside.UNKNOWN_SHAPE

    @pytest.mark.parametrize("subscriber", ["v1:" + "x" * 300, "né", "", " ", 17, None])
    def test_what_cannot_be_a_partition_key_is_no_subscriber(self, subscriber):
        assert one(SUCCESS | {"subscriber_id": subscriber}).subscriber_id is None

    def test_an_answer_without_message_id_has_that_of_its_event(self):
        payload = SUCCESS | {"event_type": "_SMS.RECEIVED", "event_id": "in-1", "message_id": None}

        assert one(payload).message_id == "in-1"


def test_names_are_bounded():
    payload = sample("eum-TEXT_DELIVERED", context={"campaign": "c" * 5_000, "journey": "  "})

    draft = one(payload)

    assert (len(draft.campaign_id), draft.journey_id) == (LONGEST_NAME, None)


@pytest.mark.parametrize("payload", [None, 17, "text", [], {}, {"foo": 1}, {"event_type": "_SMS.SUCCESS"}])
def test_what_is_of_no_known_shape_is_set_aside(payload):
    assert read(payload, received_at_ms=NOW) is SetAside.UNKNOWN_SHAPE


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals()
    | st.text(st.characters())
    | st.sampled_from(["_SMS.RECEIVED", "TEXT_DELIVERED", "1e999999999", "2024-01-15T10:30Z", "\ud800", NOW]),
    lambda children: (
        st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=5), children, max_size=4)
    ),
    max_leaves=10,
)
payloads = [
    json.loads(path.read_text())
    for path in sorted(SAMPLES.glob("*.json"))
    if path.name.startswith(("eum-TEXT", "eum-VOICE", "eum-inbound", "eum-event", "pinpoint", "sns-sms"))
] + [SUCCESS, RECEIVED]


def paths(value, before=()):
    """Every place within a JSON value."""
    yield before
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for name, child in children:
        yield from paths(child, (*before, name))


@st.composite
def mutated(draw):
    """A sample in which some values are others, or missing."""
    payload = json.loads(json.dumps(draw(st.sampled_from(payloads))))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from([path for path in paths(payload) if path] or [()]))
        if not place:
            break
        parent = payload
        for name in place[:-1]:
            parent = parent[name]
        if draw(st.booleans()):
            parent[place[-1]] = draw(json_values)
        else:
            del parent[place[-1]]
    return payload


def assert_sound(drafts):
    """Whatever was read can be put onto the stream and into a table."""
    if isinstance(drafts, SetAside):
        return
    assert 1 <= len(drafts) <= 2
    for draft in drafts:
        assert isinstance(draft, Draft)
        assert draft.event_type in set(EventType)
        assert draft.message_id.strip()
        assert draft.event_id
        assert 0 < draft.event_timestamp <= NOW + DAY
        assert 0 < draft.arrival_timestamp <= LATEST_TIMESTAMP
        for name, value in asdict(draft).items():
            if name in {"event_timestamp", "arrival_timestamp", "price_millicents", "parts"}:
                assert value is None or (type(value) is int and 0 <= value <= LATEST_TIMESTAMP)
            elif name != "is_to_attribute":
                assert value is None or (type(value) is str and len(value) <= LONGEST_BODY)
                json.dumps(value, ensure_ascii=False).encode()


@given(payload=json_values)
def test_no_json_value_raises(payload):
    assert_sound(read(payload, received_at_ms=NOW))


@given(payload=mutated())
def test_no_mutation_of_a_sample_raises(payload):
    assert_sound(read(payload, received_at_ms=NOW, notification_id="n-1"))
