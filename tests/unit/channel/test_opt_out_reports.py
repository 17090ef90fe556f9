"""Opt-outs that the bus tells of reach the contact rows, and old ones do not undo a START."""

from datetime import timedelta

import pytest

from sms_engagement_runtime.channel.domain.consent import (
    ALL_SCOPES,
    ConsentState,
    Contact,
    Evidence,
    Source,
    erase,
    opt_out,
    resubscribe,
)
from sms_engagement_runtime.channel.domain.errors import TransientError
from sms_engagement_runtime.channel.domain.opt_out_reports import read_report, record_report
from sms_engagement_runtime.channel.domain.opting_out import OptOutRecorder, Recorded
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from tests.support.bus_schemas import hold_to_schema
from tests.support.fakes import START, FakeBus, FakeClock, FakeContacts

PERSON = "v1:person"
NUMBER = "+12065550123"
DETAIL = {
    "eventId": "m-1/OPTOUT/",
    "eventType": "_SMS.OPTOUT",
    "recordStatus": None,
    "subscriberId": PERSON,
    "phoneNumber": NUMBER,
    "body": None,
    "at": round((START - timedelta(days=300)).timestamp() * 1000),
    "schemaVersion": 1,
}
OUT = {ConsentState.OPTED_OUT}


@pytest.fixture
def contacts():
    return FakeContacts()


@pytest.fixture
def bus():
    return FakeBus()


@pytest.fixture
def record(contacts, bus):
    recorder = OptOutRecorder(contacts=contacts, prompts=contacts, bus=bus, clock=FakeClock())

    def record(**changed):
        detail = DETAIL | changed
        hold_to_schema("OptOutReported", detail)
        return record_report(recorder, read_report("OptOutReported", detail))

    return record


def says(contacts, change, at):
    contact = contacts.get(PERSON)
    evidence = Evidence(source=Source.INBOUND_MESSAGE, words="…", message_id=f"in-{at}", at=at)
    changed = change(contact, evidence)
    contacts.save(changed.contact, expected_version=contact.version, records=changed.records)


def test_somebody_is_opted_out_with_the_proof_of_the_event(record, contacts, bus):
    assert record() is Recorded.OPTED_OUT

    contact = contacts.get(PERSON)
    assert set(contact.consents.values()) == OUT
    assert contact.phone_number == PhoneNumber(NUMBER)
    proof = contacts.records[0]
    assert proof.source == Source.PROVIDER_EVENT
    assert (proof.words, proof.message_id) == ("_SMS.OPTOUT", "event#m-1/OPTOUT/")
    assert proof.at == START - timedelta(days=300)
    assert [kind for kind, _ in bus.events] == ["OptedOut"]
    assert bus.events[0][1]["source"] == "provider-event"


def test_the_service_s_refusal_is_the_carrier_s_word(record, contacts):
    record(eventType="_SMS.FAILURE", recordStatus="OPTED_OUT")

    assert contacts.records[0].source == Source.CARRIER
    assert contacts.records[0].words == "OPTED_OUT"


def test_the_person_s_words_are_kept_where_the_event_has_them(record, contacts):
    record(eventType="_SMS.RECEIVED", body="Please stop texting me")

    assert contacts.records[0].words == "Please stop texting me"


@pytest.mark.parametrize(
    ("age_of_start", "state"), [(200, ConsentState.ACTIVE), (400, ConsentState.OPTED_OUT)]
)
def test_history_does_not_undo_a_later_start(record, contacts, age_of_start, state):
    says(contacts, opt_out, START - timedelta(days=500))
    says(contacts, resubscribe, START - timedelta(days=age_of_start))

    record()

    assert set(contacts.get(PERSON).consents.values()) == {state}


def test_the_same_event_again_changes_and_tells_nothing(record, contacts, bus):
    record()
    before = contacts.get(PERSON)

    assert record() is Recorded.ALREADY_OPTED_OUT
    assert contacts.get(PERSON) == before
    assert len(bus.events) == 1


def test_what_the_bus_did_not_take_is_told_by_the_event_s_next_delivery(record, bus):
    publish, bus.publish = bus.publish, raising
    with pytest.raises(TransientError):
        record()
    bus.publish = publish

    record()

    assert len(bus.events) == 1


def test_a_start_that_comes_between_reading_and_writing_wins(record, contacts):
    contacts.put(Contact(subscriber_id=PERSON, consents=dict.fromkeys(ALL_SCOPES, ConsentState.ACTIVE)))

    def stop_and_start():
        says(contacts, opt_out, START - timedelta(days=2))
        says(contacts, resubscribe, START - timedelta(days=1))

    contacts.before_save = stop_and_start

    assert record() is Recorded.OVERTAKEN
    assert set(contacts.get(PERSON).consents.values()) == {ConsentState.ACTIVE}


def test_an_erased_person_stays_a_tombstone(record, contacts):
    tombstone = contacts.put(erase(Contact(subscriber_id=PERSON), START))

    assert record() is Recorded.ERASED
    assert contacts.get(PERSON) == tombstone


def test_an_instant_ahead_of_the_clock_is_now(record, contacts):
    record(at=round((START + timedelta(days=1)).timestamp() * 1000))

    assert contacts.get(PERSON).opted_out_at == START


@pytest.mark.parametrize(
    "detail",
    [
        None,
        [],
        {},
        DETAIL | {"at": True},
        DETAIL | {"at": -1},
        DETAIL | {"at": 10**18},
        DETAIL | {"at": "1700000000000"},
        DETAIL | {"subscriberId": ""},
        DETAIL | {"eventId": "x" * 600},
        DETAIL | {"eventId": None},
    ],
)
def test_what_nobody_can_carry_out_is_none(detail):
    assert read_report("OptOutReported", detail) is None


def test_a_number_that_cannot_be_is_left_out(record, contacts):
    record(phoneNumber="+0")

    assert contacts.get(PERSON).phone_number is None


def test_other_events_are_none():
    assert read_report("OptedOut", DETAIL) is None


def raising(*_):
    raise TransientError("the bus")
