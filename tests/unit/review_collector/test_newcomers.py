"""Customers whom an event brings: added where nobody knows them, asked about what they came for, and once."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from sms_engagement_runtime.channel.domain.consent import erase
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.subscriber import subscriber_id
from sms_engagement_runtime.review_collector.domain.customers import Customer
from sms_engagement_runtime.review_collector.domain.errands import (
    AskForReview,
    RecordOccasion,
    read_errand,
    write_errand,
)
from tests.support.asking_system import request_key
from tests.support.bus_schemas import errors_of, hold_to_schema
from tests.support.fakes import START, SUBSCRIBER_KEY, Crash, CrashPlan
from tests.support.review_errands import Errands

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
INVITEE = {"phoneNumber": "(202) 555-0147", "name": "Grace Hopper", "locale": "en-US"}
GRACE = Customer(
    user_id="invitee-1", phone_number="+12025550147", name="Grace Hopper", locale="en-US", is_active=True
)
MEETING = {"userId": "invitee-1", "occasion": "appointment-9"}
TEXT = "Hi {{name}}! How was your 15 Minute Meeting? {{link}}"


@pytest.fixture
def errands():
    return Errands()


def asked_about(errands):
    """Occasions of everybody's requests."""
    return sorted(row.occasion for row in errands.system.requests.rows.values())


class TestAdding:
    def test_an_invitee_whom_nobody_knows_is_added_and_asked(self, errands):
        outcome = errands.publish(**MEETING, customer=INVITEE)

        assert outcome.state == "ACCEPTED"
        assert errands.system.customers.rows["invitee-1"] == GRACE
        assert errands.system.customers.sources == {"invitee-1": "appointment"}
        assert [message.destination.e164 for message in errands.system.sender.sent] == ["+12025550147"]
        assert errands.bodies[0].startswith("Hi Grace!")

    def test_who_opted_out_of_the_same_number_is_not_asked(self, errands):
        errands.system.opt_out()

        outcome = errands.publish(**MEETING, customer={**INVITEE, "phoneNumber": "+12025550123"})

        assert (outcome.state, outcome.reason) == ("SUPPRESSED", "OPTED_OUT")
        assert errands.bodies == []

    def test_who_was_erased_is_not_added_again(self, errands):
        number = PhoneNumber("+12025550147")
        own = subscriber_id(number, SUBSCRIBER_KEY)
        contacts = errands.system.contacts
        contacts.put(erase(contacts.get(own), START))

        outcome = errands.publish(**MEETING, customer=INVITEE)

        assert (outcome.state, outcome.reason) == ("SUPPRESSED", "ERASED")
        assert "invitee-1" not in errands.system.customers.rows
        assert errands.bodies == []
        assert asked_about(errands) == []

    @pytest.mark.parametrize(
        ("standing", "state", "reason"),
        [
            (Customer(user_id="invitee-1", phone_number="+12025550160", is_active=True), "ACCEPTED", None),
            (Customer(user_id="invitee-1", phone_number="+12025550160"), "SUPPRESSED", "INACTIVE"),
            (Customer(user_id="invitee-1", is_active=True), "SUPPRESSED", "NO_PHONE"),
        ],
    )
    def test_who_is_in_the_table_wins_and_is_never_changed(self, errands, standing, state, reason):
        errands.system.customers.rows["invitee-1"] = standing

        outcome = errands.publish(**MEETING, customer=INVITEE)

        assert (outcome.state, outcome.reason) == (state, reason)
        assert errands.system.customers.rows["invitee-1"] == standing
        destinations = [message.destination.e164 for message in errands.system.sender.sent]
        assert destinations == (["+12025550160"] if state == "ACCEPTED" else [])

    @pytest.mark.parametrize("is_active", [True, False])
    def test_who_was_added_in_the_same_moment_by_somebody_else_wins_too(self, errands, is_active):
        standing = replace(GRACE, phone_number="+12025550160", is_active=is_active)
        errands.system.customers.rows["invitee-1"] = standing
        errands.system.customers.unseen.add("invitee-1")

        outcome = errands.publish(**MEETING, customer=INVITEE)

        assert outcome.reason == (None if is_active else "INACTIVE")
        assert errands.system.customers.rows["invitee-1"] == standing
        destinations = [message.destination.e164 for message in errands.system.sender.sent]
        assert destinations == (["+12025550160"] if is_active else [])

    @pytest.mark.parametrize(
        ("customer", "reason"),
        [
            ({}, "NO_PHONE"),
            ({"phoneNumber": None}, "NO_PHONE"),
            ({"phoneNumber": "  "}, "NO_PHONE"),
            ({"phoneNumber": ["+12025550147"]}, "NO_PHONE"),
            ({"phoneNumber": "+1202555\ud83d0147"}, "NO_PHONE"),
            ({"phoneNumber": "call me"}, "INVALID_PHONE"),
            ({"phoneNumber": "+1202"}, "INVALID_PHONE"),
        ],
    )
    def test_without_a_number_that_can_be_texted_nobody_is_added(self, errands, customer, reason):
        outcome = errands.publish(**MEETING, customer={"name": "Grace Hopper", **customer})

        assert (outcome.state, outcome.reason) == ("SUPPRESSED", reason)
        assert "invitee-1" not in errands.system.customers.rows
        assert errands.system.requests.rows == {}
        assert errands.later.waits == {}

    @pytest.mark.parametrize(
        ("occurred_at", "reason"), [(START - 30 * DAY, "EXPIRED"), (START + 301 * DAY, "NOT_BEGUN")]
    )
    def test_nobody_is_added_about_whom_there_is_nothing_to_ask(self, errands, occurred_at, reason):
        outcome = errands.publish(**MEETING, customer=INVITEE, occurredAt=occurred_at.isoformat())

        assert (outcome.state, outcome.reason) == ("SUPPRESSED", reason)
        assert "invitee-1" not in errands.system.customers.rows
        assert errands.system.requests.rows == {}

    def test_where_that_is_switched_off_nobody_is_added(self, errands):
        errands.system.adds_customers = False

        outcome = errands.publish(**MEETING, customer=INVITEE)

        assert (outcome.state, outcome.reason) == ("SUPPRESSED", "NO_CUSTOMER")
        assert "invitee-1" not in errands.system.customers.rows
        assert errands.system.requests.rows == {}

    @pytest.mark.parametrize(
        "odd", [{"name": 5}, {"name": "\ud83d"}, {"name": "  "}, {"locale": "x" * 36}, {"timeZone": []}]
    )
    def test_what_is_odd_about_them_is_left_out(self, errands, odd):
        (name,) = odd
        attribute = {"timeZone": "time_zone"}.get(name, name)

        assert errands.publish(**MEETING, customer={**INVITEE, **odd}).state == "ACCEPTED"

        added = errands.system.customers.rows["invitee-1"]
        assert added == replace(GRACE, **{attribute: "5" if odd[name] == 5 else None})

    def test_an_occasion_alone_adds_nobody(self, errands):
        errands.run(RecordOccasion("invitee-1", "appointment-9"))

        assert "invitee-1" not in errands.system.customers.rows


class TestComingAgain:
    def test_an_event_that_comes_again_asks_once_and_adds_once(self, errands):
        errands.publish(**MEETING, customer=INVITEE)

        outcome = errands.publish(**MEETING, customer={**INVITEE, "name": "Ada Lovelace"})

        assert outcome.state == "ALREADY_SENT"
        assert errands.system.customers.rows["invitee-1"] == GRACE
        assert len(errands.bodies) == 1

    def test_what_waits_for_the_morning_holds_nothing_of_the_person(self, errands):
        errands.system.clock.instant = START + 14 * HOUR

        outcome = errands.publish(**MEETING, customer=INVITEE, text=TEXT, textLocale="en")

        assert outcome.reason == "QUIET_HOURS"
        assert errands.system.customers.rows["invitee-1"] == GRACE
        waiting = json.dumps(errands.later.waits["event-1"][0])
        assert not [word for word in ("555", "Grace", "customer") if word in waiting]
        assert [outcome.state for outcome in errands.come_back("event-1")] == ["ACCEPTED"]
        assert errands.bodies[0].startswith("Hi Grace! How was your 15 Minute Meeting? https://")

    def test_who_is_erased_during_the_wait_stays_erased(self, errands):
        errands.system.clock.instant = START + 14 * HOUR
        errands.publish(**MEETING, customer=INVITEE)
        del errands.system.customers.rows["invitee-1"]

        assert [outcome.reason for outcome in errands.come_back("event-1")] == ["NO_CUSTOMER"]
        assert "invitee-1" not in errands.system.customers.rows

    def test_an_appointment_that_is_yet_to_end_is_waited_for(self, errands):
        errands.publish(**MEETING, customer=INVITEE, text=TEXT, occurredAt=(START + 2 * HOUR).isoformat())

        # A broadcast in between has nothing to ask the new customer about.
        assert errands.system.ask_due(GRACE).reason == "NO_OCCASION"
        assert [outcome.state for outcome in errands.come_back("event-1")] == ["ACCEPTED"]
        assert errands.bodies[0].startswith("Hi Grace! How was your 15 Minute Meeting?")


class TestBroadcasts:
    """An invitee has one occasion, the appointment: nobody ever asks them about their registration."""

    @pytest.mark.parametrize("came_to", ["the text", "night", "an opt-out", "an answer"])
    def test_the_registration_is_never_asked_about(self, errands, came_to):
        if came_to == "night":
            errands.system.clock.instant = START + 14 * HOUR
        invitee = {**INVITEE, "phoneNumber": "+12025550123"} if came_to == "an opt-out" else INVITEE
        if came_to == "an opt-out":
            errands.system.opt_out()
        errands.publish(**MEETING, customer=invitee)
        if came_to == "an answer":
            errands.system.requests.mark_answered(
                request_key("invitee-1", "appointment-9"), errands.system.clock.now()
            )
        customer = errands.system.customers.rows["invitee-1"]

        for day in range(1, 400, 7):
            errands.system.clock.instant = START + day * DAY
            errands.system.ask_due(customer, run_id=f"day-{day}")

        assert asked_about(errands) == ["appointment-9"]
        # The request and at the most its reminder.
        assert len(errands.bodies) == {"an opt-out": 0, "an answer": 1}.get(came_to, 2)

    def test_a_broadcast_that_is_first_asks_in_the_words_of_the_event(self, errands):
        errands.system.pause.paused = True
        errands.publish(**MEETING, customer=INVITEE, text=TEXT)
        errands.system.pause.paused = False
        errands.system.clock.advance(minutes=4)

        assert errands.system.ask_due(GRACE).state == "ACCEPTED"
        assert [outcome.state for outcome in errands.come_back("event-1")] == ["ALREADY_SENT"]
        (body,) = errands.bodies
        assert body.startswith("Hi Grace! How was your 15 Minute Meeting?")


def publish_meeting(errands, wrap=lambda port: port):
    detail = {**MEETING, "customer": INVITEE, "text": TEXT}
    return errands.run(read_errand("ReviewRequested", detail), wrap=wrap)


def instants():
    plan = CrashPlan()
    publish_meeting(Errands(), plan.wrap)
    return range(1, plan.instants + 1)


@pytest.mark.parametrize("instant", instants())
@pytest.mark.parametrize("broadcast_first", [True, False])
def test_cut_off_anywhere_they_are_asked_once_about_the_appointment_alone(errands, instant, broadcast_first):
    with pytest.raises(Crash):
        publish_meeting(errands, CrashPlan(crash_at=instant).wrap)
    errands.system.clock.advance(minutes=5)

    def broadcast():
        for customer in errands.system.customers.find(["invitee-1"]).values():
            errands.system.ask_due(customer)

    outcomes = []
    for step in (broadcast, publish_meeting) if broadcast_first else (publish_meeting, broadcast):
        outcomes.append(step() if step is broadcast else step(errands))
        errands.system.clock.advance(minutes=5)

    assert errands.system.customers.rows["invitee-1"] == GRACE
    assert asked_about(errands) == ["appointment-9"]
    assert len(errands.bodies) <= 1
    assert len(errands.bodies) == 1 or "UNCERTAIN" in [outcome.state for outcome in outcomes if outcome]


@pytest.mark.parametrize(
    "customer",
    [
        INVITEE,
        {"phoneNumber": "+12025550147"},
        {**INVITEE, "timeZone": "America/New_York", "unknown": 1},
    ],
)
def test_customers_that_the_schema_lets_through_are_read(customer):
    detail = {**MEETING, "customer": customer, "text": TEXT, "textLocale": "en"}

    hold_to_schema("ReviewRequested", detail)
    errand = read_errand("ReviewRequested", detail)

    assert errand.newcomer.phone_number == customer["phoneNumber"]
    assert errand.newcomer.is_active
    assert errand.text.template == TEXT
    # Nothing that shows the errand shows the number, and nothing that waits has it.
    assert "555" not in repr(errand)
    assert "555" not in json.dumps(write_errand(errand))


@pytest.mark.parametrize("customer", ["+12025550147", [INVITEE], 5])
def test_a_customer_who_is_no_object_makes_an_event_malformed(customer):
    detail = {**MEETING, "customer": customer}

    assert errors_of("ReviewRequested", detail)
    assert read_errand("ReviewRequested", detail) is None


def test_no_customer_is_no_customer():
    assert read_errand("ReviewRequested", {**MEETING, "customer": None}) == AskForReview(*MEETING.values())
