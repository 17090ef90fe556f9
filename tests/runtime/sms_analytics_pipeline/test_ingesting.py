"""Each event is on the stream exactly once, whatever order, repetition and fault there was on the way."""

import json
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sms_engagement_runtime.channel.adapters.phone_numbers import LibPhoneNumberParser
from sms_engagement_runtime.sms_analytics_pipeline.domain import ingesting
from sms_engagement_runtime.sms_analytics_pipeline.domain.counting import Counts, Group, count
from sms_engagement_runtime.sms_analytics_pipeline.domain.events import SetAside
from sms_engagement_runtime.sms_analytics_pipeline.domain.ingesting import KNOWN_WITHIN_MS
from sms_engagement_runtime.sms_analytics_pipeline.domain.ports import Attribution
from sms_engagement_runtime.sms_analytics_pipeline.domain.reading import read
from sms_engagement_runtime.sms_analytics_pipeline.domain.register import LEASE_MS
from tests.support.analytics_fakes import PUBLISHED_MS, Fault, IngestSystem, KilledError

SAMPLES = Path(__file__).parents[2] / "events"
DELIVERED = json.loads((SAMPLES / "eum-TEXT_DELIVERED.json").read_text())
HOUR = 3_600_000
AT = 1_712_944_268_877


def receipt(kind, *, message="m-1", at=AT, price=0.00581, phone="+12025550101", final=True, **context):
    return DELIVERED | {
        "eventType": f"TEXT_{kind}",
        "messageStatus": kind,
        "isFinal": final,
        "messageId": message,
        "eventTimestamp": at,
        "totalMessagePrice": price,
        "destinationPhoneNumber": phone,
        "isoCountryCode": "US",
        "context": {"campaign": "run-1"} | context,
    }


def answer(body, *, inbound="in-1", phone="+12025550101"):
    return {
        "originationNumber": phone,
        "destinationNumber": "+12025550199",
        "messageKeyword": "KEYWORD_1",
        "messageBody": body,
        "inboundMessageId": inbound,
    }


# Two ends that disagree, an hour apart and at different prices; two that agree; one person with two texts.
PAYLOADS = (
    receipt("QUEUED", final=False),
    receipt("UNKNOWN", at=AT + HOUR, price=0.01),
    receipt("DELIVERED", at=AT + 2 * HOUR),
    receipt("SUCCESSFUL", message="m-2", at=AT + HOUR, price=0.02),
    receipt("DELIVERED", message="m-2", price=None),
    receipt("BLOCKED", message="m-3", phone="+12025550102"),
    answer("STOP"),
    answer("Thanks", inbound="in-2", phone="+12025550102"),
)
IDS = {
    "m-1/BUFFERED/QUEUED",
    "m-1/FAILURE/UNKNOWN",
    "m-1/SUCCESS/DELIVERED",
    "m-2/SUCCESS/SUCCESSFUL",
    "m-2/SUCCESS/DELIVERED",
    "m-3/FAILURE/BLOCKED",
    "in-1",
    "in-1/optout",
    "in-2",
}


def totals(events):
    """Counts by hour and campaign."""
    return {
        (group.hour - AT // HOUR, group.campaign_id): counts
        for group, counts in count(events).items()
        # The hour of the answers is that of the test's clock.
        if group.hour - AT // HOUR < 100
    }


SUMS = {
    (0, "run-1"): Counts(delivered=1, failed=1, cost_millicents=2000 + 581),
    (2, "run-1"): Counts(delivered=1, cost_millicents=1000),
}


def people(system):
    """Rows of the subscribers, without what depends on how often they were written."""
    return {
        row.phone_number: (
            row.total_messages_sent,
            row.subscription_status,
            row.created_at,
            row.updated_at,
            row.facts,
        )
        for row in system.register.subscribers.values()
    }


def in_order():
    system = IngestSystem()
    system.service.ingest(system.arrivals(*PAYLOADS))
    return system


def test_a_batch_gives_each_event_once_and_each_message_its_counts():
    system = in_order()

    assert system.put_counts() == Counter(IDS)
    assert totals(system.stream.events) == SUMS
    assert {phone: row[0] for phone, row in people(system).items()} == {
        "+12025550101": 2,
        "+12025550102": 1,
    }


@pytest.mark.parametrize("order", list(permutations(range(5))))
def test_every_order_of_the_events_gives_the_same_counts(order):
    expected = people(in_order())
    system = IngestSystem()

    for number in (*order, 5, 6, 7):
        assert not system.service.ingest(system.arrivals(PAYLOADS[number])).failed

    assert system.put_counts() == Counter(IDS)
    assert totals(system.stream.events) == SUMS
    assert people(system) == expected


deliveries = st.lists(st.lists(st.sampled_from(range(len(PAYLOADS))), max_size=10), max_size=5)


@settings(max_examples=400)
@given(
    batches=deliveries,
    last=st.permutations(range(len(PAYLOADS))),
    faults=st.lists(st.sampled_from(Fault), max_size=40),
)
def test_faults_repetitions_and_orders_lose_nothing_and_double_nothing(batches, last, faults):
    """Records that fail, and all of a batch whose process ends, come again, as a queue has it."""
    system = IngestSystem()
    system.faults.next = list(faults)
    waiting = [*batches, last]

    for _ in range(len(faults) + 3):
        failed = []
        for batch in waiting:
            arrivals = system.arrivals(*(PAYLOADS[number] for number in batch))
            try:
                report = system.service.ingest(arrivals)
            except KilledError:
                failed.append(list(batch))
            else:
                failed.append([batch[int(record.removeprefix("r-"))] for record in report.failed])
        waiting = [batch for batch in failed if batch]
        system.clock.advance(milliseconds=LEASE_MS)

    assert waiting == []
    assert system.put_counts() == Counter(IDS)
    assert totals(system.stream.events) == SUMS
    assert people(system) == people(in_order())
    assert all(not row.claims for row in system.register.rows.values())


STEPS = ("find", "find", "write", "put", "mark")


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.NONE])
@pytest.mark.parametrize("step", range(len(STEPS)))
def test_a_fault_at_any_step_delays_the_event_and_nothing_else(step, fault):
    system = IngestSystem()
    system.faults.next = [Fault.NONE] * step + [fault]
    arrivals = system.arrivals(PAYLOADS[2])

    with suppress(KilledError):
        system.service.ingest(arrivals)
    assert not system.faults.next
    system.clock.advance(milliseconds=LEASE_MS)
    system.service.ingest(arrivals)

    assert system.put_counts() == {"m-1/SUCCESS/DELIVERED": 1}
    (person,) = system.register.subscribers.values()
    assert person.total_messages_sent == 1


def test_a_put_is_found_again_though_the_search_for_it_failed_before():
    system = IngestSystem()
    arrivals = system.arrivals(PAYLOADS[2])
    system.faults.next = [Fault.NONE] * 3 + [Fault.ANSWER_LOST]
    assert system.service.ingest(arrivals).failed
    system.clock.advance(milliseconds=LEASE_MS)
    system.faults.next = [Fault.NONE] * 3 + [Fault.FAILED]
    assert system.service.ingest(arrivals).failed
    system.clock.advance(milliseconds=LEASE_MS)

    assert not system.service.ingest(arrivals).failed

    assert system.put_counts() == {"m-1/SUCCESS/DELIVERED": 1}


def test_an_event_that_is_twice_in_a_batch_is_taken_once_and_neither_record_comes_back():
    system = IngestSystem()

    report = system.service.ingest(system.arrivals(PAYLOADS[2], PAYLOADS[2]))

    assert (report.failed, report.ingested, report.duplicates) == (set(), 1, 1)


@pytest.mark.parametrize("days", [1, 89])
def test_an_event_that_comes_again_after_days_is_known(days):
    system = IngestSystem()
    system.service.ingest(system.arrivals(*PAYLOADS))
    system.clock.advance(days=days)

    report = system.service.ingest(system.arrivals(*PAYLOADS))

    assert (report.ingested, report.duplicates) == (0, len(IDS))
    assert system.put_counts() == Counter(IDS)


def test_an_event_that_somebody_is_putting_waits_for_its_outcome():
    system = IngestSystem()
    meanwhile = []

    def other():
        system.stream.before_put = lambda: None
        meanwhile.append(system.service.ingest(system.arrivals(PAYLOADS[2])))

    system.stream.before_put = other

    assert not system.service.ingest(system.arrivals(PAYLOADS[2])).failed

    (report,) = meanwhile
    assert (report.failed, report.ingested) == ({"r-0"}, 0)
    assert system.put_counts() == {"m-1/SUCCESS/DELIVERED": 1}


@pytest.mark.parametrize("payload", [PAYLOADS[2], PAYLOADS[3], PAYLOADS[1]])
def test_two_processes_that_meet_on_a_row_both_get_through(payload):
    """The same event, another message of the same person, another event of the same message."""
    system = IngestSystem()

    def other():
        system.register.before_write = lambda: None
        assert not system.service.ingest(system.arrivals(payload)).failed

    system.register.before_write = other

    report = system.service.ingest(system.arrivals(PAYLOADS[2]))

    assert not report.failed
    assert set(system.put_counts().values()) == {1}
    (person,) = system.register.subscribers.values()
    assert person.total_messages_sent == (2 if payload is PAYLOADS[3] else 1)


def test_rows_that_are_busy_each_time_send_the_record_back():
    system = IngestSystem()
    system.register.write = lambda *_, **__: False

    report = system.service.ingest(system.arrivals(PAYLOADS[2]))

    assert (report.failed, dict(report.errors)) == ({"r-0"}, {"RowsBusyError": 1})
    assert not system.stream.records


def test_what_was_claimed_is_put_though_the_event_comes_again_in_another_form():
    """Two receipts of one end may differ: what was counted is what is put."""
    system = IngestSystem()
    system.faults.next = [Fault.NONE] * 3 + [Fault.FAILED]
    system.service.ingest(system.arrivals(PAYLOADS[2]))
    system.clock.advance(milliseconds=LEASE_MS)

    system.service.ingest(system.arrivals(PAYLOADS[2] | {"totalMessagePrice": 0.5, "eventTimestamp": AT}))

    (event,) = system.stream.events
    assert (event.price_millicents, event.event_timestamp) == (581, AT + 2 * HOUR)


def test_a_message_keeps_the_campaign_and_country_that_it_was_counted_under():
    system = IngestSystem()
    first = receipt("SUCCESSFUL")
    second = receipt("UNKNOWN", price=0.5, campaign="run-2") | {"isoCountryCode": "CA"}

    system.service.ingest(system.arrivals(first, second))

    assert count(system.stream.events) == {
        Group(AT // HOUR, "run-1", None, "US"): Counts(delivered=1, cost_millicents=50_000)
    }


def test_an_answer_is_of_the_campaign_and_journey_of_the_text_that_it_answers():
    system = IngestSystem()
    system.attribution.answer = Attribution("run-1", "welcome")

    system.service.ingest(system.arrivals(answer("STOP") | {"previousPublishedMessageId": "m-1"}))
    system.service.ingest(system.arrivals(answer("STOP")))

    assert [(e.event_type, e.campaign_id, e.journey_id) for e in system.stream.events] == [
        ("_SMS.RECEIVED", "run-1", "welcome"),
        ("_SMS.OPTOUT", "run-1", "welcome"),
    ]
    # Once for both events, and not again for what is known.
    ((_, previous, received_at),) = system.attribution.asked
    assert (previous, received_at) == ("m-1", system.clock.now())


def test_the_country_of_an_event_that_names_none_is_that_of_the_number():
    system = IngestSystem()

    system.service.ingest(system.arrivals(answer("Hi", phone="+447700900123")))

    (event,) = system.stream.events
    assert event.country_code == "GB"


def bus_event(payload):
    """The same as EventBridge has it."""
    hidden = {"destinationPhoneNumber", "context"}
    detail = {name: value for name, value in payload.items() if name not in hidden}
    return {"detail-type": "Text Message Delivery Status Updated", "detail": detail}


@pytest.mark.parametrize("other", [PAYLOADS[2], PAYLOADS[0]])
def test_an_event_of_eventbridge_takes_nothing_from_the_one_that_knows_more(other):
    system = IngestSystem()

    report = system.service.ingest(system.arrivals(bus_event(PAYLOADS[2]), other))

    assert not report.failed
    assert {(event.phone_number, event.campaign_id) for event in system.stream.events} == {
        ("+12025550101", "run-1")
    }


def test_an_event_of_eventbridge_finds_in_the_register_whose_it_is():
    system = IngestSystem()
    system.service.ingest(system.arrivals(PAYLOADS[0]))

    system.service.ingest(system.arrivals(bus_event(PAYLOADS[2])))

    assert {(event.phone_number, event.campaign_id) for event in system.stream.events} == {
        ("+12025550101", "run-1")
    }


def test_an_event_of_eventbridge_waits_for_the_one_that_names_the_phone_and_then_no_longer():
    system = IngestSystem()

    report = system.service.ingest(system.arrivals(bus_event(PAYLOADS[5])))
    assert (report.failed, list(system.quarantine.kept)) == ({"r-0"}, [])
    system.clock.advance(milliseconds=KNOWN_WITHIN_MS)
    report = system.service.ingest(system.arrivals(bus_event(PAYLOADS[5])))

    assert not report.failed
    assert list(system.quarantine.kept) == [(SetAside.NO_SUBSCRIBER, "n-0")]


@pytest.mark.parametrize("phone", ["72345", "AcmeCorp", "", None, 17])
def test_an_answer_of_nobody_is_set_aside(phone):
    system = IngestSystem()

    report = system.service.ingest(system.arrivals(answer("STOP", phone=phone)))

    assert not report.failed
    assert list(system.quarantine.kept) == [(SetAside.NO_SUBSCRIBER, "n-0")]
    assert not system.stream.records


def test_a_number_with_letters_is_not_taken_for_the_one_that_a_telephone_has_for_them():
    system = IngestSystem()
    service = replace(system.service, parser=LibPhoneNumberParser("US"))

    service.ingest(system.arrivals(answer("STOP", phone="+1202JKL0101")))

    assert list(system.quarantine.kept) == [(SetAside.NO_SUBSCRIBER, "n-0")]


def test_garbage_between_good_records_stops_none_of_them():
    system = IngestSystem()

    report = system.service.ingest(
        system.arrivals(PAYLOADS[0], {"foo": 1}, None, SetAside.NOT_JSON, PAYLOADS[5])
    )

    assert not report.failed
    assert report.set_aside == {"UNKNOWN_SHAPE": 2, "NOT_JSON": 1}
    assert set(system.put_counts()) == {"m-1/BUFFERED/QUEUED", "m-3/FAILURE/BLOCKED"}


def test_a_record_that_our_own_code_fails_on_comes_back_alone(monkeypatch):
    def broken(payload, **_):
        if payload == "poison":
            raise ZeroDivisionError
        return read(payload, received_at_ms=PUBLISHED_MS)

    monkeypatch.setattr(ingesting, "read", broken)
    system = IngestSystem()

    report = system.service.ingest(system.arrivals(PAYLOADS[2], "poison"))

    assert (report.failed, dict(report.errors)) == ({"r-1"}, {"ZeroDivisionError": 1})
    assert system.put_counts() == {"m-1/SUCCESS/DELIVERED": 1}


def test_a_quarantine_that_does_not_answer_sends_its_record_back():
    system = IngestSystem()
    system.faults.next = [Fault.FAILED]

    report = system.service.ingest(system.arrivals({"foo": 1}))

    assert (report.failed, report.set_aside) == ({"r-0"}, {})


def test_a_subscriber_with_more_messages_than_a_transaction_takes_is_counted_whole():
    system = IngestSystem()
    payloads = [receipt("DELIVERED", message=f"m-{number}") for number in range(200)]

    assert not system.service.ingest(system.arrivals(*payloads)).failed

    (person,) = system.register.subscribers.values()
    assert (person.total_messages_sent, len(system.stream.records)) == (200, 200)


def test_a_canonical_event_that_comes_again_is_known_by_its_id():
    system = in_order()
    lines = [json.loads(record.data) for _, record in system.stream.records]

    report = system.service.ingest(system.arrivals(*lines))

    assert (report.duplicates, report.ingested) == (len(IDS), 0)


def test_canonical_events_of_an_archive_give_the_same_stream_and_rows_in_empty_tables():
    system, again = in_order(), IngestSystem()
    lines = [json.loads(record.data) for _, record in system.stream.records]

    again.service.ingest(again.arrivals(*reversed(lines)))

    assert again.put_counts() == Counter(IDS)
    assert totals(again.stream.events) == SUMS
    assert people(again) == people(system)


PINPOINT_OPT_OUT = json.loads((SAMPLES / "pinpoint-_SMS.OPTOUT.json").read_text())
REFUSED = json.loads((SAMPLES / "sns-sms-FAILURE.json").read_text())
REFUSED["delivery"] |= {
    "providerResponse": "Phone number is opted out",
    "destination": "+12025550101",
}


class TestOptOutsThatTheRouterHasNotSeen:
    def told(self, system):
        return [detail["eventId"] for kind, detail in system.bus.events if kind == "OptOutReported"]

    @pytest.mark.parametrize("payload", [PINPOINT_OPT_OUT, REFUSED, answer("Please stop texting me")])
    def test_the_bus_is_told_of_them(self, payload):
        system = IngestSystem()

        system.service.ingest(system.arrivals(payload))

        assert self.told(system)
        (_, detail) = system.bus.events[0]
        (row,) = system.register.subscribers.values()
        assert detail["subscriberId"] == row.subscriber_id
        assert detail["phoneNumber"] == row.phone_number

    def test_not_of_a_text_that_the_router_gets_too(self):
        system = IngestSystem()
        (arrival,) = system.arrivals(answer("STOP"))
        now = round(system.clock.now().timestamp() * 1000)

        system.service.ingest([replace(arrival, notification_id="n-1", received_at_ms=now)])

        assert self.told(system) == []

    def test_of_one_that_was_in_a_notification_long_ago(self):
        system = IngestSystem()
        (arrival,) = system.arrivals(answer("STOP"))
        published = PUBLISHED_MS - 24 * HOUR

        system.service.ingest([replace(arrival, notification_id="n-1", received_at_ms=published)])

        assert set(self.told(system)) == {"in-1", "in-1/optout"}

    def test_not_of_anything_else(self):
        system = IngestSystem()

        payloads = (receipt("DELIVERED"), receipt("BLOCKED", message="m-3"), answer("Thanks"))
        system.service.ingest(system.arrivals(*payloads))

        assert system.bus.events == []

    @pytest.mark.parametrize("calls_before", range(12))
    @pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.NONE])
    def test_a_fault_anywhere_leaves_none_untold(self, fault, calls_before):
        system = IngestSystem()
        system.faults.next = [Fault.NONE] * calls_before + [fault]
        for _ in range(3):
            with suppress(KilledError):
                system.service.ingest(system.arrivals(PINPOINT_OPT_OUT))
            system.clock.advance(seconds=LEASE_MS / 1000 + 1)

        assert len(set(self.told(system))) == 1
        assert set(system.put_counts().values()) == {1}
